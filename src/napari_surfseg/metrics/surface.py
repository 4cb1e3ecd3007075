"""How much of two surfaces lies within a tolerance of the other."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from napari_surfseg.compiling import compiled
from napari_surfseg.errors import DataError

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from napari_surfseg.geometry import Spacing3

__all__ = ["SurfaceAgreement", "compute_dice", "compute_surface_agreement", "surface_element_areas"]

#: Above this many voxels in a ball of the tolerance, a distance transform is quicker than
#: searching the ball.
MAX_BALL = 4096


class SurfaceAgreement(NamedTuple):
    """Shares of surface area that lie within the tolerance of the other surface."""

    surface_dice: float
    precision: float  #: share of the predicted surface
    recall: float  #: share of the label's surface


@lru_cache(maxsize=1)
def _surface_element_normals() -> NDArray[np.float64]:
    """Area vectors of the triangles in each of the 256 cubes of eight voxels.

    The triangles are those of marching cubes through the edges' midpoints, the
    rarer value being the one that is cut off (Lorensen and Cline's fifteen cases
    with their complements), which is what the published tables hold.
    """
    # Imported late: it takes half a second that no other metric needs.
    from skimage.measure import marching_cubes

    normals = np.zeros((256, 5, 3))
    for code in range(1, 255):
        cut = code if code.bit_count() <= 4 else 255 - code
        corners = np.array([(cut >> (7 - bit)) & 1 for bit in range(8)], np.float32)
        vertices, faces, _, _ = marching_cubes(
            corners.reshape(2, 2, 2), 0.5, method="lorensen", allow_degenerate=True
        )
        points = np.round(vertices.astype(np.float64) * 2) / 2
        a, b, c = points[faces[:, 0]], points[faces[:, 1]], points[faces[:, 2]]
        normals[code, : len(faces)] = np.cross(b - a, c - a) / 2
    return normals


def surface_element_areas(spacing: Spacing3) -> NDArray[np.float64]:
    """Compute the surface area in each of the 256 configurations of 2x2x2 voxels.

    Parameters
    ----------
    spacing : tuple of float
        Voxel size along Z, Y, X.

    Returns
    -------
    float64 array, shape (256,)
        Indexed by the code whose bit 7 is the voxel at (0, 0, 0) and bit 0 the
        one at (1, 1, 1); 0 for the codes 0 and 255.
    """
    z, y, x = spacing
    vectors = _surface_element_normals() * np.array([y * x, z * x, z * y])
    areas: NDArray[np.float64] = np.sqrt((vectors**2).sum(axis=2)).sum(axis=1)
    return areas


@compiled
def _encode_neighbourhoods(mask: NDArray[np.uint8], out: NDArray[np.uint8]) -> None:
    """Write the code of the eight voxels around each corner; outside is background."""
    depth, height, width = mask.shape
    for z in range(depth + 1):
        for y in range(height + 1):
            before = 0
            for x in range(width + 1):
                column = 0
                if x < width:
                    if z > 0 and y > 0 and mask[z - 1, y - 1, x]:
                        column |= 64
                    if z > 0 and y < height and mask[z - 1, y, x]:
                        column |= 16
                    if z < depth and y > 0 and mask[z, y - 1, x]:
                        column |= 4
                    if z < depth and y < height and mask[z, y, x]:
                        column |= 1
                out[z, y, x] = (before << 1) | column
                before = column


@compiled
def _count_within(
    codes: NDArray[np.uint8],
    others: NDArray[np.uint8],
    offsets: NDArray[np.int32],
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Count the elements of one surface by code, and those with the other within the offsets."""
    depth, height, width = codes.shape
    total = np.zeros(256, np.int64)
    within = np.zeros(256, np.int64)
    for z in range(depth):
        for y in range(height):
            for x in range(width):
                code = codes[z, y, x]
                if code == 0 or code == 255:
                    continue
                total[code] += 1
                for k in range(offsets.shape[0]):
                    zz = z + offsets[k, 0]
                    yy = y + offsets[k, 1]
                    xx = x + offsets[k, 2]
                    if 0 <= zz < depth and 0 <= yy < height and 0 <= xx < width:
                        other = others[zz, yy, xx]
                        if other != 0 and other != 255:
                            within[code] += 1
                            break
    return total, within


def _area_within_far(
    codes: NDArray[np.uint8],
    others: NDArray[np.uint8],
    areas: NDArray[np.float64],
    tolerance: float,
    spacing: Spacing3,
) -> tuple[float, float]:
    from scipy.ndimage import distance_transform_edt

    surface = (codes != 0) & (codes != 255)
    distance = distance_transform_edt((others == 0) | (others == 255), sampling=spacing)
    near = distance[surface] <= tolerance
    weights = areas[codes[surface]]
    return float(weights.sum()), float(weights[near].sum())


def _ball(tolerance: float, spacing: Spacing3) -> NDArray[np.int32] | None:
    reach = [int(tolerance / step) + 1 for step in spacing]
    if np.prod([2.0 * r + 1 for r in reach]) > 8 * MAX_BALL:
        return None
    grid = np.stack(
        np.meshgrid(*[np.arange(-r, r + 1) for r in reach], indexing="ij"), axis=-1
    ).reshape(-1, 3)
    distance = np.sqrt(((grid * np.asarray(spacing)) ** 2).sum(axis=1))
    order = np.argsort(distance, kind="stable")
    order = order[distance[order] <= tolerance]
    return None if order.size > MAX_BALL else grid[order].astype(np.int32)


def _crop(pred: NDArray[np.uint8], label: NDArray[np.uint8]) -> tuple[slice, slice, slice]:
    """Find the box around everything that is foreground in either."""
    planes = [
        np.flatnonzero(pred.any(axis=other) | label.any(axis=other))
        for other in ((1, 2), (0, 2), (0, 1))
    ]
    box = [slice(int(p[0]), int(p[-1]) + 1) for p in planes]
    return box[0], box[1], box[2]


def compute_surface_agreement(
    pred: NDArray[np.uint8],
    label: NDArray[np.uint8],
    *,
    spacing: Spacing3 = (1.0, 1.0, 1.0),
    tolerance: float = 2.0,
) -> SurfaceAgreement:
    """Compute the surface Dice of two masks, and both sides of it.

    The surface of a mask is the set of 2x2x2 neighbourhoods that hold both
    values, each weighing as much as the area of the marching-cubes triangles in
    it; the mask is closed where it meets the end of the volume. An element
    counts as found when an element of the other surface lies within `tolerance`.

    Parameters
    ----------
    pred, label : uint8 array, shape (Z, Y, X)
        Masks of 0 and 1 (:func:`~napari_surfseg.metrics.masks.prepare_masks`).
    spacing : tuple of float
        Voxel size along Z, Y, X.
    tolerance : float
        In the units of `spacing`.

    Returns
    -------
    SurfaceAgreement
        Each in [0, 1]. Two empty masks agree (all 1); one empty mask gives 0 for
        all three.

    Notes
    -----
    Nikolov et al., "Deep learning to achieve clinically applicable segmentation
    of head and neck anatomy for radiotherapy", 2018; equal to the
    ``surface-distance`` package of that work.
    """
    if len(spacing) != 3 or not all(np.isfinite(s) and s > 0 for s in spacing):
        raise DataError(f"The spacing must be three positive numbers (Z, Y, X), found {spacing}.")
    if not (np.isfinite(tolerance) and tolerance >= 0):
        raise DataError(f"The tolerance must be a number of at least 0, found {tolerance}.")
    some_pred, some_label = bool(pred.any()), bool(label.any())
    if not (some_pred and some_label):
        value = 0.0 if some_pred or some_label else 1.0
        return SurfaceAgreement(value, value, value)
    box = _crop(pred, label)
    shape = tuple(s.stop - s.start + 1 for s in box)
    codes = np.empty((2, *shape), np.uint8)
    # One memory layout, so that one signature is compiled.
    _encode_neighbourhoods(np.ascontiguousarray(pred[box]), codes[0])
    _encode_neighbourhoods(np.ascontiguousarray(label[box]), codes[1])
    areas = surface_element_areas(spacing)
    ball = _ball(tolerance, spacing)
    if ball is None:
        pred_area, pred_near = _area_within_far(codes[0], codes[1], areas, tolerance, spacing)
        label_area, label_near = _area_within_far(codes[1], codes[0], areas, tolerance, spacing)
    else:
        pred_area, pred_near = (float(n @ areas) for n in _count_within(codes[0], codes[1], ball))
        label_area, label_near = (float(n @ areas) for n in _count_within(codes[1], codes[0], ball))
    return SurfaceAgreement(
        (pred_near + label_near) / (pred_area + label_area),
        pred_near / pred_area,
        label_near / label_area,
    )


def compute_dice(pred: NDArray[np.uint8], label: NDArray[np.uint8]) -> float:
    """Compute the Dice coefficient of two 0/1 masks; 1 if both are empty."""
    size = int(np.count_nonzero(pred)) + int(np.count_nonzero(label))
    return 1.0 if size == 0 else 2.0 * int(np.count_nonzero(pred & label)) / size
