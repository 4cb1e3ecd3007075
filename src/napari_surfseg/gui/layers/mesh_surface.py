"""A mesh over a volume whose extent ends at the centres of voxels, as that of the volume does."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from napari.layers import Surface

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["MeshSurface"]


class MeshSurface(Surface):
    """A Surface layer, in voxels, that leaves the slider of the slices on the voxels.

    A mesh that leaves the volume ends half a voxel outside the last centres. napari begins its
    slider at the least of all layers, so that it would step from half to half, and every second
    slice of the volume could not be reached. To everything else of napari this is a Surface layer.
    """

    #: What napari saves and copies it as, and draws beside its name.
    _type_string = "surface"

    @property
    def _extent_data(self) -> NDArray[np.float64]:
        extent: NDArray[np.float64] = super()._extent_data
        inner = np.stack([np.ceil(extent[0]), np.floor(extent[1])])
        # A mesh within one voxel has no whole one.
        is_kept = inner[0] <= inner[1]
        return np.where(is_kept, inner, np.round(extent))
