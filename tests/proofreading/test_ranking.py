"""Weights, and one list of what several searches found."""

import pytest

from napari_surfseg.proofreading.places import DoubtfulPlace
from napari_surfseg.proofreading.ranking import merge_places, to_voxels, to_weight


def make(kind, at, weight):
    return DoubtfulPlace(kind, at, at, tuple(p + 1 for p in at), 1, weight, "So.")


def test_weights_rise_with_what_changes_and_turn_back():
    weights = [to_weight(voxels) for voxels in (0, 1, 60, 1e6)]
    assert weights == sorted(weights)
    assert (weights[0], weights[2]) == (0, 0.5)
    assert weights[3] < 1
    assert [to_voxels(weight) for weight in weights] == pytest.approx([0, 1, 60, 1e6])


def test_of_places_that_lie_together_the_strongest_stays_and_weighs_more():
    places = [
        make("hole", (5, 5, 5), 0.5),
        make("bridge", (5, 5, 9), 0.4),
        make("bridge", (5, 8, 5), 0.3),
        make("hole", (5, 5, 20), 0.55),
    ]
    first, second = merge_places(places, (1, 1, 1), 10)
    assert (first.kind, first.location) == ("hole", (5, 5, 5))
    assert first.weight == pytest.approx(1 - 0.5 * 0.8)
    assert second == places[3]
    assert merge_places(reversed(places), (1, 1, 1), 10) == [first, second]
    assert merge_places(places, (1, 1, 1), 1) == [first]
    assert len(merge_places(places, (1, 3, 3), 10)) == 4  # long voxels: farther apart
    assert merge_places([], (1, 1, 1), 10) == []
