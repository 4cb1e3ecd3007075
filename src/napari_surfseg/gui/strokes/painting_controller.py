"""What "Start painting" and the buttons for the brush do."""

from __future__ import annotations

from typing import TYPE_CHECKING

from napari.layers import Labels
from qtpy.QtCore import QObject

from napari_surfseg.gui.background.signals import disconnect
from napari_surfseg.gui.controls.label_schemes import LABEL_SCHEMES, NOT_ANNOTATED
from napari_surfseg.gui.controls.source_choice import SourceChoice
from napari_surfseg.gui.layers.camera import compute_view_center
from napari_surfseg.gui.layers.colormaps import color_of
from napari_surfseg.gui.layers.label_regions import choose_region, region_of
from napari_surfseg.gui.layers.layer_volume import shape_of
from napari_surfseg.gui.layers.layer_watch import LayerWatch
from napari_surfseg.gui.layers.metadata import meanings_of
from napari_surfseg.gui.strokes.brush import is_painting, paint_with
from napari_surfseg.gui.strokes.brush_buttons import StrokeTool
from napari_surfseg.gui.strokes.strokes_layer import build_strokes_layer

if TYPE_CHECKING:
    from napari.components import ViewerModel
    from napari.layers import Layer

    from napari_surfseg.gui.run_session.session import Session
    from napari_surfseg.gui.strokes.protocols import BrushButtonsProtocol, PaintedPageProtocol

__all__ = ["PaintingController"]


class PaintingController(QObject):
    """Joins the brush of the viewer's labels layers and the buttons.

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
        self._target: Labels | None = None
        page.paint_requested.connect(self.start)
        page.pairs_changed.connect(self.refresh)
        page.meanings_shown.connect(self.refresh)
        buttons.chosen.connect(self.paint)
        self._watch = LayerWatch(viewer, on_list=self.refresh)
        viewer.layers.selection.events.active.connect(self._on_active)
        self.refresh()

    def close(self) -> None:
        """Let go of the viewer."""
        self._watch.close()
        disconnect(self._viewer.layers.selection.events.active, self._on_active)
        self._aim(None)

    def start(self) -> None:
        """Put a strokes layer over the chosen volume, choose it, and take the brush."""
        self._page.set_pairs_error("")
        image = self._page.pairs()[0].image
        if image is None or image.layer not in self._viewer.layers:
            where = "open it in napari, so that it can be seen" if image else "open one in napari"
            self._page.set_pairs_error(f"Painting needs a volume that is a layer; {where}.")
            return
        center = compute_view_center(self._viewer, image.layer)
        layer = self._find_strokes(image.layer, center)
        if layer is None:
            region = choose_region(shape_of(image.layer), center)
            layer = build_strokes_layer(image.layer, region)
            self._viewer.layers.append(layer)
            self._choose(image, layer)
            if region is not None:
                size = " × ".join(str(stop - start) for start, stop in region)
                self._page.say(
                    f"The volume is large: the strokes layer covers {size} voxels around what you "
                    "see. Press Start painting at another place to paint there, too."
                )
        paint_with(self._viewer, layer, 1)
        self.refresh()

    def _choose(self, image: SourceChoice, layer: Labels) -> None:
        """Let a strokes layer be the labels; one of another part is a pair of its own."""
        page, labels = self._page, SourceChoice.of_layer(layer)
        chosen = page.pairs()[0].labels
        if chosen is not None and region_of(layer) and region_of(chosen.layer):
            page.add_pair()
            page.choose(len(page.pairs()) - 1, image=image, labels=labels)
        else:
            page.choose(0, labels=labels)

    def _find_strokes(self, image: Layer, at: tuple[int, int, int]) -> Labels | None:
        """Find a chosen strokes layer over a voxel of an image."""
        for pair in self._page.pairs():
            layer = pair.labels.layer if pair.labels is not None else None
            if not isinstance(layer, Labels) or layer not in self._viewer.layers:
                continue
            if pair.image is None or pair.image.layer is not image:
                continue
            box, shape = region_of(layer) or (None, shape_of(layer))
            is_here = box is None or all(
                start <= place < stop for place, (start, stop) in zip(at, box, strict=True)
            )
            is_strokes = meanings_of(layer) == LABEL_SCHEMES["strokes"]
            if is_strokes and is_here and shape == shape_of(image):
                return layer
        return None

    def paint(self, value: int) -> None:
        """Take the brush for a value."""
        if self._target is not None:
            paint_with(self._viewer, self._target, value)
        self.refresh()

    # -- following -----------------------------------------------------------------

    def _on_active(self, _event: object = None) -> None:
        self.refresh()

    def _on_brush(self, _event: object = None) -> None:
        self.refresh()

    def refresh(self) -> None:
        """Show what the brush can paint and what it paints."""
        candidates = self._candidates()
        active = self._viewer.layers.selection.active
        target = next((layer for layer in candidates if layer is active), None)
        self._aim(target or next(iter(candidates), None))
        tools = self._tools()
        painted = None
        if self._target is not None and self._target is active:
            painted = next(
                (m for m, tool in tools.items() if is_painting(self._target, tool.value)), None
            )
        self._buttons.set_tools(tools, painted)

    def _candidates(self) -> list[Labels]:
        """Labels layers that are learned from, or will be."""
        chosen = [pair.labels.layer for pair in self._page.pairs() if pair.labels is not None]
        linked = [self._session.layer_of(path) for path in self._session.linked]
        found = [*linked, *chosen] if self._session.is_active else [*chosen, *linked]
        return [
            layer for layer in found if isinstance(layer, Labels) and layer in self._viewer.layers
        ]

    def _aim(self, target: Labels | None) -> None:
        if target is self._target:
            return
        if self._target is not None:
            disconnect(self._target.events.mode, self._on_brush)
            disconnect(self._target.events.selected_label, self._on_brush)
        self._target = target
        if target is not None:
            target.events.mode.connect(self._on_brush)
            target.events.selected_label.connect(self._on_brush)

    def _tools(self) -> dict[str, StrokeTool]:
        if self._target is None:
            return {}
        meanings = meanings_of(self._target) or self._page.meanings()
        if meanings and NOT_ANNOTATED not in meanings and "ignore" not in meanings.values():
            meanings[NOT_ANNOTATED] = "ignore"
        tools = {}
        for meaning, text, tip in (
            ("foreground", "Surface", "on the surface"),
            ("background", "Background", "on what is not surface"),
            ("ignore", "Not annotated", "where nothing is to be learned"),
        ):
            values = sorted(value for value, of in meanings.items() if of == meaning)
            if not values:
                continue
            value = values[0]
            tools[meaning] = StrokeTool(
                value,
                color_of(self._target, value),
                "Erase" if meaning == "ignore" and value == 0 else text,
                f"Paint label value {value} {tip}, on the layer {self._target.name!r}; the width "
                "of the brush (voxels) is set in napari's layer controls.",
            )
        return tools
