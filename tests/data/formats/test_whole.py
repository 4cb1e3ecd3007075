"""Files that can only be read whole: once, not before a box is read, and only where they fit."""

import concurrent.futures

import numpy as np
import pytest

from napari_surfseg.data.formats import whole
from napari_surfseg.data.formats.whole import WholeVolume
from napari_surfseg.errors import DataError

SHAPE = (4, 5, 6)


@pytest.fixture
def free(monkeypatch):
    """Set how many bytes of memory are free."""

    def set_free(num_bytes):
        monkeypatch.setattr(whole, "find_free_memory", lambda: num_bytes)

    return set_free


def make_volume(load=lambda: np.ones(SHAPE, np.uint16)):
    return WholeVolume(load, shape=SHAPE, dtype=np.uint16, source="a.nii.gz")


def test_it_is_unpacked_once_by_the_first_of_many_threads():
    calls = []

    def load():
        calls.append(1)
        return np.arange(120, dtype=np.uint16).reshape(SHAPE)

    volume = make_volume(load)
    assert not calls
    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        boxes = list(pool.map(lambda z: volume.read((z % 4, 0, 0), (z % 4 + 1, 5, 6)), range(40)))
    assert len(calls) == 1
    assert [int(box[0, 0, 0]) for box in boxes[:4]] == [0, 30, 60, 90]


def test_one_that_does_not_fit_into_memory_is_refused_unread(free):
    free(240 / whole.MEMORY_SHARE)
    make_volume()
    free(239 / whole.MEMORY_SHARE)
    with pytest.raises(DataError, match=r"all of its 240 B would .* of which 598 B are free; save"):
        make_volume()


def test_a_large_one_is_noted(monkeypatch):
    assert make_volume().notes == []
    monkeypatch.setattr(whole, "NOTED_BYTES", 240)
    assert "all of its 240 B are read into memory at once" in make_volume().notes[0]
