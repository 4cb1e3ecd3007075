"""Volumes as the network sees them: an image in uint8, labels in 0, 1 and 2.

Both are volumes again, so they are cached after the translation: a cached
chunk costs one byte a voxel and is ready to be cut into patches.
"""

from __future__ import annotations

import math
from collections import Counter
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_surfseg.data.labels import IGNORE, UNKNOWN, classify_labels, map_labels
from napari_surfseg.data.volume import DerivedVolume
from napari_surfseg.geometry import box_slices, boxes_overlap

if TYPE_CHECKING:
    from collections.abc import Sequence

    from napari_surfseg.config import Labels
    from napari_surfseg.data.stored_chunks import StoredChunks
    from napari_surfseg.data.volume import Volume, VoxelArray
    from napari_surfseg.geometry import Box, Index3
    from napari_surfseg.model.grey_values import GreyFit
    from napari_surfseg.model.intensity import Intensity

__all__ = ["HeldOutVolume", "RescaledVolume", "TargetVolume", "UInt8Volume", "is_void"]


class UInt8Volume(DerivedVolume):
    """An image whose grey values are translated to uint8 as they are read."""

    _is_voxelwise = True

    def __init__(self, image: Volume, intensity: Intensity) -> None:
        super().__init__(image, dtype=np.uint8)
        # Two translations of one image by the same numbers share their cached chunks.
        self.key = ("uint8", image.key, intensity)
        self._image = image
        self._intensity = intensity

    def _read_box(self, start: Index3, stop: Index3) -> VoxelArray:
        return self._intensity.to_uint8(self._image.read(start, stop))


class RescaledVolume(DerivedVolume):
    """An image whose grey values are brought to those of another of a run, of its type.

    Parameters
    ----------
    image : Volume
        As stored.
    fit : GreyFit
        What is multiplied and added.
    dtype : numpy.dtype
        Of the other; values beyond its range are clipped.
    void_value : float, optional
        Value that means "outside the scan" and stays as it is.
    """

    _is_voxelwise = True

    def __init__(
        self,
        image: Volume,
        fit: GreyFit,
        dtype: np.dtype[Any],
        *,
        void_value: float | None = None,
    ) -> None:
        super().__init__(image, dtype=dtype)
        self.key = ("rescaled", image.key, fit.scale, fit.offset, str(dtype), void_value)
        self._image = image
        self._fit = fit
        self._void_value = void_value

    def _read_box(self, start: Index3, stop: Index3) -> VoxelArray:
        values = self._image.read(start, stop)
        scaled = values * self._fit.scale + self._fit.offset
        if self.dtype.kind != "f":
            limits = np.iinfo(self.dtype)
            # NaN is found by the checks, which see the image as it is stored.
            scaled = np.clip(np.rint(np.nan_to_num(scaled)), limits.min, limits.max)
        made = scaled.astype(self.dtype)
        if self._void_value is not None and np.isfinite(self._void_value):
            made[values == self._void_value] = self._void_value
        return made


class TargetVolume(DerivedVolume):
    """Labels translated to 0 background, 1 surface and 2 ignore as they are read.

    Parameters
    ----------
    labels : Volume
        Whole numbers.
    mapping : Labels
        What they mean.
    image : Volume, optional
        Where it holds ``void_value`` the labels are ignored.
    void_value : float, optional
        Image value that means "outside the scan".
    ignores_unknown : bool
        Whether a value without a meaning is not annotated instead of an error: for labels of
        which not all was looked at before.
    """

    _is_voxelwise = True

    def __init__(
        self,
        labels: Volume,
        mapping: Labels,
        *,
        image: Volume | None = None,
        void_value: float | None = None,
        ignores_unknown: bool = False,
    ) -> None:
        super().__init__(labels, dtype=np.uint8)
        self.key = (
            "targets",
            labels.key,
            mapping,
            image.key if image is not None else None,
            void_value,
        )
        self._labels = labels
        self._mapping = mapping
        self._image = image
        self._void_value = void_value
        self._ignores_unknown = ignores_unknown
        #: Values without a meaning that were met, and how often.
        self.unknown: Counter[int] = Counter()

    def _read_box(self, start: Index3, stop: Index3) -> VoxelArray:
        values = self._labels.read(start, stop)
        if self._ignores_unknown:
            targets = classify_labels(values, self._mapping)
            unknown = targets == UNKNOWN
            if unknown.any():
                targets[unknown] = IGNORE
                found, counts = np.unique(values[unknown], return_counts=True)
                for value, count in zip(found.tolist(), counts.tolist(), strict=True):
                    self.unknown[value] += count
        else:
            targets = map_labels(values, self._mapping, source=self.source)
        if self._image is not None and self._void_value is not None:
            targets[is_void(self._image.read(start, stop), self._void_value)] = IGNORE
        return targets


class HeldOutVolume(DerivedVolume):
    """Labels that are not annotated in some boxes, which are kept for validation.

    Parameters
    ----------
    labels : Volume
        Whole numbers.
    boxes : sequence of (start, stop)
        What is kept.
    ignore : int
        A value that means not annotated.
    """

    def __init__(self, labels: Volume, boxes: Sequence[Box], ignore: int) -> None:
        super().__init__(labels)
        self.key = ("held out", labels.key, tuple(boxes), ignore)
        self._labels = labels
        self._boxes = tuple(boxes)
        self._ignore = ignore

    def stored_chunks(self, box: Box | None = None) -> StoredChunks | None:
        """List the chunks that are stored of the labels, and those under the boxes."""
        found = self._labels.stored_chunks(box)
        return None if found is None else found.joined(self._boxes)

    def _read_box(self, start: Index3, stop: Index3) -> VoxelArray:
        values = self._labels.read(start, stop)
        is_own = False
        for box in self._boxes:
            if not boxes_overlap(box, (start, stop)):
                continue
            if not is_own:  # another reader may hold the same array
                values, is_own = values.copy(), True
            values[box_slices(box, start)] = self._ignore
        return values


def is_void(image: VoxelArray, void_value: float) -> VoxelArray:
    """Where an image holds its void value, which may be NaN."""
    if math.isnan(void_value):
        return np.isnan(image) if image.dtype.kind == "f" else np.zeros(image.shape, bool)
    return np.asarray(image == void_value)
