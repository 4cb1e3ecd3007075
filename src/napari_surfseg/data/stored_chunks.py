"""Which chunks of a volume are stored at all.

A store of many terabytes with labels in two hundred places holds two hundred chunks: what was
never written is no file, and reads as one value. Whoever wants what is there asks for the list
instead of walking through the span::

    volume.stored_chunks() -> StoredChunks, or None where a format, or a server, gives no list
        .touches(box)         whether anything of a box is stored
        .boxes(box)           the stored chunks under a box, as boxes
        .fill                 the value of everything else
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from napari_surfseg.geometry import block_box, blocks_under, box_shape, to_index, whole_box

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from numpy.typing import NDArray

    from napari_surfseg.geometry import Box, Index3, Size3

__all__ = ["MAX_LISTED", "StoredChunks", "find_chunks_under"]

#: Chunks listed at most: some seconds of looking into folders, 100 MB of names at a time.
MAX_LISTED = 4_000_000


@dataclass(frozen=True)
class StoredChunks:
    """The chunks that are stored; every voxel outside them has one value.

    Attributes
    ----------
    shape : tuple of int
        Z, Y, X voxels of the volume.
    chunk : tuple of int
        Z, Y, X voxels of a chunk; the grid begins at voxel 0, 0, 0. It may be larger than what
        is decoded at once: a shard whose own list was not read counts as a whole.
    places : numpy.ndarray
        Numbers of the chunks in the grid, in the order of storage (C), int64, none twice.
    fill : float
        Value of what is not stored, as the file states it.
    sizes : numpy.ndarray or None
        Bytes that each of them takes, where the store says.
    """

    shape: Size3
    chunk: Size3
    places: NDArray[np.int64]
    fill: float = 0.0
    sizes: NDArray[np.int64] | None = None

    @classmethod
    def of(
        cls,
        shape: Size3,
        chunk: Size3,
        indices: NDArray[np.int64],
        *,
        fill: float = 0.0,
        sizes: NDArray[np.int64] | None = None,
    ) -> StoredChunks:
        """Make the list from the places of chunks, shape (n, 3), in any order."""
        grid = _find_grid(shape, chunk)
        indices = np.asarray(indices, np.int64).reshape(-1, 3)
        inside = ((indices >= 0) & (indices < np.array(grid))).all(axis=1)
        flat = np.ravel_multi_index(tuple(indices[inside].T), grid).astype(np.int64)
        places, first = np.unique(flat, return_index=True)
        return cls(
            shape, chunk, places, fill, None if sizes is None else np.asarray(sizes)[inside][first]
        )

    def __len__(self) -> int:
        return len(self.places)

    @property
    def grid(self) -> Size3:
        """Chunks along each axis."""
        return _find_grid(self.shape, self.chunk)

    @property
    def is_everything(self) -> bool:
        """Whether no chunk is missing."""
        return len(self.places) == math.prod(self.grid)

    @property
    def indices(self) -> NDArray[np.int64]:
        """Places of the chunks in the grid, shape (n, 3)."""
        return np.stack(np.unravel_index(self.places, self.grid), axis=1).astype(np.int64)

    def find_under(self, box: Box) -> NDArray[np.int64]:
        """Find which of the listed chunks have a voxel of a box: positions in :attr:`places`."""
        return find_chunks_under(self.places, self.grid, blocks_under(box, self.chunk))

    def touches(self, box: Box) -> bool:
        """Whether any voxel of a box is stored."""
        return bool(len(self.find_under(box)))

    def boxes(self, box: Box | None = None) -> list[Box]:
        """Give the stored chunks that have a voxel of a box, cut to it; by default all."""
        bounds = whole_box(self.shape) if box is None else box
        chosen = self.places if box is None else self.places[self.find_under(box)]
        indices = np.stack(np.unravel_index(chosen, self.grid), axis=1).tolist()
        return [block_box(to_index(index), self.chunk, bounds) for index in indices]

    def within(self, box: Box) -> StoredChunks:
        """Keep the chunks that have a voxel of a box."""
        chosen = self.find_under(box)
        sizes = None if self.sizes is None else self.sizes[chosen]
        return replace(self, places=self.places[chosen], sizes=sizes)

    def joined(self, boxes: Iterable[Box]) -> StoredChunks:
        """Count the chunks under some boxes as stored as well, of unknown size."""
        added = [
            np.stack(np.meshgrid(*map(np.arange, *blocks_under(box, self.chunk)), indexing="ij"))
            .reshape(3, -1)
            .T
            for box in boxes
        ]
        if not added:
            return self
        return self.of(
            self.shape, self.chunk, np.concatenate([self.indices, *added]), fill=self.fill
        )

    def grown(self, fill: float) -> StoredChunks:
        """Count the neighbours of stored chunks as stored: what is made of voxels around."""
        steps = np.stack(np.meshgrid(*[np.arange(-1, 2)] * 3, indexing="ij"), -1).reshape(-1, 3)
        around = (self.indices[:, None] + steps).reshape(-1, 3)
        return self.of(self.shape, self.chunk, around, fill=fill)

    def transposed(self, order: Sequence[int]) -> StoredChunks:
        """Give the same list with the axes in another order."""
        shape, chunk = (to_index(size[i] for i in order) for size in (self.shape, self.chunk))
        return self.of(shape, chunk, self.indices[:, list(order)], fill=self.fill, sizes=self.sizes)


def find_chunks_under(places: NDArray[np.int64], grid: Size3, under: Box) -> NDArray[np.int64]:
    """Find which sorted numbers of a grid lie in a box of the grid.

    Row by row along X, so that it costs what the box spans across the other axes, or else what
    the list holds.

    Returns
    -------
    numpy.ndarray
        Positions in ``places``, rising.
    """
    start = to_index(max(0, a) for a in under[0])
    stop = to_index(min(b, size) for b, size in zip(under[1], grid, strict=True))
    if not all(a < b for a, b in zip(start, stop, strict=True)) or not len(places):
        return np.zeros(0, np.int64)
    num_z, num_y, _ = box_shape((start, stop))
    if num_z * num_y > len(places):
        indices = np.unravel_index(places, grid)
        inside = np.ones(len(places), bool)
        for along, low, high in zip(indices, start, stop, strict=True):
            inside &= (along >= low) & (along < high)
        return np.flatnonzero(inside)
    rows = (
        np.arange(start[0], stop[0], dtype=np.int64)[:, None] * grid[1]
        + np.arange(start[1], stop[1], dtype=np.int64)
    ).ravel() * grid[2]
    first = np.searchsorted(places, rows + start[2])
    last = np.searchsorted(places, rows + stop[2])
    found = [np.arange(a, b) for a, b in zip(first, last, strict=True) if a < b]
    return np.concatenate(found) if found else np.zeros(0, np.int64)


def _find_grid(shape: Size3, chunk: Size3) -> Index3:
    return to_index(-(-size // each) for size, each in zip(shape, chunk, strict=True))
