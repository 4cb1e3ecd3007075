"""The boxes in which a layer is read: all of them, a few that stand for it, or those stored."""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

from napari_surfseg.gui.layer_stores import find_zarr, list_chunks

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from napari_surfseg.gui.sources import LayerVolume

__all__ = ["CHUNK", "StoredBoxes", "find_stored_boxes", "iterate_boxes", "sample_boxes", "size_of"]

Index3 = tuple[int, int, int]
Box = tuple[Index3, Index3]

#: Edge of the boxes that are read, counted and written at a time.
CHUNK = 64
#: Edge of the boxes that stand for a volume: small, since each has whole chunks decoded.
SAMPLE = 16


def size_of(box: Box) -> int:
    """Return the voxels of a box."""
    return math.prod(b - a for a, b in zip(*box, strict=True))


def iterate_boxes(shape: Index3, edge: int = CHUNK) -> Iterator[Box]:
    """Cut a volume into boxes, in the order of storage."""
    for start in itertools.product(*(range(0, size, edge) for size in shape)):
        yield _box_at(start, shape, edge)


def sample_boxes(shape: Index3, per_axis: int) -> Iterator[Box]:
    """Small boxes all over a volume, on a grid that no chunk edge favours."""
    places = [
        sorted(
            {max(0, (2 * n + 1) * size // (2 * per_axis) - SAMPLE // 2) for n in range(per_axis)}
        )
        for size in shape
    ]
    for start in itertools.product(*places):
        yield _box_at(start, shape, SAMPLE)


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

    shape: Index3
    starts: Sequence[Index3] | None = None

    @property
    def num_voxels(self) -> int:
        """Voxels in all of them."""
        return math.prod(self.shape) if self.starts is None else sum(map(size_of, self))

    def __iter__(self) -> Iterator[Box]:
        if self.starts is None:
            return iterate_boxes(self.shape)
        return (_box_at(start, self.shape, CHUNK) for start in self.starts)


def find_stored_boxes(*volumes: LayerVolume) -> StoredBoxes:
    """Find the boxes of :func:`iterate_boxes` in which any of some like volumes may hold not 0.

    A sparse zarr (a few strokes in a volume of terabytes) tells which of its
    chunks were ever written; of everything else that is every box.
    """
    starts: set[Index3] = set()
    for volume in volumes:
        stored = find_zarr(volume.data)
        chunks = list_chunks(stored.array) if stored is not None and stored.is_whole else None
        if stored is None or chunks is None:
            return StoredBoxes(volume.shape)
        edge = (stored.array.shards or stored.array.chunks)[-3:]
        for chunk in chunks:
            z, y, x = (
                range(n * size // CHUNK * CHUNK, min((n + 1) * size, total), CHUNK)
                for n, size, total in zip(chunk[-3:], edge, volume.shape, strict=True)
            )
            starts.update(itertools.product(z, y, x))
    return StoredBoxes(volumes[0].shape, sorted(starts))


def _box_at(start: Sequence[int], shape: Index3, edge: int) -> Box:
    stop = [min(a + edge, size) for a, size in zip(start, shape, strict=True)]
    return (start[0], start[1], start[2]), (stop[0], stop[1], stop[2])
