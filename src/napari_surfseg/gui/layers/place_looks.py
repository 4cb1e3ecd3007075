"""What the marks of places look like: errors, doubtful places, and where to paint next."""

from __future__ import annotations

from typing import Any

from napari_surfseg.metrics.error_table import ERROR_NAMES

__all__ = [
    "BORDER_VOXELS",
    "DIMENSIONS",
    "ERROR_COLORS",
    "MARKED_BORDER_VOXELS",
    "MARK_SIZES",
    "SYMBOLS",
    "across_slices",
]

#: The colours of Okabe and Ito, which colour-blind people tell apart; a pale one for the rarest.
ERROR_COLORS = {
    "extra component": "#D55E00",
    "missing component": "#0072B2",
    "hole": "#E69F00",
    "bridge": "#CC79A7",
    "filled hole": "#F0E442",
    "missing bridge": "#56B4E9",
    "extra cavity": "#009E73",
    "missing cavity": "#B8B8D8",
    # Doubtful places; holes and bridges are those above.
    "loose end": "#56B4E9",
    "small piece": "#D55E00",
    "uncertain": "#F0E442",
    "flickering": "#009E73",
    "disagreement": "#0072B2",
}
#: What is counted of each kind: 0 pieces, 1 tunnels and rims, 2 cavities and areas.
DIMENSIONS = {
    **dict(ERROR_NAMES.values()),
    "loose end": 1,
    "small piece": 0,
    "uncertain": 2,
    "flickering": 2,
    "disagreement": 2,
}
#: A shape for each dimension, so that kinds differ not only in colour.
SYMBOLS = ("square", "disc", "diamond")
#: Smaller marks are overlooked, larger ones hide what is wrong (voxels, by dimension). The region
#: behind a tunnel can be large; the tunnel itself is at its marked voxel.
MARK_SIZES = ((7, 48), (7, 20), (7, 48))
BORDER_VOXELS, MARKED_BORDER_VOXELS = 0.5, 1.3


def across_slices() -> dict[str, Any]:
    """Return the option that shows a mark in the slices around its own; its name changed in 0.9."""
    from napari.layers.points import _points_constants as constants

    if hasattr(constants, "PointsProjectionMode"):  # 0.9
        return {"projection_mode": "rescale_spherical"}
    return {"out_of_slice_display": True}
