"""Connected components of a mask that comes in blocks, as exact as of the whole at once.

What decides about a component (its size, whether it holds a marked voxel) may lie any
number of blocks away from a voxel of it. So the mask is passed in twice::

    first   add()   label each block, join it to its neighbours,
                    add up sizes and marks of what belongs together
    then    keep()  label it again, which voxels' components are kept

In memory stay a few numbers for each component *of a block that touches another block*, and a
plane (on the disk if it is large), a row and a column of labels. What ends within its block is
decided there and forgotten.
"""

from __future__ import annotations

import tempfile
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from scipy import ndimage, sparse
from scipy.sparse import csgraph

from napari_surfseg.errors import DataError

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from numpy.typing import NDArray

    from napari_surfseg.geometry import Index3, Size3

    #: Of the numbers of voxels of components, and whether they hold a marked one: which are kept.
    Rule = Callable[[NDArray[np.int64], NDArray[np.bool_]], NDArray[np.bool_]]

__all__ = ["BlockComponents", "MeasuredBlock", "at_least", "find_structure"]

#: Components that touch two blocks: SciPy numbers them in 31 bits.
MAX_COMPONENTS = 2**31 - 1

#: A plane of labels that takes more is left to the disk.
PLANE_BYTES = 2**26

#: Axes along which two neighbours may differ.
_RANKS = {6: 1, 18: 2, 26: 3}


def find_structure(connectivity: int) -> NDArray[np.bool_]:
    """Give the neighbourhood of 6, 18 or 26 voxels as SciPy takes it."""
    if connectivity not in _RANKS:
        raise ValueError(f"connectivity must be 6, 18 or 26, not {connectivity}")
    structure: NDArray[np.bool_] = ndimage.generate_binary_structure(3, _RANKS[connectivity])
    return structure


def at_least(min_voxels: int) -> Rule:
    """Keep components of at least this many voxels."""
    return lambda sizes, _marked: sizes >= min_voxels


@dataclass(frozen=True)
class MeasuredBlock:
    """What is known of a block's components until it is joined to the others.

    Attributes
    ----------
    sizes, marked : array
        Voxels, and whether one is marked, of each component that touches another block.
    num_dropped : int
        Components that end in the block and are not kept.
    near, far : three uint32 arrays each
        The faces across Z, Y and X: numbers from 1 of those components, 0 elsewhere.
    only : bool array, optional
        Where the block is the whole volume: which of its voxels are kept.
    """

    sizes: NDArray[np.int64]
    marked: NDArray[np.bool_]
    num_dropped: int
    near: tuple[NDArray[np.uint32], NDArray[np.uint32], NDArray[np.uint32]]
    far: tuple[NDArray[np.uint32], NDArray[np.uint32], NDArray[np.uint32]]
    only: NDArray[np.bool_] | None


class BlockComponents:
    """Which components of a mask are kept, where the mask is too large for memory.

    The blocks are those of ``iterate_blocks``, the same both times and in its order.

    ::

        +-------+-------+     joined through   the plane above  (all of Y, X)
        |       |       |                      the row before   (one block deep)
        +-------+=======+                      the column left  (one block)
        |       | block |
        +-------+-------+

    Parameters
    ----------
    shape : tuple of int
        The whole mask.
    rule : callable
        Of the numbers of voxels of some components (int64), and whether each holds a marked
        voxel (bool): which are kept (bool).
    connectivity : int
        6, 18 or 26.
    folder : Path, optional
        Where a plane of labels lies that is large; by default in memory. It is removed by whoever
        made it.
    """

    def __init__(
        self, shape: Size3, rule: Rule, connectivity: int = 26, folder: Path | None = None
    ) -> None:
        self._shape, self._rule = shape, rule
        self._structure = find_structure(connectivity)
        reach = _RANKS[connectivity] - 1
        self._offsets = [
            (i, j)
            for i in range(3)
            for j in range(3)
            if abs(i - 1) + abs(j - 1) <= reach  # across a face one axis differs already
        ]
        self._bases: dict[Index3, int] = {}
        self._sizes: list[NDArray[np.int64]] = [np.zeros(1, np.int64)]
        self._marked: list[NDArray[np.bool_]] = [np.zeros(1, bool)]
        self._edges: list[NDArray[np.uint64]] = []  # two labels each
        self._total = 0
        self._closed_dropped = 0
        # Labels just above, before and left of the block at hand, with a margin for diagonals.
        self._above, self._below = (_make_plane(shape, folder) for _ in range(2))
        self._before = np.zeros((1, shape[2] + 2), np.uint32)
        self._behind = self._before
        self._left = np.zeros((1, 1), np.uint32)
        self._last: Index3 | None = None
        self._kept: NDArray[np.bool_] | None = None
        self._only: NDArray[np.bool_] | None = None
        self._num_dropped = 0

    def measure(
        self,
        start: Index3,
        mask: NDArray[Any],
        marks: NDArray[np.bool_] | None = None,
        weights: NDArray[Any] | None = None,
    ) -> MeasuredBlock:
        """Label the block at ``start``, for :meth:`join`; in any order, in any thread.

        Parameters
        ----------
        start : tuple of int
            The block's first voxel.
        mask : array (Z, Y, X)
            Non-zero is what components are looked for in.
        marks : bool array (Z, Y, X), optional
            Voxels that mark their component.
        weights : array of whole numbers (Z, Y, X), optional
            What each voxel counts of a component's size; 1 if not given.
        """
        labels, sizes, marked = self._label(mask, marks, weights)
        return self._measure_labels(labels, sizes, marked, self._find_rim(start, labels))

    def _measure_labels(
        self,
        labels: NDArray[np.int32],
        sizes: NDArray[np.int64],
        marked: NDArray[np.bool_],
        rim: NDArray[np.int32],
    ) -> MeasuredBlock:
        kept = self._decide(sizes, marked)
        # One block is everything: what the second pass would find again.
        only = _look_up(kept, labels) if labels.shape == self._shape else None
        kept[rim] = True
        numbers = np.zeros(len(sizes), np.uint32)
        numbers[rim] = np.arange(1, len(rim) + 1, dtype=np.uint32)
        return MeasuredBlock(
            sizes=sizes[rim],
            marked=marked[rim],
            num_dropped=int(np.count_nonzero(~kept[1:])),
            near=(numbers[labels[0]], numbers[labels[:, 0]], numbers[labels[:, :, 0]]),
            far=(numbers[labels[-1]], numbers[labels[:, -1]], numbers[labels[:, :, -1]]),
            only=only,
        )

    def join(self, start: Index3, block: MeasuredBlock) -> None:
        """Join a block to its predecessors, which were joined before.

        Raises
        ------
        DataError
            If there are more components than can be told apart.
        """
        z, y, x = start
        (height, width), depth = block.near[0].shape, len(block.near[1])
        if self._last is None or z != self._last[0]:
            self._above, self._below = self._below, self._above
            self._below.fill(0)
            self._behind = np.zeros((depth, self._shape[2] + 2), np.uint32)
        if self._last is None or (z, y) != self._last[:2]:
            self._before, self._behind = self._behind, np.zeros_like(self._behind)
            self._left = np.zeros((depth, height), np.uint32)
        self._last, self._only = start, block.only
        base = self._bases[start] = self._total
        self._total += len(block.sizes)
        if self._total >= MAX_COMPONENTS:
            raise DataError(
                f"More than {MAX_COMPONENTS:,} pieces of the surface touch two blocks of the "
                "volume: it is noise rather than surface at this threshold; choose a higher one."
            )
        self._closed_dropped += block.num_dropped
        self._sizes.append(block.sizes)
        self._marked.append(block.marked)

        above, before, left = (_number(face, base) for face in block.near)
        self._connect(above, self._above[y : y + height + 2, x : x + width + 2])
        self._connect(before, np.pad(self._before[:, x : x + width + 2], ((1, 1), (0, 0))))
        self._connect(left, np.pad(self._left, 1))
        below, behind, self._left = (_number(face, base) for face in block.far)
        self._below[y + 1 : y + 1 + height, x + 1 : x + 1 + width] = below
        self._behind[:, x + 1 : x + 1 + width] = behind

    def add(
        self, start: Index3, mask: NDArray[Any], marks: NDArray[np.bool_] | None = None
    ) -> None:
        """Measure a block and join it."""
        self.join(start, self.measure(start, mask, marks))

    def keep(
        self,
        start: Index3,
        mask: NDArray[Any],
        marks: NDArray[np.bool_] | None = None,
        weights: NDArray[Any] | None = None,
    ) -> NDArray[np.bool_]:
        """Which of the block's voxels belong to components that are kept.

        Parameters
        ----------
        start, mask, marks, weights
            As they were given to :meth:`measure`.
        """
        kept = self.resolve()
        if self._only is not None:
            return self._only
        labels, sizes, marked = self._label(mask, marks, weights)
        rim = self._find_rim(start, labels)
        table = self._decide(sizes, marked)
        base = self._bases[start] + 1
        table[rim] = kept[base : base + len(rim)]
        return _look_up(table, labels)

    @property
    def num_dropped(self) -> int:
        """How many components are not kept; known once all blocks were added."""
        self.resolve()
        return self._num_dropped

    def _label(
        self,
        mask: NDArray[Any],
        marks: NDArray[np.bool_] | None,
        weights: NDArray[Any] | None = None,
    ) -> tuple[NDArray[np.int32], NDArray[np.int64], NDArray[np.bool_]]:
        """Label a block; sizes and marks of its components, the background's among them."""
        labels = np.empty(mask.shape, np.int32)
        number = int(ndimage.label(mask, self._structure, output=labels))
        # Of whole numbers the sums are exact, in whatever order they are made.
        counts = None if weights is None else weights.ravel()
        sizes = np.bincount(labels.ravel(), counts, number + 1).astype(np.int64, copy=False)
        marked = np.zeros(number + 1, bool)
        if marks is not None:
            marked[labels[marks]] = True
        return labels, sizes, marked

    def _decide(self, sizes: NDArray[np.int64], marked: NDArray[np.bool_]) -> NDArray[np.bool_]:
        """Apply the rule; an array of our own, as a rule may return what it was given."""
        return np.array(self._rule(sizes, marked), bool)

    def _find_rim(self, start: Index3, labels: NDArray[np.int32]) -> NDArray[np.int32]:
        """Labels that touch another block, in ascending order."""
        faces = []
        for axis in range(3):
            if start[axis] > 0:
                faces.append(labels.take(0, axis=axis).ravel())
            if start[axis] + labels.shape[axis] < self._shape[axis]:
                faces.append(labels.take(-1, axis=axis).ravel())
        rim = np.unique(np.concatenate([np.zeros(1, np.int32), *faces]))
        return rim[1:]

    def _connect(self, face: NDArray[np.uint32], neighbours: NDArray[np.uint32]) -> None:
        """Join a face's labels to those within one voxel on the other side."""
        height, width = face.shape
        for i, j in self._offsets:
            other = neighbours[i : i + height, j : j + width]
            both = (face > 0) & (other > 0)
            if both.any():
                pairs = face[both].astype(np.uint64) << np.uint64(32) | other[both]
                self._edges.append(np.unique(pairs))

    def resolve(self) -> NDArray[np.bool_]:
        """Decide, once all blocks are joined: of every label that touches another block.

        :meth:`keep` does so where it was not done; not in several threads at once.
        """
        if self._kept is None:
            roots = self._find_roots()
            sizes = np.bincount(roots, weights=np.concatenate(self._sizes)).astype(np.int64)
            marked = np.bincount(roots, weights=np.concatenate(self._marked)) > 0
            kept = self._decide(sizes, marked)
            kept[roots[0]] = True  # the background, alone in its component
            self._num_dropped = self._closed_dropped + int(np.count_nonzero(~kept))
            self._kept = kept[roots]
            self._edges, self._sizes, self._marked = [], [], []
            self._above = self._below = self._before = self._behind = self._left
        return self._kept

    def _find_roots(self) -> NDArray[np.int32]:
        """Give what belongs together one number, of every label that touches another block."""
        edges = np.unique(np.concatenate([np.zeros(0, np.uint64), *self._edges]))
        ends = (edges >> np.uint64(32)).astype(np.int64), (edges & 0xFFFFFFFF).astype(np.int64)
        graph = sparse.coo_array(
            (np.ones(len(edges), np.int8), ends),
            shape=(self._total + 1, self._total + 1),
        )
        roots: NDArray[np.int32] = csgraph.connected_components(graph, directed=False)[1]
        return roots


def _make_plane(shape: Size3, folder: Path | None) -> NDArray[np.uint32]:
    """Make an empty plane of labels with a margin of one."""
    size = shape[1] + 2, shape[2] + 2
    if folder is None or size[0] * size[1] * 4 <= PLANE_BYTES:
        return np.zeros(size, np.uint32)
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.NamedTemporaryFile(dir=folder, suffix=".labels", delete=False) as file:
        return np.memmap(file, np.uint32, "w+", shape=size)


def _number(face: NDArray[np.uint32], base: int) -> NDArray[np.uint32]:
    """Give the components of a block their numbers among those of all blocks."""
    return np.where(face > 0, face + np.uint32(base), np.uint32(0))


def _look_up(table: NDArray[np.bool_], labels: NDArray[np.int32]) -> NDArray[np.bool_]:
    table[0] = False
    kept: NDArray[np.bool_] = table[labels]
    return kept
