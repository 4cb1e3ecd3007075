"""Which rows of a mapped file were written."""

import os

import numpy as np
import pytest

from napari_surfseg.config import Labels
from napari_surfseg.data.census import take_census
from napari_surfseg.data.open import open_volume
from napari_surfseg.data.volume import ArrayVolume

STROKES = Labels(foreground=(1,), background=(2,), ignore=(0,))
CUBES = [(5, 10, 20), (700, 900, 300), (990, 963, 964)]


@pytest.fixture
def path(tmp_path):
    """Make a file of 1 GiB that takes little of the disk."""
    path = tmp_path / "a.npy"
    array = np.lib.format.open_memmap(path, "w+", np.uint8, (1024, 1000, 1024))
    for z, y, x in CUBES:
        array[z : z + 8, y : y + 30, x : x + 60] = 1
        array[z, y : y + 30, x : x + 60] = 2
    array.flush()
    del array
    about = path.stat()
    if not hasattr(os, "SEEK_DATA") or about.st_blocks * 512 > about.st_size // 2:
        pytest.skip("this file system keeps no holes")
    return path


def test_only_what_was_written_is_looked_at(path, monkeypatch):
    volume = open_volume(path)
    stored = volume.stored_chunks()
    assert 0 < len(stored) < 100
    for z, y, x in CUBES:
        assert stored.touches(((z, y, x), (z + 1, y + 30, x + 60)))
    assert not stored.touches(((100, 0, 0), (600, 1000, 1024)))
    read = []
    original = ArrayVolume._read_box
    monkeypatch.setattr(
        ArrayVolume, "_read_box", lambda self, a, b: read.append((a, b)) or original(self, a, b)
    )
    census = take_census(volume, STROKES)
    assert census.num_foreground == 3 * 7 * 30 * 60
    assert census.num_background == 3 * 30 * 60
    assert sum(np.prod(np.subtract(b, a)) for a, b in read) < volume.num_voxels / 10


def test_an_array_without_holes_gives_no_list(tmp_path):
    np.save(tmp_path / "b.npy", np.ones((9, 70, 5), np.uint8))
    assert open_volume(tmp_path / "b.npy").stored_chunks() is None
