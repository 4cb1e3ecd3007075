"""Tears are closed, nothing is joined: by hand, and by the Betti numbers."""

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import ndimage

from napari_surfseg.metrics.betti_numbers import compute_betti_numbers
from napari_surfseg.surfaces.local_topology import fill_tears, find_tear_reach

EVERYWHERE = np.ones((12, 15, 15), bool)
FULL = np.ones((3, 3, 3), bool)


def sheet(*holes, thickness=1):
    mask = np.zeros((12, 15, 15), bool)
    mask[4 : 4 + thickness] = True
    for y, x in holes:
        mask[4 : 4 + thickness, y, x] = False
    return mask


def symmetries():
    for axes in itertools.permutations(range(3)):
        for flips in itertools.product((1, -1), repeat=3):
            yield axes, tuple(slice(None, None, step) for step in flips)


def square(edge):
    return [(y, x) for y in range(5, 5 + edge) for x in range(5, 5 + edge)]


@pytest.mark.parametrize("place", [(7, 7), (7, 8), (8, 7), (8, 8)])
def test_a_hole_of_one_voxel_is_filled_and_nothing_else(place):
    np.testing.assert_array_equal(fill_tears(sheet(place), EVERYWHERE, 1), sheet())


@pytest.mark.parametrize("thickness", [1, 2, 3])
@pytest.mark.parametrize(("edge", "layers"), [(2, 1), (3, 2), (4, 2), (5, 3)])
def test_a_hole_twice_as_wide_as_the_layers_is_closed_by_about_one_voxel(edge, layers, thickness):
    torn = sheet(*square(edge), thickness=thickness)
    found = fill_tears(torn, EVERYWHERE, layers)
    assert compute_betti_numbers(torn).b1 == 1
    assert compute_betti_numbers(found)[:3] == (1, 0, 0)
    assert not (torn & ~found).any()
    added = np.argwhere(found & ~torn)
    assert added[:, 0].min() >= 4
    assert added[:, 0].max() <= 4 + thickness
    assert edge**2 <= len(added) <= 1.5 * edge**2


def test_a_wider_hole_is_left_as_it_was():
    torn = sheet(*square(5))
    np.testing.assert_array_equal(fill_tears(torn, EVERYWHERE, 1), torn)


def test_only_where_it_is_allowed():
    torn = sheet((7, 7), (3, 3))
    allowed = EVERYWHERE.copy()
    allowed[:, 3, 3] = False
    np.testing.assert_array_equal(fill_tears(torn, allowed, 2), sheet((3, 3)))


def test_a_hole_that_is_open_to_the_side_is_a_notch_and_stays():
    torn = sheet((0, 7), (1, 7))
    np.testing.assert_array_equal(fill_tears(torn, EVERYWHERE, 2), torn)


def test_a_leak_over_edges_is_stopped():
    mask = np.zeros((12, 12, 12), bool)
    mask[:, :6, 5] = mask[:, 6:, 6] = True  # two halves of a wall that touch over edges only
    mask[0, 5:7, 5:7] = mask[4, 5:7, 5:7] = True  # and over faces at two places
    assert compute_betti_numbers(mask).b1 == 1
    found = fill_tears(mask, np.ones_like(mask), 1)
    assert compute_betti_numbers(found).b1 == 0
    assert not (found & ~mask)[:, :4].any()


@pytest.mark.parametrize("gap", [1, 2, 3])
def test_neighbouring_sheets_are_not_joined(gap):
    mask = np.zeros((12, 15, 15), bool)
    mask[3] = mask[4 + gap] = True
    mask[3, 7, 7] = mask[4 + gap, 4, 9] = False
    found = fill_tears(mask, EVERYWHERE, 3)
    assert ndimage.label(found, FULL)[1] == 2
    assert compute_betti_numbers(found)[:3] == (2, 0, 0)
    assert found.sum() <= 2 * 225 + 18


def test_pieces_that_touch_nothing_stay_pieces():
    mask = np.zeros((12, 15, 15), bool)
    mask[4, :, :7] = mask[4, :, 8:] = True
    np.testing.assert_array_equal(fill_tears(mask, EVERYWHERE, 3), mask)


def test_a_ring_stays_open_if_it_is_wide_and_nothing_becomes_nothing():
    assert not fill_tears(np.zeros((3, 4, 5)), np.ones((3, 4, 5)), 2).any()
    mask = np.ones((3, 4, 5), bool)
    assert fill_tears(mask, mask, 2).all()
    assert fill_tears(np.zeros((0, 4, 5)), np.ones((0, 4, 5)), 2).shape == (0, 4, 5)


@pytest.mark.parametrize("layers", [1, 2])
def test_flips_and_transposes_close_the_same_holes(layers):
    torn = sheet((7, 7), (2, 3), *square(3), thickness=2)
    wanted = compute_betti_numbers(fill_tears(torn, EVERYWHERE, layers))
    for axes, flips in symmetries():
        turned = torn.transpose(axes)[flips]
        found = fill_tears(turned, np.ones_like(turned), layers)
        assert compute_betti_numbers(found) == wanted


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 2**32 - 1), st.integers(1, 3), st.floats(0.3, 0.7))
def test_no_mask_gets_fewer_pieces_or_more_tunnels(seed, layers, share):
    noise = np.random.default_rng(seed).random((9, 10, 11))
    noise = ndimage.gaussian_filter(noise, 0.8)
    mask = noise > np.quantile(noise, share)
    found = fill_tears(mask, np.ones_like(mask), layers)
    before, after = compute_betti_numbers(mask), compute_betti_numbers(found)
    assert not (mask & ~found).any()
    assert ndimage.label(found, FULL)[1] == ndimage.label(mask, FULL)[1]
    assert after.b0 == before.b0
    assert after.b1 <= before.b1
    euler_before, euler_after = (b.b0 - b.b1 + b.b2 for b in (before, after))
    assert euler_after >= euler_before


@pytest.mark.parametrize("layers", [1, 2])
def test_parts_far_enough_from_their_ends_agree_with_the_whole(layers):
    rng = np.random.default_rng(3)
    mask = ndimage.gaussian_filter(rng.random((8, 9, 260)), 0.8) > 0.5
    allowed = rng.random(mask.shape) < 0.9
    whole = fill_tears(mask, allowed, layers)
    assert (whole & ~mask).sum() > 100
    reach = find_tear_reach(layers)
    for first in (51, 60, 73):
        part = slice(first, first + 2 * reach + 9)
        inner = slice(first + reach, first + reach + 9)
        found = fill_tears(mask[:, :, part], allowed[:, :, part], layers, start=(0, 0, first))
        np.testing.assert_array_equal(found[:, :, reach:-reach], whole[:, :, inner])
