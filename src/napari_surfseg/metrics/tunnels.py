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
lower Z, closed in the plane Z = 0): a potential over the forest sums, for each
node, the surfaces that its path crosses. Sets of loops are first carried as XOR
of random 64-bit words, one a loop, which shows where linking is zero or has been
seen before; only for the few squares left is the exact set written down. Two
different sets share a word with a chance of 2^-64.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from napari_surfseg.metrics.compiling import compiled

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from napari_surfseg.metrics.loops import Loops

__all__ = ["DualForest", "build_dual_forest", "find_filling_squares"]


class DualForest(NamedTuple):
    """The maximum spanning forest of the graph of squares outside a mask.

    Cube and square indices are those of their lowest voxel; bit ``a`` of the
    entries below speaks of the square normal to axis ``a`` there, which joins
    the cube before it along ``a`` and the cube at its own index.
    """

    shape: tuple[int, int, int]
    open_squares: NDArray[np.uint8]  #: squares outside the mask
    tree_squares: NDArray[np.uint8]  #: those in the forest
    order: NDArray[np.int32]  #: nodes, every parent before its children; roots left out
    toward: NDArray[np.uint8]  #: way to the parent: 2a over the own square, 2a + 1 the next
    depth: NDArray[np.int32]  #: edges to the root; the last entry is the outside


@compiled
def _find_open_squares(mask: NDArray[np.uint8]) -> NDArray[np.uint8]:
    n0, n1, n2 = mask.shape
    out = np.zeros((n0, n1, n2), np.uint8)
    for i in range(n0):
        for j in range(n1):
            has_i = i + 1 < n0
            has_j = j + 1 < n1
            for k in range(n2):
                has_k = k + 1 < n2
                bits = 0
                m = mask[i, j, k]
                mi = mask[i + 1, j, k] if has_i else 0
                mj = mask[i, j + 1, k] if has_j else 0
                mk = mask[i, j, k + 1] if has_k else 0
                if has_j and has_k and not (m & mj & mk & mask[i, j + 1, k + 1]):
                    bits |= 1
                if has_i and has_k and not (m & mi & mk & mask[i + 1, j, k + 1]):
                    bits |= 2
                if has_i and has_j and not (m & mi & mj & mask[i + 1, j + 1, k]):
                    bits |= 4
                out[i, j, k] = bits
    return out


@compiled
def _join_cubes(squares: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Kruskal over the squares, highest index first; returns the squares that joined."""
    n0, n1, n2 = squares.shape
    size = n0 * n1 * n2
    strides = (n1 * n2, n2, 1)
    flat = squares.reshape(size)
    tree = np.zeros(size, np.uint8)
    parent = np.arange(size + 1).astype(np.int32)
    for i in range(n0 - 1, -1, -1):
        for j in range(n1 - 1, -1, -1):
            for k in range(n2 - 1, -1, -1):
                v = i * strides[0] + j * n2 + k
                bits = flat[v]
                if bits == 0:
                    continue
                for axis in (2, 1, 0):
                    if not bits & (1 << axis):
                        continue
                    c = i if axis == 0 else (j if axis == 1 else k)
                    n = n0 if axis == 0 else (n1 if axis == 1 else n2)
                    a = v if c < n - 1 else size
                    b = v - strides[axis] if c > 0 else size
                    while parent[a] != a:
                        parent[a] = parent[parent[a]]
                        a = parent[a]
                    while parent[b] != b:
                        parent[b] = parent[parent[b]]
                        b = parent[b]
                    if a == b:
                        continue
                    tree[v] |= np.uint8(1 << axis)
                    # The later root stays: it is the one that later edges meet first.
                    if a > b:
                        parent[b] = a
                    else:
                        parent[a] = b
    return tree


@compiled
def _root_forest(
    tree: NDArray[np.uint8], shape: NDArray[np.int64]
) -> tuple[NDArray[np.int32], NDArray[np.uint8], NDArray[np.int32]]:
    n0, n1, n2 = shape[0], shape[1], shape[2]
    size = tree.size
    strides = (n1 * n2, n2, np.int64(1))
    toward = np.full(size, 7, np.uint8)
    depth = np.zeros(size + 1, np.int32)
    order = np.empty(size, np.int32)
    tail = 0
    # The outside is the first root: its children lie behind squares on the volume's faces.
    for v in range(size):
        bits = tree[v]
        if bits == 0:
            continue
        for axis in range(3):
            if not bits & (1 << axis):
                continue
            c = v // strides[0] if axis == 0 else (v // n2 % n1 if axis == 1 else v % n2)
            n = shape[axis]
            if c == 0:
                toward[v] = 2 * axis
                depth[v] = 1
                order[tail] = v
                tail += 1
            elif c == n - 1:
                w = v - strides[axis]
                toward[w] = 2 * axis + 1
                depth[w] = 1
                order[tail] = w
                tail += 1
    head = 0
    seed = 0
    while True:
        while head < tail:
            v = order[head]
            head += 1
            for axis in range(3):
                c = v // strides[0] if axis == 0 else (v // n2 % n1 if axis == 1 else v % n2)
                n = shape[axis]
                bit = np.uint8(1 << axis)
                if c > 0 and tree[v] & bit:
                    w = v - strides[axis]
                    if toward[w] == 7:
                        toward[w] = 2 * axis + 1
                        depth[w] = depth[v] + 1
                        order[tail] = w
                        tail += 1
                if c + 1 < n - 1 and tree[v + strides[axis]] & bit:
                    w = v + strides[axis]
                    if toward[w] == 7:
                        toward[w] = 2 * axis
                        depth[w] = depth[v] + 1
                        order[tail] = w
                        tail += 1
        # Cavities: trees that do not reach the outside start anywhere.
        while seed < size and (toward[seed] != 7 or tree[seed] == 0):
            seed += 1
        if seed == size:
            break
        toward[seed] = 6
        # A root is its own queue entry for one round; it is taken out of `order` below.
        order[tail] = seed
        tail += 1
    num = 0
    for i in range(tail):
        if toward[order[i]] != 6:
            order[num] = order[i]
            num += 1
    return order[:num], toward, depth


@compiled
def _hang_surfaces(
    num: int,
    voxel: NDArray[np.int32],
    axis: NDArray[np.uint8],
    loop: NDArray[np.int32],
    shape: NDArray[np.int64],
) -> tuple[NDArray[np.uint64], NDArray[np.uint64], NDArray[np.uint64]]:
    """Hash, for each square, the set of loops whose surface holds it.

    Returns the words of the squares normal to axis 2, normal to axis 1, and
    (in the plane of index 0 only) normal to axis 0.
    """
    n0, plane = shape[0], shape[1] * shape[2]
    n2 = shape[2]
    words = np.empty(num, np.uint64)
    state = np.uint64(0x9E3779B97F4A7C15)
    for i in range(num):  # splitmix64, so that every run draws the same words
        state += np.uint64(0x9E3779B97F4A7C15)
        z = state
        z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
        words[i] = z ^ (z >> np.uint64(31))
    across2 = np.zeros(n0 * plane, np.uint64)
    across1 = np.zeros(n0 * plane, np.uint64)
    for i in range(voxel.size):
        if axis[i] == 1:
            across2[voxel[i]] ^= words[loop[i]]
        elif axis[i] == 2:
            across1[voxel[i]] ^= words[loop[i]]
    # A surface hangs from each edge towards index 0: sum what lies strictly above.
    floor = np.zeros(plane, np.uint64)
    for p in range(plane):
        above2 = np.uint64(0)
        above1 = np.uint64(0)
        for i in range(n0 - 1, -1, -1):
            v = i * plane + p
            here2, here1 = across2[v], across1[v]
            across2[v] = above2
            across1[v] = above1
            above2 ^= here2
            above1 ^= here1
        floor[p] = above1
    # What is left lies in the plane of index 0; there it hangs along axis 1.
    for k in range(n2):
        above = np.uint64(0)
        for j in range(shape[1] - 1, -1, -1):
            p = j * n2 + k
            here = floor[p]
            floor[p] = above
            above ^= here
    return across2, across1, floor


@compiled
def _linked_squares(
    squares: NDArray[np.uint8],
    tree: NDArray[np.uint8],
    order: NDArray[np.int32],
    toward: NDArray[np.uint8],
    across2: NDArray[np.uint64],
    across1: NDArray[np.uint64],
    floor: NDArray[np.uint64],
    shape: NDArray[np.int64],
) -> tuple[NDArray[np.int64], NDArray[np.uint64]]:
    """List squares outside the forest, last first, whose cycle links some loop."""
    n0, n1, n2 = shape[0], shape[1], shape[2]
    plane = n1 * n2
    size = n0 * plane
    strides = (plane, n2, np.int64(1))
    potential = np.zeros(size + 1, np.uint64)
    for i in range(order.size):
        v = np.int64(order[i])
        step = toward[v]
        axis = step // 2
        if step % 2 == 0:
            square = v
            c = v // plane if axis == 0 else (v // n2 % n1 if axis == 1 else v % n2)
            up = v - strides[axis] if c > 0 else size
        else:
            square = v + strides[axis]
            c = square // plane if axis == 0 else (square // n2 % n1 if axis == 1 else square % n2)
            up = square if c < shape[axis] - 1 else size
        if axis == 2:
            word = across2[square]
        elif axis == 1:
            word = across1[square]
        else:
            word = floor[square] if square < plane else np.uint64(0)
        potential[v] = potential[up] ^ word
    found = np.empty(1024, np.int64)
    words = np.empty(1024, np.uint64)
    num = 0
    zero = np.uint64(0)
    for i in range(n0 - 1, -1, -1):
        for j in range(n1 - 1, -1, -1):
            for k in range(n2 - 1, -1, -1):
                v = i * plane + j * n2 + k
                bits = squares[v] & ~tree[v]
                if bits == 0:
                    continue
                for axis in (2, 1, 0):
                    if not bits & (1 << axis):
                        continue
                    c = i if axis == 0 else (j if axis == 1 else k)
                    a = v if c < shape[axis] - 1 else size
                    b = v - strides[axis] if c > 0 else size
                    word = potential[a] ^ potential[b]
                    if axis == 2:
                        word ^= across2[v]
                    elif axis == 1:
                        word ^= across1[v]
                    elif i == 0:
                        word ^= floor[v]
                    if word == zero:
                        continue
                    if num == found.size:
                        more = np.empty(2 * num, np.int64)
                        more[:num] = found
                        found = more
                        wider = np.empty(2 * num, np.uint64)
                        wider[:num] = words
                        words = wider
                    found[num] = v * 3 + axis
                    words[num] = word
                    num += 1
    return found[:num], words[:num]


@compiled
def _independent_squares(
    candidates: NDArray[np.int64],
    num_loops: int,
    max_rank: int,
    toward: NDArray[np.uint8],
    depth: NDArray[np.int32],
    first1: NDArray[np.int64],
    index1: NDArray[np.int32],
    loop1: NDArray[np.int32],
    first2: NDArray[np.int64],
    index2: NDArray[np.int32],
    loop2: NDArray[np.int32],
    shape: NDArray[np.int64],
) -> NDArray[np.int64]:
    """Keep candidates whose linking numbers are independent of those before them.

    ``first1[p]:first1[p + 1]`` are the loop edges along axis 1 over the point
    ``p`` of the plane, ``index1`` their index along axis 0; likewise axis 2.
    """
    n1, n2 = shape[1], shape[2]
    plane = n1 * n2
    size = shape[0] * plane
    strides = (plane, n2, np.int64(1))
    num_words = (num_loops + 63) // 64
    basis = np.zeros((max_rank, num_words), np.uint64)
    row_of = np.full(num_loops, -1, np.int32)  # basis row whose lowest loop is this one
    kept = np.empty(max_rank, np.int64)
    rank = 0
    vector = np.zeros(num_words, np.uint64)
    one = np.uint64(1)
    for i in range(candidates.size):
        if rank == max_rank:
            break
        vector[:] = 0
        square = candidates[i] // 3
        axis = candidates[i] % 3
        c = square // plane if axis == 0 else (square // n2 % n1 if axis == 1 else square % n2)
        a = square if c < shape[axis] - 1 else size
        b = square - strides[axis] if c > 0 else size
        while True:
            # Add the loops whose surface holds `square`, then walk one edge of the forest.
            level = square // plane
            p = square % plane
            if axis == 2:
                for e in range(first1[p], first1[p + 1]):
                    if index1[e] > level:
                        vector[loop1[e] // 64] ^= one << np.uint64(loop1[e] % 64)
            elif axis == 1:
                for e in range(first2[p], first2[p + 1]):
                    if index2[e] > level:
                        vector[loop2[e] // 64] ^= one << np.uint64(loop2[e] % 64)
            elif level == 0:
                q = p + n2
                while q < plane:
                    for e in range(first2[q], first2[q + 1]):
                        vector[loop2[e] // 64] ^= one << np.uint64(loop2[e] % 64)
                    q += n2
            if a == b:
                break
            v = a if depth[a] >= depth[b] else b
            step = toward[v]
            axis = np.int64(step // 2)
            if step % 2 == 0:
                square = np.int64(v)
                c = v // plane if axis == 0 else (v // n2 % n1 if axis == 1 else v % n2)
                up = v - strides[axis] if c > 0 else size
            else:
                square = v + strides[axis]
                c = (
                    square // plane
                    if axis == 0
                    else (square // n2 % n1 if axis == 1 else square % n2)
                )
                up = square if c < shape[axis] - 1 else size
            if v == a:
                a = up
            else:
                b = up
        word = 0
        while word < num_words:
            bits = vector[word]
            if bits == 0:
                word += 1
                continue
            low = 0
            while not (bits >> np.uint64(low)) & one:
                low += 1
            row = row_of[word * 64 + low]
            if row < 0:
                row_of[word * 64 + low] = rank
                basis[rank, word:] = vector[word:]
                kept[rank] = candidates[i]
                rank += 1
                break
            for w in range(word, num_words):
                vector[w] ^= basis[row, w]
    return kept[:rank]


def build_dual_forest(union: NDArray[np.uint8]) -> DualForest:
    """Build the maximum spanning forest of the squares outside a mask.

    Parameters
    ----------
    union : uint8 array, shape (Z, Y, X)
        0 and 1. Squares are ordered by their lowest voxel, then by the axis
        they are normal to (Z, Y, X), which is the order of the public library.
    """
    shape = np.array(union.shape, np.int64)
    squares = _find_open_squares(union)
    tree = _join_cubes(squares)
    order, toward, depth = _root_forest(tree, shape)
    depth_, height, width = union.shape
    return DualForest((depth_, height, width), squares.reshape(-1), tree, order, toward, depth)


def _edges_by_column(
    loops: Loops, axis: int, plane: int
) -> tuple[NDArray[np.int64], NDArray[np.int32], NDArray[np.int32]]:
    chosen = np.flatnonzero(loops.axis == axis)
    column = loops.voxel[chosen] % plane
    chosen = chosen[np.argsort(column, kind="stable")]
    first = np.zeros(plane + 1, np.int64)
    np.cumsum(np.bincount(column, minlength=plane), out=first[1:])
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
        Squares as ``voxel * 3 + axis``, descending, one for each tunnel of the
        smaller mask that is still there in the larger one.
    """
    none = np.empty(0, np.int64)
    if loops.num == 0 or max_rank == 0:
        return none
    shape = np.array(forest.shape, np.int64)
    plane = forest.shape[1] * forest.shape[2]
    across2, across1, floor = _hang_surfaces(loops.num, loops.voxel, loops.axis, loops.loop, shape)
    squares, words = _linked_squares(
        forest.open_squares,
        forest.tree_squares,
        forest.order,
        forest.toward,
        across2,
        across1,
        floor,
        shape,
    )
    if squares.size == 0:
        return none
    # Of squares with the same linking numbers only the first can be independent.
    _, first = np.unique(words, return_index=True)
    candidates = squares[np.sort(first)]
    return _independent_squares(
        candidates,
        loops.num,
        min(max_rank, loops.num, candidates.size),
        forest.toward,
        forest.depth,
        *_edges_by_column(loops, 1, plane),
        *_edges_by_column(loops, 2, plane),
        shape,
    )
