"""Which squares fill the tunnels of a mask, when background is added square by square.

Betti matching needs, of a mask K inside the union U of both masks, the squares
at which an independent tunnel of K dies while the squares outside U are added
in the order of their index. A matrix reduction over all squares gives them; so
does linear algebra over the tunnels alone, because of this duality:

- Squares outside U are the edges of a graph whose nodes are the cubes between
  voxels (and one node for everything outside the volume). Adding squares in
  ascending order is removing edges in that order.
- A square that closes a cavity is a bridge, an edge of the graph's maximum
  spanning forest. Every other square c closes one cycle with that forest.
- c kills a tunnel of K if and only if its cycle's linking numbers (mod 2) with
  loops that generate the tunnels of K do not depend linearly on those of the
  squares after c.

The linking numbers come from a surface hung below each loop (swept towards
lower Z, closed in the plane of lowest Z): a potential over the forest sums, for
each node, the surfaces that its path crosses. Sets of loops are first carried
as XOR of random 64-bit words, one a loop, which shows where linking is zero or
has been seen before; only for the few squares left is the exact set written
down. Two different sets share a word with a chance of 2^-64.

Volumes are padded by one voxel. The square at a voxel that is normal to axis
``a`` joins the cube before it along ``a`` and the cube at its own index; cubes
that are not between eight voxels of the volume are the outside.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from napari_surfseg.metrics.compiling import compiled
from napari_surfseg.metrics.loops import padded_strides

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from napari_surfseg.metrics.loops import Loops

__all__ = ["DualForest", "build_dual_forest", "find_filling_squares"]


class DualForest(NamedTuple):
    """The maximum spanning forest of the graph of squares outside a mask.

    Bit ``a`` of an entry speaks of the square normal to axis ``a`` there.
    """

    shape: tuple[int, int, int]  #: without the padding
    open_squares: NDArray[np.uint8]  #: squares outside the mask
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
    squares: NDArray[np.uint8], parent: NDArray[np.int32], strides: tuple[int, int, int]
) -> NDArray[np.uint8]:
    """Kruskal over the squares, highest index first; returns the squares that joined."""
    size = squares.size
    tree = np.empty(size, np.uint8)
    for v in range(size - 1, -1, -1):
        tree[v] = 0
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
    return tree


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


@compiled
def _hang_surfaces(
    num: int,
    voxel: NDArray[np.int32],
    axis: NDArray[np.uint8],
    loop: NDArray[np.int32],
    size: int,
    strides: tuple[int, int, int],
) -> tuple[NDArray[np.uint64], NDArray[np.uint64], NDArray[np.uint64]]:
    """Hash, for each square, the set of loops whose surface holds it.

    Returns the words of the squares normal to axis 2, of those normal to axis
    1, and of those normal to axis 0 in the lowest plane (elsewhere there are none).
    """
    plane, row = strides[0], strides[1]
    words = np.empty(num, np.uint64)
    state = np.uint64(0x9E3779B97F4A7C15)
    for i in range(num):  # splitmix64, so that every run draws the same words
        state += np.uint64(0x9E3779B97F4A7C15)
        z = state
        z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
        words[i] = z ^ (z >> np.uint64(31))
    across2 = np.zeros(size, np.uint64)
    across1 = np.zeros(size, np.uint64)
    for i in range(voxel.size):
        if axis[i] == 1:
            across2[voxel[i]] ^= words[loop[i]]
        elif axis[i] == 2:
            across1[voxel[i]] ^= words[loop[i]]
    # A surface hangs from each edge towards lower Z: add up what lies strictly above.
    above2 = np.zeros(plane, np.uint64)
    above1 = np.zeros(plane, np.uint64)
    for v in range(size - 1, -1, -1):
        p = v % plane
        here2, here1 = across2[v], across1[v]
        across2[v] = above2[p]
        across1[v] = above1[p]
        above2[p] ^= here2
        above1[p] ^= here1
    # The shadow left in the lowest plane hangs from there towards lower Y.
    above = np.zeros(row, np.uint64)
    for p in range(plane - 1, -1, -1):
        here = above1[p]
        above1[p] = above[p % row]
        above[p % row] ^= here
    return across2, across1, above1


@compiled
def _fill_potential(
    order: NDArray[np.int32],
    toward: NDArray[np.uint8],
    across2: NDArray[np.uint64],
    across1: NDArray[np.uint64],
    floor: NDArray[np.uint64],
    strides: tuple[int, int, int],
) -> NDArray[np.uint64]:
    """Add up, for each cube, the words of the squares on its way to the root."""
    s0, s1, s2 = strides
    potential = np.zeros(toward.size, np.uint64)
    for i in range(order.size):
        v = order[i]
        way = toward[v]
        if way == 4:
            potential[v] = potential[v - s2] ^ across2[v]
        elif way == 5:
            potential[v] = potential[v + s2] ^ across2[v + s2]
        elif way == 2:
            potential[v] = potential[v - s1] ^ across1[v]
        elif way == 3:
            potential[v] = potential[v + s1] ^ across1[v + s1]
        elif way == 1:
            potential[v] = potential[v + s0]
        elif way == 0:
            potential[v] = potential[v - s0]
            if v < 2 * s0:  # a square of the lowest plane; the plane before is padding
                potential[v] ^= floor[v - s0]
    return potential


@compiled
def _linked_squares(
    squares: NDArray[np.uint8],
    tree: NDArray[np.uint8],
    potential: NDArray[np.uint64],
    across2: NDArray[np.uint64],
    across1: NDArray[np.uint64],
    floor: NDArray[np.uint64],
    strides: tuple[int, int, int],
    found: NDArray[np.int64],
    words: NDArray[np.uint64],
) -> int:
    """List squares outside the forest, last first, whose cycle links some loop.

    Writes as many as there is room for, and returns how many there are.
    """
    s0, s1, s2 = strides
    zero = np.uint64(0)
    # Neighbouring squares mostly repeat a word; a small table of words seen drops nearly all.
    seen = np.zeros(4096, np.uint64)
    num = 0
    for v in range(squares.size - 1, -1, -1):
        bits = squares[v] & ~tree[v]
        if bits == 0:
            continue
        here = potential[v]
        word2 = here ^ potential[v - s2] ^ across2[v] if bits & 4 else zero
        word1 = here ^ potential[v - s1] ^ across1[v] if bits & 2 else zero
        word0 = here ^ potential[v - s0] if bits & 1 else zero
        if bits & 1 and v < 2 * s0:
            word0 ^= floor[v - s0]
        if (word2 | word1 | word0) == zero:
            continue
        for back in range(3):
            word = word2 if back == 0 else (word1 if back == 1 else word0)
            slot = word & np.uint64(4095)
            if word != zero and seen[slot] != word:
                seen[slot] = word
                if num < found.size:
                    found[num] = v * 3 + 2 - back
                    words[num] = word
                num += 1
    return num


@compiled
def _cross(
    vector: NDArray[np.uint64],
    square: int,
    axis: int,
    plane: int,
    row: int,
    first: NDArray[np.int64],
    height: NDArray[np.int32],
    loop: NDArray[np.int32],
) -> None:
    """Flip, in a set of loops, those whose surface holds a square."""
    level = square // plane
    p = square % plane
    if axis == 0:
        if level != 1:
            return
        column = plane + p + row
        step = row
        end = 2 * plane
        level = 0
    else:
        column = p if axis == 2 else plane + p
        step = 2 * plane
        end = 2 * plane
    while column < end:
        for e in range(first[column], first[column + 1]):
            if height[e] > level:
                vector[loop[e] // 64] ^= np.uint64(1) << np.uint64(loop[e] % 64)
        column += step


@compiled
def _independent_squares(
    candidates: NDArray[np.int64],
    num_loops: int,
    max_rank: int,
    toward: NDArray[np.uint8],
    depth: NDArray[np.int32],
    first: NDArray[np.int64],
    height: NDArray[np.int32],
    loop: NDArray[np.int32],
    strides: tuple[int, int, int],
) -> NDArray[np.int64]:
    """Keep candidates whose linking numbers are independent of those before them.

    ``first[p]:first[p + 1]`` are the loop edges along axis 1 over the point
    ``p`` of the plane, ``first[plane + p]`` on those along axis 2.
    """
    plane, row = strides[0], strides[1]
    num_words = (num_loops + 63) // 64
    # Loops are numbered along Z, so a set of them fills a short stretch of words: each basis
    # row is kept from its first to its last word, all rows one after the other.
    pool = np.empty(1024, np.uint64)
    begin = np.zeros(max_rank + 1, np.int64)
    row_of = np.full(num_words * 64, -1, np.int32)  # the basis row whose lowest loop this is
    kept = np.empty(max_rank, np.int64)
    rank = 0
    vector = np.zeros(num_words, np.uint64)
    for i in range(candidates.size):
        if rank == max_rank:
            break
        for w in range(num_words):
            vector[w] = 0
        square = candidates[i] // 3
        axis = candidates[i] % 3
        a = square
        b = square - strides[axis]
        _cross(vector, square, axis, plane, row, first, height, loop)
        # Close the cycle over the forest; roots of one tree are one node.
        while a != b and depth[a] + depth[b] > 0:
            deeper = depth[a] >= depth[b]
            v = a if deeper else b
            way = int(toward[v])
            axis = way // 2
            up = v + strides[axis] if way % 2 else v - strides[axis]
            _cross(vector, up if way % 2 else v, axis, plane, row, first, height, loop)
            if deeper:
                a = up
            else:
                b = up
        word = 0
        while word < num_words:
            if vector[word] == 0:
                word += 1
                continue
            low = 0
            while not (vector[word] >> np.uint64(low)) & np.uint64(1):
                low += 1
            held = row_of[word * 64 + low]
            if held < 0:
                row_of[word * 64 + low] = rank
                last = num_words
                while vector[last - 1] == 0:
                    last -= 1
                end = begin[rank] + last - word
                if end > pool.size:
                    larger = np.empty(2 * end, np.uint64)
                    for w in range(begin[rank]):
                        larger[w] = pool[w]
                    pool = larger
                for w in range(word, last):
                    pool[begin[rank] + w - word] = vector[w]
                kept[rank] = candidates[i]
                rank += 1
                begin[rank] = end
                break
            for w in range(begin[held], begin[held + 1]):
                vector[word + w - begin[held]] ^= pool[w]
    return kept[:rank]


def build_dual_forest(union: NDArray[np.uint8]) -> DualForest:
    """Build the maximum spanning forest of the squares outside a mask.

    Parameters
    ----------
    union : uint8 array, shape (Z, Y, X)
        0 and 1. Squares are ordered by their lowest voxel, then by the axis
        they are normal to (Z, Y, X), which is the order of the public library.
    """
    depth_, height, width = union.shape
    shape = (depth_, height, width)
    strides = padded_strides(shape)
    squares = _find_open_squares(np.pad(union, 1, constant_values=2).reshape(-1), strides)
    inside = (slice(1, depth_), slice(1, height), slice(1, width))
    padded = (depth_ + 2, height + 2, width + 2)
    parent = np.zeros(padded, np.int32)  # everything outside hangs from cube 0
    parent[inside] = np.arange(parent.size, dtype=np.int32).reshape(padded)[inside]
    tree = _join_cubes(squares, parent.reshape(-1), strides)
    toward = np.full(padded, 6, np.uint8)
    toward[inside] = 7
    order, depth = _root_forest(tree, toward.reshape(-1), strides)
    return DualForest(shape, squares, tree, order, toward.reshape(-1), depth)


def _edges_by_column(
    loops: Loops, plane: int
) -> tuple[NDArray[np.int64], NDArray[np.int32], NDArray[np.int32]]:
    """Sort the loop edges along axes 1 and 2 by axis and point of the plane."""
    chosen = np.flatnonzero(loops.axis > 0)
    column = loops.voxel[chosen] % plane + np.where(loops.axis[chosen] == 2, plane, 0)
    chosen = chosen[np.argsort(column, kind="stable")]
    first = np.zeros(2 * plane + 1, np.int64)
    np.cumsum(np.bincount(column, minlength=2 * plane), out=first[1:])
    return first, (loops.voxel[chosen] // plane).astype(np.int32), loops.loop[chosen]


def find_filling_squares(forest: DualForest, loops: Loops, max_rank: int) -> NDArray[np.int64]:
    """Find the squares that fill independent tunnels of a mask.

    Parameters
    ----------
    forest : DualForest
        Of a mask that contains the loops' mask.
    loops : Loops
        Loops that generate the tunnels of the smaller mask.
    max_rank : int
        Number of tunnels of the smaller mask.

    Returns
    -------
    int64 array
        Squares as ``padded voxel * 3 + axis``, descending, one for each tunnel
        of the smaller mask that is still there in the larger one.
    """
    none = np.empty(0, np.int64)
    if loops.num == 0 or max_rank == 0:
        return none
    strides = padded_strides(forest.shape)
    size = forest.open_squares.size
    surfaces = _hang_surfaces(loops.num, loops.voxel, loops.axis, loops.loop, size, strides)
    potential = _fill_potential(forest.order, forest.toward, *surfaces, strides)
    squares, words = np.empty(4096, np.int64), np.empty(4096, np.uint64)
    while True:
        num = _linked_squares(
            forest.open_squares,
            forest.tree_squares,
            potential,
            *surfaces,
            strides,
            squares,
            words,
        )
        if num <= squares.size:
            break
        squares, words = np.empty(num, np.int64), np.empty(num, np.uint64)
    if num == 0:
        return none
    # Of squares with the same linking numbers only the first can be independent.
    _, first = np.unique(words[:num], return_index=True)
    candidates = squares[np.sort(first)]
    kept: NDArray[np.int64] = _independent_squares(
        candidates,
        loops.num,
        min(max_rank, loops.num, candidates.size),
        forest.toward,
        forest.depth,
        *_edges_by_column(loops, strides[0]),
        strides,
    )
    return kept
