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
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from napari_surfseg.compiling import compiled
from napari_surfseg.metrics.loops import padded_strides

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from napari_surfseg.metrics.dual_forest import DualForest
    from napari_surfseg.metrics.loops import Loops

__all__ = ["find_filling_squares"]


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

    Writes as many as fit into ``found``, and returns how many there are.
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
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Keep candidates whose linking numbers are independent of those before them.

    Returns them, and for each the lowest loop that makes it differ from those before.
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
    around = np.empty(max_rank, np.int64)
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
                around[rank] = word * 64 + low
                rank += 1
                begin[rank] = end
                break
            for w in range(begin[held], begin[held + 1]):
                vector[word + w - begin[held]] ^= pool[w]
    return kept[:rank], around[:rank]


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


def find_filling_squares(
    forest: DualForest, loops: Loops, max_rank: int
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
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
    squares : int64 array
        As ``padded voxel * 3 + axis``, descending, one for each tunnel of the
        smaller mask that is still there in the larger one; then, if the forest
        was built with `within`, one for each other tunnel.
    loops : int64 array
        For each square a loop around it, each loop at most once.
    """
    none = np.empty(0, np.int64)
    if loops.num == 0 or max_rank == 0:
        return none, none
    strides = padded_strides(forest.shape)
    size = forest.open_squares.size
    surfaces = _hang_surfaces(loops.num, loops.voxel, loops.axis, loops.loop, size, strides)
    potential = _fill_potential(forest.order, forest.toward, *surfaces, strides)
    found: list[NDArray[np.int64]] = []
    seen: list[NDArray[np.uint64]] = []
    for graph in (forest.open_squares, forest.late_squares):
        if graph is None:
            continue
        squares, words = np.empty(4096, np.int64), np.empty(4096, np.uint64)
        while True:
            num = _linked_squares(
                graph, forest.tree_squares, potential, *surfaces, strides, squares, words
            )
            if num <= squares.size:
                break
            squares, words = np.empty(num, np.int64), np.empty(num, np.uint64)
        found.append(squares[:num])
        seen.append(words[:num])
    all_squares, all_words = np.concatenate(found), np.concatenate(seen)
    if all_squares.size == 0:
        return none, none
    # Of squares with the same linking numbers only the first can be independent.
    _, first = np.unique(all_words, return_index=True)
    candidates = all_squares[np.sort(first)]
    kept, around = _independent_squares(
        candidates,
        loops.num,
        min(max_rank, loops.num, candidates.size),
        forest.toward,
        forest.depth,
        *_edges_by_column(loops, strides[0]),
        strides,
    )
    return kept, around
