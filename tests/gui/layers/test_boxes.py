import numpy as np
import pytest
import zarr

from napari_surfseg.geometry import box_slices, count_voxels
from napari_surfseg.gui.layers.boxes import (
    CHUNK,
    find_stored_boxes,
    iterate_boxes,
    sample_boxes,
)


def test_boxes_cover_a_volume_once():
    covered = np.zeros((70, 64, 130), np.uint8)
    for box in iterate_boxes(covered.shape):
        covered[box_slices(box)] += 1
    assert (covered == 1).all()


@pytest.mark.parametrize("shape", [(5, 5, 5), (40, 300, 300)])
def test_a_sample_lies_inside(shape):
    boxes = list(sample_boxes(shape, 3))
    assert 1 <= len(boxes) <= 27
    for box in boxes:
        assert count_voxels(box)
        assert all(0 <= a < b <= size for a, b, size in zip(*box, shape, strict=True))


def test_of_a_sparse_zarr_only_what_was_written_is_read():
    array = zarr.create_array(
        zarr.storage.MemoryStore(), shape=(1000,) * 3, chunks=(128,) * 3, dtype="u1"
    )
    array[500, 10, 10] = 1
    boxes = find_stored_boxes(array)
    assert boxes.num_voxels < 1000**3
    assert any(a[0] <= 500 < b[0] and a[1] == a[2] == 0 for a, b in boxes)


def test_of_an_array_in_memory_everything_is_read():
    boxes = find_stored_boxes(np.zeros((70, CHUNK, CHUNK), np.uint8))
    assert boxes.num_voxels == 70 * CHUNK**2
    assert len(list(boxes)) == 2
