"""Whether surface is annotated densely, with what lies around it, or in strokes.

Surface Dice, variation of information and topology compare the shapes of two surfaces.
That takes labels on both sides of a surface: what a network draws where nothing is
annotated counts as right, and between strokes that is nearly everything.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from napari_surfseg.data.census import BLOCK
from napari_surfseg.data.labels import FOREGROUND, IGNORE
from napari_surfseg.data.reading_cost import count_affordable
from napari_surfseg.errors import ChunkError
from napari_surfseg.geometry import to_index

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from napari_surfseg.data.checked_pair import CheckedPair

__all__ = ["DENSE_SHARE", "count_annotated_near_surface", "measure_density"]

#: Voxels around a surface voxel that must be annotated: the usual tolerance of the scores.
REACH = 2
#: Least share of them. Dense labels with some places left out have 0.9 and more, strokes three
#: voxels wide 0.1, strokes of a thick ball 0.4.
DENSE_SHARE = 0.6
#: Blocks of a volume that are looked at.
NUM_BLOCKS = 8


def count_annotated_near_surface(labels: NDArray[np.uint8]) -> tuple[int, int]:
    """Count the annotated and all voxels within two voxels of annotated surface.

    Parameters
    ----------
    labels : array, shape (Z, Y, X)
        0 background, 1 surface, 2 not annotated.
    """
    from scipy.ndimage import maximum_filter

    surface = (labels == FOREGROUND).view(np.uint8)
    if not surface.any():
        return 0, 0
    near: NDArray[Any] = maximum_filter(surface, 2 * REACH + 1, mode="constant")
    return int(np.count_nonzero(near & (labels != IGNORE))), int(near.sum())


def measure_density(pairs: Sequence[CheckedPair], *, seed: int) -> float:
    """Estimate the share of annotated voxels close to annotated surface.

    Parameters
    ----------
    pairs : sequence of CheckedPair
        Looked at together, in a few census blocks drawn by their surface.
    seed : int
        Of the choice of blocks.
    """
    annotated = near = 0
    for pair in pairs:
        blocks = pair.census.blocks
        blocks = blocks.keep(blocks.counts[1] > 0)
        if not len(blocks):
            continue
        rng = np.random.default_rng([seed, 0xDE])
        weights = blocks.counts[1].astype(np.float64)
        chosen = rng.choice(
            len(blocks),
            min(len(blocks), max(1, count_affordable(pair, BLOCK, NUM_BLOCKS))),
            replace=False,
            p=weights / weights.sum(),
        )
        targets = pair.open_targets()
        for place in blocks.indices[chosen]:
            index = to_index(place)
            try:
                labels = targets.read(*pair.census.block_box(index))
            except ChunkError:  # reported where it is met by a patch
                continue
            found = count_annotated_near_surface(labels)
            annotated += found[0]
            near += found[1]
    return annotated / near if near else 0.0
