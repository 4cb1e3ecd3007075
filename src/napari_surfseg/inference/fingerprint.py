"""Is this still the same image and the same network? Short hashes that say so.

They are taken of what is inside, not of names and times, so that an image may be moved or copied
while its prediction is under way.
"""

from __future__ import annotations

import hashlib
import math
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_surfseg.geometry import block_box, blocks_under, box_at, box_shape, clip_box, to_index

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from napari_surfseg.data.volume import Volume
    from napari_surfseg.geometry import Box

__all__ = ["hash_volume", "hash_weights"]

#: Up to so many voxels an image is looked at as a whole.
WHOLE_VOXELS = 2**24
#: Of a larger one, in so many places, so many voxels wide; of one whose chunks are larger than
#: ``WHOLE_VOXELS`` in fewer.
PLACES, FEW_PLACES, EDGE = 12, 2, 16


def hash_volume(volume: Volume) -> str:
    """Hash the shape, type and voxels of an image; of a large one, a few of them."""
    found = hashlib.sha256(repr((volume.shape, str(volume.dtype))).encode())
    for start, stop in _choose_boxes(volume):
        found.update(volume.read(start, stop).tobytes())
    return found.hexdigest()[:32]


def hash_weights(weights: Mapping[str, Any]) -> str:
    """Hash the names and values of a network's tensors."""
    found = hashlib.sha256()
    for name in sorted(weights):
        values = weights[name].detach().cpu().contiguous().reshape(-1)
        found.update(name.encode())
        found.update(str(values.dtype).encode())
        found.update(memoryview(values.view(_byte_type()).numpy()))
    return found.hexdigest()[:32]


def _byte_type() -> Any:
    import torch

    return torch.uint8


def _choose_boxes(volume: Volume) -> Iterator[Box]:
    if volume.num_voxels <= WHOLE_VOXELS:
        yield volume.box
        return
    count = PLACES if math.prod(volume.chunks) <= WHOLE_VOXELS else FEW_PLACES
    stored = volume.stored_chunks()
    if stored is not None and len(stored):
        picks = np.linspace(0, len(stored) - 1, min(count, len(stored))).astype(int)
        places = np.stack(np.unravel_index(stored.places[picks], stored.grid), axis=1)
        boxes = [block_box(to_index(place), stored.chunk, volume.box) for place in places]
    else:
        grid = box_shape(blocks_under(volume.box, volume.chunks))
        picks = np.linspace(0, math.prod(grid) - 1, count).astype(int)
        places = np.stack(np.unravel_index(picks, grid), axis=1)
        boxes = [block_box(to_index(place), volume.chunks, volume.box) for place in places]
    for box in boxes:
        middle = to_index((a + b - EDGE) // 2 for a, b in zip(*box, strict=True))
        yield clip_box(box_at(middle, (EDGE,) * 3), box)
