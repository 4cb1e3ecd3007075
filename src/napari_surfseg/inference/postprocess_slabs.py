"""Post-process a volume that comes in slabs, as exactly as its size allows.

A volume that fits into memory is processed whole. A larger one is processed in
slabs with a margin: smoothing, closing and filling come out as if it had been
whole; hysteresis looks no further than the margin; small components are left to
the writer, which counts them over the whole volume.
"""

from __future__ import annotations

import math
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from napari_surfseg.surfaces.postprocess import apply_postprocess

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from numpy.typing import NDArray

    from napari_surfseg.geometry import Index3, Size3
    from napari_surfseg.surfaces.postprocess import PostProcess

__all__ = ["is_processed_whole", "postprocess_slabs"]

#: Voxels processed at once: one or two gigabytes with the masks and component numbers.
WHOLE_VOXELS = 2**27

#: Planes to either side in which hysteresis looks for a stronger voxel.
HYSTERESIS_HALO = 48

#: Planes put out at a time.
SLAB_PLANES = 64


def is_processed_whole(shape: Size3) -> bool:
    """Whether a volume is small enough to be processed in one piece."""
    return math.prod(shape) <= WHOLE_VOXELS


def postprocess_slabs(
    slabs: Iterable[tuple[Index3, NDArray[np.uint8]]], shape: Size3, settings: PostProcess
) -> Iterator[tuple[Index3, NDArray[np.uint8]]]:
    """Turn slabs of probabilities into slabs of a mask.

    Parameters
    ----------
    slabs : iterable of (start, array)
        uint8 probabilities: whole planes, from the first to the last.
    shape : tuple of int
        Z, Y, X of the volume.
    settings : PostProcess
        What to do.

    Yields
    ------
    (start, array)
        uint8, 0 and 1.
    """
    if is_processed_whole(shape):
        probs = np.empty(shape, np.uint8)
        for (z, _, _), values in slabs:
            probs[z : z + len(values)] = values
        yield (0, 0, 0), apply_postprocess(probs, settings)
        return
    local = replace(settings, min_voxels=0)
    halo = HYSTERESIS_HALO if local.halo is None else local.halo
    held: list[NDArray[np.uint8]] = []
    base = done = end = 0  # first plane held, first plane not yet put out, first plane not yet here
    for (z, _, _), values in slabs:
        held.append(values)
        end = z + len(values)
        while end >= done + SLAB_PLANES + halo:
            yield _process(held, base, done, done + SLAB_PLANES, halo, local)
            done += SLAB_PLANES
            while held and base + len(held[0]) <= done - halo:
                base += len(held.pop(0))
    while done < end:
        stop = min(end, done + SLAB_PLANES)
        yield _process(held, base, done, stop, halo, local)
        done = stop


def _process(
    held: list[NDArray[np.uint8]],
    base: int,
    start: int,
    stop: int,
    halo: int,
    settings: PostProcess,
) -> tuple[Index3, NDArray[np.uint8]]:
    low = max(base, start - halo)
    planes = np.concatenate(held)[low - base : stop + halo - base]
    mask = apply_postprocess(planes, settings)
    return (start, 0, 0), mask[start - low : stop - low]
