"""The box that a person draws to keep a part of a volume for validation."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from napari_surfseg.errors import ConfigError
from napari_surfseg.geometry import Box, clip_box, count_voxels, replace_extent, whole_box
from napari_surfseg.gui.layers.camera import compute_view_center
from napari_surfseg.gui.layers.layer_volume import shape_of
from napari_surfseg.gui.layers.placement import compute_placement

if TYPE_CHECKING:
    from napari.components import ViewerModel
    from napari.layers import Layer, Shapes


__all__ = ["build_box_layer", "largest_box_beside", "read_box"]


def build_box_layer(viewer: ViewerModel, image: Layer) -> Shapes:
    """Make a layer with a rectangle over the lower part of the slice that is looked at."""
    from napari.layers import Shapes

    _, height, width = shape_of(image)
    y, x = 0.6 * height, 0.0
    center = compute_view_center(viewer, image)
    corners = [
        [center[0], y, x],
        [center[0], y, width - 1],
        [center[0], height - 1, width - 1],
        [center[0], height - 1, x],
    ]
    return Shapes(
        [np.asarray(corners)],
        shape_type="rectangle",
        name="validation box",
        **compute_placement(image, (0, 0, 0)),
        edge_color="#ffd33d",
        face_color=[1, 0.83, 0.24, 0.12],
        edge_width=max(height / 150, 1.0),
    )


def read_box(image: Layer, shapes: Layer) -> Box:
    """Read the box, in voxels of the volume, that the first rectangle of a layer spans.

    A rectangle is flat: across its own plane the box takes the whole volume.

    Raises
    ------
    ConfigError
        If there is none, or it lies outside.
    """
    if not len(shapes.data):
        raise ConfigError(f"The layer {shapes.name!r} holds no rectangle.", field="data.validation")
    before = list(image.data_to_world((0,) * image.ndim))[:-3]  # time point, channel
    corners = np.asarray(
        [
            image.world_to_data([*before, *shapes.data_to_world(corner)[-3:]])
            for corner in shapes.data[0]
        ]
    )[:, -3:]
    low = np.floor(corners.min(axis=0)).astype(int)
    high = np.ceil(corners.max(axis=0)).astype(int)
    box = whole_box(shape_of(image))
    for axis, size in enumerate(shape_of(image)):
        flat = high[axis] - low[axis] < 1  # the axis across which it was drawn
        start = 0 if flat else int(np.clip(low[axis], 0, size))
        stop = size if flat else int(np.clip(high[axis] + 1, 0, size))
        if stop <= start:
            raise ConfigError(
                f"The rectangle of {shapes.name!r} lies outside the volume.",
                field="data.validation",
            )
        box = replace_extent(box, axis, start, stop)
    return box


def largest_box_beside(bounds: Box, box: Box, gap: int = 8) -> Box | None:
    """Find the largest box within bounds that keeps a gap from another box.

    Parameters
    ----------
    bounds : Box
        The part of the volume that is used.
    box : Box
        What is kept for validation.
    gap : int
        Voxels between the two, so that no training patch sees validation data.

    Returns
    -------
    Box or None
        None where nothing is left.
    """
    start, stop = clip_box(box, bounds)
    sides = []
    for axis in range(3):
        low, high = bounds[0][axis], bounds[1][axis]
        sides.append(replace_extent(bounds, axis, low, start[axis] - gap))
        sides.append(replace_extent(bounds, axis, stop[axis] + gap, high))
    largest = max(sides, key=count_voxels)
    return largest if count_voxels(largest) else None
