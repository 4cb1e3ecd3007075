"""Building blocks of synthetic volumes: smooth noise, and partitions of space into cells.

Distances are in voxels. The compiled loops are what makes a volume cost about a second.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_surfseg.compiling import compiled

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = [
    "Floats",
    "compete",
    "divide",
    "measure_slope",
    "normalise",
    "place_blobs",
    "random_rotation",
    "resample",
    "smooth_noise",
]

Floats = np.ndarray[Any, np.dtype[np.float32]]


def smooth_noise(
    rng: np.random.Generator, shape: tuple[int, ...], scale: float | tuple[float, ...]
) -> Floats:
    """Draw noise of mean 0 and deviation 1 whose features are about ``scale`` voxels wide.

    Cubic splines through random numbers on a coarse grid: three small matrix products.
    """
    scales = (scale,) * len(shape) if isinstance(scale, int | float) else scale
    bases = [_spline_basis(n, s, rng.random()) for n, s in zip(shape, scales, strict=True)]
    values = rng.standard_normal([basis.shape[1] for basis in bases]).astype(np.float32)
    for axis, basis in enumerate(bases):
        values = np.moveaxis(np.tensordot(basis, values, (1, axis)), 0, axis)
    return normalise(np.ascontiguousarray(values))


def normalise(values: Floats) -> Floats:
    """Shift and scale to mean 0 and deviation 1."""
    values = values - values.mean()
    return values / max(float(values.std()), 1e-6)


def _spline_basis(length: int, scale: float, offset: float) -> Floats:
    """Weights of coarse grid points for each voxel along an axis: cubic B-splines."""
    place = np.arange(length) / max(scale, 1.0) + offset
    first = np.floor(place).astype(int)
    t = place - first
    weights = np.stack(
        [(1 - t) ** 3, 3 * t**3 - 6 * t**2 + 4, -3 * t**3 + 3 * t**2 + 3 * t + 1, t**3], axis=1
    )
    basis = np.zeros((length, int(first[-1]) + 4), np.float32)
    for part in range(4):
        basis[np.arange(length), first + part] += weights[:, part] / 6
    return basis


def random_rotation(rng: np.random.Generator) -> NDArray[np.float64]:
    """Draw a rotation, all alike likely."""
    q, r = np.linalg.qr(rng.standard_normal((3, 3)))
    return np.asarray(q * np.sign(np.diag(r)))


def measure_slope(values: Floats, spacing: tuple[float, float, float]) -> Floats:
    """Measure how fast values change, per unit of ``spacing``."""
    total = np.zeros_like(values)
    for part, step in zip(np.gradient(values), spacing, strict=True):
        total += (part / step) ** 2
    return np.sqrt(total)


def divide(
    rng: np.random.Generator,
    warp: Floats,
    matrix: NDArray[np.float64],
    *,
    unevenness: float,
    missing: float,
    joined: float,
) -> tuple[NDArray[np.int32], Floats]:
    """Divide space into cells that touch each other.

    Parameters
    ----------
    rng : numpy.random.Generator
        Draws the cells.
    warp : numpy.ndarray
        (3, Z, Y, X): place of each voxel, in the unit of ``matrix``'s columns.
    matrix : numpy.ndarray
        Takes a place to a lattice with one seed a unit cube: its inverse is the cells' size.
    unevenness : float
        How different in size neighbours are, 0 to 1.
    missing : float
        Share of lattice cubes without a seed.
    joined : float
        Probability that a seed belongs to the cell of its neighbour along the first lattice axis,
        which makes long cells.

    Returns
    -------
    cells : numpy.ndarray of int32
        Number of the cell, from 1.
    distance : numpy.ndarray of float32
        To the nearest wall, about.
    """
    shape = warp.shape[1:]
    corners = warp[:, :: shape[0] - 1, :: shape[1] - 1, :: shape[2] - 1].reshape(3, -1)
    slack = 3
    seen = matrix @ corners
    extra = np.abs(matrix @ np.full(3, float(np.abs(warp).max()) * 0.05))
    low = np.floor(seen.min(axis=1) - slack - extra).astype(np.int64)
    high = np.ceil(seen.max(axis=1) + slack + extra).astype(np.int64)
    size = tuple(int(n) for n in high - low + 1)
    seeds = rng.random((*size, 3)).astype(np.float32)
    weights = (unevenness * rng.random(size) ** 2).astype(np.float32)
    weights[rng.random(size) < missing] = -1e6
    ids = np.arange(1, math.prod(size) + 1, dtype=np.int32).reshape(size)
    for index in range(1, size[0]):
        same = rng.random(size[1:]) < joined
        ids[index][same] = ids[index - 1][same]
    return _divide(
        np.ascontiguousarray(warp, np.float32),
        matrix.astype(np.float32),
        low.astype(np.int32),
        seeds,
        weights,
        ids,
    )


@compiled
def _divide(
    warp: Floats, matrix: Floats, low: Any, seeds: Floats, weights: Floats, ids: Any
) -> tuple[Any, Floats]:
    _, nz, ny, nx = warp.shape
    lz, ly, lx = ids.shape
    cells = np.zeros((nz, ny, nx), np.int32)
    distance = np.zeros((nz, ny, nx), np.float32)
    for z in range(nz):
        for y in range(ny):
            for x in range(nx):
                a, b, c = warp[0, z, y, x], warp[1, z, y, x], warp[2, z, y, x]
                qz = matrix[0, 0] * a + matrix[0, 1] * b + matrix[0, 2] * c - low[0]
                qy = matrix[1, 0] * a + matrix[1, 1] * b + matrix[1, 2] * c - low[1]
                qx = matrix[2, 0] * a + matrix[2, 1] * b + matrix[2, 2] * c - low[2]
                iz, iy, ix = int(np.floor(qz)), int(np.floor(qy)), int(np.floor(qx))
                best, second = np.float32(1e9), np.float32(1e9)
                mine = 0
                bz = by = bx = sz = sy = sx = np.float32(0)
                for kz in range(max(0, iz - 2), min(lz, iz + 3)):
                    for ky in range(max(0, iy - 2), min(ly, iy + 3)):
                        for kx in range(max(0, ix - 2), min(lx, ix + 3)):
                            pz = kz + seeds[kz, ky, kx, 0]
                            py = ky + seeds[kz, ky, kx, 1]
                            px = kx + seeds[kz, ky, kx, 2]
                            far = (pz - qz) ** 2 + (py - qy) ** 2 + (px - qx) ** 2
                            far -= weights[kz, ky, kx]
                            it = ids[kz, ky, kx]
                            if far < best:
                                if it != mine:
                                    second, sz, sy, sx = best, bz, by, bx
                                best, mine = far, it
                                bz, by, bx = pz, py, px
                            elif far < second and it != mine:
                                second = far
                                sz, sy, sx = pz, py, px
                vz, vy, vx = 2 * (bz - sz), 2 * (by - sy), 2 * (bx - sx)
                gz = matrix[0, 0] * vz + matrix[1, 0] * vy + matrix[2, 0] * vx
                gy = matrix[0, 1] * vz + matrix[1, 1] * vy + matrix[2, 1] * vx
                gx = matrix[0, 2] * vz + matrix[1, 2] * vy + matrix[2, 2] * vx
                slope = np.sqrt(gz * gz + gy * gy + gx * gx)
                cells[z, y, x] = mine
                distance[z, y, x] = min((second - best) / max(slope, np.float32(1e-6)), 99.0)
    return cells, distance


@compiled
def compete(fields: Floats) -> tuple[Any, Floats]:
    """Give each voxel to the field that is highest there, and measure the distance to its border.

    Parameters
    ----------
    fields : numpy.ndarray
        (N, Z, Y, X) smooth fields.

    Returns
    -------
    owner : numpy.ndarray of int32
        1 to N.
    distance : numpy.ndarray of float32
        In voxels, about.
    """
    n, nz, ny, nx = fields.shape
    owner = np.zeros((nz, ny, nx), np.int32)
    distance = np.zeros((nz, ny, nx), np.float32)
    for z in range(nz):
        for y in range(ny):
            for x in range(nx):
                first, second = 0, 1
                if fields[1, z, y, x] > fields[0, z, y, x]:
                    first, second = 1, 0
                for k in range(2, n):
                    value = fields[k, z, y, x]
                    if value > fields[first, z, y, x]:
                        first, second = k, first
                    elif value > fields[second, z, y, x]:
                        second = k
                lead = fields[first, z, y, x] - fields[second, z, y, x]
                z0, z1 = max(z - 1, 0), min(z + 1, nz - 1)
                y0, y1 = max(y - 1, 0), min(y + 1, ny - 1)
                x0, x1 = max(x - 1, 0), min(x + 1, nx - 1)
                gz = (
                    fields[first, z1, y, x]
                    - fields[second, z1, y, x]
                    - fields[first, z0, y, x]
                    + fields[second, z0, y, x]
                ) / (z1 - z0)
                gy = (
                    fields[first, z, y1, x]
                    - fields[second, z, y1, x]
                    - fields[first, z, y0, x]
                    + fields[second, z, y0, x]
                ) / (y1 - y0)
                gx = (
                    fields[first, z, y, x1]
                    - fields[second, z, y, x1]
                    - fields[first, z, y, x0]
                    + fields[second, z, y, x0]
                ) / (x1 - x0)
                slope = max(np.sqrt(gz * gz + gy * gy + gx * gx), np.float32(1e-4))
                owner[z, y, x] = first + 1
                distance[z, y, x] = min(lead / slope, 99.0)
    return owner, distance


@compiled
def place_blobs(
    cells: Any, room: Floats, centres: Floats, frames: Floats, margins: Floats, spacing: Floats
) -> tuple[Floats, Any]:
    """Draw ellipsoids, each only inside the cell that holds its centre.

    Parameters
    ----------
    cells : numpy.ndarray of int32
        Number of the cell of each voxel.
    room : numpy.ndarray of float32
        Distance to the cell's wall.
    centres : numpy.ndarray
        (N, 3) voxels.
    frames : numpy.ndarray
        (N, 3, 3): rows are axes divided by the radii.
    margins : numpy.ndarray
        (N,): distance kept to the wall.
    spacing : numpy.ndarray
        (3,): size of a voxel.

    Returns
    -------
    depth : numpy.ndarray of float32
        Distance to the outline, about: positive inside, -99 far from any.
    which : numpy.ndarray of int32
        Number of the ellipsoid, from 1; 0 far from any.
    """
    nz, ny, nx = cells.shape
    depth = np.full((nz, ny, nx), np.float32(-99))
    which = np.zeros((nz, ny, nx), np.int32)
    for k in range(len(centres)):
        cz, cy, cx = centres[k]
        home = cells[int(cz), int(cy), int(cx)]
        reach = np.float32(0)
        for row in range(3):
            length = np.sqrt(
                frames[k, row, 0] ** 2 + frames[k, row, 1] ** 2 + frames[k, row, 2] ** 2
            )
            reach = max(reach, 1 / length)
        reach += 3
        for z in range(
            max(0, int(cz - reach / spacing[0])), min(nz, int(cz + reach / spacing[0]) + 2)
        ):
            for y in range(
                max(0, int(cy - reach / spacing[1])), min(ny, int(cy + reach / spacing[1]) + 2)
            ):
                for x in range(
                    max(0, int(cx - reach / spacing[2])), min(nx, int(cx + reach / spacing[2]) + 2)
                ):
                    if cells[z, y, x] != home:
                        continue
                    a = (z - cz) * spacing[0]
                    b = (y - cy) * spacing[1]
                    c = (x - cx) * spacing[2]
                    u = frames[k, 0, 0] * a + frames[k, 0, 1] * b + frames[k, 0, 2] * c
                    v = frames[k, 1, 0] * a + frames[k, 1, 1] * b + frames[k, 1, 2] * c
                    w = frames[k, 2, 0] * a + frames[k, 2, 1] * b + frames[k, 2, 2] * c
                    r = np.sqrt(u * u + v * v + w * w)
                    if r < 1e-3:
                        inside = np.float32(reach - 3)
                    else:
                        far = np.sqrt(a * a + b * b + c * c)
                        inside = far / r - far
                    inside = min(inside, room[z, y, x] - margins[k])
                    if inside > depth[z, y, x]:
                        depth[z, y, x] = inside
                        which[z, y, x] = k + 1
    return depth, which


@compiled
def resample(image: Floats, cells: Any, places: Floats) -> tuple[Floats, Any]:
    """Read a volume at any places, mirrored beyond its borders.

    Parameters
    ----------
    image : numpy.ndarray of float32
        Read between voxels.
    cells : numpy.ndarray of int32
        Read at the nearest voxel.
    places : numpy.ndarray
        (3, Z, Y, X) voxels.
    """
    _, nz, ny, nx = places.shape
    sz, sy, sx = image.shape
    made = np.zeros((nz, ny, nx), np.float32)
    ids = np.zeros((nz, ny, nx), np.int32)
    for z in range(nz):
        for y in range(ny):
            for x in range(nx):
                a = abs(places[0, z, y, x]) % (2 * (sz - 1))
                b = abs(places[1, z, y, x]) % (2 * (sy - 1))
                c = abs(places[2, z, y, x]) % (2 * (sx - 1))
                a = min(a, 2 * (sz - 1) - a)
                b = min(b, 2 * (sy - 1) - b)
                c = min(c, 2 * (sx - 1) - c)
                i, j, k = min(int(a), sz - 2), min(int(b), sy - 2), min(int(c), sx - 2)
                a, b, c = a - i, b - j, c - k
                value = np.float32(0)
                for p in range(2):
                    for q in range(2):
                        for r in range(2):
                            weight = (a if p else 1 - a) * (b if q else 1 - b) * (c if r else 1 - c)
                            value += np.float32(weight) * image[i + p, j + q, k + r]
                made[z, y, x] = value
                ids[z, y, x] = cells[i + int(a + 0.5), j + int(b + 0.5), k + int(c + 0.5)]
    return made, ids
