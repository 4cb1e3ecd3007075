"""Unmatched features: as many as the counts say, and where a person would look for them."""

from collections import Counter

import numpy as np
import pytest
from scipy import ndimage

from napari_surfseg.metrics.betti_matching import compute_topo_counts
from napari_surfseg.metrics.topology_errors import (
    KINDS,
    find_topology_errors,
    paint_component_errors,
)


def blob(rng, shape, sigma, share):
    noise = rng.standard_normal(shape)
    if sigma:
        noise = ndimage.gaussian_filter(noise, sigma)
    return noise > np.quantile(noise, 1 - share)


def random_pair(seed):
    rng = np.random.default_rng(seed)
    shape = tuple(rng.integers(4, 20, 3))
    label = blob(rng, shape, rng.choice([0, 0.7, 1.2]), rng.uniform(0.05, 0.95))
    if seed % 3 == 0:
        pred = blob(rng, shape, 0.7, rng.uniform(0.05, 0.9))
    elif seed % 3 == 1:
        pred = label ^ (rng.random(shape) < rng.uniform(0, 0.2))
    else:
        label = rng.random(shape) > 0.05
        pred = label ^ (rng.random(shape) < 0.05)
    return pred.astype(np.uint8), label.astype(np.uint8)


@pytest.mark.parametrize("seed", range(30))
def test_there_are_as_many_as_the_counts_say(seed):
    pred, label = random_pair(seed)
    counts = compute_topo_counts(pred, label)
    errors = find_topology_errors(pred, label)
    found = Counter(e.kind for e in errors)
    for dimension, name in enumerate(("component", "tunnel", "cavity")):
        matched, in_pred, in_label = counts[dimension].tolist()
        assert found[f"extra_{name}"] == in_pred - matched
        assert found[f"missing_{name}"] == in_label - matched
    assert [e.size for e in errors] == sorted((e.size for e in errors), reverse=True)
    for e in errors:
        assert all(a <= c < b for a, c, b in zip(e.start, e.location, e.stop, strict=True))
        assert max(e.size, 1) <= np.prod(e.extent)
        assert np.all(np.array(e.stop) <= pred.shape)
        own, other = (pred, label) if e.kind.startswith("extra") else (label, pred)
        if e.kind.endswith("component"):
            assert own[e.location]
        elif e.kind.endswith("cavity"):
            assert not own[e.location]
        elif e.cause == "hole":
            assert other[e.location]
            assert not own[e.location]
            assert e.size >= 1
        else:
            assert e.cause == "bridge"
            assert own[e.location]


def volume_with_sheet():
    label = np.zeros((24, 32, 32), np.uint8)
    label[5:7] = 1
    return label


def test_a_hole_in_a_sheet_is_found_in_the_hole():
    label = volume_with_sheet()
    pred = label.copy()
    pred[5:7, 6:9, 20:23] = 0
    (error,) = find_topology_errors(pred, label)
    assert (error.kind, error.cause) == ("extra_tunnel", "hole")
    assert (error.start, error.stop) == ((5, 6, 20), (7, 9, 23))
    assert (error.name, error.dimension, error.extent) == ("hole", 1, (2, 3, 3))
    assert error.size == 18
    assert pred[error.location] == 0
    assert label[error.location] == 1


def test_a_filled_hole_is_found_where_it_was():
    pred = volume_with_sheet()
    label = pred.copy()
    label[5:7, 6:9, 20:23] = 0
    (error,) = find_topology_errors(pred, label)
    assert (error.kind, error.cause, error.size) == ("missing_tunnel", "hole", 18)
    assert label[error.location] == 0


def test_a_bridge_between_sheets_is_found_on_the_bridge():
    label = volume_with_sheet()
    label[9:11] = 1
    pred = label.copy()
    pred[7:9, 4, 4] = pred[7:9, 10, 10] = 1
    errors = find_topology_errors(pred, label)
    # The two sheets became one, and between the two bridges there is a ring.
    assert sorted(e.kind for e in errors) == ["extra_tunnel", "missing_component"]
    (bridge,) = (e for e in errors if e.kind == "extra_tunnel")
    assert bridge.cause == "bridge"
    assert bridge.location[1:] in {(4, 4), (10, 10)}
    assert bridge.size == 2


def test_specks_and_lost_pieces_are_listed_apart():
    label = volume_with_sheet()
    label[9:11, :12, 20:] = 1
    pred = volume_with_sheet()
    pred[1, 3:5, 3:5] = 1
    errors = find_topology_errors(pred, label)
    assert {(e.kind, e.size) for e in errors} == {
        ("extra_component", 4),
        ("missing_component", 2 * 12 * 12),
    }
    # The piece ends where its octants do: y 12 of 16, x 20 of 32; the speck is whole.
    assert {(e.start, e.stop) for e in errors} == {
        ((1, 3, 3), (2, 5, 5)),
        ((9, 0, 20), (11, 12, 32)),
    }
    painted = paint_component_errors(errors, pred, label)
    assert np.bincount(painted.ravel())[1:].tolist() == [e.size for e in errors]
    for i, error in enumerate(errors):
        assert painted[error.location] == i + 1


def test_a_bubble_is_an_extra_cavity():
    label = np.zeros((24, 24, 24), np.uint8)
    label[2:9, 2:9, 2:9] = 1
    pred = label.copy()
    pred[4:6, 4:6, 4:6] = 0
    (error,) = find_topology_errors(pred, label)
    assert (error.kind, error.size) == ("extra_cavity", 8)
    assert (error.start, error.stop) == ((4, 4, 4), (6, 6, 6))
    assert find_topology_errors(label, pred)[0].kind == "missing_cavity"


def test_nothing_is_wrong_with_itself_or_under_ignore():
    pred, label = random_pair(4)
    assert find_topology_errors(label, label) == []
    label[...] = 2
    assert find_topology_errors(pred, label) == []
    assert len(KINDS) == 6


def test_places_are_those_of_the_whole_volume():
    """The same cavity in the last octant, beside the last plane of it."""
    label = np.zeros((25, 27, 29), np.uint8)
    label[14:24, 15:26, 16:28] = 1
    pred = label.copy()
    pred[20:22, 21:24, 22:26] = 0
    (error,) = find_topology_errors(pred, label)
    assert (error.name, error.size) == ("extra cavity", 24)
    assert (error.start, error.stop) == ((20, 21, 22), (22, 24, 26))
    assert pred[error.location] == 0


def test_progress_counts_the_octants():
    reported = []
    pred, label = random_pair(4)
    find_topology_errors(pred, label, progress=reported.append)
    assert reported == [number / 8 for number in range(8)]
