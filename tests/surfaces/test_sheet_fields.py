"""Normals, distances to the faces, valleys and the ways along a sheet."""

from __future__ import annotations

import numpy as np
import pytest

from napari_surfseg.surfaces.sheet_fields import compute_normals, measure_field, spread_owners


def make_plane(normal, spacing=(1.0, 1.0, 1.0), thickness=6.0, shape=(30, 30, 30)):
    """A plane through the middle, with soft faces, as probabilities."""
    normal = np.asarray(normal, float) / np.linalg.norm(normal)
    at = np.indices(shape).reshape(3, -1).T - (np.array(shape) - 1) / 2
    height = ((at * spacing) @ normal).reshape(shape)
    values = np.clip(0.5 + (thickness / 2 - np.abs(height)), 0, 1)
    return np.round(values * 255).astype(np.uint8), height, normal


@pytest.mark.parametrize("normal", [(1, 0, 0), (0, 1, 1), (1, 2, 3), (3, -1, 2)])
@pytest.mark.parametrize("spacing", [(1.0, 1.0, 1.0), (2.0, 1.0, 1.0)])
def test_planes_of_any_slant(normal, spacing):
    probs, height, normal = make_plane(normal, spacing)
    field = measure_field(probs, spacing, 127.5, 2.0)
    inner = ((field.places > 8) & (field.places < 21)).all(axis=1)
    assert np.abs(field.normals[inner] @ normal).min() > 0.98
    assert np.abs(field.thickness[inner] - 6).max() < 0.6
    # Whichever sign the normal has, the two distances differ by twice that from the middle.
    apart = np.abs(field.ahead - field.behind)[inner]
    from_middle = np.abs(height[tuple(field.places[inner].T)])
    assert np.abs(apart - 2 * from_middle).max() < 0.6
    assert not field.between.any()


def test_a_sheet_at_the_border_goes_on_beyond_it():
    probs = np.zeros((10, 12, 12), np.uint8)
    probs[:2] = 255
    field = measure_field(probs, (1, 1, 1), 127.5, 2.0)
    assert np.isfinite(field.thickness).all()
    assert field.thickness.max() < 6


def test_a_valley_ends_a_ray_and_is_known():
    probs = np.zeros((20, 12, 12), np.uint8)
    probs[5:8] = probs[9:12] = 250
    probs[8] = 150
    field = measure_field(probs, (1, 1, 1), 127.5, 2.0)
    assert (field.between == (field.places[:, 0] == 8)).all()
    middles = np.isin(field.places[:, 0], (6, 10))
    assert np.abs(field.thickness[middles] - 3.5).max() < 0.6


def test_a_volume_of_one_slice_has_normals_within_it():
    values = np.zeros((1, 20, 20), np.uint8)
    values[:, 8:11] = 255
    places = np.argwhere(values).astype(np.int32)
    assert np.abs(compute_normals(values, places, (1, 1, 1), 2.0)[:, 1]).min() > 0.99


def test_ways_are_shorter_along_a_sheet():
    probs = np.zeros((8, 20, 20), np.uint8)
    probs[2:6] = 255
    field = measure_field(probs, (1, 1, 1), 127.5, 2.0)
    # One seed below and one beside: the point between them belongs to the one in its plane.
    seeds = (field.places == (2, 10, 10)).all(1) | (field.places == (5, 10, 4)).all(1)
    owners, lengths = spread_owners(field, seeds, probs.shape, (1, 1, 1))
    here = int(np.flatnonzero((field.places == (5, 10, 10)).all(1))[0])
    assert field.places[owners[here]].tolist() == [5, 10, 4]
    assert lengths[here] == pytest.approx(6)
    nobody, infinite = spread_owners(field, np.zeros(len(seeds), bool), probs.shape, (1, 1, 1))
    assert (nobody == -1).all()
    assert np.isinf(infinite).all()
