import pytest
from napari.components import ViewerModel

from napari_surfseg.gui.live.toggle_key import KEYS, bind_key, unbind_key


@pytest.fixture
def viewer():
    return ViewerModel()


def test_a_key_that_somebody_has_is_left_to_them(viewer):
    pressed = []
    viewer.bind_key(KEYS[0], lambda _viewer: pressed.append("theirs"))
    key = bind_key(viewer, lambda: pressed.append("ours"))
    assert key == KEYS[1]
    viewer.keymap[next(iter(k for k in viewer.keymap if str(k) == "Shift+H"))](viewer)
    assert pressed == ["ours"]
    unbind_key(viewer, key)
    assert bind_key(viewer, lambda: None) == KEYS[1]


def test_the_key_is_none_that_napari_uses(viewer):
    assert bind_key(viewer, lambda: None) == "H"
