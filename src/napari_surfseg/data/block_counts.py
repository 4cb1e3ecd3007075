"""Counts of background and surface by blocks of a grid, of which most may hold neither.

Only blocks that hold something are kept, sorted by their number in the grid, so that a volume
costs what is annotated in it: 24 bytes a block, whatever it spans.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from napari_surfseg.data.stored_chunks import find_chunks_under
from napari_surfseg.geometry import block_box, box_shape, shift_box, to_index

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from napari_surfseg.geometry import Box, Index3, Size3

__all__ = ["BlockCounts", "UncountedUnits"]


@dataclass(frozen=True)
class BlockCounts:
    """Background and surface voxels of the blocks of a grid; those not listed hold none.

    Attributes
    ----------
    grid : tuple of int
        Blocks along Z, Y, X.
    places : numpy.ndarray
        Numbers of the listed blocks in the grid, in the order of storage (C), int64, rising.
    counts : numpy.ndarray
        Shape (2, blocks listed), int64: background and surface voxels.
    """

    grid: Size3
    places: NDArray[np.int64]
    counts: NDArray[np.int64]

    @classmethod
    def gather(
        cls, grid: Size3, parts: Sequence[tuple[NDArray[np.int64], NDArray[np.int64]]]
    ) -> BlockCounts:
        """Add up counts of blocks, given by their numbers; a block may come several times."""
        if not parts:
            return cls(grid, np.zeros(0, np.int64), np.zeros((2, 0), np.int64))
        given = np.concatenate([places for places, _ in parts])
        counts = np.concatenate([counts for _, counts in parts], axis=1)
        places, which = np.unique(given, return_inverse=True)
        total = np.zeros((2, len(places)), np.int64)
        for meaning in range(2):
            np.add.at(total[meaning], which, counts[meaning])
        return cls(grid, places, total)

    def __len__(self) -> int:
        return len(self.places)

    @property
    def total(self) -> NDArray[np.int64]:
        """Background and surface voxels of all listed blocks."""
        return np.asarray(self.counts.sum(axis=1))

    @property
    def annotated(self) -> NDArray[np.int64]:
        """Of each listed block the voxels with a meaning to learn from."""
        return np.asarray(self.counts.sum(axis=0))

    @property
    def indices(self) -> NDArray[np.int64]:
        """Places of the listed blocks in the grid, shape (n, 3)."""
        return self.index_of(self.places)

    def index_of(self, places: NDArray[np.int64]) -> NDArray[np.int64]:
        """Give the places in the grid, shape (n, 3), of blocks known by their numbers."""
        return np.stack(np.unravel_index(places, self.grid), axis=1).astype(np.int64)

    def find_under(self, blocks: Box) -> NDArray[np.int64]:
        """Find which listed blocks lie in a box of the grid: positions in :attr:`places`."""
        return find_chunks_under(self.places, self.grid, blocks)

    def keep(self, chosen: NDArray[np.bool_] | NDArray[np.int64]) -> BlockCounts:
        """Keep some of the listed blocks."""
        return BlockCounts(self.grid, self.places[chosen], self.counts[:, chosen])

    def without_empty(self) -> BlockCounts:
        """Keep the blocks that hold something."""
        return self.keep(self.annotated > 0)

    def cut(self, blocks: Box) -> BlockCounts:
        """Give the part in a box of the grid, on a grid of its own."""
        kept = self.keep(self.find_under(blocks))
        grid = box_shape(blocks)
        indices = kept.indices - np.array(blocks[0])
        places = np.ravel_multi_index(tuple(indices.T), grid).astype(np.int64)
        return BlockCounts(grid, places, kept.counts)

    def replaced(self, indices: Sequence[Index3], counts: NDArray[np.int64]) -> BlockCounts:
        """Give other counts, shape (2, n), to some blocks; listed or not."""
        if not len(indices):
            return self
        places = np.ravel_multi_index(tuple(np.array(indices).T), self.grid).astype(np.int64)
        kept = self.keep(~np.isin(self.places, places))
        return self.gather(self.grid, [(kept.places, kept.counts), (places, counts)])

    def dense(self) -> NDArray[np.int64]:
        """Give an array of all blocks, shape (2, blocks along Z, Y, X); for small grids."""
        made = np.zeros((2, math.prod(self.grid)), np.int64)
        made[:, self.places] = self.counts
        return made.reshape(2, *self.grid)


@dataclass(frozen=True)
class UncountedUnits:
    """Parts of a volume that are stored but were too many to be counted.

    They are drawn from as if each held what the counted ones do on average.

    Attributes
    ----------
    unit : tuple of int
        Z, Y, X voxels of a part, whole storage chunks.
    grid : box
        Parts under the box that was counted, on the grid that begins at voxel 0, 0, 0.
    places : numpy.ndarray
        Numbers of the parts in that grid, rising.
    expected : tuple of int
        Background and surface voxels that each counts as; at least one.
    """

    unit: Size3
    grid: Box
    places: NDArray[np.int64]
    expected: tuple[int, int]

    def __len__(self) -> int:
        return len(self.places)

    def box(self, number: int, bounds: Box) -> Box:
        """Give the voxels within bounds of the part of a position in :attr:`places`."""
        index = np.unravel_index(int(self.places[number]), box_shape(self.grid))
        return block_box(to_index(np.add(index, self.grid[0])), self.unit, bounds)

    def within(self, units: Box) -> UncountedUnits:
        """Keep the parts in a box of the grid that begins at voxel 0, 0, 0."""
        inside = shift_box(units, to_index(-a for a in self.grid[0]))
        chosen = find_chunks_under(self.places, box_shape(self.grid), inside)
        return UncountedUnits(self.unit, self.grid, self.places[chosen], self.expected)
