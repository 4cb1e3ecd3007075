"""Takes the volume that a person chose, and says in a sentence why there is none."""

from __future__ import annotations

from typing import TYPE_CHECKING

from napari_surfseg.errors import DataError
from napari_surfseg.gui.layers.layer_volume import LayerVolume, take_layer

if TYPE_CHECKING:
    from collections.abc import Callable

    from napari.components import ViewerModel
    from napari.layers import Layer

    from napari_surfseg.gui.controls.source_choice import SourceChoice

__all__ = ["describe_lost", "find_chosen_layer", "take_chosen"]

#: What is chosen, with its article, and what is chosen instead.
ARTICLES = {
    "volume": ("a volume", "another volume"),
    "prediction": ("a prediction", "another prediction"),
    "probabilities": ("probabilities", "other probabilities"),
    "labels": ("labels", "other labels"),
}


def describe_lost(name: str, what: str) -> str:
    """Say that a chosen layer left the viewer; ``what`` is a key of ``ARTICLES``."""
    return f"The layer {name!r} is gone from the viewer; choose {ARTICLES[what][1]}."


def find_chosen_layer(choice: SourceChoice | None, viewer: ViewerModel) -> Layer | None:
    """Return the chosen layer; None for a file, and where the layer is no longer in the viewer."""
    layer = choice.layer if choice is not None else None
    return layer if layer is not None and layer in viewer.layers else None


def take_chosen(
    choice: SourceChoice | None,
    viewer: ViewerModel,
    what: str = "volume",
    *,
    take: Callable[[Layer], LayerVolume] = take_layer,
) -> LayerVolume | str:
    """Take a chosen layer as a volume, or return the path of a chosen file.

    Parameters
    ----------
    choice : SourceChoice or None
        None where nothing is chosen.
    viewer : ViewerModel
        A layer must be in it.
    what : str
        What sentences call it: ``"volume"``, ``"prediction"`` or ``"labels"``.
    take : callable
        Takes the layer.

    Raises
    ------
    DataError
        If nothing is chosen, the layer is gone or is no volume.
    """
    if choice is None:
        raise DataError(f"Choose {ARTICLES[what][0]}: a layer or a file.")
    if choice.kind == "file":
        return choice.path
    layer = find_chosen_layer(choice, viewer)
    if layer is None:
        raise DataError(describe_lost(choice.name, what))
    return take(layer)
