"""Contacts between sheets: where voxels of two labels share a face."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from scipy import ndimage

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from napari_surfseg.geometry import Spacing3

__all__ = ["find_contacts"]

#: Smoothing of the sheet that its normals are taken from, in the longest voxels: differences
#: between voxels fall short where it is less.
SIGMA = 1.5


def find_contacts(
    labels: NDArray[Any], value: int, spacing: Spacing3 = (1.0, 1.0, 1.0)
) -> dict[int, float]:
    """Find which sheets a sheet touches, and how much.

    Parameters
    ----------
    labels : integer array, shape (Z, Y, X)
        The sheet with its neighbours; 0 is none.
    value : int
        The sheet.
    spacing : tuple of float
        Voxel size along Z, Y, X.

    Returns
    -------
    dict
        Area of the contact with each label, in units squared, the largest first.

    Notes
    -----
    A slanted contact has steps, whose faces have up to 1.7 times its area. Each face counts as
    its area times the share of the sheet's normal along the face's axis: of a plane of normal n
    there are A abs(n_i) of faces across axis i, which gives A times the sum of n_i², A.
    """
    sheet = labels == value
    faces = []
    for axis in range(3):
        first, second = (_drop_end(labels, axis, end) for end in (-1, 0))
        touching = (first != second) & (first != 0) & (second != 0)
        touching &= (first == value) | (second == value)
        where = np.argwhere(touching)
        if len(where):
            one, two = (part[touching] for part in (first, second))
            faces.append((axis, where, np.where(one == value, two, one)))
    if not faces:
        return {}
    reach = SIGMA * max(spacing)
    sigmas = [reach / step for step in spacing]
    # Less the others: beside the contact's rim, where both end, what is left is across it.
    sides = sheet.astype(np.float32) - ((labels != 0) & ~sheet)
    smooth = ndimage.gaussian_filter(sides, sigmas)
    slopes = np.stack([np.gradient(smooth, step, axis=k) for k, step in enumerate(spacing)], -1)
    areas: dict[int, float] = {}
    for axis, where, others in faces:
        ahead = where + np.eye(3, dtype=int)[axis]
        normal = slopes[tuple(where.T)] + slopes[tuple(ahead.T)]
        length = np.maximum(np.linalg.norm(normal, axis=1), 1e-12)
        share = np.abs(normal[:, axis]) / length * float(np.prod(spacing)) / spacing[axis]
        found, index = np.unique(others, return_inverse=True)
        for label, area in zip(found, np.bincount(index, share), strict=True):
            areas[int(label)] = areas.get(int(label), 0.0) + float(area)
    return dict(sorted(areas.items(), key=lambda item: -item[1]))


def _drop_end(labels: NDArray[Any], axis: int, end: int) -> NDArray[Any]:
    """Leave out the last (-1) or the first (0) plane across an axis."""
    kept = slice(None, -1) if end else slice(1, None)
    return labels[tuple(kept if k == axis else slice(None) for k in range(3))]
