"""Points over a volume that do not make the viewer's world larger than the volume."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from napari.layers import Points

if TYPE_CHECKING:
    from napari.layers import Layer
    from numpy.typing import ArrayLike, NDArray

__all__ = ["MarkPoints"]


class MarkPoints(Points):
    """A Points layer whose marks may reach beyond a volume, but whose extent does not.

    napari adds half of the largest mark to where the outermost points are, and what *Home* shows
    is all of that: one large mark at the border, and the volume is small and off the middle. (The
    slider of the slices counts the points alone; the -3 beside it is the name of its axis.) To
    everything else of napari this is a Points layer.

    Parameters
    ----------
    data : array
        Z, Y, X places in voxels of the volume.
    source : Layer or None
        The layer of the volume; without one the extent is napari's own.
    **options
        Of the Points layer.
    """

    #: What napari saves and copies it as, and draws beside its name.
    _type_string = "points"

    def __init__(self, data: ArrayLike, source: Layer | None, **options: Any) -> None:
        self._bounds: NDArray[np.float64] | None = None
        self.set_volume(source)
        super().__init__(data, **options)

    def set_volume(self, source: Layer | None) -> None:
        """Keep to another volume from the next change of the data on."""
        if source is None or source.ndim < 3:
            self._bounds = None
        else:
            self._bounds = source.extent.data[:, -3:] + [[-0.5], [0.5]]

    @property
    def _extent_data_augmented(self) -> NDArray[np.float64]:
        extent: NDArray[np.float64] = super()._extent_data_augmented
        return extent if self._bounds is None else np.clip(extent, *self._bounds)
