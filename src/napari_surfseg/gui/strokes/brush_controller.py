"""Joins the brush of the viewer's labels layers and the buttons for what it paints."""

from __future__ import annotations

from typing import TYPE_CHECKING

from napari.layers import Labels
from qtpy.QtCore import QObject

from napari_surfseg.gui.background.signals import disconnect
from napari_surfseg.gui.controls.label_schemes import NOT_ANNOTATED
from napari_surfseg.gui.layers.colormaps import color_of
from napari_surfseg.gui.layers.layer_watch import LayerWatch
from napari_surfseg.gui.layers.metadata import meanings_of
from napari_surfseg.gui.strokes.brush import BrushButton, is_painting, paint_with
from napari_surfseg.gui.strokes.start_painting import start_painting

if TYPE_CHECKING:
    from collections.abc import Mapping

    from napari.components import ViewerModel

    from napari_surfseg.gui.run_session.session import Session
    from napari_surfseg.gui.strokes.protocols import BrushButtonsProtocol, PaintedPageProtocol

__all__ = ["BrushController", "describe_buttons"]


class BrushController(QObject):
    """Lets the buttons take the brush, and shows on them what the brush paints.

    Parameters
    ----------
    viewer : ViewerModel
        Where the layers are.
    page : PaintedPageProtocol
        Where the volume and its labels are chosen.
    buttons : BrushButtonsProtocol
        What the brush can paint.
    session : Session
        Knows which labels its run learns from.
    """

    def __init__(
        self,
        viewer: ViewerModel,
        page: PaintedPageProtocol,
        buttons: BrushButtonsProtocol,
        session: Session,
    ) -> None:
        super().__init__()
        self._viewer = viewer
        self._page = page
        self._buttons = buttons
        self._session = session
        self._layer: Labels | None = None
        page.paint_requested.connect(self.start)
        page.pairs_changed.connect(self.refresh)
        page.meanings_shown.connect(self.refresh)
        buttons.chosen.connect(self.paint)
        self._watch = LayerWatch(viewer, on_list=self.refresh)
        viewer.layers.selection.events.active.connect(self._on_event)
        self.refresh()

    def close(self) -> None:
        """Disconnect from the viewer."""
        self._watch.close()
        disconnect(self._viewer.layers.selection.events.active, self._on_event)
        self._follow(None)

    def start(self) -> None:
        """Begin to paint on the chosen volume."""
        start_painting(self._viewer, self._page)
        self.refresh()

    def paint(self, value: int) -> None:
        """Take the brush for a value."""
        if self._layer is not None:
            paint_with(self._viewer, self._layer, value)
        self.refresh()

    def refresh(self) -> None:
        """Show what the brush can paint and what it paints."""
        candidates = self._candidates()
        active = self._viewer.layers.selection.active
        chosen = next((layer for layer in candidates if layer is active), None)
        self._follow(chosen or next(iter(candidates), None))
        layer = self._layer
        if layer is None:
            self._buttons.set_buttons({}, None)
            return
        buttons = describe_buttons(layer, meanings_of(layer) or self._page.meanings())
        painted = None
        if layer is active:
            painted = next((m for m, b in buttons.items() if is_painting(layer, b.value)), None)
        self._buttons.set_buttons(buttons, painted)

    def _on_event(self, _event: object = None) -> None:
        self.refresh()

    def _candidates(self) -> list[Labels]:
        """Labels layers that are learned from, or will be."""
        chosen = [pair.labels.layer for pair in self._page.pairs() if pair.labels is not None]
        linked = [self._session.layer_of(path) for path in self._session.linked]
        found = [*linked, *chosen] if self._session.is_active else [*chosen, *linked]
        return [
            layer for layer in found if isinstance(layer, Labels) and layer in self._viewer.layers
        ]

    def _follow(self, layer: Labels | None) -> None:
        """Follow the brush of a layer, and of no other."""
        if layer is self._layer:
            return
        if self._layer is not None:
            disconnect(self._layer.events.mode, self._on_event)
            disconnect(self._layer.events.selected_label, self._on_event)
        self._layer = layer
        if layer is not None:
            layer.events.mode.connect(self._on_event)
            layer.events.selected_label.connect(self._on_event)


def describe_buttons(layer: Labels, meanings: Mapping[int, str]) -> dict[str, BrushButton]:
    """Say for each meaning which label value of a layer paints it, and how its button looks."""
    meanings = dict(meanings)
    if meanings and NOT_ANNOTATED not in meanings and "ignore" not in meanings.values():
        meanings[NOT_ANNOTATED] = "ignore"
    buttons = {}
    for meaning, text, where in (
        ("foreground", "Surface", "on the surface"),
        ("background", "Background", "on what is not surface"),
        ("ignore", "Not annotated", "where nothing is to be learned"),
    ):
        value = min((value for value, of in meanings.items() if of == meaning), default=None)
        if value is None:
            continue
        buttons[meaning] = BrushButton(
            value,
            color_of(layer, value),
            "Erase" if meaning == "ignore" and value == 0 else text,
            f"Paint label value {value} {where}, on the layer {layer.name!r}; the width of the "
            "brush (voxels) is set in napari's layer controls.",
        )
    return buttons
