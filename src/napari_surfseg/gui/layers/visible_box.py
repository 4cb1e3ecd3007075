"""Which voxels of a volume a person sees."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING

import numpy as np

from napari_surfseg.gui.layers.sources import shape_of
from napari_surfseg.gui.live.layers import camera_of

if TYPE_CHECKING:
    from napari.components import ViewerModel
    from napari.layers import Layer

    from napari_surfseg.geometry import Index3

__all__ = ["compute_view_box"]


def compute_view_box(
    viewer: ViewerModel, source: Layer, size: Index3
) -> tuple[Index3, Index3] | None:
    """Return the part of a layer that lies on the canvas.

    Parameters
    ----------
    viewer : ViewerModel
        Its camera, sliders and canvas.
    source : Layer
        Three axes, Z, Y, X.
    size : tuple of int
        Z, Y, X voxels; along an axis that is sliced, so many are taken around the slice.

    Returns
    -------
    (start, stop) or None
        Half open, inside the layer; None where nothing of it is on the canvas.
    """
    canvas = getattr(viewer, "canvas", None)
    edges = np.asarray(canvas.size if canvas is not None else viewer._canvas_size, float)  # noqa: SLF001
    camera = camera_of(viewer)
    half = edges / 2 / camera.zoom
    displayed = list(viewer.dims.displayed)
    world = np.asarray(viewer.dims.point, float)[: viewer.dims.ndim]
    low, high = world.copy(), world.copy()
    middle = np.asarray(camera.center, float)[-len(displayed) :]
    # In 3-D a person looks through as much as the canvas is wide, about what the camera turns on.
    reach = half if len(displayed) == 2 else np.full(3, half.max())
    low[displayed], high[displayed] = middle - reach, middle + reach
    corners = np.array(
        [
            np.asarray(source.world_to_data(corner))[-3:]
            for corner in itertools.product(*zip(low, high, strict=True))
        ]
    )
    shape = np.asarray(shape_of(source))
    start = np.floor(corners.min(axis=0) + 0.5).astype(int)
    stop = np.ceil(corners.max(axis=0) + 0.5).astype(int)
    flat = corners.max(axis=0) - corners.min(axis=0) < 1e-6
    center = np.rint(corners.mean(axis=0)).astype(int)
    start[flat] = center[flat] - np.asarray(size)[flat] // 2
    stop[flat] = start[flat] + np.asarray(size)[flat]
    start, stop = np.clip(start, 0, shape), np.clip(stop, 0, shape)
    if (start >= stop).any():
        return None
    z, y, x = (int(value) for value in start)
    to_z, to_y, to_x = (int(value) for value in stop)
    return (z, y, x), (to_z, to_y, to_x)
