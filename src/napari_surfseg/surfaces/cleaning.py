"""Tidy masks of surfaces: drop small components, label sheets, fill holes.

A surface is 26-connected: the voxels of a tilted sheet one voxel thick touch at
edges and corners only. Its background is then 6-connected.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from scipy import ndimage, sparse
from scipy.sparse import csgraph

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from napari_surfseg.geometry import Index3, Size3

__all__ = [
    "BlockComponents",
    "close_gaps",
    "fill_small_holes",
    "label_sheets",
    "remove_small_components",
]


_RANKS = {6: 1, 18: 2, 26: 3}


def _structure(connectivity: int) -> NDArray[np.bool_]:
    if connectivity not in _RANKS:
        raise ValueError(f"connectivity must be 6, 18 or 26, not {connectivity}")
    structure: NDArray[np.bool_] = ndimage.generate_binary_structure(3, _RANKS[connectivity])
    return structure


def label_sheets(
    mask: NDArray[Any], *, connectivity: int = 26, min_voxels: int = 0
) -> NDArray[np.int32]:
    """Give each connected sheet of a mask a number, the largest first.

    Parameters
    ----------
    mask : array (Z, Y, X)
        Non-zero is surface.
    connectivity : int
        6, 18 or 26.
    min_voxels : int
        Smaller components become 0.

    Returns
    -------
    ndarray of int32
        0 background, 1 the largest component, 2 the next, and so on; components of
        equal size in the order of their first voxel.
    """
    labels = np.empty(mask.shape, np.int32)
    number = int(ndimage.label(mask, _structure(connectivity), output=labels))
    sizes = np.bincount(labels.ravel(), minlength=number + 1)
    sizes[0] = 0
    order = np.argsort(-sizes[1:], kind="stable") + 1
    order = order[sizes[order] >= min_voxels]
    table = np.zeros(number + 1, np.int32)
    table[order] = np.arange(1, len(order) + 1, dtype=np.int32)
    # Plane by plane: a whole second volume of labels would double the memory.
    for plane in labels:
        plane[...] = table[plane]
    return labels


def remove_small_components(
    mask: NDArray[Any], min_voxels: int, connectivity: int = 26
) -> NDArray[np.bool_]:
    """Drop connected components smaller than a number of voxels.

    Parameters
    ----------
    mask : array (Z, Y, X)
        Non-zero is surface.
    min_voxels : int
        Smallest component that stays.
    connectivity : int
        6, 18 or 26.
    """
    if min_voxels <= 1:
        return np.asarray(mask != 0)
    labels = np.empty(mask.shape, np.int32)
    ndimage.label(mask, _structure(connectivity), output=labels)
    keep = np.bincount(labels.ravel()) >= min_voxels
    keep[0] = False
    kept: NDArray[np.bool_] = keep[labels]
    return kept


def fill_small_holes(
    mask: NDArray[Any], max_voxels: int, connectivity: int = 6
) -> NDArray[np.bool_]:
    """Fill enclosed cavities of at most a number of voxels.

    A cavity that touches the border of the array may be open beyond it and
    stays. A hole *through* a sheet is not a cavity: see :func:`close_gaps`.

    Parameters
    ----------
    mask : array (Z, Y, X)
        Non-zero is surface.
    max_voxels : int
        Largest cavity that is filled.
    connectivity : int
        Of the background, 6 for a 26-connected surface.
    """
    filled = np.array(mask != 0)
    if max_voxels < 1:
        return filled
    labels = np.empty(mask.shape, np.int32)
    ndimage.label(~filled, _structure(connectivity), output=labels)
    fill = np.bincount(labels.ravel()) <= max_voxels
    fill[0] = False
    for axis in range(3):
        for face in (0, -1):
            fill[np.unique(labels.take(face, axis=axis))] = False
    filled |= fill[labels]
    return filled


def close_gaps(mask: NDArray[Any], radius: int) -> NDArray[np.bool_]:
    """Close holes and slits through sheets about as wide as a radius.

    Morphological closing with a digital ball (all voxels within ``radius`` +
    1/2). Gaps between neighbouring sheets of up to twice the radius are closed
    as well. The array is taken to go on as it is beyond its border, so that a
    sheet that leaves it is not thinned there.

    Parameters
    ----------
    mask : array (Z, Y, X)
        Non-zero is surface.
    radius : int
        Voxels; 0 changes nothing.
    """
    mask = np.asarray(mask != 0)
    if radius < 1 or not mask.any():
        return mask
    # Without the half, a ball resting on the rim of a hole always dips into a thin sheet.
    reach = radius + 0.5
    margin = radius + 1
    padded = np.pad(mask, margin, mode="edge")
    # By distances: two transforms whatever the radius, where a ball costs its volume.
    near = ndimage.distance_transform_edt(~padded) <= reach
    if near.all():  # SciPy's distance to nothing is not infinite
        return np.ones_like(mask)
    closed = ndimage.distance_transform_edt(near) > reach
    inner = (slice(margin, -margin),) * 3
    result: NDArray[np.bool_] = closed[inner] | mask
    return result


class BlockComponents:
    """Connected components of a mask that is too large for memory.

    The mask is passed in twice, block by block, in the same blocks, ordered by Z,
    then Y, then X. The first time (:meth:`add`) each block is labelled and its
    labels are joined to those of the blocks before it; of these only a plane, a
    row and a column of labels are kept. The second time :meth:`keep` finds
    which voxels belong to components that are large enough.

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
    """

    def __init__(self, shape: Size3) -> None:
        self._shape = shape
        self._bases: dict[Index3, int] = {}
        self._sizes: list[NDArray[np.int64]] = [np.zeros(1, np.int64)]
        self._edges: list[NDArray[np.uint32]] = []
        self._total = 0
        # Labels just above, before and left of the block at hand, with a margin for diagonals.
        self._above = np.zeros((shape[1] + 2, shape[2] + 2), np.uint32)
        self._below = np.zeros_like(self._above)
        self._before = np.zeros((1, shape[2] + 2), np.uint32)
        self._behind = self._before
        self._left = np.zeros((1, 1), np.uint32)
        self._resolved: tuple[NDArray[np.int64], NDArray[np.int64]] | None = None
        self._last: Index3 | None = None

    def add(self, start: Index3, mask: NDArray[Any]) -> None:
        """Label the block at ``start`` and join it to its predecessors."""
        z, y, x = start
        depth, height, width = mask.shape
        if self._last is None or z != self._last[0]:
            self._above, self._below = self._below, np.zeros_like(self._below)
            self._behind = np.zeros((depth, self._shape[2] + 2), np.uint32)
        if self._last is None or (z, y) != self._last[:2]:
            self._before, self._behind = self._behind, np.zeros_like(self._behind)
            self._left = np.zeros((depth, height), np.uint32)
        self._last = start
        local, number = _label(mask)
        labels = local.astype(np.uint32)
        labels[local > 0] += np.uint32(self._total)
        self._bases[start] = self._total
        self._sizes.append(np.bincount(local.ravel(), minlength=number + 1)[1:])
        self._total += number

        self._join(labels[0], self._above[y : y + height + 2, x : x + width + 2])
        self._join(labels[:, 0], np.pad(self._before[:, x : x + width + 2], ((1, 1), (0, 0))))
        self._join(labels[:, :, 0], np.pad(self._left, 1))
        self._below[y + 1 : y + 1 + height, x + 1 : x + 1 + width] = labels[-1]
        self._behind[:, x + 1 : x + 1 + width] = labels[:, -1]
        self._left = labels[:, :, -1].copy()

    def _join(self, face: NDArray[np.uint32], neighbours: NDArray[np.uint32]) -> None:
        """Join a face's labels to those within one voxel on the other side."""
        height, width = face.shape
        for i in range(3):
            for j in range(3):
                other = neighbours[i : i + height, j : j + width]
                both = (face > 0) & (other > 0)
                if both.any():
                    pairs = np.stack([face[both], other[both]], axis=1)
                    self._edges.append(np.unique(pairs, axis=0))

    def _resolve(self) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Size of every component, and of the component of every label."""
        if self._resolved is None:
            edges = np.concatenate([np.zeros((0, 2), np.uint32), *self._edges]).astype(np.int64)
            graph = sparse.coo_array(
                (np.ones(len(edges), np.int8), (edges[:, 0], edges[:, 1])),
                shape=(self._total + 1, self._total + 1),
            )
            _, roots = csgraph.connected_components(graph, directed=False)
            whole = np.bincount(roots, weights=np.concatenate(self._sizes)).astype(np.int64)
            self._resolved = whole, whole[roots]
            self._edges, self._sizes = [], []
        return self._resolved

    def count_smaller(self, min_voxels: int) -> int:
        """Count the components smaller than this."""
        whole, _ = self._resolve()
        return int(np.count_nonzero((whole > 0) & (whole < min_voxels)))

    def keep(self, start: Index3, mask: NDArray[Any], min_voxels: int) -> NDArray[np.bool_]:
        """Which of the block's voxels belong to components of at least this size."""
        base = self._bases[start]
        local, number = _label(mask)
        _, sizes = self._resolve()
        keep = np.concatenate([[False], sizes[base + 1 : base + 1 + number] >= min_voxels])
        kept: NDArray[np.bool_] = keep[local]
        return kept


def _label(mask: NDArray[Any]) -> tuple[NDArray[np.int32], int]:
    labels = np.empty(mask.shape, np.int32)
    number = int(ndimage.label(mask, _structure(26), output=labels))
    return labels, number
