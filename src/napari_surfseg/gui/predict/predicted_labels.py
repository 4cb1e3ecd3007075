"""A labels layer made of a prediction, for a person to correct and train on."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from napari.layers import Labels

from napari_surfseg.geometry import box_slices
from napari_surfseg.gui.controls.label_schemes import LABEL_SCHEMES, NOT_ANNOTATED
from napari_surfseg.gui.layers.colormaps import build_dense_colormap
from napari_surfseg.gui.strokes.strokes_layer import BRUSH_VOXELS

if TYPE_CHECKING:
    from collections.abc import Mapping

    from napari.layers import Layer
    from numpy.typing import NDArray

    from napari_surfseg.gui.predict.prediction import Prediction

__all__ = ["build_predicted_labels", "compute_label_values"]


def compute_label_values(
    prediction: Prediction,
    strokes: NDArray[Any] | None = None,
    meanings: Mapping[int, str] | None = None,
) -> NDArray[np.uint8]:
    """Compute labels of the whole volume: 1 on every sheet, 0 elsewhere, 2 where not predicted.

    May wait for the disk.

    Parameters
    ----------
    prediction : Prediction
        Loaded.
    strokes : array, optional
        What a person painted, of the volume's shape; it is kept.
    meanings : mapping, optional
        What the strokes' values mean.
    """
    surface: Any = prediction.arrays["surface"]
    inside = (np.asarray(surface) > 0).astype(np.uint8)
    if prediction.box is None or prediction.shape is None:
        values = inside
    else:
        values = np.full(prediction.shape, NOT_ANNOTATED, np.uint8)
        values[box_slices(prediction.box)] = inside
    if strokes is not None:
        for value, meaning in (meanings or {}).items():
            if meaning != "ignore":
                values[strokes == value] = int(meaning == "foreground")
    return values


def build_predicted_labels(
    prediction: Prediction, values: NDArray[np.uint8], source: Layer | None
) -> Labels:
    """Make the layer, exactly over the volume and ready to be painted on.

    Parameters
    ----------
    prediction : Prediction
        What the labels are made of.
    values : array
        As :func:`compute_label_values` returns.
    source : Layer or None
        The volume's layer.
    """
    place = prediction.find_place(source, (0, 0, 0))
    layer = Labels(
        values,
        name=f"{prediction.name} labels",
        colormap=build_dense_colormap(),
        opacity=0.6,
        features={"index": [1, 2], "meaning": ["surface", "not annotated"]},
        metadata={"surfseg_labels": dict(LABEL_SCHEMES["dense"])},
        **place,
    )
    layer.brush_size = BRUSH_VOXELS
    return layer
