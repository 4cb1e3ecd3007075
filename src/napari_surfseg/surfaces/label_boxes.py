"""Where the values of labels lie, found block by block in a volume of any size."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from scipy import ndimage

from napari_surfseg.geometry import box_slices, to_index

if TYPE_CHECKING:
    from collections.abc import Iterable
    from typing import Any

    from numpy.typing import NDArray

    from napari_surfseg.geometry import Box
    from napari_surfseg.surfaces.voxel_stores import VoxelReader

__all__ = ["LabelPlace", "RenumberedLabels", "find_label_places"]


@dataclass(frozen=True)
class LabelPlace:
    """The voxels of one value.

    Attributes
    ----------
    value : int
        Not 0.
    voxels : int
        Their number.
    box : (start, stop)
        Around them.
    """

    value: int
    voxels: int
    box: Box


def find_label_places(labels: VoxelReader, blocks: Iterable[Box]) -> list[LabelPlace]:
    """Find the box around each value's voxels, and their number.

    Parameters
    ----------
    labels : array-like
        Whole numbers, read by slices; 0 is none.
    blocks : iterable of (start, stop)
        That cover it.

    Returns
    -------
    list of LabelPlace
        By value. In memory is a row for each value, whatever the volume.
    """
    counts: dict[int, int] = {}
    corners: dict[int, NDArray[np.int64]] = {}
    for block in blocks:
        part = np.asarray(labels[box_slices(block)])
        values, where, sizes = np.unique(part, return_inverse=True, return_counts=True)
        numbered = where.reshape(part.shape).astype(np.int32) + 1
        start = np.asarray(block[0])
        for value, size, place in zip(
            values.tolist(), sizes.tolist(), ndimage.find_objects(numbered), strict=True
        ):
            if not value:
                continue
            low = start + [s.start for s in place]
            high = start + [s.stop for s in place]
            if value in corners:
                before = corners[value]
                low, high = np.minimum(before[0], low), np.maximum(before[1], high)
            corners[value] = np.stack([low, high])
            counts[value] = counts.get(value, 0) + size
    return [
        LabelPlace(value, counts[value], (to_index(corners[value][0]), to_index(corners[value][1])))
        for value in sorted(counts)
    ]


class RenumberedLabels:
    """Labels of which some values are read as 1, 2, ... and all others as 0.

    Parameters
    ----------
    labels : array-like
        Read by slices.
    values : list of int
        Those that are kept, ascending.
    """

    def __init__(self, labels: VoxelReader, values: list[int]) -> None:
        self._labels = labels
        self._values = np.asarray(values, np.asarray(labels[:1, :1, :1]).dtype)
        self.shape = labels.shape
        self.dtype = np.dtype(np.int32)

    def __getitem__(self, key: Any) -> NDArray[np.int32]:
        part = np.asarray(self._labels[key])
        if not len(self._values):
            return np.zeros(part.shape, np.int32)
        places = np.searchsorted(self._values, part)
        found = self._values[np.minimum(places, len(self._values) - 1)] == part
        return np.where(found, places + 1, 0).astype(np.int32)
