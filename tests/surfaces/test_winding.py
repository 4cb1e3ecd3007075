"""Turns of spirals and tubes of either hand, layers of stacks, whichever way they lie."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import ndimage

from napari_surfseg.errors import LabelError
from napari_surfseg.surfaces.roll_axis import Axis, find_axis
from napari_surfseg.surfaces.sheets import SheetSettings, separate_sheets
from napari_surfseg.surfaces.winding import order_sheets

TURN = 2 * np.pi
PITCH = 8.0


def make_roll(hand, shape=(12, 72, 72), centre=(35.0, 36.5)):
    """Make a roll around Z and, at each of its voxels, the winding number; NaN elsewhere."""
    _, y, x = np.indices(shape).astype(float)
    y, x = y - centre[0], x - centre[1]
    theta = np.mod(np.arctan2(y, x), TURN) / TURN
    winding = np.hypot(y, x) / PITCH - hand * theta
    layer = np.rint(winding)
    turns = layer + hand * theta
    # Three voxels thick, from the core to the last whole turn.
    sheet = (np.abs(winding - layer) * PITCH < 1.5) & (turns > 1) & (turns < 4)
    return np.where(sheet, turns, np.nan)


def add_bridges(turns, seed=0, number=12):
    """Radial rods from one turn to the next, where nothing is."""
    mask = np.isfinite(turns)
    places = np.argwhere(mask & (turns < 3))
    rng = np.random.default_rng(seed)
    for z, y, x in places[rng.integers(len(places), size=number)]:
        out = np.array([y - 35.0, x - 36.5])
        out /= np.linalg.norm(out)
        for step in np.arange(0, PITCH, 0.5):
            at = np.rint([y, x] + out * step).astype(int)
            mask[z : z + 2, at[0] : at[0] + 2, at[1] : at[1] + 2] = True
    return mask


def share_right(found, turns):
    """The share of the voxels of a roll whose winding number is right, but for a constant."""
    known = np.isfinite(turns)
    apart = np.nan_to_num(found[known], nan=99.0) - turns[known]
    return (np.abs(apart - np.median(apart)) < 0.1).mean()


@pytest.mark.parametrize("hand", [1, -1, 0])
@pytest.mark.parametrize("bridged", [False, True])
def test_a_roll_is_cut_into_its_turns(hand, bridged):
    turns = make_roll(hand)
    mask = add_bridges(turns) if bridged else np.isfinite(turns)
    if bridged or hand:
        assert ndimage.label(mask, np.ones((3, 3, 3)))[1] == 1
    labels = separate_sheets(mask, settings=SheetSettings(roll=True))
    found = order_sheets(labels)
    assert found.hand == hand
    assert found.axis is not None
    assert np.abs(found.axis.through - (35.0, 36.5)).max() < 1
    assert share_right(found.compute_turns(), turns) > (0.98 if bridged else 0.999)
    # The labels alone are the turns already, the innermost first.
    means = [np.nanmean(turns[labels == value]) for value in range(1, labels.max() + 1)]
    assert means == sorted(means)
    assert len(means) == (3 if hand else 2)


@pytest.mark.parametrize("order", [(1, 0, 2), (2, 1, 0)])
def test_an_axis_may_run_along_any_edge(order):
    turns = make_roll(1).transpose(order)
    found = order_sheets(np.isfinite(turns).astype(np.int32))
    assert found.axis is not None
    assert found.axis.along == order.index(0)
    # Seen from another edge it may wind the other way; it begins at another half-plane.
    assert abs(found.hand) == 1
    whole = np.nanmax(found.compute_turns()) - np.nanmin(found.compute_turns())
    assert whole == pytest.approx(np.nanmax(turns) - np.nanmin(turns), abs=0.1)


def test_long_voxels_and_a_given_axis():
    turns = make_roll(1)[:, ::2]
    mask = np.isfinite(turns)
    axis = Axis.from_points([[0, 17.5, 36.5], [11, 17.5, 36.5]])
    for given in (None, axis):
        labels = separate_sheets(mask, (1, 2, 1), SheetSettings(roll=True), axis=given)
        found = order_sheets(labels, (1, 2, 1), axis=given)
        assert share_right(found.compute_turns(), turns) > 0.97


def test_a_whole_spiral_without_its_axis_is_pieces_that_do_not_lie_above_themselves():
    turns = make_roll(1)
    labels = separate_sheets(np.isfinite(turns))
    for value in range(1, labels.max() + 1):
        assert np.ptp(turns[labels == value]) < 1.4
    assert labels.max() <= 5


def test_a_stack_is_numbered_upward():
    labels = np.zeros((48, 20, 20), np.int32)
    for at, value in ((4, 3), (14, 9), (24, 1), (34, 7)):
        labels[at : at + 3] = value
    ordered = order_sheets(labels)
    assert ordered.axis is None
    assert [int(ordered.labels[at, 5, 5]) for at in (4, 14, 24, 34)] == [1, 2, 3, 4]
    upside = order_sheets(labels[::-1])
    assert [int(upside.labels[::-1][at, 5, 5]) for at in (4, 14, 24, 34)] == [4, 3, 2, 1]
    turned = order_sheets(labels.transpose(2, 1, 0), kind="stack").labels
    assert (turned == ordered.labels.transpose(2, 1, 0)).all()
    assert np.nanmax(ordered.compute_turns()) == 4


def test_a_torn_layer_is_one_and_small_ones_are_left_out():
    labels = np.zeros((40, 30, 30), np.int32)
    labels[4:7], labels[14:17, :, :14], labels[14:17, :, 16:], labels[24:27] = 1, 2, 3, 4
    labels[33:35, 2:5, 2:5] = 5
    ordered = order_sheets(labels).labels
    assert [int(ordered[at, 5, 5]) for at in (5, 15, 25)] == [1, 2, 3]
    assert (ordered[14:17, :, 16:] == 2).all()
    assert ordered.max() == 3


@pytest.mark.parametrize("shape", [(1, 1, 1), (2, 9, 9), (4, 4, 4)])
@pytest.mark.parametrize("value", [0, 3])
@pytest.mark.parametrize("kind", ["auto", "stack"])
def test_empty_full_and_tiny_volumes(shape, value, kind):
    found = order_sheets(np.full(shape, value, np.uint16), kind=kind, min_voxels=1)
    assert (found.labels > 0).all() == bool(value)
    assert found.compute_turns().shape == shape


def test_a_roll_without_an_axis_is_refused():
    labels = np.zeros((20, 20, 20), np.int32)
    labels[4:7], labels[12:15] = 1, 2
    with pytest.raises(LabelError, match="no axis of a roll") as refused:
        order_sheets(labels, kind="roll")
    assert refused.value.field == "kind"
    with pytest.raises(LabelError, match="no axis of a roll"):
        separate_sheets(labels > 0, settings=SheetSettings(roll=True))
    empty = order_sheets(np.zeros((3, 3, 3), np.int32), kind="roll")
    assert not empty.labels.any()
    assert not separate_sheets(np.zeros((3, 3, 3)), settings=SheetSettings(roll=True)).any()


def test_normals_of_a_plane_have_no_axis():
    points = np.random.default_rng(0).random((50, 3)) * 20
    assert find_axis(points, np.tile([1.0, 0, 0], (50, 1)), (1, 1, 1)) is None
    assert find_axis(points[:3], points[:3], (1, 1, 1)) is None
