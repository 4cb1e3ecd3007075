"""Blocks cover every window once, and cores and seams every voxel of a block."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from napari_surfseg.geometry import box_slices, boxes_overlap, iterate_indices, whole_box
from napari_surfseg.inference.block_grid import BlockGrid, choose_block
from napari_surfseg.inference.windows import build_grid

EDGE = st.integers(3, 12)


@settings(max_examples=60, deadline=None)
@given(
    sizes=st.tuples(*[st.integers(12, 60)] * 3),
    window=st.tuples(EDGE, EDGE, EDGE),
    block=st.tuples(*[st.integers(1, 4)] * 3),
    overlap=st.sampled_from([0.0, 0.25, 0.5, 0.7]),
)
def test_every_window_and_voxel_has_its_block(sizes, window, block, overlap):
    blocks = BlockGrid(build_grid(sizes, window, overlap), block)
    windows = np.zeros(blocks.windows_shape, int)
    cores = np.zeros(sizes, int)
    seen = np.zeros(sizes, int)
    for index in iterate_indices(whole_box(blocks.shape)):
        windows[box_slices(blocks.windows_of(index))] += 1
        core, seams = blocks.parts_of(index)
        mine = np.zeros(sizes, int)
        for box in (core, *seams):
            mine[box_slices(box)] += 1
        np.testing.assert_array_equal(mine[box_slices(blocks.extent_of(index))], 1)
        assert mine.sum() == (mine > 0).sum()
        seen += mine
        cores[box_slices(core)] += 1
    assert (windows == 1).all()
    assert (seen[cores > 0] == 1).all()
    assert (seen > 0).all()
    assert blocks.count_marked(np.ones(blocks.shape, bool)) == blocks.grid.num_windows


@pytest.mark.parametrize("overlap", [0.0, 0.25, 0.6])
def test_the_blocks_under_a_box_are_those_that_see_it(overlap):
    blocks = BlockGrid(build_grid((40, 50, 60), (8, 12, 16), overlap), (2, 1, 3))
    rng = np.random.default_rng(0)
    for _ in range(40):
        low = rng.integers(0, (39, 49, 59))
        box = (tuple(low.tolist()), tuple((low + rng.integers(1, 20, 3)).tolist()))
        expected = np.zeros(blocks.shape, bool)
        for index in iterate_indices(whole_box(blocks.shape)):
            expected[index] = boxes_overlap(blocks.extent_of(index), box)
        found = np.zeros(blocks.shape, bool)
        found[box_slices(blocks.touching(box))] = True
        np.testing.assert_array_equal(found, expected)
        marked = blocks.mark_touching(*(np.array([corner]) for corner in box))
        np.testing.assert_array_equal(marked, expected)


@pytest.mark.parametrize("shape", [(64, 64, 64), (100, 700, 1000), (20, 20, 5000)])
def test_a_block_is_bounded_and_near_a_cube(shape):
    grid = build_grid(shape, (32, 32, 32), 0.25)
    block = choose_block(grid, 160**3, 64)
    blocks = BlockGrid(grid, block)
    low, high = blocks.extent_of((0, 0, 0))
    assert math.prod(block) <= 64
    assert math.prod(b - a for a, b in zip(low, high, strict=True)) <= 160**3
    assert choose_block(grid, 1, 64) == (1, 1, 1)
