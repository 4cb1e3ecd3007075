"""Reading beyond the borders of a volume, or of a part of it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

import numpy as np

from napari_surfseg.geometry import (
    box_shape,
    box_slices,
    contains_box,
    intersect_boxes,
    to_index,
)

if TYPE_CHECKING:
    from napari_surfseg.data.volume import Volume, VoxelArray
    from napari_surfseg.geometry import Box, Index3

__all__ = ["read_padded"]


def read_padded(
    volume: Volume,
    start: Index3,
    stop: Index3,
    mode: Literal["reflect", "edge", "constant"] = "reflect",
    *,
    value: float = 0,
    bounds: Box | None = None,
    out: VoxelArray | None = None,
) -> VoxelArray:
    """Read a box that may reach beyond the volume.

    Parameters
    ----------
    volume : Volume
        Also a cached one (:meth:`VolumeCache.view <napari_surfseg.data.cache.VolumeCache.view>`).
    start, stop : tuple of int
        Corners in voxels, ZYX, half open; anything, also wholly outside.
    mode : str
        ``reflect`` mirrors at the border voxels' centres (as often as needed),
        ``edge`` repeats the border, ``constant`` fills with ``value``.
    value : float
        Filling of ``constant``.
    bounds : (start, stop), optional
        Take this box for the volume: nothing outside it is read.
    out : numpy.ndarray, optional
        Written and returned, instead of a new array.

    Returns
    -------
    numpy.ndarray
        Shape ``stop - start``, of the volume's dtype.
    """
    bounds = bounds or volume.box
    if out is None:
        out = np.empty(box_shape((start, stop)), dtype=volume.dtype)
    if contains_box(bounds, (start, stop)):
        volume.read_into(out, start, stop)
        return out
    if mode == "constant":
        out[...] = value
        inside = intersect_boxes((start, stop), bounds)
        if inside is not None:
            volume.read_into(out[box_slices(inside, start)], *inside)
        return out
    index = [
        _folded_index(a, b, lo, hi, mode) for a, b, lo, hi in zip(start, stop, *bounds, strict=True)
    ]
    first = to_index(axis.min() for axis in index)
    last = to_index(axis.max() + 1 for axis in index)
    inner = volume.read(first, last)
    for axis, places in enumerate(index):
        if places.size != inner.shape[axis] or np.any(np.diff(places) != 1):
            inner = inner.take(places - first[axis], axis=axis)
    out[...] = inner
    return out


def _folded_index(start: int, stop: int, low: int, high: int, mode: str) -> VoxelArray:
    """Voxel inside ``[low, high)`` that stands for each of ``[start, stop)``."""
    places = np.arange(start, stop) - low
    last = high - low - 1
    if mode == "edge" or last == 0:
        return np.clip(places, 0, last) + low
    places = np.abs(places) % (2 * last)  # a triangle wave of period 2 * last
    return np.minimum(places, 2 * last - places) + low
