"""Cleaning: hand cases."""

import numpy as np
import pytest
from scipy import ndimage

from napari_surfseg.surfaces.cleaning import (
    close_gaps,
    fill_small_holes,
    label_sheets,
    remove_small_components,
)


def sheet(shape=(12, 14, 16), z=5):
    mask = np.zeros(shape, bool)
    mask[z] = True
    return mask


def test_sheets_are_numbered_by_size():
    mask = np.zeros((9, 9, 9), np.uint8)
    mask[1, 1, 1:3] = 1  # 2 voxels
    mask[4] = 255  # 81 voxels
    mask[7, 2:5, 2] = 1  # 3 voxels
    labels = label_sheets(mask)
    assert labels.dtype == np.int32
    assert labels[4].min() == 1
    assert labels[7, 3, 2] == 2
    assert labels[1, 1, 1] == 3
    assert labels.max() == 3
    assert np.array_equal(labels > 0, mask > 0)


def test_sheets_below_a_size_are_left_out():
    mask = sheet()
    mask[9, 3, 3:5] = True
    assert label_sheets(mask, min_voxels=3).max() == 1
    assert label_sheets(mask, min_voxels=2).max() == 2


def test_a_tilted_sheet_hangs_together_by_edges_and_corners():
    mask = np.zeros((10, 10, 10), bool)
    mask[np.arange(10), np.arange(10)] = True
    assert label_sheets(mask).max() == 1
    assert label_sheets(mask, connectivity=6).max() == 10


def test_nothing_gives_nothing():
    empty = np.zeros((4, 5, 6), np.uint8)
    assert not label_sheets(empty).any()
    assert not remove_small_components(empty, 10).any()
    assert not close_gaps(empty, 2).any()
    assert fill_small_holes(empty, 1000).sum() == 0  # background that reaches the border is open


def test_unknown_connectivity_is_refused():
    with pytest.raises(ValueError, match="6, 18 or 26"):
        label_sheets(sheet(), connectivity=8)


def test_small_components_go_and_large_ones_stay():
    mask = sheet()
    mask[0, 0, 0:3] = True
    cleaned = remove_small_components(mask, 4)
    assert np.array_equal(cleaned, sheet())
    assert np.array_equal(remove_small_components(mask, 3), mask)
    assert np.array_equal(remove_small_components(mask, 0), mask)


def test_cavities_are_filled_up_to_a_size_unless_they_touch_the_border():
    mask = np.ones((8, 8, 8), bool)
    mask[3, 3, 3:5] = False  # a cavity of 2
    mask[6, 2:5, 6] = False  # a cavity of 3
    mask[0, 0, 0] = False  # at the border: may be open beyond it
    filled = fill_small_holes(mask, 2)
    assert filled[3, 3, 3:5].all()
    assert not filled[6, 2:5, 6].any()
    assert not filled[0, 0, 0]
    assert np.array_equal(fill_small_holes(mask, 0), mask)


def test_a_cavity_touching_by_a_corner_is_two_cavities():
    mask = np.ones((6, 6, 6), bool)
    mask[2, 2, 2] = mask[3, 3, 3] = False
    assert fill_small_holes(mask, 1).all()


def test_a_hole_through_a_sheet_is_closed_and_the_sheet_not_thickened():
    mask = sheet()
    mask[5, 6:8, 6:8] = False
    closed = close_gaps(mask, 2)
    assert np.array_equal(closed, sheet())
    assert np.array_equal(close_gaps(mask, 0), mask)


def test_neighbouring_sheets_further_apart_stay_apart():
    mask = sheet(z=2) | sheet(z=9)
    assert np.array_equal(close_gaps(mask, 2), mask)
    assert close_gaps(mask, 4)[2:10].all()


def test_closing_what_is_nearly_full_fills_it():
    mask = np.ones((5, 5, 5), bool)
    mask[2, 2, 2] = False
    assert close_gaps(mask, 1).all()


def test_closing_only_adds():
    mask = np.random.default_rng(1).random((12, 12, 12)) < 0.2
    closed = close_gaps(mask, 1)
    assert (closed >= mask).all()
    ball = ndimage.generate_binary_structure(3, 2)  # within 1.5 voxels
    padded = np.pad(mask, 2, mode="edge")
    expected = ndimage.binary_closing(padded, ball)[2:-2, 2:-2, 2:-2]
    assert np.array_equal(closed[2:-2, 2:-2, 2:-2], expected[2:-2, 2:-2, 2:-2])


@pytest.mark.parametrize("radius", [1, 2, 3, 11, 12, 16])
@pytest.mark.parametrize("density", [0.002, 0.1, 0.97])
def test_closing_is_that_by_distances(radius, density):
    mask = np.random.default_rng(radius).random((9, 14, 21)) < density
    mask[4, 5, 6] = True
    padded = np.pad(mask, radius + 1, mode="edge")
    near = ndimage.distance_transform_edt(~padded) <= radius + 0.5
    expected = np.ones_like(mask)
    if not near.all():
        closed = ndimage.distance_transform_edt(near) > radius + 0.5
        expected = closed[(slice(radius + 1, -radius - 1),) * 3] | mask
    assert np.array_equal(close_gaps(mask, radius), expected)
