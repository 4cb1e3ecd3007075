"""The slabs that could be kept for validation."""

from __future__ import annotations

import numpy as np
import pytest

from napari_surfseg.data.validation.slabs import find_gap, list_slabs


def count_planes(labels):
    return tuple(
        np.stack([(labels == meaning).sum(axis=tuple({0, 1, 2} - {axis})) for meaning in (0, 1)])
        for axis in range(3)
    )


def split_box(*arguments, **settings):
    slabs = list_slabs(*arguments, **settings)
    return slabs[0] if slabs else None


def scattered(shape):
    labels = np.zeros(shape, np.uint8)
    labels[::2, ::2, ::3] = 1
    return labels


def test_end_of_the_longest_axis_with_a_gap():
    labels = scattered((50, 100, 200))
    split = split_box(((0, 0, 0), labels.shape), count_planes(labels), fraction=0.15)
    assert split.axis == 2
    assert split.at_end
    assert split.train == ((0, 0, 0), (50, 100, 162))
    assert split.validation == ((0, 0, 170), (50, 100, 200))
    assert split.gap == 8


def test_gap_is_smaller_in_short_volumes():
    assert find_gap(200) == find_gap(128) == 8
    assert find_gap(64) == 4
    assert find_gap(10) == 0


def test_gap_as_asked():
    labels = scattered((20, 20, 40))
    split = split_box(((0, 0, 0), labels.shape), count_planes(labels), fraction=0.25, gap=5)
    assert split.train[1][2] == 25
    assert split.validation[0][2] == 30


def test_inside_a_region():
    labels = scattered((30, 40, 20))
    box = ((5, 10, 2), (30, 40, 20))
    inside = labels[tuple(map(slice, *box))]
    split = split_box(box, count_planes(inside), fraction=0.2, gap=1)
    assert split.axis == 1
    assert split.train == ((5, 10, 2), (30, 33, 20))
    assert split.validation == ((5, 34, 2), (30, 40, 20))


def test_the_other_end_where_the_first_has_no_surface():
    labels = scattered((10, 10, 100))
    labels[..., 60:] = 0
    split = split_box(((0, 0, 0), labels.shape), count_planes(labels), fraction=0.2, gap=2)
    assert not split.at_end
    assert split.validation == ((0, 0, 0), (10, 10, 20))
    assert split.train == ((0, 0, 22), (10, 10, 100))


def test_another_axis_where_the_longest_has_it_in_one_place():
    labels = np.full((40, 10, 100), 2, np.uint8)
    labels[:, 4:6, 48:50] = scattered((40, 2, 2))
    split = split_box(((0, 0, 0), labels.shape), count_planes(labels), fraction=0.2, gap=2)
    assert split.axis == 0


def test_a_share_of_what_is_annotated_not_of_the_volume():
    labels = np.full((40, 40, 200), 2, np.uint8)
    labels[:, :, 80:120] = scattered((40, 40, 40))
    split = split_box(((0, 0, 0), labels.shape), count_planes(labels), fraction=0.25, gap=2)
    assert split.validation == ((0, 0, 110), (40, 40, 200))
    assert split.train == ((0, 0, 0), (40, 40, 108))


def test_there_are_six():
    labels = scattered((60, 60, 60))
    slabs = list_slabs(((0, 0, 0), labels.shape), count_planes(labels), fraction=0.2)
    assert [(slab.axis, slab.at_end) for slab in slabs] == [
        (axis, at_end) for axis in range(3) for at_end in (True, False)
    ]


def test_a_slab_with_its_fair_share_is_preferred():
    labels = np.zeros((10, 10, 100), np.uint8)
    labels[:, 5, :70] = 1
    labels[0, 0, 99] = 1  # one lost voxel at the end is not enough to score on
    split = split_box(((0, 0, 0), labels.shape), count_planes(labels), fraction=0.2, gap=2)
    assert not split.at_end


def test_a_poor_slab_is_better_than_none():
    labels = np.zeros((1, 1, 100), np.uint8)
    labels[0, 0, :40] = 1
    labels[0, 0, 99] = 1
    labels[0, 0, :20] = 2
    split = split_box(((0, 0, 0), labels.shape), count_planes(labels), fraction=0.2, gap=2)
    assert split.axis == 2
    assert split.at_end


@pytest.mark.parametrize("where", [np.s_[5, 5, 5], np.s_[5:6, 5:6, 5:7]])
def test_nothing_to_divide(where):
    labels = np.zeros((10, 10, 10), np.uint8)
    labels[where] = 1
    labels[labels == 0] = 2
    labels[5, 5, 4] = 0
    assert split_box(((0, 0, 0), labels.shape), count_planes(labels), fraction=0.2) is None


def test_a_gap_that_leaves_nothing():
    labels = scattered((10, 10, 10))
    planes = count_planes(labels)
    assert split_box(((0, 0, 0), labels.shape), planes, fraction=0.2, gap=9) is None
