"""Where torn sheets would go on, on sheets whose course is known."""

import numpy as np
import pytest

from napari_surfseg.metrics.betti_numbers import compute_betti_numbers
from napari_surfseg.surfaces.local_topology import fill_tears
from napari_surfseg.surfaces.sheet_heights import find_missing_parts

PLACES = np.indices((21, 29, 29)) - np.array([10, 14, 14])[:, None, None, None]


def bent_sheet(bend, tilt=0.0, hole=0.0):
    z, y, x = PLACES
    sheet = abs(z - bend * (y**2 + x**2) / 14 - tilt * y) < 1.6
    return sheet, sheet & (np.hypot(y, x) >= hole)


@pytest.mark.parametrize(("bend", "tilt"), [(0.0, 0.0), (0.0, 0.5), (0.2, 0.0), (-0.2, 0.3)])
def test_the_missing_part_of_a_bent_sheet_lies_on_it(bend, tilt):
    sheet, torn = bent_sheet(bend, tilt, hole=3.6)
    missing = sheet & ~torn
    found = find_missing_parts(torn, 8)
    inner = np.hypot(*PLACES[1:]) < 3
    # Of the three voxels of its thickness the middle one.
    assert (found & missing & inner).sum() > 0.25 * (missing & inner).sum()
    near = np.zeros_like(sheet)
    for step in (-1, 0, 1):
        near |= np.roll(sheet, step, axis=0)
    assert not (found & ~near & inner).any()
    closed = fill_tears(torn, found, 5)
    assert compute_betti_numbers(torn).b1 == 1
    assert compute_betti_numbers(closed)[:3] == (1, 0, 0)


def test_between_neighbours_and_beyond_a_rim_nothing_is_missing():
    mask = np.zeros((21, 29, 29), bool)
    mask[6:8] = mask[12:14] = True
    found = find_missing_parts(mask, 5)
    assert not found[9:11, 6:-6, 6:-6].any()
    half = np.zeros((21, 29, 29), bool)
    half[10:12, :, :14] = True
    assert not find_missing_parts(half, 5)[:, :, 16:].any()
    assert not find_missing_parts(np.zeros((4, 5, 6)), 5).any()


def test_flips_turn_with_the_mask():
    _, torn = bent_sheet(0.3, 0.2, hole=3.0)
    found = find_missing_parts(torn, 5)
    for flip in ((0,), (1, 2)):
        turned = np.flip(find_missing_parts(np.flip(torn, flip), 5), flip)
        assert (turned != found).sum() <= 2


def test_parts_far_enough_from_their_ends_are_the_same():
    mask = np.random.default_rng(0).random((8, 9, 50)) < 0.25
    whole = find_missing_parts(mask, 4)
    found = find_missing_parts(mask[:, :, 16:34], 4)
    np.testing.assert_array_equal(found[:, :, 4:-4], whole[:, :, 20:30])
