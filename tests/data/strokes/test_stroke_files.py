"""Strokes in files, and written into labels."""

import numpy as np
import pytest
import zarr

from napari_surfseg.config import Data
from napari_surfseg.data.cache import VolumeCache
from napari_surfseg.data.checks import check_volumes
from napari_surfseg.data.open import open_volume
from napari_surfseg.data.strokes.stroke_files import (
    apply_strokes,
    check_strokes,
    read_strokes,
    write_strokes,
)
from napari_surfseg.data.volume import ArrayVolume
from napari_surfseg.errors import DataError, LabelError


@pytest.fixture
def labels():
    labels = np.zeros((70, 80, 130), np.uint8)
    labels[20:22] = 1
    labels[60:] = 2
    return labels


def test_strokes_survive_a_file(tmp_path):
    boxes = [
        ((1, 2, 3), np.arange(24, dtype=np.uint16).reshape(2, 3, 4)),
        ((0, 0, 0), np.ones((1, 1, 1), np.uint8)),
    ]
    write_strokes(tmp_path / "new" / "a.npz", boxes)
    assert [path.name for path in (tmp_path / "new").iterdir()] == ["a.npz"]
    found = read_strokes(tmp_path / "new" / "a.npz")
    assert [start for start, _ in found] == [(1, 2, 3), (0, 0, 0)]
    for (_, before), (_, after) in zip(boxes, found, strict=True):
        np.testing.assert_array_equal(before, after)
        assert before.dtype == after.dtype


@pytest.mark.parametrize("content", [None, b"", b"no zip", b"PK\x03\x04 half a zip"])
def test_a_damaged_file_is_a_sentence(tmp_path, content):
    path = tmp_path / "a.npz"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(DataError, match=r"a\.npz cannot be read"):
        read_strokes(path)


def test_pickles_are_not_opened(tmp_path):
    np.savez(tmp_path / "a.npz", np.array([[0, 0, 0]]), np.array([[[{}]]], object))
    with pytest.raises(DataError, match="cannot be read"):
        read_strokes(tmp_path / "a.npz")


def test_strokes_must_fit_the_labels(labels):
    volume = ArrayVolume(labels, name="labels")
    ((_, own),) = check_strokes(volume, [((0, 0, 0), np.full((2, 2, 2), 2, np.int64))])
    assert own.dtype == np.uint8
    with pytest.raises(DataError, match=r"\[69, 0, 0\] to \[71, 1, 1\] do not lie in labels"):
        check_strokes(volume, [((69, 0, 0), np.ones((2, 1, 1), np.uint8))])
    with pytest.raises(LabelError, match="the value 300, which labels of type uint8"):
        check_strokes(volume, [((0, 0, 0), np.full((2, 2, 2), 300, np.uint16))])
    with pytest.raises(LabelError, match="float64"):
        check_strokes(volume, [((0, 0, 0), np.zeros((2, 2, 2)))])


def test_strokes_reach_the_disk_and_leave_the_cache(tmp_path, labels):
    path = tmp_path / "labels_0.zarr"
    group = zarr.open_group(str(path), mode="w", zarr_format=2)
    array = group.create_array("0", shape=labels.shape, chunks=(64, 64, 64), dtype="uint8")
    array[:] = labels
    volume = open_volume(f"{path}::0")
    pair = check_volumes(
        ArrayVolume(np.zeros(labels.shape, np.uint8)), volume, Data(), role="train"
    )
    cache = VolumeCache(10**7)
    targets = cache.view(pair.open_targets(cache))
    before = targets.read((0, 0, 0), labels.shape)
    held = cache.stats().num_bytes
    box = ((0, 0, 0), np.ones((64, 64, 64), np.uint8))
    apply_strokes(path, [box])
    np.testing.assert_array_equal(targets.read((0, 0, 0), labels.shape), before)
    cache.forget(pair.open_targets(), (0, 0, 0), (64, 64, 64))
    assert cache.stats().num_bytes == held - 64**3
    after = targets.read((0, 0, 0), labels.shape)
    assert (after[:64, :64, :64] == 1).all()
    np.testing.assert_array_equal(after[64:], before[64:])
