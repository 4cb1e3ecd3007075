"""The area of the sheets of a mask, summed over its voxels: what a size filter should go by."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING, Any

import numpy as np
from scipy import ndimage

from napari_surfseg.compiling import compiled
from napari_surfseg.surfaces.block_components import find_structure

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from napari_surfseg.geometry import Spacing3

__all__ = [
    "AREA_REACH",
    "compute_sheet_area",
    "count_area_parts",
    "find_area_part",
    "remove_small_sheets",
]

#: Voxels along a line after which a sheet counts as no thicker; thick things are no sheets.
AREA_REACH = 16

#: Parts of the largest share that a voxel can have of an area, to which shares are rounded.
PARTS = 1024

#: One of each two opposite directions to the 26 neighbours.
_DIRECTIONS = tuple(step for step in itertools.product((-1, 0, 1), repeat=3) if step > (0, 0, 0))


def compute_sheet_area(
    mask: NDArray[Any], spacing: Spacing3 = (1.0, 1.0, 1.0)
) -> NDArray[np.float32]:
    """Give every voxel of a mask its share of the area of its sheet.

    A voxel's share is its volume by the thickness of the sheet there, which is the length of the
    shortest straight line through the mask, of the thirteen between opposite neighbours. Summed
    over a sheet of any thickness that is the area of one side, to within an eighth or so: no normal
    is further than 27 degrees from a line. A ball has less than half the area of a sheet two voxels
    thick of as many voxels.

    Parameters
    ----------
    mask : array (Z, Y, X)
        Non-zero is surface.
    spacing : tuple of float
        Voxel size.

    Returns
    -------
    float32 array
        In the unit of `spacing`, squared; 0 off the mask.
    """
    surface = np.ascontiguousarray(np.asarray(mask) != 0).view(np.uint8)
    steps = np.array(_DIRECTIONS, np.int64)
    lengths = np.linalg.norm(steps * np.asarray(spacing, float), axis=1)
    area = np.zeros(surface.shape, np.float32)
    _share_area(surface, steps, lengths, float(np.prod(spacing)), area)
    return area


def find_area_part(spacing: Spacing3 = (1.0, 1.0, 1.0)) -> float:
    """Give the area that one of :func:`count_area_parts` stands for."""
    return float(np.prod(spacing)) / min(spacing) / PARTS


def count_area_parts(
    mask: NDArray[Any], spacing: Spacing3 = (1.0, 1.0, 1.0)
) -> NDArray[np.float32]:
    """Give the shares of :func:`compute_sheet_area` in whole parts.

    Sums of whole numbers are exact in any order, so that blocks give what the whole gives.
    """
    parts: NDArray[np.float32] = np.rint(
        compute_sheet_area(mask, spacing) / np.float32(find_area_part(spacing))
    )
    return parts


@compiled
def _share_area(
    mask: NDArray[np.uint8],
    steps: NDArray[np.int64],
    lengths: NDArray[np.float64],
    volume: float,
    area: NDArray[np.float32],
) -> None:
    size_z, size_y, size_x = mask.shape
    for z in range(size_z):
        for y in range(size_y):
            for x in range(size_x):
                if not mask[z, y, x]:
                    continue
                thickness = np.inf
                for way in range(len(steps)):
                    count = 1
                    for sign in (-1, 1):
                        for number in range(1, AREA_REACH + 1):
                            if count * lengths[way] >= thickness:
                                break
                            i = z + sign * number * steps[way, 0]
                            j = y + sign * number * steps[way, 1]
                            k = x + sign * number * steps[way, 2]
                            if not (0 <= i < size_z and 0 <= j < size_y and 0 <= k < size_x):
                                break
                            if not mask[i, j, k]:
                                break
                            count += 1
                    thickness = min(thickness, count * lengths[way])
                area[z, y, x] = volume / thickness


def remove_small_sheets(
    mask: NDArray[Any],
    min_area: float,
    connectivity: int = 26,
    spacing: Spacing3 = (1.0, 1.0, 1.0),
) -> NDArray[np.bool_]:
    """Drop connected pieces with less area than a sheet should have.

    Parameters
    ----------
    mask : array (Z, Y, X)
        Non-zero is surface.
    min_area : float
        Smallest piece that stays, by :func:`compute_sheet_area`.
    connectivity : int
        6, 18 or 26.
    spacing : tuple of float
        Voxel size.
    """
    surface: NDArray[np.bool_] = np.asarray(mask) != 0
    if min_area <= 0:
        return surface
    labels = np.empty(surface.shape, np.int32)
    ndimage.label(surface, find_structure(connectivity), output=labels)
    parts = np.bincount(labels.ravel(), weights=count_area_parts(surface, spacing).ravel())
    keep = parts * find_area_part(spacing) >= min_area
    keep[0] = False
    kept: NDArray[np.bool_] = keep[labels]
    return kept
