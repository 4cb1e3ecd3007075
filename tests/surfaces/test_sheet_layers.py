"""Layers from votes: overruled ones, cycles that do not close, sides."""

from __future__ import annotations

import numpy as np
import pytest

from napari_surfseg.cancelling import listening
from napari_surfseg.errors import CancelledError
from napari_surfseg.surfaces.sheet_layers import settle_layers


def settle(number, links, **settings):
    pairs = np.array([link[:2] for link in links], np.int64).reshape(-1, 2)
    steps = np.array([link[2] for link in links], np.int64)
    weights = np.array([link[3] for link in links], float)
    return settle_layers(number, pairs, steps, weights, **settings)


def test_a_bridge_is_overruled_by_what_lies_above():
    # Two rows of ten fragments; each continues the next, all of one lie above those of the other.
    rows = [(i, i + 1, 0, 5.0) for i in (*range(9), *range(10, 19))]
    above = [(i, i + 10, 1, 1.0) for i in range(10)]
    bridge = [(4, 14, 0, 3.0)]
    clusters, layers = settle(20, rows + above + bridge)
    assert len(set(clusters)) == 1
    assert (layers[10:] - layers[:10] == 1).all()
    # Of the bridge alone they would be one.
    _, alone = settle(20, rows + bridge)
    assert len(set(alone)) == 1


def test_the_order_of_pairs_and_of_links_is_no_matter():
    links = [(0, 1, 2, 1.0), (2, 1, -1, 2.0), (3, 2, 0, 1.0)]
    expected = settle(4, links)[1]
    for other in (links[::-1], [(b, a, -step, weight) for a, b, step, weight in links]):
        found = settle(4, other)[1]
        assert (found - found[0] == expected - expected[0]).all()
    assert (expected - expected[0]).tolist() == [0, 2, 3, 3]


def test_what_has_no_link_is_a_cluster_of_its_own():
    clusters, layers = settle(4, [(0, 1, 1, 1.0), (2, 2, 5, 9.0)])
    assert clusters[0] == clusters[1]
    assert len(set(clusters)) == 3
    assert layers[2] == 0
    assert settle(0, [])[0].shape == (0,)


def test_a_cycle_that_does_not_close_is_broken_at_its_weakest_link():
    ring = [(i, (i + 1) % 8, int(i == 7), 1.0 + (i != 3)) for i in range(8)]
    _, layers = settle(8, ring)
    wrong = [i for i, (a, b, step, _) in enumerate(ring) if layers[b] - layers[a] != step]
    assert wrong == [3]


def test_two_clusters_are_not_one_layer_where_votes_are_even():
    _, layers = settle(2, [(0, 1, 0, 1.0), (0, 1, 1, 1.0)])
    assert layers[0] != layers[1]


def test_sides_are_layers_modulo_two():
    _, sides = settle(3, [(0, 1, 1, 1.0), (1, 2, 1, 1.0), (0, 2, 0, 0.5)], modulus=2)
    assert (np.mod(sides - sides[0], 2) == [0, 1, 0]).all()


def test_it_stops_when_asked():
    links = [(i, i + 1, 0, 1.0) for i in range(5000)]
    with listening(lambda: True), pytest.raises(CancelledError):
        settle(5001, links)
