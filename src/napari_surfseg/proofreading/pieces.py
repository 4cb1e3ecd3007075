"""Small pieces of surface that hang on nothing."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from scipy import ndimage

from napari_surfseg.geometry import to_index
from napari_surfseg.proofreading.places import DoubtfulPlace
from napari_surfseg.proofreading.ranking import to_weight
from napari_surfseg.surfaces.block_components import find_structure

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    from napari_surfseg.proofreading.evidence import Evidence

__all__ = ["find_small_pieces"]

#: A larger piece is no speck.
MAX_VOXELS = 600
#: A small piece is doubtful even where the network is sure of it.
LEAST_CHANCE = 0.1
#: Voxels of a topological change, besides those of the piece.
TOPOLOGY_VOXELS = 10.0


def find_small_pieces(evidence: Evidence) -> Iterator[DoubtfulPlace]:
    """Find small connected pieces; those that leave the region count half.

    Parameters
    ----------
    evidence : Evidence
        The region.
    """
    labels = np.empty(evidence.mask.shape, np.int32)
    number = int(ndimage.label(evidence.mask, find_structure(26), output=labels))
    if number == 0:
        return
    sizes: NDArray[np.int64] = np.bincount(labels.ravel(), minlength=number + 1)
    sizes[0] = 0
    largest = sizes.max()
    for index, box in enumerate(ndimage.find_objects(labels), start=1):
        size = int(sizes[index])
        if size > MAX_VOXELS or size == largest:
            continue
        inside = labels[box] == index
        values = evidence.probs[box][inside]
        start, stop = to_index(part.start for part in box), to_index(part.stop for part in box)
        leaves = min(start) == 0 or bool((np.array(stop) == labels.shape).any())
        at = np.argwhere(inside)
        middle = at[((at - at.mean(axis=0)) ** 2).sum(axis=1).argmin()]
        typical = float(np.percentile(values, 90))
        chance = max(evidence.error_chance(typical), LEAST_CHANCE) * (0.5 if leaves else 1.0)
        yield DoubtfulPlace(
            "small piece",
            to_index(middle + np.array(start)),
            start,
            stop,
            size,
            to_weight(chance * (TOPOLOGY_VOXELS + size)),
            f"A piece of {size:,} voxels on its own, at most {values.max() / 255:.2f} sure.",
        )
