"""Mends of a surface at one place: each changes as few voxels as will do, or says why it cannot.

Whatever the volume, only a box around the place is read. A volume is anything that is cut with
slices; not 0 is surface, 26-connected, and its values may be labels of sheets: what is added has
the label of the nearest sheet.
"""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING, Any

import numpy as np
from scipy import ndimage

from napari_surfseg.errors import DataError
from napari_surfseg.geometry import box_slices, from_ranges, grow_box, whole_box
from napari_surfseg.metrics.betti_numbers import compute_betti_numbers
from napari_surfseg.proofreading.cuts import find_cut
from napari_surfseg.proofreading.edit import Crop, Edit, cut_edit, cut_out, make_edit
from napari_surfseg.proofreading.patches import CORNERS, count_features, list_likely, list_patches

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from napari_surfseg.proofreading.edit import MendKind, Place

__all__ = [
    "MENDS",
    "cut_bridge",
    "fill_hole",
    "follow_labels",
    "join_ends",
    "mark_unsure",
    "propose_mend",
    "remove_piece",
]

#: A mend looks so many voxels around the place for what it mends.
REACH = 12
#: A piece with a longer edge (voxels) is not removed at one press of a button.
LARGEST_PIECE = 192
#: Two ends may be joined if the way from one to the other is at most so steep against the sheet.
MAX_STEEPNESS = 0.75
#: A hole is filled within the place's box and so far beyond (voxels).
MORE_FILLED = 4
#: A long tear is joined along the place's box, and so far beyond (voxels).
MORE_JOINED = 2
#: A patch has at most so many times the voxels that are in doubt, and so many more.
MORE_VOXELS = (2, 30)
#: Fewer voxels are no continuation of a sheet.
LEAST_ADDED = 8
#: Fewer voxels of a piece beside a patch do not count.
MIN_TOUCHING = 3
#: Probabilities (0 to 1) this near to one half are unsure.
UNSURE_BAND = 0.3

#: What is proposed for each kind of doubtful place and topology error.
PROPOSALS: dict[str, MendKind] = {
    "hole": "fill hole",
    "extra cavity": "fill hole",
    "bridge": "cut bridge",
    "loose end": "join ends",
    "small piece": "remove piece",
    "extra component": "remove piece",
    "missing component": "follow labels",
    "missing bridge": "follow labels",
    "missing cavity": "follow labels",
    "filled hole": "follow labels",
}


def propose_mend(kind: str) -> MendKind:
    """Return the mend for a kind of place, where it is wrong."""
    return PROPOSALS.get(kind, "mark unsure")


def remove_piece(mask: Any, place: Place, probabilities: Any = None) -> Edit:
    """Remove the connected piece at a place, all of it.

    Parameters
    ----------
    mask : array-like (Z, Y, X)
        Not 0 is surface.
    place : Place
        The piece nearest to its location is meant.
    probabilities : array-like, optional
        Not used.

    Raises
    ------
    DataError
        If there is none, or it is larger than what one mend removes.
    """
    margin = 2
    while True:
        crop = cut_out(mask, place, margin)
        pieces, _ = ndimage.label(crop.mask, CORNERS)
        piece = pieces == _nearest(crop, pieces, "surface")
        (part,) = ndimage.find_objects(piece.astype(np.uint8))
        ends = zip(part, crop.mask.shape, crop.start, mask.shape, strict=True)
        is_cut = any(
            (cut.start == 0 and start > 0) or (cut.stop == size and start + size < whole)
            for cut, size, start, whole in ends
        )
        if not is_cut:
            return make_edit("remove piece", crop, place, piece, surface=False)
        if max(cut.stop - cut.start for cut in part) >= LARGEST_PIECE or margin > LARGEST_PIECE:
            raise DataError(
                f"The piece at {place.location} is longer than {LARGEST_PIECE} voxels; remove so "
                "much with the surface tools or the brush."
            )
        margin *= 2


def fill_hole(mask: Any, place: Place, probabilities: Any = None) -> Edit:
    """Fill the hole at a place: a tunnel through a sheet, or a cavity inside the surface.

    The patch is as thick as the sheet and bent like it, wherever that closes the hole.

    Parameters
    ----------
    mask : array-like (Z, Y, X)
        Not 0 is surface.
    place : Place
        The hole nearest to its location is meant.
    probabilities : array-like, optional
        The patch goes where they are high, 0 to 1 or 0 to 255.

    Raises
    ------
    DataError
        If there is none.
    """
    crop = cut_out(mask, place, REACH)
    cavity = _find_cavity(crop, mask.shape)
    if cavity is not None:
        return make_edit("fill hole", crop, place, cavity, surface=True)
    probs = _read_probabilities(probabilities, crop)
    for patch in list_patches(crop, probs, open_ended=False, within=MORE_FILLED):
        if _is_modest(place, patch.voxels) and _closes_hole(crop.mask, patch.voxels, place):
            return make_edit("fill hole", crop, place, patch.voxels, surface=True)
    raise DataError(f"There is no hole within {REACH} voxels of {place.location}.")


def join_ends(mask: Any, place: Place, probabilities: Any = None) -> Edit:
    """Join the two ends of a torn sheet at a place, by a patch along the sheet.

    With probabilities a single end is continued as far as they promise surface there.

    Parameters
    ----------
    mask : array-like (Z, Y, X)
        Not 0 is surface.
    place : Place
        Between the ends, or at one of them.
    probabilities : array-like, optional
        The patch goes where they are high, 0 to 1 or 0 to 255.

    Raises
    ------
    DataError
        If there are no two ends that go on in each other.
    """
    crop = cut_out(mask, place, REACH)
    probs = _read_probabilities(probabilities, crop)
    for patch in list_patches(crop, probs, open_ended=True, within=MORE_JOINED):
        if _is_modest(place, patch.voxels) and _joins_ends(crop.mask, patch.voxels):
            return make_edit("join ends", crop, place, patch.voxels, surface=True)
    # A rim whose other side is far: it goes on as far as the probabilities promise.
    for voxels in list_likely(crop, probs, within=MORE_JOINED) if probs is not None else ():
        if _is_modest(place, voxels) and _goes_further(crop.mask, voxels):
            return make_edit("join ends", crop, place, voxels, surface=True)
    raise DataError(f"There are no two ends to join within {REACH} voxels of {place.location}.")


def cut_bridge(mask: Any, place: Place, probabilities: Any = None) -> Edit:
    """Cut two sheets apart that touch at a place, by the fewest voxels that will do.

    Parameters
    ----------
    mask : array-like (Z, Y, X)
        Not 0 is surface.
    place : Place
        Its box is around the bridge, or around the patch where the sheets are pressed together.
    probabilities : array-like, optional
        The cut goes where they are lowest, 0 to 1 or 0 to 255.

    Raises
    ------
    DataError
        If nothing is joined there, or a cut would tear a sheet.
    """
    crop = cut_out(mask, place, REACH)
    cut, tears = find_cut(crop, _read_probabilities(probabilities, crop))
    if cut is not None:
        return make_edit("cut bridge", crop, place, cut, surface=False)
    if tears:
        raise DataError(
            f"The sheets at {place.location} are pressed together too closely to be cut: a cut "
            "would tear one of them."
        )
    raise DataError(
        f"There is no bridge between two sheets within {REACH} voxels of {place.location}."
    )


def follow_labels(mask: Any, place: Place, labels: Any) -> Edit:
    """Make the surface as labels have it, in the patch at a place where the two differ.

    Parameters
    ----------
    mask : array-like (Z, Y, X)
        Not 0 is surface.
    place : Place
        Of a comparison with the labels.
    labels : array-like (Z, Y, X)
        1 surface, 0 background, all else not annotated and left as it is.

    Raises
    ------
    DataError
        If the two are the same there.
    """
    crop = cut_out(mask, place, 1)
    truth = np.asarray(labels[box_slices(crop.box)])
    differs = ((truth == 1) & ~crop.mask) | ((truth == 0) & crop.mask)
    patches, count = ndimage.label(differs, CORNERS)
    if not count:
        raise DataError(f"The labels say nothing else at {place.location}.")
    patch = patches == _nearest(crop, patches, "difference")
    after = crop.values.copy()
    if (patch & (truth == 1)).any():
        added = make_edit("follow labels", crop, place, patch & (truth == 1), surface=True)
        after[box_slices(added.box, crop.start)] = added.after
    after[patch & (truth == 0)] = 0
    return cut_edit("follow labels", place, crop, crop.values, after)


def mark_unsure(mask: Any, place: Place, probabilities: Any = None) -> Edit:
    """Mark what nobody can decide at a place; the surface itself stays as it is.

    Parameters
    ----------
    mask : array-like (Z, Y, X)
        Not 0 is surface.
    place : Place
        Its box, grown by a voxel, is marked.
    probabilities : array-like, optional
        Only where they are near one half, where they are so somewhere in the box.

    Returns
    -------
    Edit
        Its values say of each voxel whether it is unsure.
    """
    crop = cut_out(mask, place, 1)
    unsure = np.ones(crop.mask.shape, bool)
    probs = _read_probabilities(probabilities, crop)
    if probs is not None:
        doubtful = np.abs(probs - 0.5) < UNSURE_BAND
        if doubtful.any():
            unsure = doubtful
    return cut_edit("mark unsure", place, crop, np.zeros_like(unsure), unsure)


#: The function of each mend; "follow labels" takes labels in place of probabilities.
MENDS: dict[MendKind, Callable[[Any, Place, Any], Edit]] = {
    "remove piece": remove_piece,
    "fill hole": fill_hole,
    "cut bridge": cut_bridge,
    "join ends": join_ends,
    "follow labels": follow_labels,
    "mark unsure": mark_unsure,
}


def _read_probabilities(probabilities: Any, crop: Crop) -> NDArray[np.float32] | None:
    """Read the probabilities of a crop, 0 to 1."""
    if probabilities is None:
        return None
    values = np.asarray(probabilities[box_slices(crop.box)])
    scale = np.float32(255 if values.dtype == np.uint8 else 1)
    return np.asarray(values / scale, np.float32)


def _nearest(crop: Crop, pieces: NDArray[Any], what: str) -> int:
    """Return the label of the piece that is nearest to the location.

    Raises
    ------
    DataError
        If there is none.
    """
    at = np.argwhere(pieces)
    if not len(at):
        raise DataError(f"There is no {what} near {crop.location}.")
    closest = at[np.argmin(((at - crop.at) ** 2).sum(axis=1))]
    return int(pieces[tuple(closest)])


def _find_cavity(crop: Crop, shape: tuple[int, ...]) -> NDArray[np.bool_] | None:
    """Find the background that surface encloses on all sides, nearest to the location."""
    pieces, _ = ndimage.label(~crop.mask)
    is_open = {0}
    for axis in range(3):
        for face in (0, -1):
            is_open |= set(np.unique(pieces.take(face, axis=axis)).tolist())
    closed = np.where(np.isin(pieces, list(is_open)), 0, pieces)
    closed[~crop.near(2)] = 0
    if not closed.any():
        return None
    return np.asarray(pieces == _nearest(crop, closed, "cavity"))


def _is_modest(place: Place, patch: NDArray[np.bool_]) -> bool:
    """Whether a patch is not much larger than what the place says is in doubt, if it does."""
    size = getattr(place, "size", 0)
    return not size or int(np.count_nonzero(patch)) <= MORE_VOXELS[0] * size + MORE_VOXELS[1]


def _closes_hole(mask: NDArray[np.bool_], patch: NDArray[np.bool_], place: Place) -> bool:
    """Whether a patch takes a hole away and changes nothing else that counts."""
    before, after = count_features(mask), count_features(mask | patch)
    if after.pieces != before.pieces or after.cavities > before.cavities:
        return False
    if after.tunnels < before.tunnels:
        return True
    if after.tunnels > before.tunnels:
        return False
    if after.cavities < before.cavities:
        return True
    # Closed at edges and corners, and open only where surface must touch at faces, as the search
    # and the score count; a speck of a patch closes such holes by the dozen.
    if np.count_nonzero(patch) < getattr(place, "size", 0) / 4:
        return False
    by_faces, then = (compute_betti_numbers(one.astype(np.uint8)) for one in (mask, mask | patch))
    return then.b0 <= by_faces.b0 and then.b1 < by_faces.b1 and then.b2 <= by_faces.b2


def _joins_ends(mask: NDArray[np.bool_], patch: NDArray[np.bool_]) -> bool:
    """Whether a patch joins two ends that go on in each other, rather than two stacked sheets."""
    ends = _find_ends(mask, patch)
    # A stacked sheet that the patch touches, too, is no end.
    return len(ends) > 1 and all(
        _goes_on(one, other) for one, other in itertools.permutations(ends, 2)
    )


def _goes_further(mask: NDArray[np.bool_], patch: NDArray[np.bool_]) -> bool:
    """Whether a patch continues one sheet, along it, and touches no other."""
    ends = _find_ends(mask, patch)
    is_enough = int(np.count_nonzero(patch)) >= LEAST_ADDED
    return is_enough and len(ends) == 1 and _goes_on(ends[0], np.argwhere(patch))


def _find_ends(mask: NDArray[np.bool_], patch: NDArray[np.bool_]) -> list[NDArray[Any]]:
    """Find the voxels of each piece that a patch touches, as pieces hang together around it."""
    (part,) = ndimage.find_objects(patch.astype(np.uint8))
    box = from_ranges([(cut.start, cut.stop) for cut in part])
    cut = box_slices(grow_box(box, 4, whole_box(mask.shape)))
    pieces, _ = ndimage.label(mask[cut], CORNERS)
    touching = ndimage.binary_dilation(patch[cut], CORNERS) & mask[cut]
    sizes = np.bincount(pieces[touching], minlength=1)
    start = [first.start for first in cut]
    return [
        np.argwhere(pieces == one) + start for one in np.flatnonzero(sizes >= MIN_TOUCHING) if one
    ]


def _goes_on(sheet: NDArray[Any], other: NDArray[Any]) -> bool:
    """Whether the way from a sheet's middle to another piece lies along the sheet."""
    centered = sheet - sheet.mean(axis=0)
    _, vectors = np.linalg.eigh(centered.T @ centered)
    way = other.mean(axis=0) - sheet.mean(axis=0)
    length = float(np.linalg.norm(way))
    return length > 0 and abs(float(way @ vectors[:, 0])) <= MAX_STEEPNESS * length
