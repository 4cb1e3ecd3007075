"""A few closed voxel paths that generate every tunnel of a mask.

Each edge outside a spanning forest of the mask closes one loop. A square of
four foreground voxels makes the loop of one of its edges redundant once the
other three are settled, so loops are peeled away square by square; an edge is
kept only where the peeling gets stuck. What is kept generates the first
homology of the mask, and is seldom much more than a basis.

Volumes are padded by one voxel on all sides, so that every voxel has six
neighbours and none needs its coordinates.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from napari_surfseg.compiling import compiled

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from napari_surfseg.geometry import Size3

__all__ = ["Loops", "find_loops"]


class Loops(NamedTuple):
    """Generating loops as lists of lattice edges of the padded volume.

    An edge of axis ``a`` at voxel ``v`` joins ``v`` and its successor along ``a``.
    """

    num: int
    voxel: NDArray[np.int32]  #: flat index of each edge's first voxel
    axis: NDArray[np.uint8]
    loop: NDArray[np.int32]  #: which loop the edge belongs to


@compiled
def _grow_forest(
    mask: NDArray[np.uint8], strides: tuple[int, int, int]
) -> tuple[NDArray[np.uint8], NDArray[np.int32], NDArray[np.uint8]]:
    """Grow a breadth-first forest.

    Returns the ways to the parents (2a backwards along axis a, 2a + 1 forwards), the
    depths, and the state of the peeling: bit a, the edge along axis a is open;
    bit 3 + a, the square normal to axis a is foreground.
    """
    size = mask.size
    toward = np.empty(size, np.uint8)
    depth = np.empty(size, np.int32)
    state = np.empty(size, np.uint8)
    for v in range(size):
        toward[v] = 7
        depth[v] = 0
        state[v] = 0
    queue = np.empty(size, np.int32)
    tail = 0
    for seed in range(size):
        if mask[seed] == 0 or toward[seed] != 7:
            continue
        toward[seed] = 6
        head = tail
        queue[tail] = seed
        tail += 1
        while head < tail:
            v = queue[head]
            head += 1
            for way in range(6):
                w = v + strides[way // 2] if way % 2 else v - strides[way // 2]
                if mask[w] and toward[w] == 7:
                    toward[w] = way ^ 1
                    depth[w] = depth[v] + 1
                    queue[tail] = w
                    tail += 1
    for v in range(size):
        if mask[v] == 0:
            continue
        bits = 0
        for axis in range(3):
            w = v + strides[axis]
            if mask[w]:
                if toward[w] != 2 * axis and toward[v] != 2 * axis + 1:
                    bits |= 1 << axis
                other = strides[(axis + 1) % 3]
                if mask[v + other] and mask[w + other]:
                    bits |= 8 << ((axis + 2) % 3)
        state[v] = bits
    return toward, depth, state


@compiled
def _last_open_edge(
    state: NDArray[np.uint8], strides: tuple[int, int, int], u: int, a: int, b: int
) -> int:
    """Return the only open edge (voxel * 3 + axis) of the square at u along a and b, or -1."""
    here = state[u]
    if not (here >> (6 - a - b)) & 1:
        return -1
    ua = u + strides[a]
    ub = u + strides[b]
    ea = (here >> a) & 1
    eb = (here >> b) & 1
    fa = (state[ub] >> a) & 1
    fb = (state[ua] >> b) & 1
    if ea + eb + fa + fb != 1:
        return -1
    if ea:
        return u * 3 + a
    if eb:
        return u * 3 + b
    if fa:
        return ub * 3 + a
    return ua * 3 + b


@compiled
def _settle(
    state: NDArray[np.uint8],
    strides: tuple[int, int, int],
    stack: NDArray[np.int64],
    edge: int,
) -> None:
    """Close an edge, then every edge that is the last open one of a square."""
    state[edge // 3] &= ~(1 << (edge % 3))
    stack[0] = edge
    top = 1
    while top > 0:
        top -= 1
        v = stack[top] // 3
        a = stack[top] % 3
        for side in range(4):
            b = (a + 1 + side // 2) % 3
            u = v - strides[b] if side % 2 else v
            found = _last_open_edge(state, strides, u, a, b)
            if found >= 0:
                state[found // 3] &= ~(1 << (found % 3))
                stack[top] = found
                top += 1


@compiled
def _count_open(state: NDArray[np.uint8]) -> int:
    total = 0
    for v in range(state.size):
        total += (state[v] & 1) + ((state[v] >> 1) & 1) + ((state[v] >> 2) & 1)
    return total


@compiled
def _peel(state: NDArray[np.uint8], strides: tuple[int, int, int]) -> NDArray[np.int64]:
    """Settle edges through squares; return those (voxel * 3 + axis) where it got stuck."""
    size = state.size
    stack = np.empty(_count_open(state) + 1, np.int64)
    for v in range(size):
        if state[v] >> 3:
            for axis in range(3):
                found = _last_open_edge(state, strides, v, axis, (axis + 1) % 3)
                if found >= 0:
                    _settle(state, strides, stack, found)
    kept = np.empty(_count_open(state), np.int64)
    num_kept = 0
    for v in range(size):
        for axis in range(3):
            if (state[v] >> axis) & 1:
                kept[num_kept] = v * 3 + axis
                num_kept += 1
                _settle(state, strides, stack, v * 3 + axis)
    return kept[:num_kept]


@compiled
def _trace(
    kept: NDArray[np.int64],
    toward: NDArray[np.uint8],
    depth: NDArray[np.int32],
    strides: tuple[int, int, int],
    ends: NDArray[np.int64],
    voxel: NDArray[np.int32],
    axes: NDArray[np.uint8],
    loops: NDArray[np.int32],
) -> None:
    """Write the edges of the loop that each kept edge closes; with empty arrays, count them."""
    total = 0
    for i in range(kept.size):
        a = kept[i] // 3
        axis = kept[i] % 3
        b = a + strides[axis]
        v = a
        while True:
            if total < voxel.size:
                voxel[total] = v
                axes[total] = axis
                loops[total] = i
            total += 1
            if a == b:
                break
            deeper = depth[a] >= depth[b]
            v = a if deeper else b
            axis = np.int64(toward[v] // 2)
            up = v + strides[axis] if toward[v] % 2 else v - strides[axis]
            if deeper:
                a = up
            else:
                b = up
            v = min(v, up)
        ends[i] = total


def padded_strides(shape: Size3) -> tuple[int, int, int]:
    """Return the steps between neighbours along each axis of a volume padded by one voxel."""
    return (shape[1] + 2) * (shape[2] + 2), shape[2] + 2, 1


def find_loops(mask: NDArray[np.uint8]) -> Loops:
    """Find loops of foreground voxels that generate all tunnels of a mask.

    Parameters
    ----------
    mask : uint8 array, shape (Z, Y, X)
        0 and 1; foreground connects over faces.

    Returns
    -------
    Loops
        At least as many loops as the mask has tunnels.
    """
    depth_, height, width = mask.shape
    strides = padded_strides((depth_, height, width))
    flat = np.pad(mask, 1).reshape(-1)
    toward, depth, state = _grow_forest(flat, strides)
    kept = _peel(state, strides)
    ends = np.zeros(kept.size, np.int64)
    voxel, axis, loop = np.empty(0, np.int32), np.empty(0, np.uint8), np.empty(0, np.int32)
    for _ in range(2):  # count, then write
        _trace(kept, toward, depth, strides, ends, voxel, axis, loop)
        num_edges = int(ends[-1]) if kept.size else 0
        if num_edges > voxel.size:
            voxel = np.empty(num_edges, np.int32)
            axis = np.empty(num_edges, np.uint8)
            loop = np.empty(num_edges, np.int32)
    return Loops(kept.size, voxel, axis, loop)
