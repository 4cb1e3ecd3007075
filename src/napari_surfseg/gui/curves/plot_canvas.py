"""A plot on an embedded napari canvas: every line is a napari Image layer.

The layers are pictures of the size of the canvas, so that a line keeps its width at every
zoom and costs what its pixels cost; the numbers along the axes are painted by Qt around
the canvas.
"""

from __future__ import annotations

import time
from typing import Any

import numpy as np
from napari.components import ViewerModel
from napari.layers import Image
from napari.qt import QtViewer
from qtpy.QtCore import QEvent, QPointF, Qt, QTimer, Signal
from qtpy.QtGui import QPainter
from qtpy.QtWidgets import QSizePolicy, QWidget

from napari_surfseg.gui.controls.debounce import Debounce
from napari_surfseg.gui.curves.plot_axes import (
    BOTTOM,
    LEFT,
    RIGHT,
    TOP,
    AxisTitles,
    compute_value_ticks,
    paint_axes,
)
from napari_surfseg.gui.curves.plot_line import Line, build_line_colormap, draw_line
from napari_surfseg.gui.curves.plot_range import PlotRange, compute_ticks
from napari_surfseg.gui.layers.camera import camera_of

__all__ = ["PlotCanvas"]

GRID = "grid"
#: Long enough for a paint, and for whatever else the window has to do, between two new layers:
#: napari takes a twentieth of a second for each.
NEW_LAYER_MILLISECONDS = 100
#: What the drawing of known layers may take of one turn of the event loop.
TURN_SECONDS = 0.02


class PlotCanvas(QWidget):
    """Axes around an embedded napari canvas.

    The wheel zooms along the steps, with Shift along the values; dragging moves;
    a double click shows everything again.
    """

    range_changed = Signal()
    """A person zoomed or moved."""
    fit_requested = Signal()
    hovered = Signal(object)
    """Step and value under the cursor, or None when it left."""
    drawn = Signal(float)
    """Everything that waited was drawn; carries the seconds that it took, new layers aside."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setObjectName("loss_curves_plot")
        self.setToolTip("")
        self.setMinimumSize(240, 90)
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Expanding)
        self.model = ViewerModel(title="loss curves")
        self.qt_viewer: Any = QtViewer(self.model, show_welcome_screen=False)
        self.qt_viewer.setParent(self)
        self._native: Any = self.qt_viewer.canvas.native
        self._native.installEventFilter(self)
        self._native.setMouseTracking(True)
        self._native.setObjectName("loss_curves_canvas")
        self.range = PlotRange()
        self.right_range: PlotRange | None = None
        self.titles = AxisTitles()
        self.lines: dict[str, Line] = {}
        self._layers: dict[str, Image] = {}
        self._colors: dict[str, str] = {}
        self._dirty: list[str] = []
        self._drag: tuple[QPointF, PlotRange, PlotRange | None] | None = None
        self._spent = 0.0
        self._turn = QTimer(self)
        self._turn.setInterval(0)
        self._turn.timeout.connect(self._draw_next)
        self._resized = Debounce(self, 60, self.redraw)

    # -- what to show --------------------------------------------------------------

    def set_line(self, key: str, line: Line) -> None:
        """Add or replace a line; it is drawn as soon as the event loop turns."""
        self.lines[key] = line
        layer = self._layers.get(key)
        if layer is not None and not line.visible:
            layer.visible = False
        self._mark_dirty(key)

    def set_visible(self, key: str, visible: bool) -> None:
        """Show or hide a line."""
        line = self.lines.get(key)
        if line is None or line.visible == visible:
            return
        line.visible = visible
        layer = self._layers.get(key)
        if layer is not None:
            layer.visible = visible
        if visible:
            self._mark_dirty(key)

    def remove_line(self, key: str) -> None:
        """Take a line away.

        Its layer is hidden and kept for the next line of that key: where a layer is removed
        between two paints of this canvas, vispy may draw from the memory it gave back.
        """
        self.lines.pop(key, None)
        layer = self._layers.get(key)
        if layer is not None:
            layer.visible = False

    def clear(self) -> None:
        """Take all lines away."""
        for key in list(self.lines):
            self.remove_line(key)

    def set_range(self, left: PlotRange, right: PlotRange | None = None) -> None:
        """Show this part of the values, at the right those of the axis there, if there is one."""
        if (left, right) != (self.range, self.right_range):
            self.range, self.right_range = left, right
            self.redraw()

    def set_titles(self, titles: AxisTitles) -> None:
        """Write this beside the axes."""
        if titles != self.titles:
            self.titles = titles
            self.update()

    def set_theme(self, theme: str) -> None:
        """Take the ground of a napari theme; the words follow the palette."""
        if self.qt_viewer is not None and self.model.theme != theme:
            self.model.theme = theme
            self.update()

    def layer_of(self, key: str) -> Image | None:
        """Return the napari layer of a line, once it was drawn."""
        return self._layers.get(key) if key in self.lines else None

    def redraw(self) -> None:
        """Draw every line again."""
        self._set_camera()
        self._mark_dirty(GRID)
        for key in self.lines:
            self._mark_dirty(key)
        self.update()

    def flush(self) -> None:
        """Draw everything that waits, now."""
        while self._dirty:
            self._draw_next()
        self._draw_next()

    def close_canvas(self) -> None:
        """Close the canvas; the widget cannot be used afterwards."""
        self._turn.stop()
        self._resized.stop()
        self._dirty.clear()
        if self.qt_viewer is None:
            return
        self._native.removeEventFilter(self)
        self.qt_viewer.hide()
        self.qt_viewer.setParent(None)
        self.qt_viewer.close()
        self.qt_viewer.deleteLater()
        # napari counts its canvases; one that is held on to would seem to be leaked.
        self.qt_viewer = self._native = None
        # The layers stay in their viewer: taking them out would have it change its sliders, which
        # Qt may have deleted in part.
        self._layers.clear()

    # -- drawing -------------------------------------------------------------------

    def _mark_dirty(self, key: str) -> None:
        if key not in self._dirty:
            self._dirty.append(key)
        if not self._turn.isActive():
            self._turn.start()

    @property
    def plot_size(self) -> tuple[int, int]:
        """Width and height of the canvas in pixels."""
        return (
            max(self.width() - LEFT - RIGHT, 10),
            max(self.height() - TOP - BOTTOM, 10),
        )

    def _set_camera(self) -> None:
        width, height = self.plot_size
        camera = camera_of(self.model)
        camera.center = (0.0, height / 2 - 0.5, width / 2 - 0.5)
        camera.zoom = 1.0

    def _draw_next(self) -> None:
        """Draw what fits into a turn of the event loop; Qt repaints the canvas once after it.

        Never by switching the canvas's updates off meanwhile: a repaint of this widget would then
        cover the canvas, and nothing would be seen of it until something else repaints it.
        """
        if not self._dirty:
            self._turn.stop()
            self.drawn.emit(self._spent)
            self._spent = 0.0
            return
        begun = time.perf_counter()
        self._turn.setInterval(0)
        while self._dirty and time.perf_counter() - begun < TURN_SECONDS:
            known = len(self._layers)
            self._draw(self._dirty.pop(0))
            if len(self._layers) != known:
                # The shaders of a new layer are compiled at the next paint: not those of ten in
                # one.
                self._turn.setInterval(NEW_LAYER_MILLISECONDS)
                return
        self._spent += time.perf_counter() - begun

    def _draw(self, key: str) -> None:
        if key == GRID:
            self._draw_layer(GRID, self._grid_line(), behind=True)
        elif key in self.lines and self.lines[key].visible:
            self._draw_layer(key, self.lines[key])

    def _grid_line(self) -> Line:
        shown = self.range
        width, height = self.plot_size
        rows = []
        bottom, top = (10.0**shown.y0, 10.0**shown.y1) if shown.log else (shown.y0, shown.y1)
        for value in compute_value_ticks(shown, height):
            rows += [(shown.x0, value), (shown.x1, value), (np.nan, np.nan)]
        for step in compute_ticks(shown.x0, shown.x1, max(width // 70, 2), least=2):
            rows += [(step, bottom), (step, top), (np.nan, np.nan)]
        points = np.asarray(rows or [(np.nan, np.nan)], float)
        return Line("grid", points[:, 0], points[:, 1], "#808080", 1.0, 0.3)

    def _draw_layer(self, key: str, line: Line, *, behind: bool = False) -> None:
        ratio = self._native.devicePixelRatioF()
        pixels = draw_line(line, self.range, self.right_range, self.plot_size, ratio)
        # napari's pixel 0 has its middle at 0, whatever the resolution of the screen.
        scale, shift = (1 / ratio, 1 / ratio), (0.5 / ratio - 0.5, 0.5 / ratio - 0.5)
        layer = self._layers.get(key)
        if layer is None:
            layer = Image(
                pixels,
                name=line.title,
                colormap=build_line_colormap(line.color),
                contrast_limits=(0, 255),
                opacity=line.opacity,
                blending="translucent_no_depth",
                interpolation2d="nearest",
                visible=line.visible,
                scale=scale,
                translate=shift,
            )
            self._layers[key] = layer
            self.model.layers.insert(0 if behind else len(self.model.layers), layer)
            self._set_camera()
        elif layer.data.shape == pixels.shape:
            np.copyto(layer.data, pixels)
            layer.refresh(thumbnail=False, highlight=False, extent=False)
        else:
            layer.data = pixels
            layer.scale, layer.translate = scale, shift
            self._set_camera()
        if self._colors.setdefault(key, line.color) != line.color:
            self._colors[key] = line.color
            layer.colormap = build_line_colormap(line.color)
        if layer.opacity != line.opacity:
            layer.opacity = line.opacity
        if layer.visible != line.visible:
            layer.visible = line.visible
        if layer.name != line.title:
            layer.name = line.title

    # -- axes ----------------------------------------------------------------------

    def paintEvent(self, event: Any) -> None:  # noqa: N802
        """Paint the axes."""
        painter = QPainter(self)
        ink = self.palette().windowText().color()
        size = (self.width(), self.height())
        paint_axes(painter, size, ink, self.range, self.right_range, self.titles)
        painter.end()

    def resizeEvent(self, event: Any) -> None:  # noqa: N802
        """Keep the canvas between the axes."""
        super().resizeEvent(event)
        width, height = self.plot_size
        if self.qt_viewer is not None:
            self.qt_viewer.setGeometry(LEFT, TOP, width, height)
        self._resized.start()

    # -- mouse ---------------------------------------------------------------------

    def eventFilter(self, watched: Any, event: Any) -> bool:  # noqa: N802
        """Take the mouse before napari's camera does: the axes are not square."""
        if self._native is None or watched is not self._native:
            return False
        kind = event.type()
        width, height = self.plot_size
        if kind == QEvent.Type.Wheel:
            place = event.position()
            delta = event.angleDelta()
            turned = delta.y() or delta.x()
            factor = 0.85 ** (turned / 120)
            shift = bool(event.modifiers() & Qt.KeyboardModifier.ShiftModifier)
            about = (place.x() / width, place.y() / height)
            factors = (1.0, factor) if shift else (factor, 1.0)
            right = self.right_range
            self._change_range(
                self.range.zoomed(*about, *factors),
                None if right is None else right.zoomed(*about, *factors),
            )
            return True
        if kind == QEvent.Type.MouseButtonPress:
            self._drag = (event.position(), self.range, self.right_range)
            return True
        if kind == QEvent.Type.MouseMove:
            place = event.position()
            if self._drag is not None:
                start, left, right = self._drag
                by = ((place.x() - start.x()) / width, (place.y() - start.y()) / height)
                self._change_range(left.moved(*by), None if right is None else right.moved(*by))
            else:
                self.hovered.emit(self.range.value_at(place.x(), place.y(), width, height))
            return True
        if kind == QEvent.Type.MouseButtonRelease:
            self._drag = None
            return True
        if kind == QEvent.Type.MouseButtonDblClick:
            self._drag = None
            self.fit_requested.emit()
            return True
        if kind == QEvent.Type.Leave:
            self.hovered.emit(None)
        return False

    def _change_range(self, left: PlotRange, right: PlotRange | None) -> None:
        self.set_range(left, right)
        self.range_changed.emit()
