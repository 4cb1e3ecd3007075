"""A few closed voxel paths that generate every tunnel of a mask.

Each edge outside a spanning forest of the mask closes one loop. A square of
four foreground voxels makes the loop of one of its edges redundant once the
other three are settled, so loops are peeled away square by square; an edge is
kept only where the peeling gets stuck. What is kept generates the first
homology of the mask, and is seldom much more than a basis.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from napari_surfseg.metrics.compiling import compiled

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["Loops", "find_loops"]


class Loops(NamedTuple):
    """Generating loops as lists of lattice edges.

    An edge of axis ``a`` at voxel ``v`` joins ``v`` and its successor along ``a``.
    """

    num: int
    voxel: NDArray[np.int32]  #: flat index of each edge's first voxel
    axis: NDArray[np.uint8]
    loop: NDArray[np.int32]  #: which loop the edge belongs to


@compiled
def _grow_forest(
    mask: NDArray[np.uint8], shape: NDArray[np.int64]
) -> tuple[NDArray[np.uint8], NDArray[np.int32], NDArray[np.uint8]]:
    """Grow a breadth-first forest; return parent directions, depths and the edges left out."""
    n0, n1, n2 = shape[0], shape[1], shape[2]
    size = mask.size
    strides = (n1 * n2, n2, 1)
    toward = np.full(size, 7, np.uint8)  # 2a: predecessor along a, 2a + 1: successor, 6: root
    depth = np.zeros(size, np.int32)
    left_out = np.zeros(size, np.uint8)
    queue = np.empty(size, np.int32)
    for seed in range(size):
        if mask[seed] == 0 or toward[seed] != 7:
            continue
        toward[seed] = 6
        head, tail = 0, 1
        queue[0] = seed
        while head < tail:
            v = queue[head]
            head += 1
            c0 = v // strides[0]
            c1 = v // n2 % n1
            c2 = v % n2
            for axis in range(3):
                c = c0 if axis == 0 else (c1 if axis == 1 else c2)
                n = n0 if axis == 0 else (n1 if axis == 1 else n2)
                if c > 0:
                    w = v - strides[axis]
                    if mask[w] and toward[w] == 7:
                        toward[w] = 2 * axis + 1
                        depth[w] = depth[v] + 1
                        queue[tail] = w
                        tail += 1
                if c < n - 1:
                    w = v + strides[axis]
                    if mask[w] and toward[w] == 7:
                        toward[w] = 2 * axis
                        depth[w] = depth[v] + 1
                        queue[tail] = w
                        tail += 1
        for i in range(tail):
            v = queue[i]
            c0 = v // strides[0]
            c1 = v // n2 % n1
            c2 = v % n2
            bits = 0
            if c0 < n0 - 1:
                w = v + strides[0]
                if mask[w] and toward[w] != 0 and toward[v] != 1:
                    bits |= 1
            if c1 < n1 - 1:
                w = v + strides[1]
                if mask[w] and toward[w] != 2 and toward[v] != 3:
                    bits |= 2
            if c2 < n2 - 1:
                w = v + 1
                if mask[w] and toward[w] != 4 and toward[v] != 5:
                    bits |= 4
            left_out[v] = bits
    return toward, depth, left_out


@compiled
def _peel(
    mask: NDArray[np.uint8], left_out: NDArray[np.uint8], shape: NDArray[np.int64]
) -> NDArray[np.int64]:
    """Settle edges through squares; return those (voxel * 3 + axis) where it got stuck."""
    n0, n1, n2 = shape[0], shape[1], shape[2]
    size = mask.size
    strides = (n1 * n2, n2, 1)
    stack = np.empty(1024, np.int64)
    kept = np.empty(64, np.int64)
    num_kept = 0
    # First round: every square, to start the peeling at the trees. Second: what is stuck.
    for stage in range(2):
        for start in range(size):
            if mask[start] == 0 or (stage == 1 and left_out[start] == 0):
                continue
            for choice in range(3):
                top = 0
                if stage == 1:
                    if not left_out[start] & (1 << choice):
                        continue
                    left_out[start] &= ~np.uint8(1 << choice)
                    if num_kept == kept.size:
                        larger = np.empty(2 * kept.size, np.int64)
                        larger[:num_kept] = kept
                        kept = larger
                    kept[num_kept] = start * 3 + choice
                    num_kept += 1
                    stack[0] = start * 3 + choice
                    top = 1
                # In the first round the square that starts here and is normal to `choice` is
                # looked at; afterwards all squares around every edge settled.
                fresh = stage == 0
                while fresh or top > 0:
                    edge = np.int64(start * 3 + choice)
                    if not fresh:
                        top -= 1
                        edge = stack[top]
                    v = edge // 3
                    a = edge % 3
                    for side in range(4):
                        if fresh:
                            if side > 0:
                                break
                            a = (choice + 1) % 3
                            b = (choice + 2) % 3
                            u = v
                        else:
                            b = (a + 1 + side // 2) % 3
                            u = v
                            if side % 2 == 1:
                                cb = (
                                    v // strides[0]
                                    if b == 0
                                    else (v // n2 % n1 if b == 1 else v % n2)
                                )
                                if cb == 0:
                                    continue
                                u = v - strides[b]
                        u0 = u // strides[0]
                        u1 = u // n2 % n1
                        u2 = u % n2
                        if a == 0 or b == 0:
                            if u0 == n0 - 1:
                                continue
                        if a == 1 or b == 1:
                            if u1 == n1 - 1:
                                continue
                        if a == 2 or b == 2:
                            if u2 == n2 - 1:
                                continue
                        ua = u + strides[a]
                        ub = u + strides[b]
                        if not (mask[u] and mask[ua] and mask[ub] and mask[ua + strides[b]]):
                            continue
                        bit_a = np.uint8(1 << a)
                        bit_b = np.uint8(1 << b)
                        num_open = 0
                        where = np.int64(-1)
                        if left_out[u] & bit_a:
                            num_open += 1
                            where = u * 3 + a
                        if left_out[u] & bit_b:
                            num_open += 1
                            where = u * 3 + b
                        if left_out[ub] & bit_a:
                            num_open += 1
                            where = ub * 3 + a
                        if left_out[ua] & bit_b:
                            num_open += 1
                            where = ua * 3 + b
                        if num_open == 1:
                            left_out[where // 3] &= ~np.uint8(1 << (where % 3))
                            if top == stack.size:
                                deeper = np.empty(2 * stack.size, np.int64)
                                deeper[:top] = stack
                                stack = deeper
                            stack[top] = where
                            top += 1
                    fresh = False
    return kept[:num_kept]


@compiled
def _trace(
    kept: NDArray[np.int64],
    toward: NDArray[np.uint8],
    depth: NDArray[np.int32],
    shape: NDArray[np.int64],
) -> tuple[NDArray[np.int32], NDArray[np.uint8], NDArray[np.int32]]:
    """List the edges of the loop that each kept edge closes in the forest."""
    strides = (shape[1] * shape[2], shape[2], np.int64(1))
    total = 0
    voxel = np.empty(0, np.int32)
    axes = np.empty(0, np.uint8)
    loops = np.empty(0, np.int32)
    for stage in range(2):  # count, then write
        if stage == 1:
            voxel = np.empty(total, np.int32)
            axes = np.empty(total, np.uint8)
            loops = np.empty(total, np.int32)
            total = 0
        for i in range(kept.size):
            a = kept[i] // 3
            axis = kept[i] % 3
            b = a + strides[axis]
            if stage == 1:
                voxel[total] = a
                axes[total] = axis
                loops[total] = i
            total += 1
            while a != b:
                if depth[a] >= depth[b]:
                    v = a
                else:
                    v = b
                step = toward[v]
                axis = step // 2
                w = v + strides[axis] if step % 2 == 1 else v - strides[axis]
                if stage == 1:
                    voxel[total] = min(v, w)
                    axes[total] = axis
                    loops[total] = i
                total += 1
                if depth[a] >= depth[b]:
                    a = w
                else:
                    b = w
    return voxel, axes, loops


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
    shape = np.array(mask.shape, np.int64)
    flat = mask.reshape(-1)
    toward, depth, left_out = _grow_forest(flat, shape)
    kept = _peel(flat, left_out, shape)
    voxel, axis, loop = _trace(kept, toward, depth, shape)
    return Loops(kept.size, voxel, axis, loop)
