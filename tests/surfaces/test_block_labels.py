"""Numbers of components that come in blocks."""

import numpy as np
import pytest

from napari_surfseg.geometry import box_slices, iterate_blocks, whole_box
from napari_surfseg.surfaces.block_labels import BlockLabels
from napari_surfseg.surfaces.cleaning import label_sheets


def number(mask, block, **options):
    labels = BlockLabels(mask.shape, **options)
    boxes = list(iterate_blocks(whole_box(mask.shape), block))
    for box in boxes:
        labels.add(box[0], mask[box_slices(box)])
    count = labels.number()
    found = np.zeros(mask.shape, np.int32)
    for box in reversed(boxes):  # in any order
        found[box_slices(box)] = labels.label(box[0], mask[box_slices(box)])
    return found, count


@pytest.mark.parametrize("block", [(3, 3, 3), (4, 9, 5), (9, 9, 9)])
@pytest.mark.parametrize(("connectivity", "min_voxels"), [(6, 0), (26, 0), (6, 3), (18, 2)])
def test_numbers_are_those_of_the_whole(block, connectivity, min_voxels):
    """Of noise, in which many components have the same size and begin anywhere."""
    mask = np.random.default_rng(2).random((9, 9, 9)) < 0.2
    found, count = number(mask, block, connectivity=connectivity, min_voxels=min_voxels)
    whole = label_sheets(mask, connectivity=connectivity, min_voxels=min_voxels)
    assert np.array_equal(found, whole)
    assert count == whole.max()


def test_of_nothing_there_are_none():
    found, count = number(np.zeros((4, 4, 4), bool), (2, 4, 4))
    assert count == 0
    assert not found.any()


def test_one_that_goes_round_through_all_blocks_is_one():
    mask = np.zeros((8, 8, 8), bool)
    mask[1:7, 1:7, 1:7] = True
    mask[2:6, 2:6, 2:6] = False
    mask[3:5, 3:5, 3:5] = True
    found, count = number(mask, (4, 4, 4))
    assert count == 2
    assert (found[3:5, 3:5, 3:5] == 2).all()
