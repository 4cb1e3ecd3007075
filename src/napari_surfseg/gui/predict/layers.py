"""A prediction as layers: probability, surface, skeleton and mesh."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from napari.layers import Image, Labels, Layer

from napari_surfseg.gui.layers.colormaps import build_probability_colormap, build_skeleton_colormap
from napari_surfseg.gui.layers.mesh_surface import MeshSurface

if TYPE_CHECKING:
    from collections.abc import Iterator

    from napari_surfseg.gui.predict.prediction import Prediction

__all__ = ["build_layers"]


def build_layers(prediction: Prediction, source: Layer | None) -> Iterator[Layer]:
    """Make the layers of a prediction: probability, surface, skeleton and mesh.

    Each is made when it is asked for, since each takes tenths of a second.

    Parameters
    ----------
    prediction : Prediction
        Loaded.
    source : Layer or None
        The layer it was made from; the new ones lie exactly over it.
    """
    place = prediction.find_place(source, prediction.origin)
    meta: dict[str, Any] = {
        "surfseg": "prediction",
        "folder": str(prediction.folder),
        "threshold": prediction.result.get("threshold"),
        "network": str(prediction.checkpoint or prediction.found_by),
    }
    arrays = prediction.arrays
    yield Image(
        arrays["probabilities"],
        name=prediction.name_layer("probability"),
        contrast_limits=(0, 255),
        colormap=build_probability_colormap(),
        blending="translucent",
        rendering="mip",
        metadata={**meta, "part": "probability"},
        **place,
    )
    yield Labels(
        arrays["surface"],
        name=prediction.name_layer("surface"),
        metadata={**meta, "part": "surface"},
        **place,
    )
    if "skeleton" in arrays:
        yield Labels(
            arrays["skeleton"],
            name=prediction.name_layer("skeleton"),
            colormap=build_skeleton_colormap(),
            visible=False,
            metadata={**meta, "part": "skeleton"},
            **place,
        )
    if "vertices" in arrays:
        yield MeshSurface(
            (arrays["vertices"], arrays["faces"]),
            name=prediction.name_layer("mesh"),
            shading="smooth",
            opacity=0.85,
            colormap="copper",
            visible=False,
            metadata={**meta, "part": "mesh"},
            **place,
        )
