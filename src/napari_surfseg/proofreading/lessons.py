"""What a decided place teaches: labels of the few voxels that a person has looked at."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from napari_surfseg.geometry import (
    box_at,
    box_slices,
    clip_box,
    count_voxels,
    grow_box,
    intersect_boxes,
    to_index,
    whole_box,
)

if TYPE_CHECKING:
    from collections.abc import Iterable

    from numpy.typing import NDArray

    from napari_surfseg.geometry import Box, Index3
    from napari_surfseg.proofreading.record import Decision

__all__ = ["BACKGROUND", "NO_LABEL", "SURFACE", "Lesson", "build_lesson"]

#: Values of a lesson, those of painted strokes.
NO_LABEL, SURFACE, BACKGROUND = 0, 1, 2
#: Around a place so many voxels are taken for seen, and around its location at most so many.
MARGIN = 4
MOST_SEEN = 32


class Lesson(NamedTuple):
    """Labels of a box.

    Attributes
    ----------
    start : tuple of int
        First voxel, (Z, Y, X).
    values : uint8 array
        `SURFACE`, `BACKGROUND` or `NO_LABEL`.
    """

    start: Index3
    values: NDArray[np.uint8]


def build_lesson(
    surface: Any, decision: Decision, *, unsure: Any = None, undecided: Iterable[Box] = ()
) -> Lesson | None:
    """Make labels of what a person decided at a place.

    Parameters
    ----------
    surface : array-like (Z, Y, X)
        As it is now; not 0 is surface.
    decision : Decision
        A place that is right, or was mended: it is labelled with some voxels around it. One that
        nobody can decide has no label.
    unsure : array-like, optional
        Not 0 where nobody can say; never labelled.
    undecided : iterable of boxes
        Of places that are still open: they are not labelled by a decision beside them.

    Returns
    -------
    Lesson or None
        None where nothing of it lies in the volume.
    """
    box = find_seen(decision, whole_box(surface.shape))
    if not count_voxels(box):
        return None
    inside = np.asarray(surface[box_slices(box)]) != 0
    values = np.where(inside, SURFACE, BACKGROUND).astype(np.uint8)
    own = _own_box(decision)
    for other in undecided:
        shared = intersect_boxes(other, box)
        if shared is None:
            continue
        open_ = np.zeros(values.shape, bool)
        open_[box_slices(shared, box[0])] = True
        open_[box_slices(own, box[0])] = False
        values[open_] = NO_LABEL
    if unsure is not None:
        values[np.asarray(unsure[box_slices(box)]) != 0] = NO_LABEL
    if decision.is_unsure:
        values[:] = NO_LABEL
    return Lesson(box[0], values)


def find_seen(decision: Decision, bounds: Box) -> Box:
    """Return the box of what a person looked at to decide."""
    near = grow_box(box_at(decision.place.location, (1, 1, 1)), MOST_SEEN)
    return clip_box(clip_box(grow_box(_own_box(decision), MARGIN), near), bounds)


def _own_box(decision: Decision) -> Box:
    """Return the box of a place and of its mend."""
    start, stop = decision.place.box
    if decision.edit is not None:
        first, last = decision.edit.box
        start = to_index(map(min, start, first))
        stop = to_index(map(max, stop, last))
    return start, stop
