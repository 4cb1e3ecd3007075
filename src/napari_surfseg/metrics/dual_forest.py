"""The graph of cubes and squares between voxels, and its maximum spanning forest.

Volumes are padded by one voxel, so that nothing needs its coordinates. The
square at a voxel that is normal to axis ``a`` joins the cube before it along
``a`` and the cube at its own index; cubes that are not between eight voxels of
the volume are the outside, one node.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from napari_surfseg.compiling import compiled
from napari_surfseg.metrics.loops import padded_strides

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from napari_surfseg.geometry import Size3

__all__ = ["DualForest", "build_dual_forest"]


class DualForest(NamedTuple):
    """The maximum spanning forest of the graph of squares outside a mask.

    Bit ``a`` of an entry belongs to the square normal to axis ``a`` there.
    """

    shape: Size3  #: without the padding
    open_squares: NDArray[np.uint8]  #: squares outside the mask
    late_squares: NDArray[np.uint8] | None  #: squares that come before all of those
    tree_squares: NDArray[np.uint8]  #: those in the forest
    order: NDArray[np.int32]  #: cubes, every parent before its children
    toward: NDArray[np.uint8]  #: way to the parent: 2a over the own square, 2a + 1 the next
    depth: NDArray[np.int32]  #: edges to the root, 0 outside


@compiled
def _find_open_squares(mask: NDArray[np.uint8], strides: tuple[int, int, int]) -> NDArray[np.uint8]:
    """Flag the squares with a background voxel; `mask` is 2 in the padding."""
    size = mask.size
    out = np.empty(size, np.uint8)
    for v in range(size):
        out[v] = 0
        if mask[v] == 2:
            continue
        for axis in range(3):
            b = strides[(axis + 1) % 3]
            c = strides[(axis + 2) % 3]
            m0, m1, m2, m3 = mask[v], mask[v + b], mask[v + c], mask[v + b + c]
            if (m0 | m1 | m2 | m3) < 2 and (m0 & m1 & m2 & m3) == 0:
                out[v] |= 1 << axis
    return out


@compiled
def _join_cubes(
    squares: NDArray[np.uint8],
    parent: NDArray[np.int32],
    tree: NDArray[np.uint8],
    strides: tuple[int, int, int],
) -> None:
    """Kruskal over the squares, highest index first; flags those that join two trees."""
    for v in range(squares.size - 1, -1, -1):
        if squares[v] == 0:
            continue
        for back in range(3):
            axis = 2 - back
            if not (squares[v] >> axis) & 1:
                continue
            a = np.int64(v)
            while parent[a] != a:
                parent[a] = parent[parent[a]]
                a = np.int64(parent[a])
            b = np.int64(v - strides[axis])
            while parent[b] != b:
                parent[b] = parent[parent[b]]
                b = np.int64(parent[b])
            if a != b:
                tree[v] |= 1 << axis
                # The later root stays: it is the one that squares to come meet first.
                parent[min(a, b)] = max(a, b)


@compiled
def _root_forest(
    tree: NDArray[np.uint8], toward: NDArray[np.uint8], strides: tuple[int, int, int]
) -> tuple[NDArray[np.int32], NDArray[np.int32]]:
    """Turn the edges of the forest into ways to parents, breadth first from the outside."""
    size = tree.size
    depth = np.empty(size, np.int32)
    order = np.empty(size, np.int32)
    for v in range(size):
        depth[v] = 0
    tail = 0
    for v in range(size):
        for axis in range(3):
            if (tree[v] >> axis) & 1:
                w = v - strides[axis]
                child = v if toward[w] == 6 else w
                if toward[child] == 7 and toward[v + w - child] == 6:
                    toward[child] = 2 * axis if child == v else 2 * axis + 1
                    depth[child] = 1
                    order[tail] = child
                    tail += 1
    head = 0
    for seed in range(size):
        if tree[seed] and toward[seed] == 7 and head == tail:
            # A tree that does not reach the outside (the inside of a cavity) starts anywhere.
            toward[seed] = 6
            order[tail] = seed
            tail += 1
        while head < tail:
            v = order[head]
            head += 1
            for way in range(6):
                axis = way // 2
                w = v + strides[axis] if way % 2 else v - strides[axis]
                square = w if way % 2 else v
                if (tree[square] >> axis) & 1 and toward[w] == 7:
                    toward[w] = way ^ 1
                    depth[w] = depth[v] + 1
                    order[tail] = w
                    tail += 1
    return order[:tail], depth


def build_dual_forest(
    union: NDArray[np.uint8], within: NDArray[np.uint8] | None = None
) -> DualForest:
    """Build the maximum spanning forest of the squares outside a mask.

    Parameters
    ----------
    union : uint8 array, shape (Z, Y, X)
        0 and 1. Squares are ordered by their lowest voxel, then by the axis
        they are normal to (Z, Y, X), which is the order of the public library.
    within : uint8 array, shape (Z, Y, X), optional
        A mask inside `union`; squares outside it but not outside `union` join
        the forest too, as if they came before all others.

    Returns
    -------
    DualForest
    """
    depth_, height, width = union.shape
    shape = (depth_, height, width)
    strides = padded_strides(shape)
    squares = _find_open_squares(np.pad(union, 1, constant_values=2).reshape(-1), strides)
    inside = (slice(1, depth_), slice(1, height), slice(1, width))
    padded = (depth_ + 2, height + 2, width + 2)
    parent = np.zeros(padded, np.int32)  # everything outside hangs from cube 0
    parent[inside] = np.arange(parent.size, dtype=np.int32).reshape(padded)[inside]
    tree = np.zeros(squares.size, np.uint8)
    _join_cubes(squares, parent.reshape(-1), tree, strides)
    late = None
    if within is not None:
        late = _find_open_squares(np.pad(within, 1, constant_values=2).reshape(-1), strides)
        late &= ~squares
        _join_cubes(late, parent.reshape(-1), tree, strides)
    toward = np.full(padded, 6, np.uint8)
    toward[inside] = 7
    order, depth = _root_forest(tree, toward.reshape(-1), strides)
    return DualForest(shape, squares, late, tree, order, toward.reshape(-1), depth)
