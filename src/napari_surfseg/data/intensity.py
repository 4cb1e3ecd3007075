"""Grey values to uint8, and the mean and deviation of those.

Every patch travels as uint8; the network sees ``(uint8 / 255 - mean) / std``.
The four numbers go into the checkpoint, so that prediction repeats them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from napari_surfseg.data.volume import grow_chunks
from napari_surfseg.errors import DataError
from napari_surfseg.geometry import block_box, blocks_under, box_shape, count_voxels, to_index
from napari_surfseg.model.intensity import Intensity

if TYPE_CHECKING:
    from collections.abc import Sequence

    from napari_surfseg.data.volume import Volume, VoxelArray
    from napari_surfseg.geometry import Box, Size3

__all__ = ["compute_intensity"]

#: Percentiles that become 0 and 255: bright grains and dead voxels are few.
LOW_PERCENTILE, HIGH_PERCENTILE = 0.5, 99.5
#: Voxels of a piece that is sampled, where the storage chunks are not larger.
SAMPLE_VOXELS = 64**3


def compute_intensity(
    volumes: Sequence[Volume],
    *,
    boxes: Sequence[Box] | None = None,
    void_value: float | None = None,
    max_samples: int = 64,
    seed: int = 0,
) -> Intensity:
    """Measure grey values on boxes spread over the volumes.

    Parameters
    ----------
    volumes : sequence of Volume
        Images of one kind.
    boxes : sequence of (start, stop), optional
        The part of each that counts; by default all of it.
    void_value : float, optional
        Value that means "outside the scan"; left out.
    max_samples : int
        Pieces of about 64^3 voxels read in all; volumes that are not larger are
        read whole.
    seed : int
        Of the places chosen.

    Returns
    -------
    Intensity
        The identity (0, 255) for uint8 volumes, else robust percentiles.

    Raises
    ------
    DataError
        If the volumes hold one value only.
    """
    boxes = [volume.box for volume in volumes] if boxes is None else boxes
    sizes = [count_voxels(box) for box in boxes]
    rng = np.random.default_rng([seed, 0x17E5])
    values: list[VoxelArray] = []
    for volume, box, size in zip(volumes, boxes, sizes, strict=True):
        share = max(1, round(max_samples * size / sum(sizes)))
        for start, stop in _sample_boxes(box, volume.chunks, share, rng):
            taken = volume.read(start, stop).ravel()
            # A prime step, so that no column of voxels is taken again and again.
            taken = taken[:: 1 if taken.size <= 2 * SAMPLE_VOXELS else 61]
            good = np.isfinite(taken) if taken.dtype.kind == "f" else np.ones(taken.shape, bool)
            if void_value is not None:
                good &= taken != void_value
            values.append(taken[good])
    sample = np.concatenate(values)
    names = ", ".join(volume.source for volume in volumes[:3])
    if not sample.size:
        raise DataError(f"{names} holds no finite values other than the void value.")
    if all(volume.dtype == np.uint8 for volume in volumes):
        low, high = 0.0, 255.0
    else:
        low, high = (float(q) for q in np.percentile(sample, [LOW_PERCENTILE, HIGH_PERCENTILE]))
        if low == high:
            low, high = float(sample.min()), float(sample.max())
    if sample.min() == sample.max():
        raise DataError(f"{names} holds the one value {sample[0]:g} only; there is nothing to see.")
    scaled = Intensity(low, high, 0.0, 1.0).to_uint8(sample).astype(np.float64) / 255
    return Intensity(low, high, float(scaled.mean()), max(float(scaled.std()), 1 / 255))


def _sample_boxes(box: Box, chunks: Size3, count: int, rng: np.random.Generator) -> list[Box]:
    """Up to ``count`` pieces of a box, spread at random, each of whole storage chunks.

    Cubes would be fairer where slices are stored whole, but each would decode
    all slices it touches.
    """
    unit = grow_chunks(chunks, box, SAMPLE_VOXELS)
    grid = blocks_under(box, unit)
    total = count_voxels(grid)
    picks = rng.choice(total, size=count, replace=False) if total > count else np.arange(total)
    places = np.stack(np.unravel_index(np.sort(picks), box_shape(grid)), axis=1) + grid[0]
    return [block_box(to_index(place), unit, box) for place in places]
