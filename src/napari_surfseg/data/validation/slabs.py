"""The slabs of a training volume that could be kept for validation.

::

    one axis  ├──────────── train ────────────┤ gap ├─ validation ─┤

There are six, one at each end of every axis. Both parts must hold surface and background,
to learn from or to score. Which of them is taken, :mod:`napari_surfseg.data.validation.part` says.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from napari_surfseg.geometry import box_shape, replace_extent

if TYPE_CHECKING:
    from collections.abc import Sequence

    from napari_surfseg.data.volume import VoxelArray
    from napari_surfseg.geometry import Box

__all__ = ["Split", "find_gap", "list_slabs"]

DEFAULT_GAP = 8
#: Slabs are preferred that hold at least this share of the surface and background that their
#: size would suggest, and leave the training at least that share of its own.
FAIR_SHARE, FAIR_TRAIN_SHARE = 0.1, 0.5


@dataclass(frozen=True)
class Split:
    """Two boxes of one volume.

    Attributes
    ----------
    train, validation : (start, stop)
        The two parts.
    axis : int
        Along which they are cut.
    at_end : bool
        Whether validation lies at the axis's end.
    gap : int
        Voxels between them.
    """

    train: Box
    validation: Box
    axis: int
    at_end: bool
    gap: int


def find_gap(extent: int) -> int:
    """Gap used where none is set: 8 voxels, less along an axis shorter than 128."""
    return min(DEFAULT_GAP, extent // 16)


def list_slabs(
    box: Box, planes: Sequence[VoxelArray], *, fraction: float, gap: int | None = None
) -> list[Split]:
    """List the slabs that leave surface and background on both sides.

    Parameters
    ----------
    box : (start, stop)
        The part of the volume in use.
    planes : sequence of numpy.ndarray
        For each axis, shape (2, extent): background and surface voxels by plane.
    fraction : float
        Share of the annotated extent of the axis that validation takes.
    gap : int, optional
        Voxels between the parts; by default :func:`find_gap`.

    Returns
    -------
    list of Split
        The longest axis first, its end before its beginning. Those that hold little for
        their size are left out, unless there is no other.
    """
    extent = box_shape(box)
    axes = sorted(range(3), key=lambda axis: -extent[axis])
    for fair in ((FAIR_TRAIN_SHARE, FAIR_SHARE), (0.0, 0.0)):
        found = []
        for axis in axes:
            annotated = np.flatnonzero(planes[axis].sum(axis=0))
            if not len(annotated):
                return []
            span = int(annotated[0]), int(annotated[-1]) + 1
            for at_end in (True, False):
                split = _cut(box, axis, at_end, span, fraction, gap)
                if split is not None and _is_usable(split, box, planes[axis], span, fair):
                    found.append(split)
        if found:
            return found
    return []


def _cut(
    box: Box, axis: int, at_end: bool, span: tuple[int, int], fraction: float, gap: int | None
) -> Split | None:
    """Cut so that validation takes its share of what is annotated, and what lies beyond."""
    low, high = box[0][axis], box[1][axis]
    first, last = low + span[0], low + span[1]
    between = find_gap(high - low) if gap is None else gap
    kept = max(1, round(fraction * (last - first)))
    if last - first - kept - between < 1:
        return None
    if at_end:
        train, validation = (low, last - kept - between), (last - kept, high)
    else:
        train, validation = (first + kept + between, high), (low, first + kept)
    return Split(
        replace_extent(box, axis, *train),
        replace_extent(box, axis, *validation),
        axis,
        at_end,
        between,
    )


def _is_usable(
    split: Split,
    box: Box,
    planes: VoxelArray,
    span: tuple[int, int],
    fair: tuple[float, float],
) -> bool:
    low, extent = box[0][split.axis], span[1] - span[0]
    for part, share in zip((split.train, split.validation), fair, strict=True):
        start, stop = part[0][split.axis] - low, part[1][split.axis] - low
        counts = planes[:, start:stop].sum(axis=1)
        size = min(stop, span[1]) - max(start, span[0])
        expected = planes.sum(axis=1) * size / extent
        if any(
            count < max(1, share * wanted) for count, wanted in zip(counts, expected, strict=True)
        ):
            return False
    return True
