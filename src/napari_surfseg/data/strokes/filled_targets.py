"""Targets whose gaps are filled by a pixel classifier: pseudo-labels around strokes."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from napari_surfseg.data.labels import IGNORE
from napari_surfseg.data.targets import is_void
from napari_surfseg.data.volume import DerivedVolume
from napari_surfseg.geometry import block_box, box_slices, intersect_boxes, to_index

if TYPE_CHECKING:
    from collections.abc import Sequence

    from napari_surfseg.data.strokes.pixel_classifier import PixelClassifier
    from napari_surfseg.data.volume import Volume, VoxelArray
    from napari_surfseg.geometry import Box, Index3

__all__ = ["FilledTargets"]

#: Edge of a chunk at most. The filters read a margin around it, so small ones waste work; and
#: large ones memory, some 400 MB for a moment.
MAX_CHUNK = 100


class FilledTargets(DerivedVolume):
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
            targets, dtype=np.uint8, chunks=tuple(_even_chunk(size) for size in targets.shape)
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
        first, last = block_box(
            to_index(p // c for p, c in zip(voxel, self.chunks, strict=True)),
            self.chunks,
            self._bounds,
        )
        for a, b, edge, low, high in zip(first, last, size, *self._bounds, strict=True):
            begin = max(low, min(a, b - edge))
            start.append(begin)
            stop.append(min(high, max(b, begin + edge)))
        return to_index(start), to_index(stop)

    def _read_box(self, start: Index3, stop: Index3) -> VoxelArray:
        values = self._targets.read(start, stop)
        part = intersect_boxes((start, stop), self._bounds)
        if part is None:
            return values
        inside = box_slices(part, start)
        gaps = values[inside] == IGNORE
        if self._image is not None and self._void_value is not None:
            gaps &= ~is_void(self._image.read(*part), self._void_value)
        for box in self._held_out:
            gaps[box_slices(box, part[0])] = False
        if gaps.any():
            found = self._classifier.predict(self._index, *part) > 0.5
            values[inside][gaps] = found[gaps]
        return values


def _even_chunk(size: int) -> int:
    """Divide an axis into even parts of at most :data:`MAX_CHUNK`."""
    return -(-size // -(-size // MAX_CHUNK))
