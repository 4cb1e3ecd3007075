"""Phantoms on disk, made chunk by chunk: noisy wavy sheets with holes and specks, of any size."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING, Any

import numpy as np
import zarr

from napari_surfseg.geometry import box_shape, box_slices, iterate_blocks, whole_box

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

    from napari_surfseg.geometry import Box, Size3

CHUNK: Size3 = (128, 128, 128)
#: Voxels from one sheet to the next.
PITCH = 16
#: One fault in so many voxels.
VOXELS_OF_A_FAULT = 10_000


def make_sheets(box: Box, noise: float = 30.0) -> NDArray[np.uint8]:
    """Probabilities of wavy sheets in a box of an endless volume; the same for each place."""
    z, y, x = np.ogrid[tuple(slice(a, b) for a, b in zip(*box, strict=True))]
    height = (z + 6 * np.sin(y / 31) + 5 * np.sin(x / 23)).astype(np.float32)
    values = np.sin(height * np.float32(2 * np.pi / PITCH)) * np.float32(110) + np.float32(80)
    rng = np.random.default_rng(box[0])
    values += rng.standard_normal(box_shape(box), np.float32) * np.float32(noise)
    probs = np.clip(values, 0, 255).astype(np.uint8)
    # Cubes of two voxels: holes in the sheets, specks and bridges between them.
    count = probs.size // VOXELS_OF_A_FAULT
    places = rng.integers(0, np.maximum(np.array(probs.shape) - 1, 1), (count, 3))
    faults = np.where(rng.random(count) < 0.5, 0, 255)
    for corner in itertools.product(*(range(min(2, size)) for size in probs.shape)):
        probs[tuple((places + corner).T)] = faults
    return probs


def write_sheets(path: Path, shape: Size3, noise: float = 30.0) -> Any:
    """Write such a volume as a zarr array; one chunk lies in memory at a time."""
    array = zarr.create_array(
        str(path), shape=shape, chunks=CHUNK, dtype=np.uint8, fill_value=0, overwrite=True
    )
    for box in iterate_blocks(whole_box(shape), CHUNK):
        array[box_slices(box)] = make_sheets(box, noise)
    return array
