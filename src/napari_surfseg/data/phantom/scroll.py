"""The phantom itself: image, labels and winding index of any box."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from scipy.ndimage import correlate1d

from napari_surfseg.data.phantom.annotation import Annotation
from napari_surfseg.data.phantom.material import Material
from napari_surfseg.data.phantom.noise import F32, compute_spline_noise, compute_white_noise
from napari_surfseg.data.phantom.rings import Rings
from napari_surfseg.data.phantom.spiral import Geometry
from napari_surfseg.geometry import (
    box_shape,
    box_slices,
    contains_box,
    grow_box,
    iterate_blocks,
    shift_box,
    whole_box,
)

if TYPE_CHECKING:
    from napari_surfseg.data.phantom.settings import PhantomSettings
    from napari_surfseg.geometry import Index3

__all__ = ["PhantomBox", "ScrollPhantom"]

#: Boxes are made in tiles of this size, so that the work's arrays stay in the cache.
TILE = (32, 96, 96)

#: Part of the noise's deviation that is blurred like the object is; the rest is from voxel to
#: voxel.
CORRELATED = 0.65

#: Grey of a clean gap.
GAP_GREY = 78.0


@dataclass(frozen=True)
class PhantomBox:
    """A box of the phantom.

    Attributes
    ----------
    image : numpy.ndarray
        uint8; 0 outside the mask, at least 1 inside.
    labels : numpy.ndarray
        uint8; 1 on the sheets' inner face, 0 elsewhere, 2 where not annotated.
    winding : numpy.ndarray
        int16; index of the sheet (1, 2, ... outwards) whose inner face was the
        last one crossed coming from the axis; 0 in the core and outside the mask.
    """

    image: np.ndarray[Any, np.dtype[np.uint8]]
    labels: np.ndarray[Any, np.dtype[np.uint8]]
    winding: np.ndarray[Any, np.dtype[np.int16]]


class ScrollPhantom:
    """A synthetic scroll of any size, made box by box.

    A box comes out the same whether it is made alone or as part of a larger one.

    Parameters
    ----------
    settings : PhantomSettings
        Size, seed, appearance and annotation.
    """

    def __init__(self, settings: PhantomSettings) -> None:
        self.settings = settings
        self._geometry = Geometry(settings)
        self._material = Material(settings, self._geometry)
        self._annotation = Annotation(settings, self._geometry)
        self._rings = Rings(settings)
        self._kernel = _gaussian_kernel(settings.blur)
        # What blurring leaves of white noise's deviation, three axes, uniform in [-1, 1).
        kept = float((self._kernel**2).sum()) ** 1.5
        self._white_gain = np.float32(settings.noise * CORRELATED / (kept * 3**-0.5))
        self._salt = settings.seed * 64

    def compute_box(self, start: Index3, stop: Index3) -> PhantomBox:
        """Make a box.

        Parameters
        ----------
        start, stop : tuple of int
            Corners in voxels, ZYX, half open, inside the volume.

        Returns
        -------
        PhantomBox
        """
        shape = self.settings.shape
        if not contains_box(whole_box(shape), (start, stop)):
            raise ValueError(f"box {start} to {stop} does not lie in {shape}")
        size = box_shape((start, stop))
        box = PhantomBox(
            np.empty(size, np.uint8), np.empty(size, np.uint8), np.empty(size, np.int16)
        )
        # Tiles begin where the box begins, not on a grid: fewer of them are cut short.
        for part in iterate_blocks(whole_box(size), TILE):
            place = box_slices(part)
            tile = self._compute_tile(*shift_box(part, start))
            box.image[place], box.labels[place] = tile.image, tile.labels
            box.winding[place] = tile.winding
        return box

    def _compute_tile(self, start: Index3, stop: Index3) -> PhantomBox:
        halo = len(self._kernel) // 2
        wide_start, wide_stop = grow_box((start, stop), halo)
        sheets = self._geometry.compute_sheets(wide_start, wide_stop)
        inner = (slice(halo, -halo),) * 3
        in_mask = self._annotation.compute_mask(sheets.radius[inner], start, stop)
        labels = self._annotation.compute_labels(sheets, inner, in_mask, start, stop)
        winding = np.where(in_mask, np.maximum(sheets.winding[inner], 0), 0).astype(np.int16)
        if not in_mask.any():
            return PhantomBox(np.zeros(in_mask.shape, np.uint8), labels, winding)
        grey = self._material.compute_density(sheets, wide_start, wide_stop)
        grey += compute_white_noise(wide_start, wide_stop, self._salt + 8) * self._white_gain
        for axis in range(3):
            grey = correlate1d(grey, self._kernel, axis=axis, mode="nearest")
        grey = grey[inner]
        grey = self._scan(grey, start, stop)
        image = np.where(in_mask, np.clip(np.rint(grey), 1, 255), 0).astype(np.uint8)
        return PhantomBox(image, labels, winding)

    def _scan(self, grey: F32, start: Index3, stop: Index3) -> F32:
        """Add what the scanner does: uneven gain, fine noise, rings."""
        noise = np.float32(self.settings.noise)
        gain = compute_spline_noise((70, 50, 50), start, stop, self._salt + 9)
        offset = compute_spline_noise((60, 40, 40), start, stop, self._salt + 10)
        fine = compute_white_noise(start, stop, self._salt + 11)
        grey = grey * (1 + np.float32(0.09) * gain)
        grey += np.float32(GAP_GREY) + np.float32(0.22) * noise * offset
        grey += np.float32((1 - CORRELATED**2) ** 0.5 * 3**0.5) * noise * fine
        grey += self._rings.compute(start, stop)
        return grey


def _gaussian_kernel(sigma: float) -> np.ndarray[Any, np.dtype[np.float64]]:
    reach = max(1, round(3 * sigma))
    places = np.arange(-reach, reach + 1)
    weights = np.exp(-0.5 * (places / sigma) ** 2)
    return np.asarray(weights / weights.sum())
