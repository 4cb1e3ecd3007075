"""Where a torn sheet would go on: a height map of what is around the tear, interpolated over it.

Around every voxel that is not surface a plane is laid through the surface nearby; over the plane
the surface has a height, which is interpolated by least squares as a map that bends once. A voxel
on that map, with surface on all sides in the plane, is where the sheet would be.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from scipy import ndimage

from napari_surfseg.compiling import compiled
from napari_surfseg.surfaces.sheet_smoothing import find_principal

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["find_missing_parts"]

#: Directions in the plane of which each has to see surface.
NUM_SECTORS = 8
#: Voxels off the map that still count as on it.
HALF_WIDTH = 0.8
#: Greatest root mean square distance of the surface from the map: more is not one sheet.
MAX_RESIDUAL = 1.3
#: Terms of the map: 1, u, v, uu, uv, vv.
NUM_TERMS = 6


def find_missing_parts(mask: NDArray[Any], radius: int) -> NDArray[np.bool_]:
    """Find where sheets would go on across their tears.

    A voxel depends on the voxels within `radius` and nothing else. Whether a tear is closed is for
    :func:`~napari_surfseg.surfaces.local_topology.fill_tears`, which takes this as where it may: it
    fills nothing that joins two sheets or closes no tunnel.

    Parameters
    ----------
    mask : array (Z, Y, X)
        Non-zero is surface.
    radius : int
        Of the ball that is looked at; tears up to about as wide are bridged.

    Returns
    -------
    bool array
        Voxels that are not surface and would be.
    """
    surface = np.array(np.asarray(mask) != 0).view(np.uint8)
    found = np.zeros(surface.shape, bool)
    if radius < 1 or not surface.any():
        return found
    offsets = np.argwhere(np.ones((2 * radius + 1,) * 3, bool)) - radius
    offsets = offsets[np.square(offsets).sum(axis=1) <= radius * radius]
    near = ndimage.binary_dilation(surface, iterations=radius)
    _find_on_maps(surface, (near & (surface == 0)).view(np.uint8), offsets, found)
    return found


@compiled
def _solve(matrix: NDArray[np.float64], right: NDArray[np.float64]) -> bool:
    """Solve six equations in place, with pivots; False where they have no one solution."""
    for column in range(NUM_TERMS):
        pivot = column
        for row in range(column + 1, NUM_TERMS):
            if abs(matrix[row, column]) > abs(matrix[pivot, column]):
                pivot = row
        if abs(matrix[pivot, column]) < 1e-9:
            return False
        if pivot != column:
            for k in range(NUM_TERMS):
                matrix[column, k], matrix[pivot, k] = matrix[pivot, k], matrix[column, k]
            right[column], right[pivot] = right[pivot], right[column]
        for row in range(NUM_TERMS):
            if row == column:
                continue
            factor = matrix[row, column] / matrix[column, column]
            for k in range(column, NUM_TERMS):
                matrix[row, k] -= factor * matrix[column, k]
            right[row] -= factor * right[column]
    for row in range(NUM_TERMS):
        right[row] /= matrix[row, row]
    return True


@compiled
def _find_on_maps(
    mask: NDArray[np.uint8],
    candidates: NDArray[np.uint8],
    offsets: NDArray[np.int64],
    found: NDArray[np.bool_],
) -> None:
    size_z, size_y, size_x = mask.shape
    near = np.empty((len(offsets), 3))
    matrix = np.empty((NUM_TERMS, NUM_TERMS))
    right = np.empty(NUM_TERMS)
    terms = np.empty(NUM_TERMS)
    for z in range(size_z):
        for y in range(size_y):
            for x in range(size_x):
                if not candidates[z, y, x]:
                    continue
                count = 0
                for k in range(len(offsets)):
                    i, j, m = z + offsets[k, 0], y + offsets[k, 1], x + offsets[k, 2]
                    if not (0 <= i < size_z and 0 <= j < size_y and 0 <= m < size_x):
                        continue
                    if mask[i, j, m]:
                        near[count, 0] = offsets[k, 0]
                        near[count, 1] = offsets[k, 1]
                        near[count, 2] = offsets[k, 2]
                        count += 1
                if count < 2 * NUM_SECTORS:
                    continue
                normal = _find_plane(near[:count])
                found[z, y, x] = _is_on_map(near[:count], normal, matrix, right, terms)


@compiled
def _find_plane(places: NDArray[np.float64]) -> tuple[float, float, float]:
    """Find the normal of the plane through places: the direction of their least spread."""
    number = len(places)
    mean = np.zeros(3)
    for place in places:
        mean += place
    mean /= number
    zz = yy = xx = zy = zx = yx = 0.0
    for place in places:
        dz, dy, dx = place[0] - mean[0], place[1] - mean[1], place[2] - mean[2]
        zz += dz * dz
        yy += dy * dy
        xx += dx * dx
        zy += dz * dy
        zx += dz * dx
        yx += dy * dx
    total = zz + yy + xx
    # What spreads least spreads most in what is left of the sphere.
    return find_principal(total - zz, total - yy, total - xx, -zy, -zx, -yx)


@compiled
def _is_on_map(
    places: NDArray[np.float64],
    normal: tuple[float, float, float],
    matrix: NDArray[np.float64],
    right: NDArray[np.float64],
    terms: NDArray[np.float64],
) -> bool:
    nz, ny, nx = normal
    # One direction in the plane: across the axis that is least along the normal.
    if abs(nz) <= abs(ny) and abs(nz) <= abs(nx):
        uz, uy, ux = 0.0, nx, -ny
    elif abs(ny) <= abs(nx):
        uz, uy, ux = -nx, 0.0, nz
    else:
        uz, uy, ux = ny, -nz, 0.0
    length = np.sqrt(uz * uz + uy * uy + ux * ux)
    uz, uy, ux = uz / length, uy / length, ux / length
    vz, vy, vx = ny * ux - nx * uy, nx * uz - nz * ux, nz * uy - ny * uz
    matrix[:] = 0.0
    right[:] = 0.0
    squares = 0.0
    seen = 0
    for place in places:
        u = place[0] * uz + place[1] * uy + place[2] * ux
        v = place[0] * vz + place[1] * vy + place[2] * vx
        height = place[0] * nz + place[1] * ny + place[2] * nx
        terms[0], terms[1], terms[2] = 1.0, u, v
        terms[3], terms[4], terms[5] = u * u, u * v, v * v
        for a in range(NUM_TERMS):
            right[a] += terms[a] * height
            for b in range(NUM_TERMS):
                matrix[a, b] += terms[a] * terms[b]
        squares += height * height
        if u * u + v * v > 0.25:
            angle = (np.arctan2(v, u) / (2 * np.pi) + 1.0 + 0.5 / NUM_SECTORS) % 1.0
            seen |= 1 << int(angle * NUM_SECTORS)
    if seen != (1 << NUM_SECTORS) - 1:
        return False
    sums = right.copy()
    if not _solve(matrix, right):
        return False
    # The least squares leave what the map does not take.
    residual = squares
    for a in range(NUM_TERMS):
        residual -= right[a] * sums[a]
    is_one_sheet = residual <= MAX_RESIDUAL * MAX_RESIDUAL * len(places)
    slope = np.sqrt(1.0 + right[1] * right[1] + right[2] * right[2])
    return is_one_sheet and abs(right[0]) <= HALF_WIDTH * slope
