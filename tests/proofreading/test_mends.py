"""Mends on hand-made surfaces: each changes what it should and nothing else."""

from typing import NamedTuple

import numpy as np
import pytest

from napari_surfseg.errors import DataError
from napari_surfseg.geometry import to_index
from napari_surfseg.proofreading.edit import MEND_KINDS, apply_edit, revert_edit
from napari_surfseg.proofreading.mends import (
    MENDS,
    PROPOSALS,
    cut_bridge,
    fill_hole,
    follow_labels,
    join_ends,
    mark_unsure,
    propose_mend,
    remove_piece,
)
from napari_surfseg.proofreading.places import PLACE_KINDS

SHAPE = (32, 48, 48)
Z, Y, X = np.indices(SHAPE)
#: Axes along which a hand-made volume is laid; each mend must not care.
TURNS = [(0, 1, 2), (1, 0, 2), (2, 1, 0)]


class Spot(NamedTuple):
    location: tuple
    start: tuple
    stop: tuple


def around(changed, margin=0):
    """A place about the voxels that differ; its location is one of them."""
    voxels = np.argwhere(changed)
    middle = voxels[np.argmin(((voxels - voxels.mean(axis=0)) ** 2).sum(axis=1))]
    start = np.maximum(voxels.min(axis=0) - margin, 0)
    stop = np.minimum(voxels.max(axis=0) + 1 + margin, changed.shape)
    return Spot(to_index(middle), to_index(start), to_index(stop))


def at(*location):
    return Spot(location, location, tuple(a + 1 for a in location))


def slabs(thickness, gap=4):
    """Two parallel sheets with labels of their own."""
    labels = np.zeros(SHAPE, np.uint16)
    labels[10 : 10 + thickness] = 7
    labels[10 + thickness + gap : 10 + 2 * thickness + gap] = 300
    return labels


def mended(mend, broken, place, *more):
    """Apply a mend to a copy, and see that it can be taken back and is no larger than it says."""
    edit = mend(broken, place, *more)
    result = broken.copy()
    apply_edit(result, edit)
    assert edit.num_changed == np.count_nonzero(result != broken) > 0
    for axis in range(3):
        for face in (0, -1):
            assert edit.changed.take(face, axis=axis).any()
    back = result.copy()
    revert_edit(back, edit)
    np.testing.assert_array_equal(back, broken)
    assert edit.location == place.location
    assert edit.after.dtype == broken.dtype
    return result


@pytest.mark.parametrize("turn", TURNS)
@pytest.mark.parametrize("thickness", [1, 2, 4])
@pytest.mark.parametrize("width", [1, 4, 9])
def test_a_hole_in_a_slab_is_filled_exactly(turn, thickness, width):
    whole = slabs(thickness).transpose(turn)
    broken = slabs(thickness)
    broken[10 : 10 + thickness, 20 : 20 + width, 20 : 20 + width] = 0
    broken = broken.transpose(turn)
    np.testing.assert_array_equal(mended(fill_hole, broken, around(broken != whole)), whole)


@pytest.mark.parametrize("normal", [(1, 1, 1), (3, 2, 1), (10, 3, 0)])
@pytest.mark.parametrize("radius", [2, 4])
def test_a_hole_in_a_tilted_sheet_of_one_voxel_is_filled_exactly(normal, radius):
    unit = np.asarray(normal) / np.linalg.norm(normal)
    height = (Z - 16) * unit[0] + (Y - 24) * unit[1] + (X - 24) * unit[2] + 0.07
    whole = ((height >= 0) & (height < np.abs(unit).max())).astype(np.uint8)
    broken = whole.copy()
    broken[radius**2 > (Z - 16) ** 2 + (Y - 24) ** 2 + (X - 24) ** 2] = 0
    np.testing.assert_array_equal(mended(fill_hole, broken, around(broken != whole)), whole)


def test_a_hole_in_a_bent_sheet_is_closed_along_it():
    r = np.sqrt((Z - 4) ** 2 + (Y - 24) ** 2 + (X - 24) ** 2)
    whole = ((r > 18) & (r < 21)).astype(np.uint8)
    broken = whole.copy()
    broken[(Z - 23) ** 2 + (Y - 24) ** 2 + (X - 24) ** 2 < 16] = 0
    lost = np.count_nonzero(broken != whole)
    result = mended(fill_hole, broken, around(broken != whole))
    assert np.count_nonzero(result != whole) < 0.25 * lost
    assert np.abs(r[result != broken] - 19.5).max() < 3


def test_a_cavity_is_filled_as_a_hole():
    whole = np.zeros(SHAPE, np.uint8)
    whole[6:24, 6:24, 6:24] = 1
    broken = whole.copy()
    broken[12:14, 12:16, 12:15] = 0
    np.testing.assert_array_equal(mended(fill_hole, broken, around(broken != whole)), whole)


@pytest.mark.parametrize("turn", TURNS)
@pytest.mark.parametrize("thickness", [1, 3])
@pytest.mark.parametrize("gap", [1, 3, 8])
def test_two_ends_are_joined_along_the_sheet(turn, thickness, gap):
    """At the place only: a tear can be as long as the volume."""
    whole = slabs(thickness).transpose(turn)
    broken = slabs(thickness)
    broken[10 : 10 + thickness, 20 : 20 + gap] = 0
    torn = np.zeros(SHAPE, bool)
    torn[10 : 10 + thickness, 20 : 20 + gap, 20:28] = True
    broken, torn = broken.transpose(turn), torn.transpose(turn)
    result = mended(join_ends, broken, around(torn))
    np.testing.assert_array_equal(result[torn], whole[torn])
    assert not (result != broken)[whole == 0].any()


def test_an_end_is_continued_as_far_as_the_probabilities_promise():
    labels = slabs(2)
    labels[:, 24:] = 0
    probs = np.where(labels > 0, 0.9, 0.02).astype(np.float32)
    promised = np.zeros(SHAPE, bool)
    promised[10:12, 24:30, 18:26] = True
    probs[promised] = 0.4
    place = Spot((11, 25, 22), (9, 23, 20), (13, 28, 24))
    with pytest.raises(DataError, match="no two ends to join"):
        join_ends(labels, place)
    gained = mended(join_ends, labels, place, probs) != labels
    np.testing.assert_array_equal(gained, promised)


class Doubt(NamedTuple):
    location: tuple
    start: tuple
    stop: tuple
    size: int


def test_a_patch_much_larger_than_what_is_in_doubt_is_none():
    whole = slabs(2)
    broken = whole.copy()
    broken[10:12, 20:32, 20:32] = 0
    place = around(broken != whole)
    assert fill_hole(broken, Doubt(*place, 200)).num_changed == 288
    with pytest.raises(DataError, match="There is no hole"):
        fill_hole(broken, Doubt(*place, 20))


@pytest.mark.parametrize("turn", TURNS)
@pytest.mark.parametrize("width", [1, 3])
@pytest.mark.parametrize("thickness", [1, 3])
@pytest.mark.parametrize("margin", [0, 2])
def test_a_pillar_is_cut_by_its_cross_section(turn, width, thickness, margin):
    """Also where a second one nearby joins the sheets again."""
    joined = slabs(thickness)
    pillar = np.zeros(SHAPE, bool)
    pillar[10 + thickness : 14 + thickness, 20 : 20 + width, 20 : 20 + width] = True
    joined[pillar] = joined[np.roll(pillar, 9, axis=1)] = 7
    place = around(pillar.transpose(turn), margin)
    joined, pillar = joined.transpose(turn), pillar.transpose(turn)
    gone = mended(cut_bridge, joined, place) != joined
    assert np.count_nonzero(gone) == width**2
    assert pillar[gone].all()


@pytest.mark.parametrize("thickness", [2, 3])
def test_pressed_sheets_are_cut_where_the_probability_is_low(thickness):
    rise = np.clip(np.maximum(np.abs(Y[0] - 24), np.abs(X[0] - 24)) - 5, 0, 4)
    pressed = (Z >= 10) & (10 + thickness > Z)
    above = Z - 10 - thickness - rise
    pressed = (pressed | ((above >= 0) & (above < thickness))).astype(np.uint8)
    touching = np.zeros(SHAPE, bool)
    touching[10 : 10 + 2 * thickness] = rise == 0
    probs = np.where(pressed, 230, 20).astype(np.uint8)
    probs[10 + thickness][rise == 0] = 150
    for given in (None, probs):
        gone = mended(cut_bridge, pressed, around(touching), given) != pressed
        assert np.count_nonzero(gone) == np.count_nonzero(rise == 0)
        assert gone.any(axis=(1, 2)).sum() == 1
    assert gone[10 + thickness].any()


def test_a_speck_is_removed_and_nothing_else():
    labels = slabs(2)
    speck = np.zeros(SHAPE, bool)
    speck[25, 30:33, 30:32] = speck[26, 33, 32] = True  # the last touches at a corner
    labels[speck] = 2
    # The place knows only a part of it.
    result = mended(remove_piece, labels, at(25, 30, 30))
    np.testing.assert_array_equal(result != labels, speck)


def test_labels_are_followed_in_the_one_patch():
    truth = (slabs(2) > 0).astype(np.uint8)
    truth[:, :, 40:] = 2
    pred = slabs(2)
    pred[10:12, 20:24, 20:24] = 0
    pred[10:12, 30:32, 30:32] = 0  # another error
    pred[12:14, 20:22, 20:22] = 7
    lost = np.zeros(SHAPE, bool)
    lost[10:12, 20:24, 20:24] = lost[12:14, 20:22, 20:22] = True
    result = mended(follow_labels, pred, around(lost), truth)
    np.testing.assert_array_equal(result != pred, lost)
    assert set(np.unique(result[10:12, 20:24, 20:24])) == {7}


def test_what_is_unsure_is_marked_beside_the_surface():
    labels = slabs(2)
    edit = mark_unsure(labels, Spot((11, 20, 20), (10, 18, 18), (12, 24, 24)))
    assert edit.after.all()
    assert edit.after.shape == (4, 8, 8)
    probs = np.full(SHAPE, 0.9, np.float32)
    probs[11, 20, 19:22] = 0.4
    edit = mark_unsure(labels, Spot((11, 20, 20), (10, 18, 18), (12, 24, 24)), probs)
    assert (edit.start, edit.num_changed) == ((11, 20, 19), 3)


WHOLE = slabs(1)


@pytest.mark.parametrize(
    ("mend", "place", "sentence"),
    [
        (fill_hole, at(10, 20, 20), "There is no hole within 12 voxels of (10, 20, 20)."),
        (join_ends, at(12, 20, 20), "There are no two ends to join within 12 voxels of"),
        (cut_bridge, at(12, 20, 20), "There is no bridge between two sheets within 12 voxels of"),
        (remove_piece, at(30, 20, 20), "There is no surface near (30, 20, 20)."),
        (fill_hole, at(40, 20, 20), "There is no voxel (40, 20, 20) in a volume of 32"),
        (mark_unsure, at(-1, 20, 20), "There is no voxel (-1, 20, 20) in a volume of 32"),
    ],
)
def test_what_cannot_be_mended_is_said_in_a_sentence(mend, place, sentence):
    with pytest.raises(DataError) as caught:
        mend(WHOLE, place)
    assert str(caught.value).startswith(sentence)


def test_sheets_too_thin_to_be_cut_and_pieces_too_large_to_be_removed():
    pressed = np.zeros(SHAPE, np.uint8)
    pressed[10] = pressed[11] = 1
    rise = np.clip(np.maximum(np.abs(Y[0] - 24), np.abs(X[0] - 24)) - 5, 0, 4)
    pressed[11:] = (Z[11:] - 11 - rise) == 0
    touching = np.zeros(SHAPE, bool)
    touching[10:12] = rise == 0
    with pytest.raises(DataError, match="a cut would tear one of them"):
        cut_bridge(pressed, around(touching))
    with pytest.raises(DataError, match="is longer than 192 voxels"):
        remove_piece(np.ones((2, 600, 4), np.uint8), at(0, 300, 0))


def test_only_a_box_around_the_place_is_read():
    class Volume:
        """A thousand voxels along each edge, of which nobody has all."""

        shape = (1000, 1000, 1000)

        def __getitem__(self, cut):
            size = [part.stop - part.start for part in cut]
            assert max(size) <= 64
            values = np.zeros(size, np.uint8)
            values[500 - cut[0].start : 503 - cut[0].start] = 1
            values[tuple(slice(500 - c.start, 504 - c.start) for c in cut)] = 0
            return values

    place = Spot((501, 501, 501), (500, 500, 500), (503, 504, 504))
    assert fill_hole(Volume(), place).num_changed == 48


def test_every_kind_of_place_has_a_mend():
    assert set(MENDS) == set(MEND_KINDS)
    assert set(PROPOSALS.values()) <= set(MEND_KINDS)
    assert {kind: propose_mend(kind) for kind in PLACE_KINDS} == {
        "hole": "fill hole",
        "bridge": "cut bridge",
        "loose end": "join ends",
        "small piece": "remove piece",
        "uncertain": "mark unsure",
        "flickering": "mark unsure",
        "disagreement": "mark unsure",
    }
