"""The joins of the merge tree, counted by hand."""

import numpy as np

from napari_surfseg.proofreading.joins import Join, find_joins


def make_blocks():
    """Two blocks of 4^3 and a speck; a bridge of 60 between the blocks, of 20 to the speck."""
    probs = np.zeros((6, 6, 24), np.uint8)
    probs[1:5, 1:5, 1:5] = 200
    probs[1:5, 1:5, 9:13] = 180
    probs[2, 2, 5:9] = 60
    probs[2, 2, 13:18] = 20
    probs[2, 2, 18] = 220
    return probs


def test_two_pieces_meet_at_the_level_of_what_lies_between_them():
    (join,) = find_joins(make_blocks(), least=10)
    assert join.level == 60
    assert join.voxel[:2] == (2, 2)
    assert 5 <= join.voxel[2] < 9
    assert join.smaller in (64, 65)  # with or without the voxel between them


def test_what_is_too_small_or_rises_too_little_or_lies_too_low_is_no_piece():
    probs = make_blocks()
    assert [join.level for join in find_joins(probs, least=1)] == [60, 20]
    assert find_joins(probs, least=1, rise=121) == [Join(*find_joins(probs, least=1)[1])]
    assert [join.level for join in find_joins(probs, least=1, floor=21)] == [60]
    assert find_joins(probs, least=10, floor=61) == []
    assert find_joins(np.zeros((0, 3, 3), np.uint8)) == []
    assert find_joins(np.full((5, 5, 5), 255, np.uint8), least=1) == []


def test_corners_touch():
    probs = np.zeros((4, 4, 4), np.uint8)
    probs[:2, :2, :2] = probs[2:, 2:, 2:] = 200
    probs[1, 1, 1] = 90
    (join,) = find_joins(probs, least=4)
    assert (join.voxel, join.level, join.smaller) == ((1, 1, 1), 90, 8)
