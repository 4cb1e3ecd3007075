"""What a careful annotator would have marked: the inner face, with gaps in the work."""

from __future__ import annotations

import itertools
import math
from statistics import NormalDist
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_surfseg.data.phantom.noise import F32, compute_spline_noise, hash_coordinates
from napari_surfseg.data.phantom.settings import LABEL_THICKNESS

if TYPE_CHECKING:
    from napari_surfseg.data.phantom.settings import PhantomSettings
    from napari_surfseg.data.phantom.spiral import Geometry, Sheets
    from napari_surfseg.geometry import Index3

__all__ = ["Annotation"]

#: Where windings are closer than this they cannot be told apart, nor annotated;
#: it also keeps the faces of neighbours from touching.
LEAST_PITCH = 6.0

#: Strokes: one a cell of this many voxels, ZYX; a brush of this radius, over some slices.
STROKE_CELL = (24, 48, 48)
STROKE_RADIUS = 3.0
STROKE_SLICES = 3
STROKE_LENGTH = 44.0

BACKGROUND, SURFACE, IGNORE = 0, 1, 2

Mask = np.ndarray[Any, np.dtype[np.bool_]]


class Annotation:
    """Mask of the roll and labels in it.

    Parameters
    ----------
    settings : PhantomSettings
        Kind of annotation and seed.
    geometry : Geometry
        Where the sheet begins and ends.
    """

    def __init__(self, settings: PhantomSettings, geometry: Geometry) -> None:
        self._geometry = geometry
        self._strokes = settings.annotated == "strokes"
        self._salt = settings.seed * 64 + 48
        share = settings.unannotated
        self._blank_above = NormalDist().inv_cdf(1 - share) if share else math.inf

    def compute_mask(self, radius: F32, start: Index3, stop: Index3) -> Mask:
        """Where there is a roll at all."""
        wobble = compute_spline_noise((60, 30, 30), start, stop, self._salt)
        return np.asarray(radius + np.float32(0.05) * wobble < self._geometry.mask_radius)

    def compute_labels(
        self,
        sheets: Sheets,
        inner: tuple[slice, ...],
        in_mask: Mask,
        start: Index3,
        stop: Index3,
    ) -> np.ndarray[Any, np.dtype[np.uint8]]:
        """Label a box.

        Parameters
        ----------
        sheets : Sheets
            Geometry of the box, or of one around it.
        inner : tuple of slice
            Where the box lies in ``sheets``.
        in_mask : numpy.ndarray
            The box's mask.
        start, stop : tuple of int
            The box.

        Returns
        -------
        numpy.ndarray
            uint8: 1 inner face, 0 elsewhere, 2 not annotated.
        """
        turns = sheets.turns[inner]
        face = sheets.depth[inner] < LABEL_THICKNESS
        face &= (turns > self._geometry.first_turn) & (turns < self._geometry.last_turn)
        known = in_mask & (sheets.pitch[inner] >= LEAST_PITCH)
        # In the core the sheet cannot be followed.
        known &= turns > self._geometry.first_turn
        if math.isfinite(self._blank_above):
            blank = compute_spline_noise((40, 26, 26), start, stop, self._salt + 1)
            known &= blank < self._blank_above
        if self._strokes:
            known &= face | self._paint_strokes(start, stop)
        return np.where(known, face.astype(np.uint8), np.uint8(IGNORE))

    def _paint_strokes(self, start: Index3, stop: Index3) -> Mask:
        """Straight brush strokes within slices, wherever they fall."""
        painted = np.zeros([b - a for a, b in zip(start, stop, strict=True)], bool)
        reach = (STROKE_SLICES, *(math.ceil(STROKE_LENGTH / 2 + STROKE_RADIUS),) * 2)
        cells = [
            range((a - r) // cell, (b - 1 + r) // cell + 1)
            for a, b, r, cell in zip(start, stop, reach, STROKE_CELL, strict=True)
        ]
        grid = np.array(list(itertools.product(*cells)))
        draws = [
            hash_coordinates([*grid.T], self._salt + 2 + i).astype(np.float64) / 2**32
            for i in range(5)
        ]
        y, x = np.ogrid[start[1] : stop[1], start[2] : stop[2]]
        for i, cell in enumerate(grid):
            z, cy, cx = ((cell[k] + draws[k][i]) * STROKE_CELL[k] for k in range(3))
            first = max(round(z), start[0])
            last = min(round(z) + STROKE_SLICES, stop[0])
            if last <= first:
                continue
            angle, half = math.pi * draws[3][i], STROKE_LENGTH * (0.3 + 0.2 * draws[4][i])
            dy, dx = math.sin(angle), math.cos(angle)
            along = np.clip((y - cy) * dy + (x - cx) * dx, -half, half)
            distance2 = (y - cy - along * dy) ** 2 + (x - cx - along * dx) ** 2
            painted[first - start[0] : last - start[0]] |= distance2 <= STROKE_RADIUS**2
        return painted
