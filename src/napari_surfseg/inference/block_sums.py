"""Blended probabilities as whole numbers, whose sums do not depend on their order.

Probabilities times blending weights are rounded to multiples of one :data:`SCALE`-th before they
are added. So a voxel in which windows of several blocks meet comes out the same to the bit, however
the windows were divided and whoever came first.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["SCALE", "to_probabilities"]

#: What a probability of one is in sums. The rounding of up to 4,000 windows over one voxel (overlap
#: 0.9 has 1,331) then stays below half a step of the 255 that are stored, and 255 times it
#: fits into 32 bits.
SCALE = 2**20


def to_probabilities(sums: NDArray[np.int32]) -> NDArray[np.uint8]:
    """Turn finished sums into probabilities 0..255."""
    steps: NDArray[np.int32] = (sums * np.int32(255) + SCALE // 2) // SCALE
    return steps.clip(0, 255).astype(np.uint8)
