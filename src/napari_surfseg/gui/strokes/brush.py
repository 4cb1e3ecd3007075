"""The brush of a labels layer: take it, and see what it paints."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from napari.components import ViewerModel
    from napari.layers import Labels

__all__ = ["BrushButton", "is_painting", "paint_with"]


@dataclass(frozen=True)
class BrushButton:
    """What one button says and paints.

    Attributes
    ----------
    value : int
        The label value that is painted.
    color : tuple of float or None
        The layer's for it; None where it draws nothing.
    text, tip : str
        What the button says, and its tooltip.
    """

    value: int
    color: tuple[float, float, float, float] | None
    text: str
    tip: str


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
