"""Components, tunnels and cavities of a mask."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from napari_surfseg.compiling import compiled
from napari_surfseg.metrics.run_lengths import count_enclosed, label_components

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

__all__ = ["BettiNumbers", "compute_betti_numbers", "euler_characteristic"]


class BettiNumbers(NamedTuple):
    """Numbers of components, tunnels and cavities."""

    b0: int
    b1: int
    b2: int


@compiled
def euler_characteristic(mask: NDArray[np.uint8]) -> int:
    """Vertices - edges + squares - cubes of the complex whose vertices are voxels."""
    depth, height, width = mask.shape
    total = 0
    for z in range(depth):
        for y in range(height):
            below = z + 1 < depth
            beside = y + 1 < height
            # Columns at x - 1, so that each cell is counted at its last voxel.
            a0 = b0 = c0 = d0 = 0
            for x in range(width):
                a = mask[z, y, x]
                b = mask[z, y + 1, x] if beside else 0
                c = mask[z + 1, y, x] if below else 0
                d = mask[z + 1, y + 1, x] if below and beside else 0
                if a:
                    ab, ac = b, c
                    abcd = b & c & d
                    total += 1 - ab - ac + abcd
                    if a0:
                        total -= 1 - (ab & b0) - (ac & c0) + (abcd & b0 & c0 & d0)
                a0, b0, c0, d0 = a, b, c, d
    return total


def compute_betti_numbers(mask: NDArray[np.uint8]) -> BettiNumbers:
    """Count the components, tunnels and cavities of a mask.

    The mask is read as a cubical complex whose vertices are the foreground
    voxels, so foreground connects over faces (6) and background over corners
    (26). A cavity is background that reaches no face of the volume.

    Parameters
    ----------
    mask : uint8 array, shape (Z, Y, X)
        0 and 1.

    Returns
    -------
    BettiNumbers
        ``b1 = b0 + b2 - (vertices - edges + squares - cubes)``.
    """
    b0 = label_components(mask, connectivity=6).num
    if b0 == 0:
        return BettiNumbers(0, 0, 0)
    b2 = count_enclosed(label_components(mask, connectivity=26, background=True))
    return BettiNumbers(b0, b0 + b2 - int(euler_characteristic(mask)), b2)
