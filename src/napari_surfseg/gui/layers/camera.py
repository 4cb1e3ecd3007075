"""Which voxels of a layer the camera looks at: the one in the middle, and the box on the canvas."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING

import numpy as np

from napari_surfseg.geometry import to_index
from napari_surfseg.gui.layers.layer_volume import shape_of

if TYPE_CHECKING:
    from napari.components import Camera, ViewerModel
    from napari.layers import Layer

    from napari_surfseg.geometry import Box, Index3, Size3

__all__ = ["camera_of", "compute_view_box", "compute_view_center"]


def camera_of(viewer: ViewerModel) -> Camera:
    """Return a viewer's camera; it moved into ``viewer.scene`` with napari 0.9."""
    scene = getattr(viewer, "scene", None)
    return viewer.camera if scene is None else scene.camera


def compute_view_center(viewer: ViewerModel, source: Layer) -> Index3:
    """Voxel of a layer that the viewer is looking at, moved into the layer where it is outside.

    In 2-D it is the middle of the canvas on the current slice, in 3-D what the camera turns about.
    """
    ndim = viewer.dims.ndim
    world = np.asarray(viewer.dims.point, float)[:ndim].copy()
    displayed = list(viewer.dims.displayed)
    center = np.asarray(camera_of(viewer).center, float)
    world[displayed] = center[-len(displayed) :]
    voxel = np.rint(np.asarray(source.world_to_data(world))[-3:]).astype(int)
    shape = np.asarray(shape_of(source))
    return to_index(np.clip(voxel, 0, shape - 1))


def compute_view_box(viewer: ViewerModel, source: Layer, size: Size3) -> Box | None:
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
    return to_index(start), to_index(stop)
