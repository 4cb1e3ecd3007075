"""Sheets that touch: slabs with bridges and pressed contacts, in every orientation and shape."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from scipy import ndimage

from napari_surfseg.cancelling import listening
from napari_surfseg.errors import CancelledError
from napari_surfseg.surfaces.sheets import (
    SheetSettings,
    cut_bridges,
    cut_contacts,
    separate_sheets,
)

FULL = np.ones((3, 3, 3))
SHAPE = (32, 36, 40)


def make_slabs(first=(10, 13), second=(18, 21), shape=SHAPE):
    truth = np.zeros(shape, np.int32)
    truth[first[0] : first[1]] = 1
    truth[second[0] : second[1]] = 2
    return truth


def add_pillar(mask):
    mask[10:21, 16:19, 20:23] = True


def add_patch(mask):
    """The upper slab is dented over ten by ten voxels and touches the lower one there."""
    mask[18:21, 12:22, 14:24] = False
    mask[13:16, 12:22, 14:24] = True
    for edge in (11, 22):
        mask[13:21, edge, 13:25] = True
    for edge in (13, 24):
        mask[13:21, 11:23, edge] = True


def add_wall(mask):
    """Bridges in a row: a wall along half of the volume."""
    mask[10:21, 16:18, :20] = True


CONTACTS = {"pillar": add_pillar, "patch": add_patch, "wall": add_wall}


def agrees(labels, truth):
    """Whether each true sheet has one number of its own (on nearly all of its voxels)."""
    numbers = []
    for value in range(1, truth.max() + 1):
        counts = np.bincount(labels[truth == value])
        numbers.append(int(counts.argmax()))
        if counts.max() < 0.95 * counts.sum() or not numbers[-1]:
            return False
    return len(set(numbers)) == len(numbers) == len(np.unique(labels)) - 1


@pytest.mark.parametrize("contact", CONTACTS)
@pytest.mark.parametrize("order", list(itertools.permutations(range(3))))
def test_slabs_in_contact_are_two_whichever_way_they_lie(contact, order):
    truth = make_slabs()
    mask = truth > 0
    CONTACTS[contact](mask)
    assert ndimage.label(mask, FULL)[1] == 1
    truth[~mask] = 0
    mask, truth = mask.transpose(order), truth.transpose(order)
    for flip in (slice(None), slice(None, None, -1)):
        labels = separate_sheets(mask[flip, :, flip])
        assert agrees(labels, truth[flip, :, flip])
        assert ((labels > 0) == mask[flip, :, flip]).all()


@pytest.mark.parametrize("contact", CONTACTS)
def test_what_joins_slabs_is_cut(contact):
    mask = make_slabs() > 0
    CONTACTS[contact](mask)
    cut = cut_bridges(mask)
    assert (cut <= mask).all()
    assert ndimage.label(cut, FULL)[1] == 2
    assert np.count_nonzero(mask) - np.count_nonzero(cut) < 0.08 * np.count_nonzero(mask)


def test_slabs_pressed_together_over_half_of_them():
    truth = make_slabs((10, 13), (20, 23))
    # The upper one comes down over a ramp and lies on the lower one for 16 voxels.
    truth[truth == 2] = 0
    for x in range(SHAPE[2]):
        low = int(np.clip(13 + (x - 16) * 0.5, 13, 20))
        truth[low : low + 3, :, x] = 2
    assert ndimage.label(truth > 0, FULL)[1] == 1
    labels = separate_sheets(truth > 0)
    assert len(np.unique(labels)) == 3
    assert agrees(labels, truth)


@pytest.mark.parametrize(
    ("spacing", "slope"),
    [
        ((2.0, 1.0, 1.0), 0.0),
        ((2.0, 1.0, 1.0), 1.0),
        ((1.0, 3.0, 1.0), 0.5),
        ((1.0, 3.0, 1.0), 1.0),
        ((4.0, 0.5, 0.5), 0.5),
    ],
)
def test_slanted_sheets_of_long_voxels(spacing, slope):
    z, y, x = np.meshgrid(
        *(np.arange(n) * s for n, s in zip((24, 24, 60), spacing, strict=True)), indexing="ij"
    )
    height = x - slope * (z if spacing[0] > 1 else y)
    height = (height - np.median(height)) / min(spacing)
    truth = np.where(
        (height > -6) & (height <= -2), 1, np.where((height > 4) & (height <= 8), 2, 0)
    )
    mask = truth > 0
    mask[11:13, 11:13] |= (height > -6)[11:13, 11:13] & (height <= 8)[11:13, 11:13]
    assert ndimage.label(mask, FULL)[1] == 1
    assert agrees(separate_sheets(mask, spacing), truth)


def test_one_sheet_stays_one():
    """Flat, with holes, torn in two, bent to a half-pipe, closed to a tube, a sphere."""
    z, y, x = np.indices(SHAPE) - np.array(SHAPE)[:, None, None, None] // 2
    flat = np.abs(z) < 2
    holes = flat & ~((y % 9 < 4) & (x % 9 < 4))
    torn = flat & (np.abs(x - (y > 0)) > 1)
    tube = np.abs(np.hypot(y, x) - 12) < 1.5
    sphere = np.abs(np.sqrt(z**2 + y**2 + x**2) - 11) < 1.5
    bend = np.where(x < 0, np.hypot(y, x), np.abs(y))
    folded = np.abs(bend - 8) < 1.5
    for mask in (flat, holes, torn, tube, tube & (y < 4), sphere, folded):
        labels = separate_sheets(mask)
        assert (labels == mask).all()


@pytest.mark.parametrize("slope", [0.0, 0.3, 1.0])
def test_one_voxel_thick_sheets(slope):
    z, _, x = np.indices((40, 24, 24))
    low = np.round(6 + slope * x)
    truth = np.where(z == low, 1, np.where(z == low + 7, 2, 0)).astype(np.int32)
    mask = truth > 0
    mask[:, 12, 12] |= (z[:, 12, 12] > low[0, 12, 12]) & (z[:, 12, 12] < low[0, 12, 12] + 7)
    assert agrees(separate_sheets(mask), truth)


def test_crossing_sheets_go_straight_on():
    _, y, x = np.indices((24, 48, 48)) - 24
    first, second = np.abs(y) < 2, np.abs(x) < 2
    truth = np.where(first & ~second, 1, np.where(second & ~first, 2, 0))
    assert agrees(separate_sheets(first | second), truth)


def test_at_a_junction_the_straighter_arms_are_one():
    _, y, x = np.indices((24, 48, 48)) - 24
    through = np.abs(y) < 2
    arm = (np.abs(y - x) < 2.5) & (y > 2)
    labels = separate_sheets(through | arm)
    assert agrees(labels, np.where(through & ~arm, 1, np.where(arm & (y > 5), 2, 0)))


def test_probabilities_part_where_they_fall_between_sheets():
    truth = make_slabs((10, 13), (15, 18))
    probs = np.where(truth > 0, 240, 0).astype(np.uint8)
    probs[13:15] = 150
    assert ndimage.label(probs > 127, FULL)[1] == 1
    assert agrees(separate_sheets(probs), truth)


@pytest.mark.parametrize("shape", [(1, 1, 1), (1, 9, 9), (2, 2, 2), (3, 1, 40), (5, 5, 5)])
@pytest.mark.parametrize("value", [0, 1])
def test_empty_full_and_tiny_volumes(shape, value):
    settings = SheetSettings(min_voxels=1)
    mask = np.full(shape, value, bool)
    labels = separate_sheets(mask, settings=settings)
    assert labels.dtype == np.int32
    assert (labels == value).all() or shape == (5, 5, 5)
    assert cut_bridges(mask, settings=settings).shape == shape


def test_small_pieces_go_to_what_they_touch_or_are_left_out():
    mask = make_slabs() > 0
    mask[2:4, 2:4, 2:4] = True
    labels = separate_sheets(mask)
    assert labels[2, 2, 2] == 0
    assert labels.max() == 2
    assert separate_sheets(mask, settings=SheetSettings(min_voxels=1)).max() == 3


def test_only_the_ratio_of_spacings_counts():
    mask = make_slabs() > 0
    add_pillar(mask)
    settings = SheetSettings(thickness=3 * 0.01, reach=20 * 0.01)
    assert (separate_sheets(mask) == separate_sheets(mask, (0.01,) * 3, settings)).all()


def test_contacts_of_any_labels_are_cut():
    labels = np.zeros((6, 8, 8), np.int32)
    labels[1:3, :, :4] = 1
    labels[1:3, :, 4:] = 2
    labels[3:5] = 7
    cut = cut_contacts(labels > 0, labels)
    assert ndimage.label(cut, FULL)[1] == 3
    assert (cut[labels == 1]).all()
    assert not cut_contacts(np.zeros((2, 2, 2)), np.zeros((2, 2, 2), int)).any()


def test_it_stops_when_asked():
    with listening(lambda: True), pytest.raises(CancelledError):
        separate_sheets(make_slabs() > 0)


def test_cutting_keeps_junctions_and_the_seams_of_a_spiral():
    _, y, x = np.indices((16, 64, 64)).astype(float)
    y, x = y - 31, x - 32.5
    winding = np.hypot(y, x) / 9 - np.arctan2(y, x) / (2 * np.pi)
    spiral = (np.abs(winding - np.rint(winding)) * 9 < 1.5) & (np.hypot(y, x) > 9)
    assert separate_sheets(spiral).max() > 1
    assert (cut_bridges(spiral) == spiral).all()
    junction = (np.abs(y) < 2) | ((np.abs(x) < 2) & (y > 0))
    assert separate_sheets(junction).max() == 2
    assert (cut_bridges(junction) == junction).all()


def test_real_numbers_are_probabilities_and_two_values_a_mask():
    mask = make_slabs() > 0
    add_pillar(mask)
    expected = separate_sheets(mask)
    for values in (mask * 0.9, mask * np.uint8(2), mask.astype(np.int16) * -1, mask * np.uint8(1)):
        assert (separate_sheets(values) == expected).all()
    faint = np.where(mask, 0.3, np.nan).astype(np.float32)
    assert not separate_sheets(faint).any()
