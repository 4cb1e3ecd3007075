"""The brush of a labels layer: take it, and see what it paints."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from napari.components import ViewerModel
    from napari.layers import Labels

__all__ = ["is_painting", "paint_with"]


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
