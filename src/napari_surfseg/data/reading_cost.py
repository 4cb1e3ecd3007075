"""How many small pieces of a volume can be looked at in reasonable time.

A file is decoded in whole storage chunks. A piece of 32^3 voxels costs next to nothing
of an array in memory, and 32 whole pages of a TIFF whose pages are 20000 voxels wide.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from napari_surfseg.data.checked_pair import CheckedPair

__all__ = ["count_affordable"]

#: Voxels that may be decoded for a look: two to five seconds on one core.
MAX_DECODED_VOXELS = 2**30


def count_affordable(pair: CheckedPair, edge: int, most: int) -> int:
    """Return how many pieces may be read of an image and its labels, up to ``most``.

    Parameters
    ----------
    pair : CheckedPair
        Both volumes are decoded for each piece.
    edge : int
        Of a piece, in voxels.
    most : int
        Wanted.
    """
    decoded = sum(
        math.prod(
            # A piece lies across a border as often as not.
            min(size, (1 + edge / chunk) * chunk)
            for size, chunk in zip(volume.shape, volume.chunks, strict=True)
        )
        for volume in (pair.image, pair.labels)
    )
    return min(most, int(MAX_DECODED_VOXELS / decoded))
