"""One mend as a record: the voxels of a box before and after, and how they get into a volume."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, Protocol, get_args

import numpy as np
from scipy import ndimage

from napari_surfseg.errors import DataError
from napari_surfseg.geometry import (
    box_at,
    box_slices,
    clip_box,
    contains_box,
    grow_box,
    shift_box,
    to_index,
    whole_box,
)

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from napari_surfseg.geometry import Box, Index3

__all__ = [
    "MEND_KINDS",
    "Crop",
    "Edit",
    "MendKind",
    "Place",
    "apply_edit",
    "cut_edit",
    "cut_out",
    "make_edit",
    "revert_edit",
]

MendKind = Literal[
    "remove piece", "fill hole", "cut bridge", "join ends", "follow labels", "mark unsure"
]
#: Every kind of mend, in the order in which they are offered.
MEND_KINDS: tuple[MendKind, ...] = get_args(MendKind)
#: A place wider than this (voxels) is mended about its location: all that is read stays small.
LARGEST_PLACE = 128


class Place(Protocol):
    """Where a mend is wanted: a topology error, a doubtful place, or what has the same fields."""

    @property
    def location(self) -> Index3:
        """Voxel to look at, (Z, Y, X) in the whole volume."""

    @property
    def start(self) -> Index3:
        """First corner of the box around what is wrong."""

    @property
    def stop(self) -> Index3:
        """One past its last voxel."""


@dataclass(frozen=True, eq=False)
class Edit:
    """Voxels that a mend changes.

    Attributes
    ----------
    kind : str
        One of `MEND_KINDS`.
    location : tuple of int
        Of the place that is mended, (Z, Y, X) in the whole volume.
    start : tuple of int
        First voxel of the box; the smallest that holds every change.
    before, after : array
        Values of the box, of the volume's type. Of "mark unsure" they are no values of the
        volume, which stays as it is, but say of each voxel whether it is unsure.
    """

    kind: MendKind
    location: Index3
    start: Index3
    before: NDArray[Any]
    after: NDArray[Any]

    @property
    def box(self) -> Box:
        """The box, half open."""
        return box_at(self.start, self.before.shape)

    @property
    def changed(self) -> NDArray[np.bool_]:
        """Which voxels of the box change."""
        return np.asarray(self.before != self.after)

    @property
    def num_changed(self) -> int:
        """How many of them."""
        return int(np.count_nonzero(self.changed))


@dataclass(frozen=True, eq=False)
class Crop:
    """The part of a volume that a mend looks at.

    Attributes
    ----------
    start : tuple of int
        Its first voxel in the volume.
    values : array
        A copy; not 0 is surface.
    mask : bool array
        The surface.
    at : tuple of int
        The place's location, counted from the start.
    core : Box
        The place's box, counted from the start.
    """

    start: Index3
    values: NDArray[Any]
    mask: NDArray[np.bool_]
    at: Index3
    core: Box

    @property
    def box(self) -> Box:
        """The box of the crop in the volume."""
        return box_at(self.start, self.mask.shape)

    @property
    def location(self) -> Index3:
        """The place's location in the volume."""
        return shift_box(whole_box(self.at), self.start)[1]

    @property
    def bounds(self) -> Box:
        """The box of the whole crop, counted from its start."""
        return whole_box(self.mask.shape)

    def near(self, margin: int) -> NDArray[np.bool_]:
        """Which voxels lie in the place's box, grown by a margin."""
        inside = np.zeros(self.mask.shape, bool)
        inside[box_slices(grow_box(self.core, margin, self.bounds))] = True
        return inside

    def distances(self) -> NDArray[np.float64]:
        """Distance of each voxel from the location."""
        squares = [
            (np.arange(size) - at) ** 2 for size, at in zip(self.mask.shape, self.at, strict=True)
        ]
        return np.sqrt(sum(np.ix_(*squares), np.zeros(())))


def cut_out(values: Any, place: Place, margin: int) -> Crop:
    """Read the part of a volume around a place.

    Parameters
    ----------
    values : array-like (Z, Y, X)
        Anything that is cut with slices; only the box is read.
    place : Place
        Where.
    margin : int
        Voxels around the place's box.

    Raises
    ------
    DataError
        If the place lies outside the volume.
    """
    bounds = whole_box(values.shape)
    one = box_at(place.location, (1, 1, 1))
    if not contains_box(bounds, one):
        size = " × ".join(map(str, values.shape))
        raise DataError(f"There is no voxel {place.location} in a volume of {size} voxels.")
    near = grow_box(one, LARGEST_PLACE // 2, bounds)
    core = clip_box((place.start, place.stop), near)
    # Also where the box does not hold the location: all work is around both.
    core = tuple(  # type: ignore[assignment]
        to_index(choose(pair) for pair in zip(*corners, strict=True))
        for choose, corners in ((min, (core[0], one[0])), (max, (core[1], one[1])))
    )
    box = grow_box(core, margin, bounds)
    found = np.array(values[box_slices(box)])
    away = to_index(-a for a in box[0])
    return Crop(
        start=box[0],
        values=found,
        mask=found != 0,
        at=shift_box(one, away)[0],
        core=shift_box(core, away),
    )


def make_edit(
    kind: MendKind, crop: Crop, place: Place, changed: NDArray[np.bool_], *, surface: bool
) -> Edit:
    """Make the edit that gives some voxels of a crop to the surface, or takes them from it.

    Parameters
    ----------
    kind : str
        Of the mend.
    crop : Crop
        As it is.
    place : Place
        What is mended.
    changed : bool array
        Which voxels of the crop change; at least one.
    surface : bool
        Whether they become surface: each then has the value of the nearest voxel of the pieces
        they touch, so that a sheet's label goes on. Otherwise they become 0.
    """
    after = crop.values.copy()
    after[changed] = _continue_labels(crop, changed) if surface else 0
    return cut_edit(kind, place, crop, crop.values, after)


def cut_edit(
    kind: MendKind, place: Place, crop: Crop, before: NDArray[Any], after: NDArray[Any]
) -> Edit:
    """Make the edit of what differs between two arrays of a crop's shape; something must."""
    (part,) = ndimage.find_objects((before != after).astype(np.uint8))
    start = to_index(a + cut.start for a, cut in zip(crop.start, part, strict=True))
    return Edit(kind, place.location, start, before[part].copy(), after[part].copy())


def _continue_labels(crop: Crop, changed: NDArray[np.bool_]) -> NDArray[Any]:
    """Return the value of each changed voxel; 1 where they touch nothing."""
    beside = ndimage.binary_dilation(changed, np.ones((3, 3, 3), bool)) & crop.mask
    if not beside.any():
        return np.ones(int(np.count_nonzero(changed)), crop.values.dtype)
    known = crop.mask & np.isin(crop.values, np.unique(crop.values[beside]))
    nearest = ndimage.distance_transform_edt(~known, return_distances=False, return_indices=True)
    return np.asarray(crop.values[tuple(axis[changed] for axis in nearest)])


def apply_edit(values: Any, edit: Edit) -> None:
    """Write an edit into an array; only what changes, so that what was painted since stays."""
    _write(values, edit, edit.after)


def revert_edit(values: Any, edit: Edit) -> None:
    """Write back what was there before an edit."""
    _write(values, edit, edit.before)


def _write(values: Any, edit: Edit, wanted: NDArray[Any]) -> None:
    cut = box_slices(edit.box)
    found = np.array(values[cut])
    found[edit.changed] = wanted[edit.changed]
    values[cut] = found
