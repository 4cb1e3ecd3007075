"""Windows: hand cases, and what must hold for any size."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from napari_surfseg.inference.windows import (
    build_grid,
    choose_window,
    compute_axis_starts,
    compute_axis_weights,
    split_into_blocks,
)

sizes = st.integers(1, 70)
windows = st.integers(1, 40)
overlaps = st.floats(0, 0.9)


@pytest.mark.parametrize(
    ("size", "window", "overlap", "starts"),
    [
        (64, 64, 0.25, (0,)),
        (10, 64, 0.25, (0,)),
        (128, 64, 0.0, (0, 64)),
        (65, 64, 0.0, (0, 1)),
        (100, 48, 0.25, (0, 26, 52)),
        (160, 64, 0.25, (0, 48, 96)),
        (10, 4, 0.5, (0, 2, 4, 6)),
        (5, 1, 0.9, (0, 1, 2, 3, 4)),
    ],
)
def test_starts_by_hand(size, window, overlap, starts):
    assert compute_axis_starts(size, window, overlap) == starts


@pytest.mark.parametrize(
    ("size", "window", "overlap"), [(0, 4, 0.1), (4, 0, 0.1), (4, 4, 1.0), (4, 4, -0.1)]
)
def test_starts_refuse_what_makes_no_sense(size, window, overlap):
    with pytest.raises(ValueError, match="must be at least"):
        compute_axis_starts(size, window, overlap)


@given(sizes, windows, overlaps)
def test_every_voxel_is_covered_and_neighbours_share_enough(size, window, overlap):
    starts = compute_axis_starts(size, window, overlap)
    covered = np.zeros(max(size, window), int)
    for start in starts:
        covered[start : start + window] += 1
    assert covered.min() >= 1
    assert starts[0] == 0
    assert starts[-1] + window == max(size, window)
    steps = np.diff(starts)
    assert (steps >= 1).all()
    assert (steps <= max(1, window * (1 - overlap) + 1e-6)).all()
    # Evenly spread: no window repeats its neighbour more than the others do.
    assert len(steps) == 0 or steps.max() - steps.min() <= 1


@given(sizes, windows, overlaps)
def test_weights_add_up_to_one_everywhere(size, window, overlap):
    starts = compute_axis_starts(size, window, overlap)
    weights = compute_axis_weights(starts, window)
    total = np.zeros(max(size, window))
    for start, row in zip(starts, weights, strict=True):
        total[start : start + window] += row
    np.testing.assert_allclose(total, 1, atol=1e-5)
    assert (weights >= 0).all()


def test_a_voxel_follows_the_window_whose_centre_is_nearest():
    first, second = compute_axis_weights((0, 6), 10)
    np.testing.assert_allclose(first[:6], 1)  # nobody else is there
    assert first[6] > 0.5 > first[9]
    np.testing.assert_allclose(second[:4], first[6:10][::-1], rtol=1e-6)


def test_a_grid_goes_along_z_last():
    grid = build_grid((4, 3, 2), (2, 3, 1), 0)
    assert list(grid) == [(0, 0, 0), (0, 0, 1), (2, 0, 0), (2, 0, 1)]
    assert grid.num_windows == 4
    assert grid.num_window_voxels == 24
    assert grid.padded_shape == (4, 3, 2)
    assert build_grid((1, 3, 2), (2, 3, 1), 0).padded_shape == (2, 3, 2)


@given(
    st.tuples(st.integers(1, 9), st.integers(1, 60), st.integers(1, 60)),
    st.tuples(st.integers(1, 9), st.integers(1, 20), st.integers(1, 20)),
    st.integers(1, 4000),
    st.sampled_from([4, 8, 16]),
)
def test_blocks_tile_the_plane_and_know_their_windows(shape, window, max_area, align):
    grid = build_grid(tuple(map(max, shape, window)), window, 0.3)
    blocks = split_into_blocks(grid, max_area, align=align)
    plane = np.zeros(grid.shape[1:], int)
    for block in blocks:
        plane[slice(*block.y), slice(*block.x)] += 1
        area = (block.y[1] - block.y[0]) * (block.x[1] - block.x[0])
        assert area <= max(max_area, align * align, align * min(grid.shape[1:]))
        assert block.y[0] % align == 0
        assert block.x[0] % align == 0
        for axis, (low, high), (first, last) in (
            (1, block.y, block.windows_y),
            (2, block.x, block.windows_x),
        ):
            touching = [
                i
                for i, start in enumerate(grid.starts[axis])
                if start < high and start + window[axis] > low
            ]
            assert touching == list(range(first, last))
    assert (plane == 1).all()


def test_one_block_where_it_fits():
    grid = build_grid((64, 200, 300), (64, 64, 64), 0.25)
    (block,) = split_into_blocks(grid, 200 * 300)
    assert (block.y, block.x) == ((0, 200), (0, 300))
    assert (block.windows_y, block.windows_x) == (
        (0, len(grid.starts[1])),
        (0, len(grid.starts[2])),
    )


def test_choose_window_saves_voxels_seen_twice():
    shape, patch = (50, 100, 200), (48, 48, 48)
    window = choose_window(shape, patch, multiple=(16, 16, 16), overlap=0.25)
    assert window == (64, 112, 144)
    before, after = (build_grid(shape, w, 0.25).num_window_voxels for w in (patch, window))
    assert after < 0.52 * before


@pytest.mark.parametrize(
    ("shape", "patch", "window"),
    [
        ((64, 64, 64), (64, 64, 64), (64, 64, 64)),  # nothing to gain
        ((20, 64, 64), (64, 64, 64), (24, 64, 64)),  # nothing is mirrored but to the multiple
        ((3, 4, 5), (64, 64, 64), (16, 16, 16)),  # and to two multiples
        ((10_000, 10_000, 10_000), (160, 160, 160), (160, 160, 160)),  # no larger than allowed
        ((40, 500, 40), (16, 16, 16), (40, 48, 40)),  # at most three times the patch
    ],
)
def test_choose_window_by_hand(shape, patch, window):
    assert choose_window(shape, patch, multiple=(8, 8, 8), overlap=0.25) == window


@settings(max_examples=60)
@given(
    st.tuples(sizes, sizes, sizes),
    st.tuples(st.integers(1, 5), st.integers(1, 5), st.integers(1, 5)),
    st.sampled_from([1, 4, 8]),
    st.floats(0, 0.75),
)
def test_choose_window_fits_the_network_and_hardly_costs_more(shape, edges, factor, overlap):
    patch = tuple(edge * factor for edge in edges)
    window = choose_window(shape, patch, multiple=(factor,) * 3, overlap=overlap)
    assert all(length % factor == 0 for length in window)
    for length, edge, size in zip(window, patch, shape, strict=True):
        assert min(edge, size) <= length <= 3 * edge
    chosen, plain = (build_grid(shape, w, overlap).num_window_voxels for w in (window, patch))
    assert chosen <= 1.25 * plain
