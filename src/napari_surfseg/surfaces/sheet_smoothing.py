"""Smooth probabilities along sheets and not across them.

A ball that smooths or closes holes in a sheet reaches its neighbour and blurs the sheet. Here each
voxel is averaged with those beside it in the plane of its sheet, which the structure tensor of
the probabilities gives: small tears close, specks and bridges across fade, and the sheet keeps its
thickness and its distance to the next.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from scipy import ndimage

from napari_surfseg.compiling import compiled

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["find_principal", "find_sheet_reach", "smooth_along_sheets"]

#: Standard deviations, in voxels, of the gradient and of the averaging of its products: a thin
#: sheet has two faces that must both be seen.
GRADIENT_SIGMA = 1.0
TENSOR_SIGMA = 2.0

#: Where Gaussians are cut off, in standard deviations; along the sheet, where the weight is left.
TRUNCATE = 3.0
SHEET_TRUNCATE = 2.0

#: Voxels further than this from the plane through a voxel have no part in its average.
HALF_WIDTH = 1.0

#: Squarings of the structure tensor until its greatest eigenvector is all that is left of it.
NUM_SQUARINGS = 6

#: Squared grey values a voxel; where the gradients are less there is no sheet.
LEAST_TRACE = 1e-3


def find_sheet_reach(sigma: float) -> int:
    """How far :func:`smooth_along_sheets` looks, in voxels."""
    radius = _find_radius(sigma, SHEET_TRUNCATE)
    return radius + _find_radius(GRADIENT_SIGMA) + _find_radius(TENSOR_SIGMA)


def _find_radius(sigma: float, truncate: float = TRUNCATE) -> int:
    """Radius of a kernel, as SciPy rounds it."""
    return int(truncate * sigma + 0.5)


def smooth_along_sheets(probs: NDArray[Any], sigma: float) -> NDArray[np.float32]:
    """Average every voxel with those beside it in the plane of its sheet.

    The weights are a Gaussian of the distance, times what falls off to none at
    :data:`HALF_WIDTH` from the plane. Beyond the border nothing counts.

    Parameters
    ----------
    probs : array (Z, Y, X)
        Probabilities, 0 to 255, or a mask.
    sigma : float
        Standard deviation along the sheet, in voxels.

    Returns
    -------
    float32 array
        Of the same range.
    """
    values = np.ascontiguousarray(probs, np.float32)
    if not values.size or not sigma:
        return values
    radius = _find_radius(sigma, SHEET_TRUNCATE)
    offsets = np.argwhere(np.ones((2 * radius + 1,) * 3, bool)) - radius
    squares = np.square(offsets).sum(axis=1)
    # The ball within `radius` + 1/2.
    in_ball = squares <= radius * radius + radius
    weights = np.exp(-squares[in_ball] / (2 * sigma * sigma))
    found = np.empty_like(values)
    _average(values, _compute_tensor(values), offsets[in_ball], weights, found)
    return found


def _compute_tensor(values: NDArray[np.float32]) -> NDArray[np.float32]:
    """Compute the structure tensor: ZZ, YY, XX, ZY, ZX, YX."""
    gradients = [
        ndimage.gaussian_filter(
            values,
            GRADIENT_SIGMA,
            order=[int(axis == each) for each in range(3)],
            mode="nearest",
            truncate=TRUNCATE,
        )
        for axis in range(3)
    ]
    tensor = np.empty((6, *values.shape), np.float32)
    for out, (i, j) in zip(tensor, ((0, 0), (1, 1), (2, 2), (0, 1), (0, 2), (1, 2)), strict=True):
        ndimage.gaussian_filter(
            gradients[i] * gradients[j], TENSOR_SIGMA, output=out, mode="nearest", truncate=TRUNCATE
        )
    return tensor


@compiled
def find_principal(
    zz: float, yy: float, xx: float, zy: float, zx: float, yx: float
) -> tuple[float, float, float]:
    """Find the unit eigenvector of the greatest eigenvalue of a symmetric matrix; compiled."""
    for _ in range(NUM_SQUARINGS):
        trace = zz + yy + xx
        zz, yy, xx, zy, zx, yx = (
            zz / trace,
            yy / trace,
            xx / trace,
            zy / trace,
            zx / trace,
            yx / trace,
        )
        zz, yy, xx, zy, zx, yx = (
            zz * zz + zy * zy + zx * zx,
            zy * zy + yy * yy + yx * yx,
            zx * zx + yx * yx + xx * xx,
            zz * zy + zy * yy + zx * yx,
            zz * zx + zy * yx + zx * xx,
            zy * zx + yy * yx + yx * xx,
        )
    # Every column is a multiple of the eigenvector; the longest one is the most exact.
    if zz >= yy and zz >= xx:
        z, y, x = zz, zy, zx
    elif yy >= xx:
        z, y, x = zy, yy, yx
    else:
        z, y, x = zx, yx, xx
    length = np.sqrt(z * z + y * y + x * x)
    return z / length, y / length, x / length


@compiled
def _average(
    values: NDArray[np.float32],
    tensor: NDArray[np.float32],
    offsets: NDArray[np.int64],
    weights: NDArray[np.float64],
    found: NDArray[np.float32],
) -> None:
    size_z, size_y, size_x = values.shape
    for z in range(size_z):
        for y in range(size_y):
            for x in range(size_x):
                zz, yy, xx = tensor[0, z, y, x], tensor[1, z, y, x], tensor[2, z, y, x]
                if zz + yy + xx < LEAST_TRACE:
                    found[z, y, x] = values[z, y, x]
                    continue
                normal = find_principal(
                    zz, yy, xx, tensor[3, z, y, x], tensor[4, z, y, x], tensor[5, z, y, x]
                )
                total = 0.0
                weight = 0.0
                for k in range(len(weights)):
                    dz, dy, dx = offsets[k, 0], offsets[k, 1], offsets[k, 2]
                    across = (dz * normal[0] + dy * normal[1] + dx * normal[2]) / HALF_WIDTH
                    left = 1.0 - across * across
                    if left <= 0.0:
                        continue
                    i, j, m = z + dz, y + dy, x + dx
                    if not (0 <= i < size_z and 0 <= j < size_y and 0 <= m < size_x):
                        continue
                    share = weights[k] * left * left
                    total += share * values[i, j, m]
                    weight += share
                found[z, y, x] = total / weight
