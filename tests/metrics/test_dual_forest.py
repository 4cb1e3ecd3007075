"""The graph of cubes and squares between voxels."""

import numpy as np
import pytest

from napari_surfseg.metrics.dual_forest import build_dual_forest


def count_bits(flags):
    return int(np.unpackbits(flags).sum())


def test_without_background_there_is_no_open_square():
    forest = build_dual_forest(np.ones((4, 4, 4), np.uint8))
    assert not forest.open_squares.any()
    assert forest.order.size == 0


def test_without_foreground_every_cube_hangs_from_the_outside():
    forest = build_dual_forest(np.zeros((3, 4, 5), np.uint8))
    num_cubes = 2 * 3 * 4
    assert forest.order.size == count_bits(forest.tree_squares) == num_cubes
    # Squares between voxels, by the axis they are normal to.
    assert count_bits(forest.open_squares) == 3 * 3 * 4 + 2 * 4 * 4 + 2 * 3 * 5
    assert forest.depth[forest.order].min() == 1


@pytest.mark.parametrize("seed", range(3))
def test_parents_come_before_their_children(seed):
    mask = (np.random.default_rng(seed).random((5, 6, 7)) < 0.7).astype(np.uint8)
    forest = build_dual_forest(mask)
    assert (np.diff(forest.depth[forest.order][forest.depth[forest.order] > 0]) >= 0).any()
    assert len(np.unique(forest.order)) == forest.order.size
    assert not (forest.tree_squares & ~forest.open_squares).any()
