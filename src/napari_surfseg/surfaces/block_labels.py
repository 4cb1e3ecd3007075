"""Connected components numbered through a mask that comes in blocks: the largest first.

As :func:`~.cleaning.label_sheets` numbers them, whatever the blocks: components of equal size in
the order of their first voxel. Besides what :mod:`~.block_components` keeps, sixteen bytes stay in
memory for each component that gets a number.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from napari_surfseg.errors import DataError
from napari_surfseg.surfaces.block_components import MAX_COMPONENTS, BlockComponents, at_least

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

    from napari_surfseg.geometry import Index3, Size3
    from napari_surfseg.surfaces.block_components import MeasuredBlock

__all__ = ["BlockLabels"]


class BlockLabels(BlockComponents):
    """The numbers of components; blocks are added in order, then asked for in any.

    Parameters
    ----------
    shape : tuple of int
        The whole mask.
    min_voxels : int
        Smaller components get 0.
    connectivity : int
        6, 18 or 26.
    folder : Path, optional
        As for :class:`BlockComponents`.
    """

    def __init__(
        self, shape: Size3, min_voxels: int = 0, connectivity: int = 26, folder: Path | None = None
    ) -> None:
        super().__init__(shape, at_least(min_voxels), connectivity, folder)
        #: Of components that end within their block: which, how large, where they begin.
        self._closed: dict[Index3, tuple[NDArray[Any], NDArray[Any], NDArray[Any]]] = {}
        self._firsts: list[NDArray[np.int64]] = [np.zeros(1, np.int64)]
        self._numbers: NDArray[np.int32] | None = None
        self._closed_numbers: dict[Index3, NDArray[np.int32]] = {}

    def add(
        self, start: Index3, mask: NDArray[Any], marks: NDArray[np.bool_] | None = None
    ) -> None:
        """Label a block and join it to its predecessors."""
        labels, sizes, marked = self._label(mask, marks)
        rim = self._find_rim(start, labels)
        firsts = self._find_firsts(start, labels, len(sizes))
        measured: MeasuredBlock = self._measure_labels(labels, sizes, marked, rim)
        self.join(start, measured)
        self._firsts.append(firsts[rim])
        wanted = self._decide(sizes, marked)
        wanted[0] = False
        wanted[rim] = False
        closed = np.flatnonzero(wanted).astype(np.int32)
        if len(closed):
            self._closed[start] = closed, sizes[closed], firsts[closed]

    def number(self) -> int:
        """Give the components their numbers, once all blocks are added; returns how many."""
        roots = self._find_roots()
        count = int(roots.max()) + 1
        sizes = np.bincount(roots, weights=np.concatenate(self._sizes)).astype(np.int64)
        firsts = np.full(count, np.iinfo(np.int64).max)
        np.minimum.at(firsts, roots, np.concatenate(self._firsts))
        wanted = self._decide(sizes, np.zeros(count, bool))
        wanted[roots[0]] = False  # the background
        kept = np.flatnonzero(wanted)
        all_sizes = np.concatenate([sizes[kept], *(found[1] for found in self._closed.values())])
        all_firsts = np.concatenate([firsts[kept], *(found[2] for found in self._closed.values())])
        if len(all_sizes) >= MAX_COMPONENTS:
            raise DataError(
                f"There are {len(all_sizes):,} pieces, more than can be numbered: it is noise "
                "rather than surface at this threshold; choose a higher one."
            )
        numbers = np.empty(len(all_sizes), np.int32)
        numbers[np.lexsort((all_firsts, -all_sizes))] = np.arange(1, len(numbers) + 1)
        of_root = np.zeros(count, np.int32)
        of_root[kept] = numbers[: len(kept)]
        self._numbers = of_root[roots]
        self._edges, self._sizes, self._firsts = [], [], []
        at = len(kept)
        for start, (closed, _, _) in self._closed.items():
            self._closed_numbers[start] = numbers[at : at + len(closed)]
            at += len(closed)
        return len(numbers)

    def label(self, start: Index3, mask: NDArray[Any]) -> NDArray[np.int32]:
        """Give the numbers in a block, as it was added."""
        if self._numbers is None:
            self.number()
        assert self._numbers is not None  # noqa: S101  for the type
        labels, sizes, _ = self._label(mask, None)
        rim = self._find_rim(start, labels)
        table = np.zeros(len(sizes), np.int32)
        base = self._bases[start] + 1
        table[rim] = self._numbers[base : base + len(rim)]
        if start in self._closed:
            table[self._closed[start][0]] = self._closed_numbers[start]
        found: NDArray[np.int32] = table[labels]
        return found

    def _find_firsts(
        self, start: Index3, labels: NDArray[np.int32], number: int
    ) -> NDArray[np.int64]:
        """Find each component's first voxel, counted through the whole volume."""
        flat = labels.ravel()
        places = np.flatnonzero(flat)[::-1]
        local = np.zeros(number, np.int64)
        local[flat[places]] = places  # of several the last counts, which is the first voxel
        z, y, x = np.unravel_index(local, labels.shape)
        _, height, width = self._shape
        found: NDArray[np.int64] = ((z + start[0]) * height + y + start[1]) * width + x + start[2]
        return found
