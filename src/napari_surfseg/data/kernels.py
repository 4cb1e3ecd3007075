"""Compiled loops over voxels: they release the GIL and make no temporary arrays.

numba compiles each on its first use and keeps the result on disk. Everything
here has a plain NumPy counterpart in the tests.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeVar

import numba

if TYPE_CHECKING:
    from collections.abc import Callable

    from napari_surfseg.data.volume import VoxelArray

__all__ = ["count_classes", "cut_labels", "cut_noisy", "cut_plain"]

#: Edge of the tiles in which turned patches are copied: a tile of the source
#: stays in the nearest caches while its voxels are visited across its rows.
TILE = 32
#: Row after row begins this far on in the noise (odd, so that every place is used).
GOLDEN = 2654435761

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
def cut_noisy(
    view: VoxelArray, table: VoxelArray, noise: VoxelArray, seed: int, out: VoxelArray
) -> None:
    """Copy an image patch, changing every value by a table that depends on a noise level.

    Parameters
    ----------
    view : numpy.ndarray
        Shape (Z, Y, X), uint8, any strides: the patch turned and mirrored.
    table : numpy.ndarray
        Shape (levels, 256), uint8.
    noise : numpy.ndarray
        One-dimensional, uint8, a power of two long: levels in random order.
    seed : int
        Where in ``noise`` each row of voxels begins.
    out : numpy.ndarray
        Shape (Z, Y, X), uint8, C-contiguous.
    """
    mask = noise.size - 1
    for z0 in range(0, view.shape[0], TILE):
        z1 = min(view.shape[0], z0 + TILE)
        for y0 in range(0, view.shape[1], TILE):
            y1 = min(view.shape[1], y0 + TILE)
            for x0 in range(0, view.shape[2], TILE):
                x1 = min(view.shape[2], x0 + TILE)
                for z in range(z0, z1):
                    for y in range(y0, y1):
                        place = seed + (z * view.shape[1] + y) * GOLDEN + x0
                        for x in range(x0, x1):
                            level = noise[place & mask]
                            place += 1
                            out[z, y, x] = table[level, view[z, y, x]]


@_compiled
def cut_plain(view: VoxelArray, table: VoxelArray, out: VoxelArray) -> None:
    """Copy an image patch, changing every value by one table of shape (256,)."""
    for z0 in range(0, view.shape[0], TILE):
        z1 = min(view.shape[0], z0 + TILE)
        for y0 in range(0, view.shape[1], TILE):
            y1 = min(view.shape[1], y0 + TILE)
            for x0 in range(0, view.shape[2], TILE):
                x1 = min(view.shape[2], x0 + TILE)
                for z in range(z0, z1):
                    for y in range(y0, y1):
                        for x in range(x0, x1):
                            out[z, y, x] = table[view[z, y, x]]


@_compiled
def cut_labels(view: VoxelArray, out: VoxelArray, counts: VoxelArray) -> None:
    """Copy a label patch and count its voxels of meaning 0, 1 and 2 into ``counts``."""
    for z0 in range(0, view.shape[0], TILE):
        z1 = min(view.shape[0], z0 + TILE)
        for y0 in range(0, view.shape[1], TILE):
            y1 = min(view.shape[1], y0 + TILE)
            for x0 in range(0, view.shape[2], TILE):
                x1 = min(view.shape[2], x0 + TILE)
                for z in range(z0, z1):
                    for y in range(y0, y1):
                        surface = 0
                        ignored = 0
                        for x in range(x0, x1):
                            value = view[z, y, x]
                            out[z, y, x] = value
                            surface += value & 1
                            ignored += value >> 1
                        counts[0] += x1 - x0 - surface - ignored
                        counts[1] += surface
                        counts[2] += ignored
