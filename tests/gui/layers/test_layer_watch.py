import numpy as np
import pytest
from napari.components import ViewerModel

from napari_surfseg.gui.layers.layer_watch import LayerWatch, unwrap


@pytest.fixture
def viewer():
    viewer = ViewerModel()
    viewer.add_labels(np.zeros((4, 4, 4), np.uint8), name="sheet")
    return viewer


def test_layers_are_followed_while_they_are_in_the_viewer(viewer):
    listed, painted = [], []
    watch = LayerWatch(viewer, on_list=lambda: listed.append(1), on_values=painted.append)
    sheet = viewer.layers["sheet"]
    sheet.data_setitem((np.array([0]),) * 3, 1)
    assert painted == [sheet]
    viewer.layers.remove(sheet)
    sheet.data_setitem((np.array([1]),) * 3, 1)
    assert painted == [sheet]
    later = viewer.add_labels(np.zeros((2, 2, 2), np.uint8))
    later.name = "later"
    assert len(listed) == 3
    watch.close()
    later.name = "later still"
    later.data_setitem((np.array([1]),) * 3, 1)
    viewer.layers.clear()
    assert len(listed) == 3
    assert painted == [sheet]


def test_painting_is_noticed_however_it_was_done(viewer):
    sheet = viewer.layers["sheet"]  # it was there before anything looked
    painted = []
    watch = LayerWatch(viewer, on_list=lambda: None, on_values=painted.append)
    ways = {
        "brush": lambda: sheet.paint((1, 1, 1), 1),
        "undo": sheet.undo,
        "redo": sheet.redo,
        "bucket": lambda: sheet.fill((1, 1, 1), 2),
        "its array": lambda: (sheet.data.fill(1), sheet.refresh()),
        "another array": lambda: setattr(sheet, "data", np.ones((4, 4, 4), np.uint8)),
    }
    for name, paint in ways.items():
        painted.clear()
        paint()
        assert sheet in painted, name
    painted.clear()
    viewer.dims.set_point(0, 2)  # another slice is looked at
    viewer.dims.set_point(0, 3)
    viewer.dims.ndisplay = 3
    assert painted == []
    watch.close()
    sheet.paint((1, 1, 1), 1)
    sheet.refresh()
    assert painted == []


def test_a_proxy_is_taken_off():
    layer = object()
    proxy = type("Proxy", (), {"__wrapped__": layer})()
    assert unwrap(proxy) is layer
    assert unwrap(layer) is layer
