"""Targets whose gaps are filled by a pixel classifier: pseudo-labels around strokes."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from napari_surfseg.data.labels import IGNORE
from napari_surfseg.data.targets import is_void
from napari_surfseg.data.volume import Volume, VoxelArray

if TYPE_CHECKING:
    from collections.abc import Sequence

    from napari_surfseg.data.strokes.pixel_classifier import PixelClassifier
    from napari_surfseg.geometry import Box, Index3

__all__ = ["FilledTargets"]

#: Edge of a chunk at most. The filters read a margin around it, so small ones waste work; and
#: large ones memory, some 400 MB for a moment.
MAX_CHUNK = 100


class FilledTargets(Volume):
    """Targets in which what is not annotated is what a pixel classifier says.

    A person's strokes stay as they are, void voxels stay ignored, and nothing outside
    ``bounds`` is filled. To be read through a cache: a chunk takes a second or two to make.

    Parameters
    ----------
    targets : Volume
        0 background, 1 surface, 2 not annotated or void.
    classifier : PixelClassifier
        Fills the gaps.
    source : int
        Which of the classifier's images lies under these targets.
    bounds : (start, stop)
        The part of the volume in use.
    image, void_value : optional
        Image as stored, and the value of its voxels that stay ignored.
    held_out : sequence of (start, stop)
        Boxes kept for validation, which are not filled.
    """

    def __init__(
        self,
        targets: Volume,
        classifier: PixelClassifier,
        source: int,
        bounds: Box,
        *,
        image: Volume | None = None,
        void_value: float | None = None,
        held_out: Sequence[Box] = (),
    ) -> None:
        super().__init__(
            source=targets.source,
            name=targets.name,
            shape=targets.shape,
            dtype=np.uint8,
            spacing=targets.spacing if targets.spacing_known else None,
            units=targets.units,
            chunks=tuple(_even_chunk(size) for size in targets.shape),
        )
        self._targets = targets
        self._classifier = classifier
        self._index = source
        self._bounds = bounds
        self._image = image
        self._void_value = void_value
        self._held_out = tuple(held_out)

    def chunk_bounds(self, voxel: Index3, size: Index3) -> Box:
        """Box of the chunk that holds a voxel, within the bounds and no smaller than ``size``.

        A patch that keeps to it needs one chunk, where another one could need eight.
        """
        start, stop = [], []
        for place, chunk, edge, low, high in zip(
            voxel, self.chunks, size, *self._bounds, strict=True
        ):
            first = max(place // chunk * chunk, low)
            last = min(place // chunk * chunk + chunk, high)
            first = max(low, min(first, last - edge))
            start.append(first)
            stop.append(min(high, max(last, first + edge)))
        return (start[0], start[1], start[2]), (stop[0], stop[1], stop[2])

    def _read_box(self, start: Index3, stop: Index3) -> VoxelArray:
        values = self._targets.read(start, stop)
        low = tuple(max(a, b) for a, b in zip(start, self._bounds[0], strict=True))
        high = tuple(min(a, b) for a, b in zip(stop, self._bounds[1], strict=True))
        if any(b <= a for a, b in zip(low, high, strict=True)):
            return values
        first, last = (low[0], low[1], low[2]), (high[0], high[1], high[2])
        inside = tuple(slice(a - s, b - s) for a, b, s in zip(first, last, start, strict=True))
        gaps = values[inside] == IGNORE
        if self._image is not None and self._void_value is not None:
            gaps &= ~is_void(self._image.read(first, last), self._void_value)
        for box in self._held_out:
            gaps[
                tuple(
                    slice(max(c - a, 0), max(d - a, 0)) for a, c, d in zip(first, *box, strict=True)
                )
            ] = False
        if gaps.any():
            found = self._classifier.predict(self._index, first, last) > 0.5
            values[inside][gaps] = found[gaps]
        return values


def _even_chunk(size: int) -> int:
    """Divide an axis into even parts of at most :data:`MAX_CHUNK`."""
    return -(-size // -(-size // MAX_CHUNK))
