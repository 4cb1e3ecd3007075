"""Box arithmetic: a few cases by hand, and what holds for every box, checked against arrays."""

import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from napari_surfseg.geometry import (
    block_box,
    blocks_under,
    box_at,
    box_shape,
    box_slices,
    boxes_overlap,
    clip_box,
    contains_box,
    count_voxels,
    from_ranges,
    grow_box,
    intersect_boxes,
    iterate_blocks,
    iterate_indices,
    middle_of_box,
    replace_extent,
    shift_box,
    split_box,
    to_box,
    to_index,
    to_ranges,
    to_spacing,
    whole_box,
)

SHAPE = (9, 8, 7)
BOX = ((1, 2, 3), (4, 6, 8))

spans = st.tuples(st.integers(0, 7), st.integers(0, 7)).map(sorted)
boxes = st.tuples(spans, spans, spans).map(from_ranges)
indices = st.tuples(*[st.integers(-5, 12)] * 3)
sizes = st.tuples(*[st.integers(1, 5)] * 3)


def mark(box, shape=SHAPE):
    """Paint a box, voxel by voxel, without slices."""
    z, y, x = np.indices(shape)
    (z0, y0, x0), (z1, y1, x1) = box
    return (z0 <= z) & (z < z1) & (y0 <= y) & (y < y1) & (x0 <= x) & (x < x1)


# ---- by hand


def test_conversions():
    assert to_index(np.array([1, 2, 3])) == (1, 2, 3)
    assert to_index([1.9, 2, np.int64(3)]) == (1, 2, 3)
    assert all(type(value) is int for value in to_index(np.array([1, 2, 3])))
    assert to_spacing([1, np.float32(0.5), 2.0]) == (1.0, 0.5, 2.0)
    assert to_box(json.loads(json.dumps(BOX))) == BOX
    assert to_ranges(BOX) == ((1, 4), (2, 6), (3, 8))
    assert from_ranges([[1, 4], [2, 6], [3, 8]]) == BOX
    assert whole_box(SHAPE) == ((0, 0, 0), SHAPE)
    assert box_at((1, 2, 3), (3, 4, 5)) == BOX
    with pytest.raises(ValueError, match="unpack"):
        to_index([1, 2])


def test_one_box():
    assert box_shape(BOX) == (3, 4, 5)
    assert count_voxels(BOX) == 60
    assert count_voxels(((0, 0, 5), (3, 3, 2))) == 0
    assert box_slices(BOX) == (slice(1, 4), slice(2, 6), slice(3, 8))
    assert box_slices(BOX, (1, 3, 9)) == (slice(0, 3), slice(0, 3), slice(0, 0))
    assert shift_box(BOX, (10, 0, -3)) == ((11, 2, 0), (14, 6, 5))
    assert grow_box(BOX, 1) == ((0, 1, 2), (5, 7, 9))
    assert grow_box(BOX, (0, 1, 2)) == ((1, 1, 1), (4, 7, 10))
    assert grow_box(BOX, 2, whole_box((5, 9, 9))) == ((0, 0, 1), (5, 8, 9))
    assert replace_extent(BOX, 1, 0, 9) == ((1, 0, 3), (4, 9, 8))
    assert split_box(BOX, 2, 2) == [((1, 2, 3), (4, 6, 5)), ((1, 2, 5), (4, 6, 8))]
    assert len(split_box(BOX, 0, 7)) == 3


def test_two_boxes():
    beside = ((4, 2, 3), (5, 6, 8))
    corner = ((3, 5, 7), (9, 9, 9))
    assert not boxes_overlap(BOX, beside)
    assert intersect_boxes(BOX, beside) is None
    assert boxes_overlap(BOX, corner)
    assert intersect_boxes(BOX, corner) == ((3, 5, 7), (4, 6, 8))
    assert contains_box(BOX, ((1, 2, 3), (1, 6, 8)))
    assert not contains_box(BOX, corner)
    assert clip_box(corner, BOX) == ((3, 5, 7), (4, 6, 8))
    assert clip_box(((7, 0, 0), (9, 9, 9)), BOX) == ((4, 2, 3), (4, 6, 8))


def test_blocks():
    bounds = ((1, 0, 0), (10, 4, 6))
    assert block_box((0, 0, 0), (4, 4, 4), bounds) == ((1, 0, 0), (4, 4, 4))
    assert block_box((2, 0, 1), (4, 4, 4), bounds) == ((8, 0, 4), (10, 4, 6))
    assert blocks_under(((3, 4, 0), (5, 8, 1)), (4, 4, 4)) == ((0, 1, 0), (2, 2, 1))
    assert list(iterate_blocks(((3, 0, 0), (5, 2, 2)), (4, 4, 4))) == [
        ((3, 0, 0), (4, 2, 2)),
        ((4, 0, 0), (5, 2, 2)),
    ]
    assert list(iterate_indices(((0, 1, 2), (1, 3, 3)))) == [(0, 1, 2), (0, 2, 2)]


# ---- what holds for every box


@given(boxes, boxes)
def test_intersections_are_those_of_the_voxels(first, second):
    both = mark(first) & mark(second)
    found = intersect_boxes(first, second)
    assert boxes_overlap(first, second) == both.any()
    assert found == intersect_boxes(second, first)
    if found is None:
        assert not both.any()
    else:
        np.testing.assert_array_equal(mark(found), both)
        assert contains_box(first, found)
        assert contains_box(second, found)


@given(boxes, indices)
def test_a_box_moves_with_its_origin(box, offset):
    assert shift_box(shift_box(box, offset), tuple(-o for o in offset)) == box
    assert box_shape(shift_box(box, offset)) == box_shape(box)
    assert box_slices(shift_box(box, offset), offset) == box_slices(box)


@given(boxes, indices)
def test_slices_never_count_from_the_end(box, origin):
    shape = (20, 20, 20)
    array = np.zeros(shape, bool)
    array[box_slices(box, origin)] = True
    shifted = shift_box(box, tuple(-o for o in origin))
    np.testing.assert_array_equal(array, mark(shifted, shape))


@given(boxes, st.integers(0, 3))
def test_growing_within_bounds(box, margin):
    bounds = whole_box(SHAPE)
    grown = grow_box(box, margin, bounds)
    assert contains_box(bounds, grown)
    assert contains_box(grown, box)
    assert contains_box(grow_box(box, margin), grown)
    assert grow_box(grow_box(box, margin), -margin) == box


@given(boxes, st.integers(0, 2), st.integers(1, 9))
def test_parts_cover_a_box_once(box, axis, count):
    total = sum(mark(part).astype(int) for part in split_box(box, axis, count))
    np.testing.assert_array_equal(total, mark(box))
    extents = [box_shape(part)[axis] for part in split_box(box, axis, count)]
    assert max(extents) - min(extents) <= 1


def test_the_middle_of_a_box_keeps_its_short_edges():
    assert middle_of_box(((5, 0, 10), (9, 100, 110)), 1600) == ((5, 40, 50), (9, 60, 70))
    assert middle_of_box(((0, 0, 0), (64, 128, 128)), 2**20) == whole_box((64, 128, 128))


@given(boxes, st.integers(1, 400))
def test_the_middle_of_a_box_has_no_more_voxels_than_asked_for(box, voxels):
    middle = middle_of_box(box, voxels)
    assert contains_box(box, middle)
    assert count_voxels(middle) <= voxels
    assert (count_voxels(middle) > 0) == (count_voxels(box) > 0)
    assert middle == box or count_voxels(box) > voxels


@given(boxes, sizes)
def test_blocks_cover_a_box_once(box, block):
    pieces = list(iterate_blocks(box, block))
    total = sum((mark(piece).astype(int) for piece in pieces), np.zeros(SHAPE, int))
    np.testing.assert_array_equal(total, mark(box))
    assert all(count_voxels(piece) for piece in pieces)
    if count_voxels(box):
        under = blocks_under(box, block)
        assert len(pieces) == count_voxels(under) == len(list(iterate_indices(under)))
        assert contains_box(block_box(under[0], block, whole_box((99, 99, 99))), pieces[0])


@given(boxes)
def test_ranges_and_corners_say_the_same(box):
    assert from_ranges(to_ranges(box)) == box
    assert to_box([list(corner) for corner in box]) == box
    assert mark(box, (12, 12, 12)).sum() == count_voxels(box)
