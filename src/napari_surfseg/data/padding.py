"""Reading beyond the borders of a volume, or of a part of it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

import numpy as np

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
    low, high = bounds or volume.box
    if out is None:
        shape = tuple(max(0, b - a) for a, b in zip(start, stop, strict=True))
        out = np.empty(shape, dtype=volume.dtype)
    if all(a >= lo and b <= hi for a, b, lo, hi in zip(start, stop, low, high, strict=True)):
        volume.read_into(out, start, stop)
        return out
    if mode == "constant":
        out[...] = value
        first = _index3(np.clip(start, low, high))
        last = _index3(np.clip(stop, low, high))
        if all(b > a for a, b in zip(first, last, strict=True)):
            place = _slices(_index3(np.subtract(first, start)), _index3(np.subtract(last, start)))
            volume.read_into(out[place], first, last)
        return out
    index = [
        _folded_index(a, b, lo, hi, mode)
        for a, b, lo, hi in zip(start, stop, low, high, strict=True)
    ]
    first = _index3(axis.min() for axis in index)
    last = _index3(axis.max() + 1 for axis in index)
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


def _index3(values: Any) -> Index3:
    z, y, x = (int(value) for value in values)
    return z, y, x


def _slices(start: Index3, stop: Index3) -> tuple[slice, slice, slice]:
    return slice(start[0], stop[0]), slice(start[1], stop[1]), slice(start[2], stop[2])
