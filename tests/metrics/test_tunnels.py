"""The squares at which tunnels are filled."""

import numpy as np

from napari_surfseg.metrics.dual_forest import build_dual_forest
from napari_surfseg.metrics.loops import find_loops, padded_strides
from napari_surfseg.metrics.tunnels import find_filling_squares


def test_a_hole_in_a_sheet_is_filled_beside_the_hole():
    mask = np.zeros((3, 7, 7), np.uint8)
    mask[1] = 1
    mask[1, 3, 3] = 0
    squares, around = find_filling_squares(build_dual_forest(mask), find_loops(mask), 1)
    assert around.tolist() == [0]
    plane, row, _ = padded_strides(mask.shape)
    voxel = int(squares[0]) // 3
    place = np.array([voxel // plane, voxel % plane // row, voxel % row]) - 1
    # Squares are added along Z: a dome over the hole closes before the sheet's own plane.
    assert place[0] == 0
    assert np.abs(place - (1, 3, 3)).max() == 1


def test_a_tunnel_that_the_larger_mask_fills_needs_none():
    mask = np.zeros((3, 7, 7), np.uint8)
    mask[1] = 1
    filled = mask.copy()
    mask[1, 3, 3] = 0
    squares, _ = find_filling_squares(build_dual_forest(filled), find_loops(mask), 1)
    assert squares.size == 0


def test_without_tunnels_there_is_nothing_to_fill():
    mask = np.ones((4, 4, 4), np.uint8)
    squares, around = find_filling_squares(build_dual_forest(mask), find_loops(mask), 0)
    assert squares.size == around.size == 0
