"""Loops that generate the tunnels of a mask."""

import numpy as np
import pytest

from napari_surfseg.metrics.betti_numbers import compute_betti_numbers
from napari_surfseg.metrics.loops import find_loops, padded_strides


def ring():
    mask = np.zeros((3, 5, 5), np.uint8)
    mask[1] = 1
    mask[1, 2, 2] = 0
    return mask


def test_a_ring_has_one_loop_around_its_hole():
    loops = find_loops(ring())
    assert loops.num == 1
    # The shortest way around one missing voxel has eight edges.
    assert len(loops.voxel) >= 8


def test_a_full_volume_has_none():
    assert find_loops(np.ones((4, 4, 4), np.uint8)).num == 0


@pytest.mark.parametrize("seed", range(4))
def test_every_loop_is_closed_and_there_are_enough(seed):
    mask = (np.random.default_rng(seed).random((6, 7, 8)) < 0.6).astype(np.uint8)
    loops = find_loops(mask)
    assert loops.num >= compute_betti_numbers(mask).b1
    strides = np.array(padded_strides(mask.shape))
    foreground = np.pad(mask, 1).ravel() > 0
    for number in range(loops.num):
        chosen = loops.loop == number
        first = loops.voxel[chosen].astype(int)
        ends = np.concatenate([first, first + strides[loops.axis[chosen]]])
        assert foreground[ends].all()
        # A closed path meets every voxel on an even number of its edges.
        assert (np.unique(ends, return_counts=True)[1] % 2 == 0).all()
