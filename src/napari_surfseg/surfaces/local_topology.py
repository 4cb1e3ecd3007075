"""Close tunnels through a mask without joining anything: what is topology is asked voxel by voxel.

What a change of one voxel does to the pieces, tunnels and cavities of a mask is known from its 26
neighbours alone (Bertrand and Malandain, 1994). There are two digital topologies: either the
surface connects over faces, edges and corners and the rest over faces only, or the other way
round, as the topology score counts. What is done here holds in both.

Voxels are taken in eight groups, by which of their coordinates are even: no two of a group are
neighbours, so the members of a group do not influence each other, and how far anything influences
anything is known (:func:`find_tear_reach`), which is what blocks of a volume need.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from scipy import ndimage

from napari_surfseg.compiling import compiled

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from napari_surfseg.geometry import Index3

__all__ = ["fill_tears", "find_tear_reach"]

#: How far one round looks: a voxel may depend on a neighbour of the group before, and so on.
REACH_PER_ROUND = 8

#: Rounds beyond one a layer: of two voxels of a layer that touch over a corner one must be first,
#: and where layers met there is more to take away.
EXTRA_ADDING, EXTRA_TAKING = 1, 2


def _find_bits(wanted: Callable[[tuple[int, int, int]], bool]) -> int:
    """Give the bits of the voxels wanted, of the 27 of a neighbourhood, X fastest."""
    places = [(z, y, x) for z in (-1, 0, 1) for y in (-1, 0, 1) for x in (-1, 0, 1)]
    return sum(1 << bit for bit, place in enumerate(places) if wanted(place))


def _is_at(end: int, axis: int) -> Callable[[tuple[int, int, int]], bool]:
    return lambda place: place[axis] == end


_ALL = _find_bits(lambda _: True)
_NEIGHBOURS = _find_bits(any)
_FACES = _find_bits(lambda place: sum(map(abs, place)) == 1)
_FACES_AND_EDGES = _find_bits(lambda place: 1 <= sum(map(abs, place)) <= 2)
#: What can be moved one voxel back or on along an axis and stays in the neighbourhood.
_Z_BACK, _Y_BACK, _X_BACK = (~_find_bits(_is_at(-1, axis)) & _ALL for axis in range(3))
_Z_ON, _Y_ON, _X_ON = (~_find_bits(_is_at(1, axis)) & _ALL for axis in range(3))


@compiled
def _count_over_corners(bits: int) -> int:
    """Count the 26-connected pieces of the neighbours."""
    left = bits & _NEIGHBOURS
    count = 0
    while left:
        piece = left & -left
        while True:
            grown = piece | ((piece & _X_ON) << 1) | ((piece & _X_BACK) >> 1)
            grown |= ((grown & _Y_ON) << 3) | ((grown & _Y_BACK) >> 3)
            grown |= ((grown & _Z_ON) << 9) | ((grown & _Z_BACK) >> 9)
            grown &= left
            if grown == piece:
                break
            piece = grown
        left &= ~piece
        count += 1
    return count


@compiled
def _count_over_faces(bits: int) -> int:
    """Count the 6-connected pieces of the neighbours at faces and edges that touch the voxel."""
    left = bits & _FACES_AND_EDGES
    count = 0
    while left & _FACES:
        touching = left & _FACES
        piece = touching & -touching
        while True:
            grown = piece | ((piece & _X_ON) << 1) | ((piece & _X_BACK) >> 1)
            grown |= ((piece & _Y_ON) << 3) | ((piece & _Y_BACK) >> 3)
            grown |= ((piece & _Z_ON) << 9) | ((piece & _Z_BACK) >> 9)
            grown &= left
            if grown == piece:
                break
            piece = grown
        left &= ~piece
        count += 1
    return count


@compiled
def _look_around(mask: NDArray[np.uint8], z: int, y: int, x: int) -> int:
    """Read a neighbourhood; nothing is beyond the array."""
    bits = 0
    bit = 0
    for i in range(z - 1, z + 2):
        for j in range(y - 1, y + 2):
            for k in range(x - 1, x + 2):
                is_inside = (
                    0 <= i < mask.shape[0] and 0 <= j < mask.shape[1] and 0 <= k < mask.shape[2]
                )
                if is_inside and mask[i, j, k]:
                    bits |= 1 << bit
                bit += 1
    return bits


@compiled
def _change_layer(
    mask: NDArray[np.uint8],
    where: NDArray[np.uint8],
    first: NDArray[np.int64],
    new_value: int,
) -> int:
    """Add a layer to the mask (1), or take one away (0), where it may be; give its voxels.

    A voxel is added where it touches one piece, and that in one place: nothing is joined, no ring
    is closed. It is taken away where that changes no topology.
    """
    size_z, size_y, size_x = mask.shape
    front = np.zeros(mask.shape, np.uint8)
    for z in range(size_z):
        for y in range(size_y):
            for x in range(size_x):
                if not where[z, y, x] or mask[z, y, x] == new_value:
                    continue
                # Nothing is beyond the array, so what is taken away may begin at its border.
                is_at_border = z in (0, size_z - 1) or y in (0, size_y - 1) or x in (0, size_x - 1)
                front[z, y, x] = (
                    (not new_value and is_at_border)
                    or (z > 0 and mask[z - 1, y, x] == new_value)
                    or (z + 1 < size_z and mask[z + 1, y, x] == new_value)
                    or (y > 0 and mask[z, y - 1, x] == new_value)
                    or (y + 1 < size_y and mask[z, y + 1, x] == new_value)
                    or (x > 0 and mask[z, y, x - 1] == new_value)
                    or (x + 1 < size_x and mask[z, y, x + 1] == new_value)
                )
    num_changed = 0
    for group in range(8):
        for z in range(((group >> 2) + first[0]) % 2, size_z, 2):
            for y in range(((group >> 1) + first[1]) % 2, size_y, 2):
                for x in range((group + first[2]) % 2, size_x, 2):
                    if not front[z, y, x]:
                        continue
                    bits = _look_around(mask, z, y, x)
                    if _count_over_corners(bits) != 1 or _count_over_faces(bits) != 1:
                        continue
                    if not new_value:
                        rest = ~bits & _ALL
                        if _count_over_corners(rest) != 1 or _count_over_faces(rest) != 1:
                            continue
                    mask[z, y, x] = new_value
                    num_changed += 1
    return num_changed


def fill_tears(
    mask: NDArray[Any], allowed: NDArray[Any], layers: int, *, start: Index3 = (0, 0, 0)
) -> NDArray[np.bool_]:
    """Close holes through sheets where it is allowed, and change nothing else.

    The mask grows, layer by layer, into what is allowed; a voxel is added only where it touches one
    piece of the mask and that in one place, so that nothing is joined. Where the voxel is the last
    of a hole through a sheet, the hole is closed. Then all that was added is taken away again,
    except where the hole would open. So the patches that are left, about a voxel thick, close
    tunnels and do nothing else: the Euler number rises with each, and pieces remain pieces. Only
    a pocket with a narrow mouth becomes a cavity, which the filling of cavities takes.

    Parameters
    ----------
    mask : array (Z, Y, X)
        Non-zero is surface.
    allowed : array (Z, Y, X)
        Non-zero where a voxel may be added.
    layers : int
        Voxels that the mask grows at most; holes up to twice as wide are closed.
    start : tuple of int
        Where the array begins in its volume, so that blocks of one give what all of it gives,
        further than :func:`find_tear_reach` from where they are cut out.
    """
    before = np.array(mask != 0).view(np.uint8)
    if not before.any() or layers < 1:
        return before.view(bool)
    grown = before.copy()
    near = ndimage.binary_dilation(before, iterations=layers)
    where = np.logical_and(near, allowed).view(np.uint8)
    first = np.array([index % 2 for index in start], np.int64)
    for _ in range(layers + EXTRA_ADDING):
        if not _change_layer(grown, where, first, 1):
            break
    added = grown & ~before
    for _ in range(layers + EXTRA_TAKING):
        if not _change_layer(grown, added, first, 0):
            break
    return grown.view(bool)


def find_tear_reach(layers: int) -> int:
    """How far :func:`fill_tears` looks, in voxels."""
    return layers + REACH_PER_ROUND * (2 * layers + EXTRA_ADDING + EXTRA_TAKING)
