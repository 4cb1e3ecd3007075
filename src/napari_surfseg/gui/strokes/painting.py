"""A labels layer for strokes, in place over a volume, and the brush that paints on it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from napari.layers import Labels
from napari.utils.colormaps import CyclicLabelColormap

from napari_surfseg.gui.controls.label_schemes import LABEL_SCHEMES
from napari_surfseg.gui.layers.sources import shape_of
from napari_surfseg.gui.live.layers import compute_placement

if TYPE_CHECKING:
    from napari.components import ViewerModel
    from napari.layers import Layer

    from napari_surfseg.gui.layers.label_regions import Box

__all__ = [
    "build_dense_colormap",
    "build_strokes_colormap",
    "build_strokes_layer",
    "color_of",
    "is_painting",
    "paint_with",
]

#: A sheet is a few voxels thick.
BRUSH_VOXELS = 4

SURFACE_COLOR = (1.0, 0.25, 0.85, 1.0)
BACKGROUND_COLOR = (0.35, 0.55, 1.0, 1.0)
#: Faint: it may be most of the volume.
NOT_ANNOTATED_COLOR = (0.6, 0.6, 0.6, 0.25)


def build_strokes_colormap() -> CyclicLabelColormap:
    """Magenta for surface, blue for background: neither is grey, nor in a live layer.

    The colours after them, for other values, are easily told from both. Naming the colour
    of each label instead would have napari compile for two seconds before the first stroke.
    """
    return CyclicLabelColormap(
        colors=[
            (0.0, 0.0, 0.0, 0.0),
            SURFACE_COLOR,
            BACKGROUND_COLOR,
            (0.65, 1.0, 0.4, 1.0),
            (1.0, 1.0, 1.0, 1.0),
        ]
    )


def build_dense_colormap() -> CyclicLabelColormap:
    """Magenta for surface, as in strokes, and a veil over what is not annotated."""
    return CyclicLabelColormap(
        colors=[(0.0, 0.0, 0.0, 0.0), SURFACE_COLOR, NOT_ANNOTATED_COLOR],
    )


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
    box = region or ((0, shape[0]), (0, shape[1]), (0, shape[2]))
    metadata: dict[str, Any] = {"surfseg_labels": dict(LABEL_SCHEMES["strokes"])}
    if region is not None:
        metadata["surfseg_region"] = {"box": [list(s) for s in region], "shape": list(shape)}
    layer = Labels(
        np.zeros([stop - start for start, stop in box], np.uint8),
        name=f"{image.name} strokes",
        colormap=build_strokes_colormap(),
        opacity=0.85,
        metadata=metadata,
        **compute_placement(image, (box[0][0], box[1][0], box[2][0])),
    )
    layer.brush_size = BRUSH_VOXELS
    layer.n_edit_dimensions = 2
    return layer


def color_of(layer: Labels | None, value: int) -> tuple[float, float, float, float] | None:
    """Return the colour a labels layer gives a value, or None where it draws nothing."""
    rgba = layer.get_color(value) if layer is not None else None
    if rgba is None:
        return None
    red, green, blue, alpha = (float(part) for part in rgba)
    return red, green, blue, alpha


def paint_with(viewer: ViewerModel, layer: Labels, value: int) -> None:
    """Put a brush with a value into the person's hand: the layer selected, in paint mode."""
    if viewer.dims.ndisplay == 3:
        viewer.dims.ndisplay = 2  # a brush needs a slice to paint on
    layer.visible = True
    viewer.layers.selection.active = layer
    if value == 0:
        layer.mode = "erase"
        return
    layer.selected_label = value
    layer.mode = "paint"


def is_painting(layer: Labels, value: int) -> bool:
    """Whether the brush of a layer paints a value now."""
    mode = str(layer.mode)
    if value == 0:
        return mode == "erase"
    return mode in {"paint", "fill", "polygon"} and int(layer.selected_label) == value
