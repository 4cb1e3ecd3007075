"""What the dock "Loss curves" shows: the plot, its legend and the switches above it."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
from napari.utils.theme import get_theme
from qtpy.QtCore import QSize, Signal
from qtpy.QtGui import QColor
from qtpy.QtWidgets import (
    QBoxLayout,
    QGridLayout,
    QHBoxLayout,
    QPushButton,
    QWidget,
)

from napari_surfseg.gui.controls.basics import ElidedLabel, hint, scrolled
from napari_surfseg.gui.controls.debounce import Debounce
from napari_surfseg.gui.curves.controls import SMOOTHING, CurveControls
from napari_surfseg.gui.curves.legend import MARKS, CurveLegend, line_color
from napari_surfseg.gui.curves.plot_axes import AxisTitles
from napari_surfseg.gui.curves.plot_canvas import PlotCanvas
from napari_surfseg.gui.curves.plot_line import Line
from napari_surfseg.gui.curves.plot_range import (
    compute_range,
    compute_score_range,
    settle,
    smooth,
)
from napari_surfseg.gui.curves.series import Curve, CurveStore
from napari_surfseg.vocabulary import title_of
from napari_surfseg.wording import format_short

if TYPE_CHECKING:
    from collections.abc import Iterable

    from numpy.typing import NDArray

    from napari_surfseg.events import Event

__all__ = ["CurvesPanel"]

#: The curves are redrawn at most so often, however fast the steps come, with a pause of so many
#: times the time that drawing took: without a graphics card every redraw slows down the window
#: and the worker.
REDRAW_SECONDS = 1.0
LONGEST_REST = 5.0
REDRAW_REST = 100

#: The legend lies below the plot where it is narrower than this, or high and not much wider.
NARROW, NARROW_AND_HIGH, HIGH = 460, 620, 320
LEGEND_WIDTH = 200
NARROWEST = 300
RAW = "0:total:raw"


class CurvesPanel(QWidget):
    """Plot, legend and switches for one run, and a second run over it to compare. Passive."""

    add_to_viewer_requested = Signal(str, object)
    """Carries the run's name and the lines shown, to be added to the main viewer."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setObjectName("loss_curves")
        self.stores = [CurveStore(), CurveStore()]
        self._names = ["", ""]
        self._grown: list[set[str]] = [set(), set()]
        self._series: dict[str, tuple[NDArray[np.float64], NDArray[np.float64]]] = {}
        self._fitted = True
        self._light = False
        self._narrow = False
        self._rest = REDRAW_SECONDS
        self.canvas = PlotCanvas()
        self.legend = CurveLegend()
        self.run_label = ElidedLabel("No run yet")
        self.run_label.setObjectName("curves_run_name")
        self.readout = ElidedLabel("")
        self.readout.setObjectName("curves_readout")
        self.controls = CurveControls()
        self.end_button = QPushButton("End comparing")
        self.end_button.setObjectName("end_comparing")
        hint(self.end_button, "Take the curves of the other run away.")
        self.end_button.hide()
        self._bar = QBoxLayout(QBoxLayout.Direction.LeftToRight)
        self._scroll = scrolled(self.legend, "curves_legend")
        self._scroll.setMinimumHeight(24)  # legend and plot fit into 200 pixels of height
        self._grid = QGridLayout(self)
        self._lay_out()
        self._redraw_timer = Debounce(self, 0, self.refresh)
        self.legend.changed.connect(self._show_chosen)
        self.controls.changed.connect(self._show_chosen)
        self.controls.fit_clicked.connect(self.fit)
        self.controls.add_clicked.connect(self._on_add)
        self.end_button.clicked.connect(self.end_compare)
        self.canvas.range_changed.connect(self._on_zoomed)
        self.canvas.fit_requested.connect(self.fit)
        self.canvas.hovered.connect(self._on_hover)
        self.canvas.drawn.connect(self._on_drawn)

    def _lay_out(self) -> None:
        labels = QHBoxLayout()
        for label in (self.run_label, self.readout):
            labels.addWidget(label, 1)
        labels.addWidget(self.end_button)
        self._bar.addLayout(labels, 1)
        self._bar.addWidget(self.controls)
        self._grid.setContentsMargins(6, 4, 6, 2)
        self._grid.setSpacing(3)
        self._grid.addLayout(self._bar, 0, 0, 1, 2)
        self._grid.addWidget(self.canvas, 1, 0)
        self._grid.setColumnStretch(0, 1)
        self._arrange()

    def _arrange(self) -> None:
        """Put the legend at the right, or in a narrow dock below."""
        narrow = self._narrow
        directions = QBoxLayout.Direction
        self._bar.setDirection(directions.TopToBottom if narrow else directions.LeftToRight)
        self.controls.set_narrow(narrow)
        self._grid.removeWidget(self._scroll)
        self._grid.addWidget(self._scroll, 2 if narrow else 1, 0 if narrow else 1)
        self._scroll.setMinimumWidth(0 if narrow else LEGEND_WIDTH)
        self._scroll.setMaximumWidth(16777215 if narrow else LEGEND_WIDTH)
        for row, stretch in ((1, 3 if narrow else 1), (2, 1 if narrow else 0)):
            self._grid.setRowStretch(row, stretch)
        self.updateGeometry()  # the least height is another one

    def resizeEvent(self, event: Any) -> None:  # noqa: N802
        """Put the legend where the width allows."""
        super().resizeEvent(event)
        narrow = self.width() < (NARROW_AND_HIGH if self.height() > HIGH else NARROW)
        if narrow != self._narrow:
            self._narrow = narrow
            self._arrange()

    # -- content -------------------------------------------------------------------

    def set_run(self, name: str, *, slot: int = 0) -> None:
        """Begin with another run; slot 1 is the one to compare with."""
        if slot == 0:
            self.legend.clear()
            self.end_compare()
        self._forget(slot)
        self._names[slot] = name
        self._show_run_names()
        self._fitted = True
        if slot == 0:
            self._prepare_layers()
        self._schedule()

    def end_compare(self) -> None:
        """Take the curves of the other run away."""
        if self._names[1]:
            self._forget(1)
            self._names[1] = ""
            self._show_run_names()
            self.fit()

    def _forget(self, slot: int) -> None:
        self.stores[slot] = CurveStore()
        self._grown[slot] = set()
        for key in [key for key in self.canvas.lines if key.startswith(f"{slot}:")]:
            self.canvas.remove_line(key)
        for key in [key for key in self._series if key.startswith(f"{slot}:")]:
            del self._series[key]

    def _show_run_names(self) -> None:
        first, second = self._names
        shown = first or "No run yet"
        self.run_label.set_text(f"{shown} (thick) and {second} (thin)" if second else shown)
        self.end_button.setVisible(bool(second))

    def _prepare_layers(self) -> None:
        """Make the layers that are in view at first while the worker starts.

        A new layer blocks the window for a twentieth of a second, which would be felt in the
        middle of the training. Those that are folded away are made when they are unfolded.
        """
        nothing = np.zeros(0)
        score = self.stores[0].main_score
        for key, name in ((RAW, "total"), ("0:total", "total"), (f"0:{score}", score)):
            color = line_color(name, light=self._light)
            self.canvas.set_line(key, Line(title_of(name), nothing, nothing, color))
        self._set_marks(self.stores[0])

    def add_events(self, events: Iterable[Event], *, slot: int = 0) -> None:
        """Take in new events; the plot follows within a second."""
        self._grown[slot] |= self.stores[slot].extend(events)
        if self._grown[slot]:
            self._schedule()

    def _schedule(self) -> None:
        if not self._redraw_timer.isActive():
            self._redraw_timer.start(round(1000 * self._rest) if self.legend.rows else 0)

    def _on_drawn(self, seconds: float) -> None:
        self._rest = min(max(REDRAW_SECONDS, REDRAW_REST * seconds), LONGEST_REST)

    def redraw_now(self) -> None:
        """Show what is there at once, as when a run has ended."""
        self._redraw_timer.start(0)

    def refresh(self) -> None:
        """Draw what the stores hold."""
        if not self.isVisible():
            return  # showEvent draws what came meanwhile
        self.legend.set_main_score(self.stores[0].main_score)
        for slot, store in enumerate(self.stores):
            for curve in store.ordered():
                self.legend.add(curve.name)
                key = f"{slot}:{curve.name}"
                if self.legend.is_shown(curve.name) and (
                    curve.name in self._grown[slot] or key not in self._series
                ):
                    self._set_curve(slot, curve)
        store = self.stores[0]
        if "marks" in self._grown[0]:
            for mark in store.marks:
                self.legend.add(mark.kind)
        self._set_marks(store)
        self.legend.set_note("Not validated: no scores" if store.has_validation is False else "")
        for grown in self._grown:
            grown.clear()
        self._set_titles()
        self._set_fitted_range()
        self._write_values()

    def _show_chosen(self) -> None:
        """Draw what is to be seen now, and hide the rest."""
        self._series.clear()
        for slot, store in enumerate(self.stores):
            for curve in store.ordered():
                self.canvas.set_visible(f"{slot}:{curve.name}", self.legend.is_shown(curve.name))
        self._fitted = True
        self.refresh()

    def _set_curve(self, slot: int, curve: Curve) -> None:
        steps, raw = curve.points()
        values = smooth(raw, self.controls.smoothing.value()) if curve.kind == "loss" else raw
        key = f"{slot}:{curve.name}"
        self._series[key] = (steps, values)
        title = title_of(curve.name)
        score = curve.kind == "score"
        line = Line(
            title=f"{title} ({self._names[1]})" if slot else title,
            x=steps,
            y=values,
            color=line_color(curve.name, light=self._light),
            width=1.0 if slot else 2.2,
            opacity=0.7 if slot else 1.0,
            dots=(1.6 if slot else 2.6) if score else 0.0,
            axis="right" if score else "left",
        )
        self.canvas.set_line(key, line)
        if key == "0:total":
            faint = replace(line, title="total loss, raw", y=raw, width=1.0, opacity=0.35)
            self.canvas.set_line(RAW, replace(faint, visible=values is not raw))

    def _set_marks(self, store: CurveStore) -> None:
        changes = np.asarray([mark.step for mark in store.marks if mark.kind == "command"], float)
        best = [mark.step for mark in store.marks if mark.kind == "best"][-1:]
        score = store.curves.get(store.main_score)
        heights = [None if score is None else score.value_at(step) for step in best]
        where = [(step, y) for step, y in zip(best, heights, strict=True) if y is not None]
        places = np.asarray(where, float).reshape(-1, 2)
        self._set_mark("command", changes, np.ones(len(changes)), vertical=True, opacity=0.6)
        shown = self.legend.is_shown(store.main_score)
        self._set_mark("best", places[:, 0], places[:, 1], axis="right", dots=5.0, visible=shown)

    def _set_mark(
        self, kind: str, x: NDArray[np.float64], y: NDArray[np.float64], **look: Any
    ) -> None:
        color = line_color(kind, light=self._light)
        look["visible"] = look.get("visible", True) and self.legend.is_shown(kind)
        line = Line(MARKS[kind][0], x, y, color, 1.0, **look)
        known = self.canvas.lines.get(f"0:{kind}")
        same = (
            known is not None
            and np.array_equal(known.x, x)
            and np.array_equal(known.y, y)
            and (known.color, known.visible) == (line.color, line.visible)
        )
        if not same:
            self.canvas.set_line(f"0:{kind}", line)

    # -- theme ---------------------------------------------------------------------

    def set_theme(self, theme: str) -> None:
        """Take the colours of a napari theme."""
        self.canvas.set_theme(theme)
        ground = get_theme(theme).canvas.as_rgb_tuple()
        light = QColor(*(int(part) for part in ground[:3])).lightness() > 127
        if light != self._light:
            self._light = light
            self.legend.set_light(light)
            self._prepare_layers()
            self._show_chosen()

    # -- axes ----------------------------------------------------------------------

    def _shown_names(self, kind: str) -> list[str]:
        names = [
            curve.name
            for store in self.stores
            for curve in store.ordered()
            if curve.kind == kind and self.legend.is_shown(curve.name)
        ]
        return list(dict.fromkeys(names))

    def _shown_values(self, kind: str) -> list[NDArray[np.float64]]:
        return [
            self._series[f"{slot}:{curve.name}"][1]
            for slot, store in enumerate(self.stores)
            for curve in store.ordered()
            if curve.kind == kind
            and f"{slot}:{curve.name}" in self._series
            and self.legend.is_shown(curve.name)
        ]

    def _set_titles(self) -> None:
        losses, scores = self._shown_names("loss"), self._shown_names("score")
        if scores:
            right = title_of(scores[0]) if len(scores) == 1 else "scores"
        elif self.stores[0].has_validation is False:
            right = "no validation"
        elif self._names[0] and self.stores[0].main_score not in self.legend.rows:
            right = "no score yet"
        else:
            right = ""
        self.canvas.set_titles(
            AxisTitles(
                left="loss",
                right=right,
                left_color=line_color(losses[0], light=self._light) if len(losses) == 1 else "",
                right_color=line_color(scores[0], light=self._light) if len(scores) == 1 else "",
            )
        )

    def fit(self) -> None:
        """Show everything and keep showing it as it grows."""
        self._fitted = True
        self._set_titles()
        self._set_fitted_range()

    def _set_fitted_range(self) -> None:
        scores = self._shown_values("score")
        last = max(store.last_step for store in self.stores)
        right = compute_score_range(scores, last_step=last) if scores else None
        if not self._fitted:
            left = self.canvas.range
            if right is None or self.canvas.right_range is not None:
                return
        else:
            log = self.controls.log_switch.isChecked()
            losses = self._shown_values("loss")
            if not self.controls.smoothing.value():
                losses = [smooth(values, SMOOTHING) for values in losses]
            left = settle(self.canvas.range, compute_range(losses, log=log, last_step=last))
        if right is not None:
            right = replace(right, x0=left.x0, x1=left.x1)
        self.canvas.set_range(left, right)

    def _on_zoomed(self) -> None:
        self._fitted = False

    # -- read-out and hand-over ----------------------------------------------------

    def _write_values(self) -> None:
        for curve in self.stores[0].curves.values():
            _, values = self._series.get(f"0:{curve.name}", curve.points())
            self.legend.set_value(curve.name, format_short(values[-1]) if len(values) else "")

    def _on_hover(self, place: tuple[float, float] | None) -> None:
        store = self.stores[0]
        if place is None or not store.curves:
            self.readout.set_text("")
            self._write_values()
            return
        step = place[0]
        width, _ = self.canvas.plot_size
        mark = store.nearest_mark(step, 6 * (self.canvas.range.x1 - self.canvas.range.x0) / width)
        said = f"at step {max(step, 0):.0f}"
        self.readout.set_text(f"{said}: {mark.text}" if mark else said)
        for curve in store.curves.values():
            steps, values = self._series.get(f"0:{curve.name}", curve.points())
            nearest = (
                "" if not len(steps) else format_short(values[int(np.abs(steps - step).argmin())])
            )
            self.legend.set_value(curve.name, nearest)

    def _on_add(self) -> None:
        shown = [line for line in self.canvas.lines.values() if line.visible and len(line.x)]
        self.add_to_viewer_requested.emit(self._names[0], shown)

    def minimumSizeHint(self) -> QSize:  # noqa: N802
        """Return the narrowest size: the legend goes below the plot where it does not fit."""
        least = super().minimumSizeHint()
        return QSize(min(least.width(), NARROWEST), least.height())

    def showEvent(self, event: Any) -> None:  # noqa: N802
        """Draw what came while the dock was hidden."""
        super().showEvent(event)
        self._schedule()

    def close_canvas(self) -> None:
        """Close the embedded canvas."""
        self._redraw_timer.stop()
        self.canvas.close_canvas()
