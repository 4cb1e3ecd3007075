"""Labels that cover a part of a volume too large to be labelled as a whole.

The layer is as small as the part it covers. For the run it is a volume of the image's shape
that is 0 everywhere else, and of which only the part is stored.
"""

from __future__ import annotations

import math
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_surfseg.geometry import (
    blocks_under,
    box_at,
    box_shape,
    box_slices,
    from_ranges,
    intersect_boxes,
    iterate_indices,
    to_index,
    to_spacing,
)
from napari_surfseg.gui.layers.boxes import CHUNK
from napari_surfseg.gui.layers.layer_volume import take_layer

if TYPE_CHECKING:
    from napari.layers import Layer

    from napari_surfseg.geometry import Box, Index3, Size3
    from napari_surfseg.gui.layers.layer_volume import LayerVolume

__all__ = ["PlacedArray", "choose_region", "region_of", "take_labels"]

#: Up to here a volume is labelled as a whole. Voxels that nobody painted on take no memory, but
#: every one is counted and compared.
MAX_WHOLE_VOXELS = 1 << 30
#: Edge of the part of a larger one.
REGION_EDGE = 512


class PlacedArray:
    """An array laid into a larger one that is 0 elsewhere, indexed with three slices."""

    ndim = 3

    def __init__(self, part: Any, start: Index3, shape: Size3) -> None:
        self.part = part
        self.start = start
        self.shape = shape
        self.dtype: np.dtype[Any] = np.dtype(part.dtype)

    def __getitem__(self, box: tuple[slice, ...]) -> np.ndarray[Any, Any]:
        cuts = [cut.indices(size) for cut, size in zip(box, self.shape, strict=True)]
        wanted = from_ranges([(first, last) for first, last, _ in cuts])
        values = np.zeros(box_shape(wanted), self.dtype)
        shared = intersect_boxes(wanted, box_at(self.start, self.part.shape))
        if shared is not None:
            part = self.part[box_slices(shared, self.start)]
            values[box_slices(shared, wanted[0])] = np.asarray(part)
        return values

    def stored_starts(self) -> list[Index3]:
        """Return where the boxes begin that hold a piece of the part."""
        part = box_at(self.start, self.part.shape)
        blocks = iterate_indices(blocks_under(part, (CHUNK,) * 3))
        return [(CHUNK * z, CHUNK * y, CHUNK * x) for z, y, x in blocks]


def choose_region(shape: Size3, center: Index3) -> Box | None:
    """Choose the part of a volume to label around a voxel; None for all of it."""
    if math.prod(shape) <= MAX_WHOLE_VOXELS:
        return None
    spans = []
    for size, at in zip(shape, center, strict=True):
        start = (at - REGION_EDGE // 2) // CHUNK * CHUNK
        start = max(min(start, (size - REGION_EDGE) // CHUNK * CHUNK), 0)
        spans.append((start, min(start + REGION_EDGE, size)))
    return from_ranges(spans)


def region_of(layer: Layer | None) -> tuple[Box, Size3] | None:
    """Return the part that a labels layer covers, and the shape of the whole; None for all."""
    noted = layer.metadata.get("surfseg_region") if layer is not None else None
    if not noted:
        return None
    return from_ranges(noted["box"]), to_index(noted["shape"])


def take_labels(layer: Layer) -> LayerVolume:
    """Take a layer as :func:`take_layer` does; one that covers a part is taken as the whole volume.

    Raises
    ------
    DataError
        If it is no volume.
    """
    volume = take_layer(layer)
    region = region_of(layer)
    if region is None:
        return volume
    (start, _), shape = region
    translate = to_spacing(
        at - first * step
        for at, first, step in zip(volume.translate, start, volume.spacing, strict=True)
    )
    return replace(
        volume, data=PlacedArray(volume.data, start, shape), shape=shape, translate=translate
    )
