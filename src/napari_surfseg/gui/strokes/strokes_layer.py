"""The labels layer that strokes are painted on: empty, and exactly over its volume."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from napari.layers import Labels

from napari_surfseg.geometry import box_shape, to_ranges, whole_box
from napari_surfseg.gui.controls.label_schemes import LABEL_SCHEMES
from napari_surfseg.gui.layers.colormaps import build_strokes_colormap
from napari_surfseg.gui.layers.layer_volume import shape_of
from napari_surfseg.gui.layers.placement import compute_placement

if TYPE_CHECKING:
    from napari.layers import Layer

    from napari_surfseg.geometry import Box


__all__ = ["BRUSH_VOXELS", "build_strokes_layer"]

#: A sheet is a few voxels thick.
BRUSH_VOXELS = 4


def build_strokes_layer(image: Layer, region: Box | None = None) -> Labels:
    """Make an empty labels layer that lies exactly over an image, for strokes.

    It has no features to name the two labels by: napari (0.9) raises for labels with
    features when the view turns to 3-D.

    Parameters
    ----------
    image : Layer
        Three axes; multiscale or not.
    region : Box, optional
        The part of it to cover; by default all.
    """
    shape = shape_of(image)
    box = region or whole_box(shape)
    metadata: dict[str, Any] = {"surfseg_labels": dict(LABEL_SCHEMES["strokes"])}
    if region is not None:
        metadata["surfseg_region"] = {
            "box": [list(span) for span in to_ranges(region)],
            "shape": list(shape),
        }
    layer = Labels(
        np.zeros(box_shape(box), np.uint8),
        name=f"{image.name} strokes",
        colormap=build_strokes_colormap(),
        opacity=0.85,
        metadata=metadata,
        **compute_placement(image, box[0]),
    )
    layer.brush_size = BRUSH_VOXELS
    layer.n_edit_dimensions = 2
    return layer
