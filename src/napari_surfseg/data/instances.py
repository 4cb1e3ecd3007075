"""Instance labels: each value is an object, and the surface is where two of them meet.

The boundaries are made as they are read, with so much around each box that two boxes
read side by side hold what one large box would.
"""

from __future__ import annotations

import itertools
import math
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_surfseg.config import Labels
from napari_surfseg.data.kernels import mark_boundaries
from napari_surfseg.data.labels import (
    BACKGROUND,
    FOREGROUND,
    IGNORE,
    classify_labels,
    require_label_dtype,
)
from napari_surfseg.data.volume import DerivedVolume
from napari_surfseg.geometry import box_slices, grow_box, to_index

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from napari_surfseg.data.stored_chunks import StoredChunks
    from napari_surfseg.data.volume import Volume, VoxelArray
    from napari_surfseg.geometry import Box, Index3, Spacing3

__all__ = ["MADE_BOUNDARIES", "BoundaryVolume", "compute_boundaries", "read_meanings"]

#: What the values of a :class:`BoundaryVolume` mean.
MADE_BOUNDARIES = Labels(foreground=(FOREGROUND,), background=(BACKGROUND,), ignore=(IGNORE,))


class BoundaryVolume(DerivedVolume):
    """The boundaries between the instances of labels: 0 beside, 1 on, 2 not annotated.

    Parameters
    ----------
    labels : Volume
        Whole numbers, each an instance.
    mapping : Labels
        Thickness, and the values that are no instance: walls and what is not annotated.
    spacing : tuple of float, optional
        Voxel size; by default the labels'.

    Raises
    ------
    LabelError
        If the labels are not whole numbers.
    """

    def __init__(self, labels: Volume, mapping: Labels, spacing: Spacing3 | None = None) -> None:
        require_label_dtype(labels.dtype, labels.source)
        super().__init__(labels, dtype=np.uint8)
        spacing = spacing or labels.spacing
        self.key = ("boundaries", labels.key, mapping, spacing)
        self._labels = labels
        self._mapping = mapping
        self._offsets = find_offsets(mapping.thickness, spacing)
        self._halo = to_index(np.abs(self._offsets).max(axis=0))

    def stored_chunks(self, box: Box | None = None) -> StoredChunks | None:
        """List the chunks that are stored of the labels, and their neighbours."""
        around = None if box is None else grow_box(box, self._halo, self._labels.box)
        found = self._labels.stored_chunks(around)
        if found is None or any(a > b for a, b in zip(self._halo, found.chunk, strict=True)):
            return None
        # Among nothing but one value there is no boundary.
        value = np.array([found.fill]).astype(self._labels.dtype)
        meaning = int(classify_labels(value, self._mapping)[0])
        return found.grown(meaning if meaning in (FOREGROUND, IGNORE) else BACKGROUND)

    def _read_box(self, start: Index3, stop: Index3) -> VoxelArray:
        seen = grow_box((start, stop), self._halo, self._labels.box)
        made = _mark(self._labels.read(*seen), self._mapping, self._offsets)
        return made[box_slices((start, stop), seen[0])]


def read_meanings(labels: Volume, mapping: Labels, spacing: Spacing3) -> tuple[Volume, Labels]:
    """Give labels as a run uses them, and what their values mean then.

    Parameters
    ----------
    labels : Volume
        As stored.
    mapping : Labels
        As set; where it says that values are instances, their boundaries are given.
    spacing : tuple of float
        Voxel size, the image's: labels often do not say theirs.
    """
    if mapping.instances is None:
        return labels, mapping
    return BoundaryVolume(labels, mapping, spacing), MADE_BOUNDARIES


def compute_boundaries(
    values: VoxelArray, mapping: Labels, spacing: Spacing3 = (1.0, 1.0, 1.0)
) -> NDArray[np.uint8]:
    """Find where two instances meet.

    Parameters
    ----------
    values : numpy.ndarray
        Shape (Z, Y, X), whole numbers.
    mapping : Labels
        ``thickness``: so many voxels of the finest axis are surface across a boundary, half
        of them on each side. ``foreground``: walls, surface as they are. ``ignore``: not
        annotated, and so is what lies beside it, where a boundary would reach.
    spacing : tuple of float
        Voxel size; along a coarse axis the nearest voxels are always looked at.

    Returns
    -------
    numpy.ndarray
        uint8, the same shape: 0, 1 and 2 (not annotated).
    """
    return _mark(values, mapping, find_offsets(mapping.thickness, spacing))


def find_offsets(thickness: int, spacing: Spacing3) -> NDArray[np.int64]:
    """Find the neighbours of a voxel among which another instance makes it boundary.

    They fill half a ball on each side of every axis, so that a flat boundary is
    ``thickness`` voxels thick, whichever way it lies.

    Returns
    -------
    numpy.ndarray
        Shape (n, 3), nearest first: most voxels at a boundary are settled by the first few.
    """
    below, above = thickness // 2, thickness - thickness // 2
    steps = [size / min(spacing) for size in spacing]
    reach = [max(1, int(above / step + 1e-9)) for step in steps]
    found: list[tuple[float, tuple[int, ...]]] = []
    for offset in itertools.product(*(range(-far, far + 1) for far in reach)):
        num_moved = sum(part != 0 for part in offset)
        if not num_moved or any(part < 0 and not below for part in offset):
            continue
        radii = [above if part > 0 else max(below, 1) for part in offset]
        distance = math.hypot(
            *(part * step / radius for part, step, radius in zip(offset, steps, radii, strict=True))
        )
        is_neighbour = num_moved == 1 and sum(map(abs, offset)) == 1
        if distance <= 1 + 1e-9 or is_neighbour:
            found.append((distance, offset))
    return np.array([offset for _, offset in sorted(found)], np.int64)


def _mark(values: VoxelArray, mapping: Labels, offsets: NDArray[np.int64]) -> NDArray[Any]:
    """Mark the boundaries in an array, as if nothing lay around it."""
    classes = classify_labels(values, mapping)
    return mark_boundaries(np.ascontiguousarray(values), classes, offsets)
