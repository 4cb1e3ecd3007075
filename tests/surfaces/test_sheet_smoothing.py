"""Smoothing along sheets: what is in the sheet is averaged, what is across is not."""

import itertools

import numpy as np
import pytest
from scipy import ndimage

from napari_surfseg.surfaces.sheet_smoothing import find_sheet_reach, smooth_along_sheets


def tilted_sheet(normal, shape=(25, 25, 25), half=1.2):
    normal = np.array(normal) / np.linalg.norm(normal)
    places = np.indices(shape).reshape(3, -1).T - (np.array(shape) - 1) / 2
    return np.clip((half + 0.5 - abs(places @ normal)).reshape(shape), 0, 1) * 255


def test_a_flat_sheet_stays_as_thick_as_it_was():
    probs = np.zeros((15, 15, 15))
    probs[6:8] = 200
    found = smooth_along_sheets(probs, 2.0)
    np.testing.assert_allclose(found[:, 7, 7], probs[:, 7, 7], atol=1)


@pytest.mark.parametrize("normal", [(1, 1, 0), (1, 0.4, 0.2), (1, 1, 1)])
def test_a_tilted_sheet_keeps_its_size_where_a_ball_would_thin_it(normal):
    probs = tilted_sheet(normal)
    inner = (slice(5, -5),) * 3
    before, after = ((p > 127)[inner].sum() for p in (probs, smooth_along_sheets(probs, 2.0)))
    ball = (ndimage.gaussian_filter(probs, 2.0) > 127)[inner].sum()
    assert abs(after / before - 1) < 0.05
    assert ball < 0.5 * before


def test_a_tear_closes_and_a_speck_fades():
    probs = np.zeros((15, 21, 21))
    probs[6:8] = 220
    probs[6:8, 9:11, 9:11] = 30
    probs[12, 4, 4] = 220
    found = smooth_along_sheets(probs, 2.0)
    assert found[6:8, 9:11, 9:11].min() > 127
    assert found[12, 4, 4] < 127


def test_neighbours_stay_apart_where_a_ball_joins_them():
    probs = np.zeros((15, 21, 21))
    probs[5:7] = probs[8:10] = 220
    assert smooth_along_sheets(probs, 2.0)[7, 5:-5, 5:-5].max() < 127
    assert ndimage.gaussian_filter(probs, 1.0)[7, 10, 10] > 127


def test_flips_and_transposes():
    probs = np.random.default_rng(0).random((9, 10, 11)) * 255
    wanted = smooth_along_sheets(probs, 1.0)
    for axes in itertools.permutations(range(3)):
        turned = smooth_along_sheets(probs.transpose(axes), 1.0)
        np.testing.assert_allclose(turned, wanted.transpose(axes), atol=0.05)
    np.testing.assert_allclose(
        smooth_along_sheets(probs[::-1, :, ::-1], 1.0), wanted[::-1, :, ::-1], atol=0.05
    )


def test_constant_nothing_and_none():
    np.testing.assert_array_equal(smooth_along_sheets(np.full((4, 5, 6), 77), 1.0), 77)
    probs = np.arange(60, dtype=np.uint8).reshape(3, 4, 5)
    np.testing.assert_array_equal(smooth_along_sheets(probs, 0.0), probs)
    assert smooth_along_sheets(np.zeros((0, 3, 3)), 1.0).shape == (0, 3, 3)


@pytest.mark.parametrize("sigma", [0.7, 1.0, 2.0])
def test_parts_far_enough_from_their_ends_are_the_same(sigma):
    probs = (np.random.default_rng(1).random((7, 8, 60)) * 255).astype(np.uint8)
    whole, reach = smooth_along_sheets(probs, sigma), find_sheet_reach(sigma)
    found = smooth_along_sheets(probs[:, :, 30 - reach : 35 + reach], sigma)
    np.testing.assert_array_equal(found[:, :, reach:-reach], whole[:, :, 30:35])
