"""Compiled loops over voxels: they release the GIL and make no temporary arrays.

numba compiles each on its first use and keeps the result on disk. Everything
here has a plain NumPy counterpart in the tests.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeVar

import numba
import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable

    from napari_surfseg.data.volume import VoxelArray

__all__ = ["NOISE_LENGTH", "add_noise", "count_classes", "count_meanings", "cut_patch"]

#: Edge of the tiles in which turned patches are copied: a tile of the source
#: stays in the nearest caches while its voxels are visited across its rows.
TILE = 32
#: Row after row begins this far on in the noise (odd, so that every place is used).
GOLDEN = 2654435761
#: Places in the noise at which a row may begin; a power of two.
NOISE_LENGTH = 2**20

_Function = TypeVar("_Function", bound="Callable[..., Any]")


def _compiled(function: _Function) -> _Function:
    """Compile without the GIL, cached on disk where some folder can be written."""
    try:
        compiled: _Function = numba.njit(nogil=True, cache=True)(function)
    except RuntimeError:  # neither the package nor the person's cache folder can be written
        compiled = numba.njit(nogil=True)(function)
    return compiled


@_compiled
def count_classes(
    classes: VoxelArray,
    table: VoxelArray,
    origin: VoxelArray,
    edge: int,
    blocks: VoxelArray,
    planes: VoxelArray,
) -> int:
    """Count voxels of each meaning, by block of a grid and by plane of each axis.

    Parameters
    ----------
    classes : numpy.ndarray
        Shape (Z, Y, X), uint8.
    table : numpy.ndarray
        Shape (256,), uint8: meaning 0 to 3 of every value.
    origin : numpy.ndarray
        Place of the array's corner in the grid, in voxels, int64.
    edge : int
        Of a block, in voxels.
    blocks : numpy.ndarray
        Shape (2, blocks along Z, Y, X), int64: background and surface voxels
        are added, block 0 holding the voxel at the grid's corner.
    planes : numpy.ndarray
        Shape (3, 2, longest axis), int64: the same by plane, for each axis.

    Returns
    -------
    int
        Voxels whose value has no meaning (3).
    """
    num_unknown = 0
    for z in range(classes.shape[0]):
        bz = (origin[0] + z) // edge
        for y in range(classes.shape[1]):
            by = (origin[1] + y) // edge
            x = 0
            while x < classes.shape[2]:
                bx = (origin[2] + x) // edge
                stop = min(classes.shape[2], (bx + 1) * edge - origin[2])
                background = 0
                surface = 0
                for i in range(x, stop):
                    meaning = table[classes[z, y, i]]
                    if meaning == 0:
                        background += 1
                        planes[2, 0, origin[2] + i] += 1
                    elif meaning == 1:
                        surface += 1
                        planes[2, 1, origin[2] + i] += 1
                    elif meaning == 3:
                        num_unknown += 1
                blocks[0, bz, by, bx] += background
                blocks[1, bz, by, bx] += surface
                planes[0, 0, origin[0] + z] += background
                planes[0, 1, origin[0] + z] += surface
                planes[1, 0, origin[1] + y] += background
                planes[1, 1, origin[1] + y] += surface
                x = stop
    return num_unknown


@_compiled
def cut_patch(source: VoxelArray, walk: VoxelArray, table: VoxelArray, out: VoxelArray) -> None:
    """Copy a patch turned and mirrored, with other values.

    Parameters
    ----------
    source : numpy.ndarray
        The patch as it was cut, flat, uint8.
    walk : numpy.ndarray
        Shape (4,), int64: where the first voxel lies in ``source``, and the
        steps along Z, Y and X of the result.
    table : numpy.ndarray
        Shape (256,), uint8: new values.
    out : numpy.ndarray
        Shape (Z, Y, X), uint8, C-contiguous.
    """
    num_z, num_y, num_x = out.shape
    wide = num_x if abs(walk[3]) == 1 else TILE
    for z0 in range(0, num_z, TILE):
        z1 = min(num_z, z0 + TILE)
        for y0 in range(0, num_y, TILE):
            y1 = min(num_y, y0 + TILE)
            for x0 in range(0, num_x, wide):
                x1 = min(num_x, x0 + wide)
                for z in range(z0, z1):
                    for y in range(y0, y1):
                        place = walk[0] + z * walk[1] + y * walk[2] + x0 * walk[3]
                        for x in range(x0, x1):
                            out[z, y, x] = table[source[place]]
                            place += walk[3]


@_compiled
def add_noise(patch: VoxelArray, noise: VoxelArray, seed: int, scale: float) -> None:
    """Add noise to grey values, in place, clipped to 0 and 255.

    Parameters
    ----------
    patch : numpy.ndarray
        Shape (Z, Y, X), uint8, C-contiguous.
    noise : numpy.ndarray
        int8, ``NOISE_LENGTH`` and the longest row of voxels long.
    seed : int
        Where in ``noise`` the rows begin.
    scale : float
        Factor for the noise.
    """
    factor = np.float32(scale)
    half = np.float32(0.5)
    lowest = np.float32(0)
    highest = np.float32(255)
    for z in range(patch.shape[0]):
        for y in range(patch.shape[1]):
            first = (seed + (z * patch.shape[1] + y) * GOLDEN) & (NOISE_LENGTH - 1)
            # Rows of their own, so that the loop becomes vector instructions.
            row = patch[z, y]
            added = noise[first : first + row.size]
            for x in range(row.size):
                grey = np.float32(row[x]) + np.float32(added[x]) * factor
                row[x] = np.uint8(min(max(grey, lowest), highest) + half)


@_compiled
def count_meanings(labels: VoxelArray, counts: VoxelArray) -> None:
    """Add the numbers of voxels of meaning 0, 1 and 2 to ``counts``, shape (3,), int64.

    ``labels`` is of shape (Z, Y, X), uint8, C-contiguous, and holds no other values.
    """
    for z in range(labels.shape[0]):
        for y in range(labels.shape[1]):
            row = labels[z, y]
            surface = 0
            ignored = 0
            for x in range(row.size):
                surface += row[x] & 1
                ignored += row[x] >> 1
            counts[0] += row.size - surface - ignored
            counts[1] += surface
            counts[2] += ignored
