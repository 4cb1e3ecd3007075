"""Counts of blocks of which most hold nothing."""

import numpy as np

from napari_surfseg.data.block_counts import BlockCounts, UncountedUnits
from napari_surfseg.geometry import blocks_under


def make():
    places, counts = np.array([9, 2, 9]), np.array([[1, 2, 3], [4, 5, 6]])
    return BlockCounts.gather((2, 3, 4), [(places, counts)])


def test_parts_are_added_up():
    blocks = make()
    assert blocks.places.tolist() == [2, 9]
    assert blocks.counts.tolist() == [[2, 4], [5, 10]]
    assert blocks.total.tolist() == [6, 15]
    assert blocks.indices.tolist() == [[0, 0, 2], [0, 2, 1]]
    dense = blocks.dense()
    assert dense[1, 0, 2, 1] == 10
    assert dense.sum() == 21


def test_a_part_has_a_grid_of_its_own():
    part = make().cut(((0, 1, 1), (1, 3, 3)))
    assert part.grid == (1, 2, 2)
    assert part.indices.tolist() == [[0, 1, 0]]
    assert part.total.tolist() == [4, 10]


def test_other_counts_take_the_place_of_the_old():
    blocks = make().replaced([(0, 0, 2), (1, 2, 3)], np.array([[0, 7], [0, 8]]))
    assert blocks.places.tolist() == [2, 9, 23]
    assert blocks.total.tolist() == [11, 18]
    assert blocks.without_empty().places.tolist() == [9, 23]


def test_nothing_listed():
    blocks = BlockCounts.gather((2, 2, 2), [])
    assert len(blocks) == 0
    assert blocks.total.tolist() == [0, 0]
    assert blocks.find_under(((0, 0, 0), (2, 2, 2))).size == 0


def test_parts_that_were_not_counted_know_their_place():
    box = ((10, 0, 0), (40, 20, 20))
    units = UncountedUnits((10, 10, 10), blocks_under(box, (10, 10, 10)), np.array([0, 11]), (1, 1))
    assert units.box(0, box) == ((10, 0, 0), (20, 10, 10))
    assert units.box(1, box) == ((30, 10, 10), (40, 20, 20))
    assert len(units.within(((3, 0, 0), (4, 2, 2)))) == 1
