"""How the live layers look: flat over a slice, and as surfaces with lines in 3-D."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from napari.layers import Layer

__all__ = ["FRAME_COLOR", "LOOKS", "center_plane", "frame", "restyle", "style"]

#: Of the thin lines round the live box: the prediction's own colour.
FRAME_COLOR = "#ff9f1c"

#: For each part of the live layers, what it looks like in 2-D and in 3-D. In 3-D the fronts of
#: the predicted sheets hide what is behind them, and the skeleton is one plane of lines through
#: the middle of the box: as a whole it would be a solid block.
LOOKS: dict[str, dict[int, dict[str, Any]]] = {
    "prediction": {
        2: {"opacity": 0.6, "rendering": "mip"},
        3: {"opacity": 0.7, "rendering": "attenuated_mip"},
    },
    "skeleton": {
        2: {"opacity": 0.7, "blending": "translucent", "depiction": "volume"},
        3: {"opacity": 1.0, "blending": "translucent_no_depth", "depiction": "plane"},
    },
}

#: Per voxel: less lets sheets behind shine through, more leaves only edges of the box.
ATTENUATION = 0.3
PLANE_VOXELS = 2


def style(layer: Layer, part: str, ndisplay: int) -> None:
    """Give a new live layer its look."""
    for key, value in LOOKS[part][ndisplay].items():
        setattr(layer, key, value)
    if part == "prediction":
        layer.attenuation = ATTENUATION
    else:
        layer.plane.normal = (1, 0, 0)
        layer.plane.thickness = PLANE_VOXELS
    center_plane(layer)


def restyle(layer: Layer, part: str, ndisplay: int) -> None:
    """Change how a live layer looks between 2-D and 3-D; what a person changed stays as it is."""
    before = LOOKS[part][2 if ndisplay == 3 else 3]
    for key, value in LOOKS[part][ndisplay].items():
        if getattr(layer, key) == before[key]:
            setattr(layer, key, value)


def center_plane(layer: Layer) -> None:
    """Put the plane of lines through the middle of the layer."""
    middle = tuple(np.asarray(layer.data.shape) / 2)
    if tuple(layer.plane.position) != middle:
        layer.plane.position = middle


def frame(layer: Layer) -> None:
    """Draw the edges of a layer's box; unlike a layer of lines they take no place in the list."""
    box = layer.bounding_box
    box.points = False
    box.line_color = FRAME_COLOR
    box.line_thickness = 1.5
    box.visible = True
