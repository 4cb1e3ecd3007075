"""How the windows of a volume are divided into blocks that are predicted one by one.

Geometry only: no torch, no files. A block is a group of neighbouring windows, so that each window
is computed once, whoever computes it::

    windows    [==0==]                 block A owns 0 and 1, block B owns 2 and 3
                  [==1==]
    A |-------------------|  [==2==]
                      B   |---------------------|
                             [==3==] ...
      |core A        |seam|core B               |

A voxel of a core is finished by its block alone. In a seam lie windows of several blocks: each
block keeps its own sum there, and the sums are added where the probabilities are read. They are
whole numbers (see :mod:`~napari_surfseg.inference.block_sums`), so that the result is the same
to the bit wherever the seams lie.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from napari_surfseg.geometry import (
    block_box,
    count_voxels,
    iterate_indices,
    replace_extent,
    to_index,
    whole_box,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    from napari_surfseg.geometry import Box, Index3, Size3
    from napari_surfseg.inference.windows import WindowGrid

__all__ = ["BlockGrid", "choose_block"]


@dataclass(frozen=True)
class BlockGrid:
    """The blocks of a grid of windows; places are voxels of the window grid.

    Attributes
    ----------
    grid : WindowGrid
        The windows over the whole volume.
    block : tuple of int
        Windows of a block along each axis; the last block of an axis may have fewer.
    """

    grid: WindowGrid
    block: Size3

    @property
    def windows_shape(self) -> Size3:
        """Windows along each axis."""
        return to_index(len(starts) for starts in self.grid.starts)

    @property
    def shape(self) -> Size3:
        """Blocks along each axis."""
        return to_index(-(-n // k) for n, k in zip(self.windows_shape, self.block, strict=True))

    @property
    def num_blocks(self) -> int:
        """Blocks in all."""
        return math.prod(self.shape)

    def windows_of(self, index: Index3) -> Box:
        """Give the windows that a block owns, as a box of their indices."""
        return block_box(index, self.block, whole_box(self.windows_shape))

    def count_windows(self, index: Index3) -> int:
        """Count the windows of a block."""
        return count_voxels(self.windows_of(index))

    def count_marked(self, marked: NDArray[np.bool_]) -> int:
        """Count the windows of all marked blocks."""
        sizes = [
            np.diff(np.minimum(np.arange(0, count + size, size), count))
            for count, size in zip(self.windows_shape, self.block, strict=True)
        ]
        each = sizes[0][:, None, None] * sizes[1][:, None] * sizes[2]
        return int(each[marked].sum())

    def iterate_starts(self, index: Index3) -> Iterator[tuple[Index3, Index3]]:
        """Iterate over the windows of a block: their indices and their first voxels."""
        for window in iterate_indices(self.windows_of(index)):
            starts = zip(self.grid.starts, window, strict=True)
            yield window, to_index(each[at] for each, at in starts)

    def extent_of(self, index: Index3) -> Box:
        """Give the voxels that the windows of a block see."""
        low, high = self.windows_of(index)
        return (
            to_index(starts[at] for starts, at in zip(self.grid.starts, low, strict=True)),
            to_index(
                starts[at - 1] + window
                for starts, at, window in zip(self.grid.starts, high, self.grid.window, strict=True)
            ),
        )

    def parts_of(self, index: Index3) -> tuple[Box, tuple[Box, ...]]:
        """Cut the extent of a block into its core and up to six slabs around it.

        A core that would be empty, since the windows overlap by more than a block is wide, is
        an empty box; the slabs then cover all.
        """
        extent = self.extent_of(index)
        core = self._core_of(index)
        if not count_voxels(core):
            return (extent[0], extent[0]), (extent,)
        slabs, rest = [], extent
        for axis in range(3):
            (low, high), (first, last) = ((box[0][axis], box[1][axis]) for box in (rest, core))
            slabs += [
                replace_extent(rest, axis, low, first),
                replace_extent(rest, axis, last, high),
            ]
            rest = replace_extent(rest, axis, first, last)
        return core, tuple(slab for slab in slabs if count_voxels(slab))

    def _core_of(self, index: Index3) -> Box:
        low, high = self.extent_of(index)
        first, last = self.windows_of(index)
        begin, end = list(low), list(high)
        for axis, starts in enumerate(self.grid.starts):
            if first[axis] > 0:
                begin[axis] = starts[first[axis] - 1] + self.grid.window[axis]
            if last[axis] < len(starts):
                end[axis] = starts[last[axis]]
        return to_index(begin), to_index(end)

    def touching(self, box: Box) -> Box:
        """Give the blocks, as a box of their indices, with windows that see voxels of a box."""
        first, last = [], []
        for axis, starts in enumerate(self.grid.starts):
            window, size = self.grid.window[axis], self.block[axis]
            low = int(np.searchsorted(starts, box[0][axis] - window, side="right"))
            high = int(np.searchsorted(starts, box[1][axis], side="left"))
            first.append(low // size)
            last.append(max(-(-high // size), low // size))
        return to_index(first), to_index(last)

    def mark_touching(self, low: NDArray[np.int64], high: NDArray[np.int64]) -> NDArray[np.bool_]:
        """Mark the blocks with windows that see voxels of any of many boxes.

        Parameters
        ----------
        low, high : ndarray, shape (N, 3)
            First voxels, and those behind the last.
        """
        marked = np.zeros(self.shape, bool)
        ranges = []
        for axis, starts in enumerate(self.grid.starts):
            window, size = self.grid.window[axis], self.block[axis]
            first = np.searchsorted(starts, low[:, axis] - window, side="right") // size
            last = -(-np.searchsorted(starts, high[:, axis], side="left") // size)
            ranges.append((first, last))
        spans = np.unique(np.stack([each for pair in ranges for each in pair], axis=1), axis=0)
        for z0, z1, y0, y1, x0, x1 in spans.tolist():
            marked[z0:z1, y0:y1, x0:x1] = True
        return marked


def choose_block(grid: WindowGrid, max_voxels: int, max_windows: int) -> Size3:
    """Choose how many windows make a block: as near to a cube as fits.

    Larger blocks have less of their voxels in seams, which take four bytes a voxel in each block;
    smaller ones lose less when a process ends, and need less memory.

    Parameters
    ----------
    grid : WindowGrid
        The windows.
    max_voxels : int
        Most voxels of a block.
    max_windows : int
        Most windows of a block.
    """
    limits = to_index(len(starts) for starts in grid.starts)
    chosen = [1, 1, 1]

    def fits(block: list[int]) -> bool:
        if math.prod(block) > max_windows:
            return False
        blocks = BlockGrid(grid, to_index(block))
        return count_voxels(blocks.extent_of((0, 0, 0))) <= max_voxels

    growing = [axis for axis in range(3) if limits[axis] > 1]
    while growing:
        axis = min(growing, key=lambda axis: (chosen[axis] * grid.window[axis], axis))
        larger = [number + (at == axis) for at, number in enumerate(chosen)]
        if fits(larger):
            chosen = larger
        if chosen[axis] == limits[axis] or chosen != larger:
            growing.remove(axis)
    # As many blocks, but of nearly the same size.
    return to_index(
        -(-limit // -(-limit // number)) for limit, number in zip(limits, chosen, strict=True)
    )
