"""Compiled loops over voxels: they release the GIL and make no temporary arrays.

numba compiles each on its first use and keeps the result on disk. Everything
here has a plain NumPy counterpart in the tests.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from napari_surfseg.compiling import compiled

if TYPE_CHECKING:
    from napari_surfseg.data.volume import VoxelArray

__all__ = [
    "NOISE_LENGTH",
    "add_noise",
    "count_classes",
    "count_meanings",
    "cut_pair",
    "mark_boundaries",
]

#: Row after row begins this far on in the noise (odd, so that every place is used).
GOLDEN = 2654435761
#: Places in the noise at which a row may begin; a power of two.
NOISE_LENGTH = 2**20


@compiled
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


@compiled
def cut_pair(
    image: VoxelArray,
    labels: VoxelArray,
    walk: VoxelArray,
    tile: VoxelArray,
    table: VoxelArray,
    out_image: VoxelArray,
    out_labels: VoxelArray,
) -> None:
    """Copy an image patch, with other grey values, and its labels, both turned and mirrored.

    Parameters
    ----------
    image, labels : numpy.ndarray
        The patches as they were cut, flat, uint8.
    walk : numpy.ndarray
        Shape (4,), int64: where the first voxel of the result lies in these,
        and the steps along Z, Y and X of the result.
    tile : numpy.ndarray
        Shape (3,), int64: Z, Y, X voxels copied together, so that the lines of
        memory they come from and go to stay in the nearest caches.
    table : numpy.ndarray
        Shape (256,), uint8: new grey values.
    out_image, out_labels : numpy.ndarray
        Shape (Z, Y, X), uint8, C-contiguous.
    """
    num_z, num_y, num_x = out_image.shape
    # Unsigned places: for signed ones every access would first look for "from the end".
    one = np.uint64(1)
    begin, step_z, step_y, step_x = (
        np.uint64(walk[0]),
        np.uint64(walk[1]),
        np.uint64(walk[2]),
        np.uint64(walk[3]),
    )
    if step_x == one:
        for z in range(num_z):
            for y in range(num_y):
                first = begin + np.uint64(z) * step_z + np.uint64(y) * step_y
                grey = image[first : first + np.uint64(num_x)]
                row = out_image[z, y]
                for x in range(num_x):
                    row[x] = table[grey[x]]
                out_labels[z, y] = labels[first : first + np.uint64(num_x)]
        return
    flat_image = out_image.reshape(-1)
    flat_labels = out_labels.reshape(-1)
    for z0 in range(0, num_z, tile[0]):
        z1 = min(num_z, z0 + tile[0])
        for y0 in range(0, num_y, tile[1]):
            y1 = min(num_y, y0 + tile[1])
            for x0 in range(0, num_x, tile[2]):
                wide = min(num_x, x0 + tile[2]) - x0
                for z in range(z0, z1):
                    for y in range(y0, y1):
                        first = (
                            begin
                            + np.uint64(z) * step_z
                            + np.uint64(y) * step_y
                            + np.uint64(x0) * step_x
                        )
                        start = np.uint64((z * num_y + y) * num_x + x0)
                        source = first
                        place = start
                        for _ in range(wide):
                            flat_image[place] = table[image[source]]
                            source += step_x
                            place += one
                        source = first
                        place = start
                        for _ in range(wide):
                            flat_labels[place] = labels[source]
                            source += step_x
                            place += one


@compiled
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


@compiled
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


@compiled
def mark_boundaries(values: VoxelArray, classes: VoxelArray, offsets: VoxelArray) -> VoxelArray:
    """Mark voxels that have a voxel of another instance among their neighbours.

    Parameters
    ----------
    values : numpy.ndarray
        Shape (Z, Y, X), whole numbers.
    classes : numpy.ndarray
        The same shape, uint8: 1 is surface already, 2 is not annotated, any other an instance.
    offsets : numpy.ndarray
        Shape (n, 3), int64: the neighbours.

    Returns
    -------
    numpy.ndarray
        uint8: 1 on a boundary, 2 not annotated or beside such a voxel, else 0.
    """
    num_z, num_y, num_x = values.shape
    marked = np.zeros(values.shape, np.uint8)
    for z in range(num_z):
        for y in range(num_y):
            for x in range(num_x):
                if classes[z, y, x] == 1 or classes[z, y, x] == 2:
                    marked[z, y, x] = classes[z, y, x]
                    continue
                found = 0
                for i in range(offsets.shape[0]):
                    u = z + offsets[i, 0]
                    v = y + offsets[i, 1]
                    w = x + offsets[i, 2]
                    if u < 0 or v < 0 or w < 0 or u >= num_z or v >= num_y or w >= num_x:
                        continue
                    if classes[u, v, w] == 2:
                        found = 2
                    elif classes[u, v, w] != 1 and values[u, v, w] != values[z, y, x]:
                        found = 1
                        break
                marked[z, y, x] = found
    return marked
