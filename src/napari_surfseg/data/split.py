"""The slab of a training volume that is kept for validation.

::

    longest axis  ├──────────── train ────────────┤ gap ├─ validation ─┤

Both parts must hold surface and background to learn from or to score. Where
the slab at the end does not, the other end and then the other axes are tried.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from napari_surfseg.data.volume import Box, Index3, VoxelArray

__all__ = ["Split", "find_gap", "split_box"]

DEFAULT_GAP = 8
#: A part is preferred that holds at least this share of the surface its size would suggest.
FAIR_SHARE = 0.1


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


def split_box(
    box: Box, planes: Sequence[VoxelArray], *, fraction: float, gap: int | None = None
) -> Split | None:
    """Choose the slab.

    Parameters
    ----------
    box : (start, stop)
        The part of the volume in use.
    planes : sequence of numpy.ndarray
        For each axis, shape (2, extent): background and surface voxels by plane.
    fraction : float
        Share of the axis that validation takes.
    gap : int, optional
        Voxels between the parts; by default :func:`find_gap`.

    Returns
    -------
    Split or None
        None where no slab leaves surface and background on both sides.
    """
    extent = [b - a for a, b in zip(*box, strict=True)]
    axes = sorted(range(3), key=lambda axis: -extent[axis])
    for fair in (FAIR_SHARE, 0.0):
        for axis in axes:
            for at_end in (True, False):
                split = _cut(box, axis, at_end, fraction, gap)
                if split is not None and _is_usable(split, box, planes[axis], fair):
                    return split
    return None


def _cut(box: Box, axis: int, at_end: bool, fraction: float, gap: int | None) -> Split | None:
    low, high = box[0][axis], box[1][axis]
    extent = high - low
    between = find_gap(extent) if gap is None else gap
    kept = max(1, round(fraction * extent))
    if extent - kept - between < 1:
        return None
    if at_end:
        train, validation = (low, high - kept - between), (high - kept, high)
    else:
        train, validation = (low + kept + between, high), (low, low + kept)
    return Split(_with(box, axis, train), _with(box, axis, validation), axis, at_end, between)


def _with(box: Box, axis: int, span: tuple[int, int]) -> Box:
    start, stop = list(box[0]), list(box[1])
    start[axis], stop[axis] = span
    return _index3(start), _index3(stop)


def _index3(values: list[int]) -> Index3:
    return values[0], values[1], values[2]


def _is_usable(split: Split, box: Box, planes: VoxelArray, fair: float) -> bool:
    low, extent = box[0][split.axis], planes.shape[1]
    for part in (split.train, split.validation):
        start, stop = part[0][split.axis] - low, part[1][split.axis] - low
        counts = planes[:, start:stop].sum(axis=1)
        expected = planes.sum(axis=1) * (stop - start) / extent
        if any(
            count < max(1, fair * wanted) for count, wanted in zip(counts, expected, strict=True)
        ):
            return False
    return True
