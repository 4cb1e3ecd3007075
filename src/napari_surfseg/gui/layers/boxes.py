"""The boxes in which a layer is read: all of them, a sample, or those that hold anything."""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from napari_surfseg.geometry import (
    box_at,
    clip_box,
    count_voxels,
    iterate_blocks,
    to_index,
    whole_box,
)
from napari_surfseg.gui.layers.stored_arrays import find_zarr, list_chunks

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from napari_surfseg.geometry import Box, Index3, Size3

__all__ = ["CHUNK", "StoredBoxes", "find_stored_boxes", "iterate_boxes", "sample_boxes"]

#: Edge of the boxes that are read, counted and written at a time.
CHUNK = 64
#: Edge of the boxes of a sample: small, since whole chunks are decoded for each.
SAMPLE = 16


def iterate_boxes(shape: Size3, edge: int = CHUNK) -> Iterator[Box]:
    """Cut a volume into boxes, in the order of storage."""
    return iterate_blocks(whole_box(shape), (edge,) * 3)


def sample_boxes(shape: Size3, per_axis: int) -> Iterator[Box]:
    """Give small boxes spread over a volume, on a grid that no chunk edge favours."""
    places = [
        sorted(
            {max(0, (2 * n + 1) * size // (2 * per_axis) - SAMPLE // 2) for n in range(per_axis)}
        )
        for size in shape
    ]
    for start in itertools.product(*places):
        yield _cube_at(start, shape, SAMPLE)


@dataclass(frozen=True)
class StoredBoxes:
    """The boxes of a volume that may hold anything but 0.

    Attributes
    ----------
    shape : tuple of int
        Of the volume.
    starts : sequence of tuple of int, or None
        Where they begin; None for all of :func:`iterate_boxes`.
    """

    shape: Size3
    starts: Sequence[Index3] | None = None

    @property
    def num_voxels(self) -> int:
        """Number of voxels in all of them."""
        return math.prod(self.shape) if self.starts is None else sum(map(count_voxels, self))

    def __iter__(self) -> Iterator[Box]:
        if self.starts is None:
            return iterate_boxes(self.shape)
        return (_cube_at(start, self.shape, CHUNK) for start in self.starts)


def find_stored_boxes(*arrays: Any) -> StoredBoxes:
    """Find the boxes of :func:`iterate_boxes` in which any of some arrays may hold anything but 0.

    A sparse zarr (a few strokes in a volume of terabytes) lists which of its chunks were ever
    written; for any other array that is every box.

    Parameters
    ----------
    *arrays : array-like
        Of one shape; axes before the last three have length 1.
    """
    shape = to_index(arrays[0].shape[-3:])
    starts: set[Index3] = set()
    for array in arrays:
        if hasattr(array, "stored_starts"):
            starts.update(array.stored_starts())
            continue
        stored = find_zarr(array)
        chunks = list_chunks(stored.array) if stored is not None and stored.is_whole else None
        if stored is None or chunks is None:
            return StoredBoxes(shape)
        edge = (stored.array.shards or stored.array.chunks)[-3:]
        for chunk in chunks:
            ranges = (
                range(n * size // CHUNK * CHUNK, min((n + 1) * size, total), CHUNK)
                for n, size, total in zip(chunk[-3:], edge, shape, strict=True)
            )
            starts.update((a, b, c) for a, b, c in itertools.product(*ranges))
    return StoredBoxes(shape, sorted(starts))


def _cube_at(start: Iterable[int], shape: Size3, edge: int) -> Box:
    """Give the part of a cube that lies in the volume."""
    return clip_box(box_at(start, (edge,) * 3), whole_box(shape))
