"""What the sheets look like before the scanner sees them: papyrus, fibres, grains.

::

      axis ◀──   gap │ inner layer      ┊ outer layer     │ gap   ──▶ outside
                     │ ═══ ═══ ═══ ═══  ┊ ·  ·  ·  ·  ·   │
                     │ fibres run       ┊ fibres run      │
                     │ around the roll, ┊ along the roll, │
                     │ a little denser  ┊ fraying outwards│
                     ▲ the labelled face

The two layers distinguish one side of a sheet from the other, in any
orientation: pressed sheets show no gap, but still this order.
"""

from __future__ import annotations

import itertools
import math
from typing import TYPE_CHECKING

import numpy as np

from napari_surfseg.data.phantom.noise import (
    F32,
    compute_lattice_noise,
    compute_spline_noise,
    hash_coordinates,
)
from napari_surfseg.geometry import box_slices, intersect_boxes, to_index

if TYPE_CHECKING:
    from napari_surfseg.data.phantom.settings import PhantomSettings
    from napari_surfseg.data.phantom.spiral import Geometry, Sheets
    from napari_surfseg.geometry import Index3

__all__ = ["Material"]

#: Fibres: voxels from one to the next across them, along them and in depth.
FIBRE_ACROSS, FIBRE_ALONG, FIBRE_DEPTH = 3.6, 46.0, 3.0

#: Parts of the contrast: the fibres' amplitude; by how much the inner layer is
#: denser and the outer one lighter; by how much the outer one thins out towards
#: its face; and the dust and shreds in the gaps. Without the third, a small
#: network needs many minutes to learn which side is meant.
FIBRE_SHARE = 0.8
LAYER_SHARE = 0.12
FRAY_SHARE = 0.4
DEBRIS_SHARE = 0.22

#: Grains of sand and metal: one cell of this edge holds at most one.
GRAIN_CELL = 22
GRAIN_PROBABILITY = 0.3
GRAIN_REACH = 5


class Material:
    """Density of papyrus, gaps and grains, as grey values without noise or blur.

    Parameters
    ----------
    settings : PhantomSettings
        Thickness, contrast and seed.
    geometry : Geometry
        Where the sheets lie.
    """

    def __init__(self, settings: PhantomSettings, geometry: Geometry) -> None:
        self._settings = settings
        self._geometry = geometry
        self._pitch = settings.mean_pitch
        self._salt = settings.seed * 64

    def compute_thickness(self, start: Index3, stop: Index3) -> F32:
        """Thickness a free sheet has at each voxel of a box; pressed sheets are thinner."""
        least, greatest = self._settings.sheet_thickness
        noise = compute_spline_noise((44, 24, 24), start, stop, self._salt + 1)
        mean = self._settings.mean_thickness
        return np.asarray(
            np.clip(mean + 0.27 * (greatest - least) * noise, least, greatest), dtype=np.float32
        )

    def compute_density(self, sheets: Sheets, start: Index3, stop: Index3) -> F32:
        """Grey of every voxel of a box, 0 being a clean gap.

        Parameters
        ----------
        sheets : Sheets
            The box's geometry.
        start, stop : tuple of int
            The box.

        Returns
        -------
        numpy.ndarray
            float32, shape ``stop - start``.
        """
        contrast = self._settings.contrast
        thickness = np.minimum(self.compute_thickness(start, stop), sheets.pitch)
        split = self._compute_split(start, stop)
        # A delaminated sheet takes more room, but never its neighbour's.
        opening = np.minimum(split, np.maximum(sheets.pitch - thickness, 0))
        middle = thickness * np.float32(0.5)
        outer_start = middle + opening
        end = thickness + opening
        present = self._compute_presence(sheets, start, stop)
        depth = sheets.depth
        inner = _cover(depth - 0.5) * _cover(middle - depth)
        # Pressed sheets touch: the outer layer then ends where the next sheet begins.
        outer = _cover(depth - outer_start) * np.where(
            end > sheets.pitch - 0.6, np.float32(1), _cover(end - depth)
        )
        inner *= present
        outer *= present
        debris = compute_spline_noise((7, 5, 5), start, stop, self._salt + 4)
        density: F32 = np.clip(debris - 0.4, 0, 2) * np.float32(DEBRIS_SHARE * contrast)
        density *= 1 - inner - outer
        fibres = self._compute_fibres(
            sheets, depth < outer_start, inner + outer > 0.02, start, stop
        )
        density += inner * (np.float32(contrast * (1 + LAYER_SHARE)) + fibres)
        # Frayed outwards: 0 where the layers meet, 1 at the outer face.
        frayed = np.clip((depth - outer_start) / np.maximum(end - outer_start, 1), 0, 1)
        density += outer * (contrast * (1 - LAYER_SHARE - np.float32(FRAY_SHARE) * frayed) + fibres)
        self._add_grains(density, start, stop)
        return density

    def _compute_split(self, start: Index3, stop: Index3) -> F32:
        """Width of the crack between the two layers, mostly 0."""
        noise = compute_spline_noise((26, 18, 18), start, stop, self._salt + 2)
        return np.asarray(np.clip((noise - 1.15) * 4.5, 0, 4), dtype=np.float32)

    def _compute_presence(self, sheets: Sheets, start: Index3, stop: Index3) -> F32:
        """1 between the sheet's two ragged ends, 0 beyond them."""
        ragged = compute_spline_noise((10, 8, 8), start, stop, self._salt + 3)
        turns = sheets.turns + ragged * np.float32(0.012)
        inside = (turns > self._geometry.first_turn) & (turns < self._geometry.last_turn)
        return np.asarray(inside, dtype=np.float32)

    def _compute_fibres(
        self, sheets: Sheets, is_inner: np.ndarray, wanted: np.ndarray, start: Index3, stop: Index3
    ) -> F32:
        """Crossed fibres as a change of density: streaks one way, dots the other."""
        out = np.zeros(wanted.shape, np.float32)
        wander = compute_spline_noise((30, 22, 22), start, stop, self._salt + 5)[wanted]
        z = np.broadcast_to(
            np.arange(start[0], stop[0], dtype=np.float32)[:, None, None], wanted.shape
        )[wanted]
        turns = sheets.turns[wanted]
        # Length along an even spiral: close enough for the spacing of fibres.
        along = turns * turns * np.float32(math.pi * self._pitch)
        inner = is_inner[wanted]
        run = np.where(inner, along, z)
        across = np.where(inner, z, along) + 2.5 * wander
        depth = sheets.depth[wanted]
        key = sheets.winding[wanted].astype(np.int64) * 2 + inner
        noise = compute_lattice_noise(
            [
                across / np.float32(FIBRE_ACROSS),
                run / np.float32(FIBRE_ALONG),
                depth / np.float32(FIBRE_DEPTH),
            ],
            key,
            self._salt + 6,
        )
        # Bundles are a little brighter than the pith, and hollow cells much darker.
        noise -= np.float32(0.35) * np.clip(-noise - np.float32(0.25), 0, 1)
        out[wanted] = noise * np.float32(FIBRE_SHARE * self._settings.contrast)
        return out

    def _add_grains(self, density: F32, start: Index3, stop: Index3) -> None:
        """Put bright specks in place, each an ellipsoid of one to three voxels."""
        cells = [
            range((a - GRAIN_REACH) // GRAIN_CELL, (b - 1 + GRAIN_REACH) // GRAIN_CELL + 1)
            for a, b in zip(start, stop, strict=True)
        ]
        grid = np.array(list(itertools.product(*cells)))
        draws = [
            hash_coordinates([*grid.T], self._salt + 16 + i).astype(np.float64) / 2**32
            for i in range(8)
        ]
        for i in np.flatnonzero(draws[0] < GRAIN_PROBABILITY):
            centre = [(grid[i, k] + draws[1 + k][i]) * GRAIN_CELL for k in range(3)]
            size = 0.9 + 2.0 * draws[4][i] ** 3
            radii = [size * (0.7 + 0.6 * draws[5 + k][i]) for k in range(3)]
            around = (
                to_index(math.floor(c - GRAIN_REACH) for c in centre),
                to_index(math.ceil(c + GRAIN_REACH) + 1 for c in centre),
            )
            seen = intersect_boxes(around, (start, stop))
            if seen is None:
                continue
            low, high = seen
            axes = np.ogrid[low[0] : high[0], low[1] : high[1], low[2] : high[2]]
            place = box_slices(seen, start)
            distance2 = sum(
                ((axis - c) / radius) ** 2
                for axis, c, radius in zip(axes, centre, radii, strict=True)
            )
            speck = np.clip(1.6 - distance2, 0, 1) * (90 + 140 * draws[5][i])
            density[place] = np.maximum(density[place], speck.astype(np.float32))


def _cover(distance: F32) -> F32:
    """Share of a voxel that lies on the positive side of a boundary."""
    return np.asarray(np.clip(distance + np.float32(0.5), 0, 1), dtype=np.float32)
