"""Labels that cover a part of a volume too large to be labelled as a whole.

The layer is as small as its part; for the run it is a volume of the image's shape
that is 0 everywhere else, and of which only the part is stored.
"""

from __future__ import annotations

import itertools
import math
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_surfseg.gui.layers.boxes import CHUNK
from napari_surfseg.gui.layers.layer_volume import take_layer

if TYPE_CHECKING:
    from napari.layers import Layer

    from napari_surfseg.geometry import Index3, Ranges3
    from napari_surfseg.gui.layers.layer_volume import LayerVolume

__all__ = ["PlacedArray", "choose_region", "region_of", "take_labels"]

#: Up to here a volume is labelled as a whole. What isn't painted on takes no memory, but every
#: voxel is counted and compared.
MAX_WHOLE_VOXELS = 1 << 30
#: Edge of the part of a larger one.
REGION_EDGE = 512


class PlacedArray:
    """An array laid into a larger one that is 0 elsewhere, indexed with three slices."""

    ndim = 3

    def __init__(self, part: Any, start: Index3, shape: Index3) -> None:
        self.part = part
        self.start = start
        self.shape = shape
        self.dtype: np.dtype[Any] = np.dtype(part.dtype)

    def __getitem__(self, box: tuple[slice, ...]) -> np.ndarray[Any, Any]:
        ranges = [cut.indices(size)[:2] for cut, size in zip(box, self.shape, strict=True)]
        values = np.zeros([max(b - a, 0) for a, b in ranges], self.dtype)
        here, there = [], []
        for (a, b), low, size in zip(ranges, self.start, self.part.shape, strict=True):
            first, last = max(a, low), max(min(b, low + size), max(a, low))
            here.append(slice(first - a, last - a))
            there.append(slice(first - low, last - low))
        values[tuple(here)] = np.asarray(self.part[tuple(there)])
        return values

    def stored_starts(self) -> list[Index3]:
        """Return where the boxes begin that hold a piece of the part."""
        z, y, x = (
            range(low // CHUNK * CHUNK, low + size, CHUNK)
            for low, size in zip(self.start, self.part.shape, strict=True)
        )
        return list(itertools.product(z, y, x))


def choose_region(shape: Index3, center: Index3) -> Ranges3 | None:
    """Choose the part of a volume to label around a voxel; None for all of it."""
    if math.prod(shape) <= MAX_WHOLE_VOXELS:
        return None
    spans = []
    for size, at in zip(shape, center, strict=True):
        start = (at - REGION_EDGE // 2) // CHUNK * CHUNK
        start = max(min(start, (size - REGION_EDGE) // CHUNK * CHUNK), 0)
        spans.append((start, min(start + REGION_EDGE, size)))
    return spans[0], spans[1], spans[2]


def region_of(layer: Layer | None) -> tuple[Ranges3, Index3] | None:
    """Return the part that a labels layer covers, and the shape of the whole; None for all."""
    noted = layer.metadata.get("surfseg_region") if layer is not None else None
    if not noted:
        return None
    z, y, x = ((int(start), int(stop)) for start, stop in noted["box"])
    depth, height, width = (int(size) for size in noted["shape"])
    return (z, y, x), (depth, height, width)


def take_labels(layer: Layer) -> LayerVolume:
    """Take a layer as :func:`take_layer` does, and one that covers a part as the whole.

    Raises
    ------
    DataError
        If it is no volume.
    """
    volume = take_layer(layer)
    region = region_of(layer)
    if region is None:
        return volume
    box, shape = region
    z, y, x = (start for start, _ in box)
    first, second, third = (
        at - start * step
        for at, start, step in zip(volume.translate, (z, y, x), volume.spacing, strict=True)
    )
    return replace(
        volume,
        data=PlacedArray(volume.data, (z, y, x), shape),
        shape=shape,
        translate=(first, second, third),
    )
