"""OME-Zarr with a pyramid: the array in shards, and coarser levels made of finished ones.

Each level halves every axis that is still long. A coarser voxel of probabilities is the mean of
those it covers, one of a mask or of labels the value of most of them; where they are as many, the
greatest of these, so rather surface than none.
Regions that were never written are not read and not written.
"""

from __future__ import annotations

import itertools
import math
from typing import TYPE_CHECKING, Any

import numpy as np
import zarr

from napari_surfseg.geometry import box_shape, box_slices, iterate_blocks, to_index, whole_box

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from numpy.typing import DTypeLike, NDArray

    from napari_surfseg.geometry import Index3, Size3, Slices3

__all__ = ["SHARD", "TurnedArray", "create_array", "fill_level", "plan_levels"]

#: Voxels of a file, which is what is written at once (``postprocess_blocks.BLOCK_SHAPE``), and of
#: a chunk within it, which is what a viewer reads at least. OME-Zarr 0.4 has no shards, and
#: larger chunks instead.
SHARD: Size3 = (128, 256, 256)
CHUNK = 64
UNSHARDED_CHUNK = 128
#: Planes of a coarser level that are made at once: of whole chunks of the finer one.
SLAB = CHUNK // 2
#: A level in which no axis is longer is the last; an axis that is not longer than the second is not
#: halved any more.
COARSEST, LEAST = 256, 64


def plan_levels(shape: Size3) -> list[tuple[Size3, Size3]]:
    """Give the shape of each level, finest first, and by what its voxels are longer."""
    levels = [(shape, (1, 1, 1))]
    while max(levels[-1][0]) > COARSEST:
        before, factors = levels[-1]
        halved = [size > LEAST for size in before]
        levels.append(
            (
                to_index(
                    -(-size // 2) if h else size for size, h in zip(before, halved, strict=True)
                ),
                to_index(f * 2 if h else f for f, h in zip(factors, halved, strict=True)),
            )
        )
    return levels


def create_array(
    store: Path,
    name: str | None,
    shape: Size3,
    order: Index3 = (0, 1, 2),
    *,
    version: str = "0.5",
    dtype: DTypeLike = np.uint8,
) -> TurnedArray:
    """Create an array of a level, all 0.

    Parameters
    ----------
    store : Path
        The group.
    name : str, optional
        Of the array within it.
    shape : tuple of int
        Z, Y, X.
    order : tuple of int
        Of each stored axis its number among Z, Y, X.
    version : str
        Of OME-Zarr: ``0.5`` is stored in shards, ``0.4`` is zarr version 2, which every
        reader knows.
    dtype : dtype
        Of the voxels.
    """
    about: dict[str, Any]
    if version == "0.4":
        chunks = to_index(min(UNSHARDED_CHUNK, size) for size in shape)
        about = {
            "zarr_format": 2,
            "chunk_key_encoding": {"name": "v2", "separator": "/"},
        }
    else:
        chunks = to_index(min(CHUNK, size) for size in shape)
        shards = to_index(
            chunk * max(1, min(most // chunk, -(-size // chunk)))
            for chunk, most, size in zip(chunks, SHARD, shape, strict=True)
        )
        about = {
            "zarr_format": 3,
            "shards": tuple(shards[axis] for axis in order),
            "dimension_names": tuple("zyx"[axis] for axis in order),
        }
    array = zarr.create_array(
        str(store),
        name=name,
        shape=tuple(shape[axis] for axis in order),
        chunks=tuple(chunks[axis] for axis in order),
        dtype=dtype,
        fill_value=0,
        **about,
    )
    return TurnedArray(array, order)


class TurnedArray:
    """An array stored in some order of axes, written and read in boxes of Z, Y, X.

    Parameters
    ----------
    array : zarr.Array
        As stored.
    order : tuple of int
        Of each stored axis its number among Z, Y, X.

    Attributes
    ----------
    shape, unit : tuple of int
        Z, Y, X voxels of all, and of what is written as one file.
    dtype : dtype
        Of the voxels.
    """

    def __init__(self, array: Any, order: Index3) -> None:
        self._array, self._order = array, order
        self._back = to_index(order.index(axis) for axis in range(3))
        self.shape: Size3 = to_index(array.shape[axis] for axis in self._back)
        stored = array.shards or array.chunks
        self.unit: Size3 = to_index(stored[axis] for axis in self._back)
        self.dtype: np.dtype[Any] = array.dtype

    def __setitem__(self, box: Slices3, values: NDArray[Any]) -> None:
        self._array[tuple(box[axis] for axis in self._order)] = values.transpose(self._order)

    def __getitem__(self, box: Slices3) -> NDArray[Any]:
        stored: NDArray[Any] = self._array[tuple(box[axis] for axis in self._order)]
        return np.ascontiguousarray(stored.transpose(self._back))


def fill_level(
    fine: TurnedArray, coarse: TurnedArray, *, is_mask: bool, check: Callable[[], None]
) -> None:
    """Make a level of the one before it, file by file.

    Parameters
    ----------
    fine, coarse : TurnedArray
        The levels; an axis of the same length in both is not halved.
    is_mask : bool
        Most common value instead of the mean.
    check : callable
        Asked before every file; raises to stop.
    """
    factors = to_index(2 if a != b else 1 for a, b in zip(fine.shape, coarse.shape, strict=True))
    for box in iterate_blocks(whole_box(coarse.shape), coarse.unit):
        check()
        found: NDArray[Any] | None = None
        # A part of the file at a time: the finer voxels of all of it, sorted, take too much.
        for part in iterate_blocks(box, (SLAB, *coarse.unit[1:])):
            source = (
                to_index(at * factor for at, factor in zip(part[0], factors, strict=True)),
                to_index(
                    min(at * factor, size)
                    for at, factor, size in zip(part[1], factors, fine.shape, strict=True)
                ),
            )
            values = fine[box_slices(source)]
            if values.any():
                found = np.zeros(box_shape(box), fine.dtype) if found is None else found
                found[box_slices(part, box[0])] = _halve(values, factors, is_mask=is_mask)
        if found is not None:
            coarse[box_slices(box)] = found


def _halve(values: NDArray[Any], factors: Size3, *, is_mask: bool) -> NDArray[Any]:
    pad = [(0, -size % factor) for size, factor in zip(values.shape, factors, strict=True)]
    values = np.pad(values, pad, mode="edge") if any(after for _, after in pad) else values
    parts = [
        values[tuple(slice(at, None, by) for at, by in zip(start, factors, strict=True))]
        for start in itertools.product(*(range(factor) for factor in factors))
    ]
    if is_mask and (values.dtype != np.uint8 or values.max(initial=0) > 1):
        return _find_most_common(parts)
    total = parts[0].astype(np.uint16)
    for part in parts[1:]:
        total += part
    count = math.prod(factors)
    if is_mask:
        return (2 * total >= count).astype(np.uint8)
    return ((total + count // 2) // count).astype(np.uint8)


def _find_most_common(parts: list[NDArray[Any]]) -> NDArray[Any]:
    """Give the value of most of the parts at each place; of as many, the greatest."""
    ordered = np.sort(np.stack(parts), axis=0)
    found: NDArray[Any] = ordered[0].copy()
    most = np.ones(ordered.shape[1:], np.int8)
    run = most.copy()
    for before, value in itertools.pairwise(ordered):
        run = np.where(value == before, run + np.int8(1), np.int8(1))
        better = run >= most
        found[better], most[better] = value[better], run[better]
    return found
