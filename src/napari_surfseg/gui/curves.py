"""The "Loss curves" dock: every term, total and score of a run as napari layers."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from napari.layers import Shapes
from qtpy.QtCore import Qt, QTimer, Signal
from qtpy.QtWidgets import (
    QCheckBox,
    QFrame,
    QGridLayout,
    QHBoxLayout,
    QLabel,
    QPushButton,
    QScrollArea,
    QSizePolicy,
    QSlider,
    QVBoxLayout,
    QWidget,
)

from napari_surfseg.gui.curve_data import (
    CURVE_COLORS,
    Curve,
    CurveStore,
    compute_range,
    compute_running_mean,
    format_value,
    title_of,
)
from napari_surfseg.gui.plot import Line, PlotCanvas
from napari_surfseg.gui.widgets import ElidedLabel, hint

if TYPE_CHECKING:
    from collections.abc import Iterable

    from napari_surfseg.events import Event

__all__ = ["CurvesPanel", "build_curve_shapes"]

#: Curves hidden at first: they follow from the others.
HIDDEN_AT_FIRST = frozenset({"head_total", "precision", "recall"})

#: The window redraws the curves at most so often, however fast the steps come, and rests so many
#: times as long as it drew: where a processor stands in for the graphics card, every redraw is
#: felt, in the window and by the worker.
REDRAW_SECONDS = 1.0
LONGEST_REST = 5.0
REDRAW_REST = 100


class LegendRow(QWidget):
    """An eye, a colour, a name and a value."""

    toggled = Signal(str, bool)

    def __init__(self, name: str, color: str, shown: bool) -> None:
        super().__init__()
        self.name = name
        layout = QHBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(4)
        self.eye = QCheckBox()
        self.eye.setObjectName(f"show_{name}_curve")
        self.eye.setChecked(shown)
        hint(self.eye, f"Show or hide the curve of {title_of(name)} (no unit).")
        self.eye.toggled.connect(lambda on: self.toggled.emit(self.name, on))
        swatch = QFrame()
        swatch.setFixedSize(14, 4)
        swatch.setStyleSheet(f"background-color: {color}; border: none;")
        self.title = ElidedLabel(title_of(name))
        self.value = ElidedLabel()
        self.value.setObjectName(f"{name}_curve_value")
        self.value.set_alignment(Qt.AlignmentFlag.AlignRight)
        self.value.setSizePolicy(QSizePolicy.Policy.Fixed, QSizePolicy.Policy.Fixed)
        self.value.setFixedWidth(52)
        for item, stretch in ((self.eye, 0), (swatch, 0), (self.title, 1), (self.value, 0)):
            layout.addWidget(item, stretch)


class CurvesPanel(QWidget):
    """Plot, legend and switches for one run, and a second one beside it to compare.

    Passive: :meth:`add_events` and :meth:`set_run` fill it; it asks for nothing.
    """

    add_to_viewer_requested = Signal(object)
    """Carries the list of napari layers to add to the main viewer."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setObjectName("loss_curves")
        self.stores = [CurveStore(), CurveStore()]
        self._names = ["", ""]
        self._rows: dict[str, LegendRow] = {}
        self._grown: list[set[str]] = [set(), set()]
        self._fitted = True
        self._rest = REDRAW_SECONDS
        self.canvas = PlotCanvas()
        self._build()
        self._redraw_timer = QTimer(self)
        self._redraw_timer.setSingleShot(True)
        self._redraw_timer.timeout.connect(self.refresh)
        self.canvas.range_changed.connect(self._on_zoomed)
        self.canvas.fit_requested.connect(self.fit)
        self.canvas.hovered.connect(self._on_hover)
        self.canvas.drawn.connect(self._on_drawn)

    def _build(self) -> None:
        self.run_label = ElidedLabel("No run yet")
        self.run_label.setObjectName("curves_run_name")
        self.readout = ElidedLabel("")
        self.readout.setObjectName("curves_readout")
        self.log_switch = QCheckBox("Log")
        self.log_switch.setObjectName("log_scale")
        hint(self.log_switch, "Logarithmic vertical axis; values of 0 and below are left out.")
        self.log_switch.toggled.connect(lambda _on: self._rescale())
        self.smoothing = QSlider(Qt.Orientation.Horizontal)
        self.smoothing.setObjectName("smoothing")
        self.smoothing.setRange(0, 50)
        self.smoothing.setValue(0)
        self.smoothing.setFixedWidth(90)
        hint(
            self.smoothing,
            "Average every loss over this many points on either side (0 to 50 points; 0 is off). "
            "Scores stay as they are.",
        )
        self.smoothing.valueChanged.connect(self._on_smoothing)
        self.smoothing_value = QLabel("off")
        self.smoothing_value.setMinimumWidth(36)
        self.fit_button = QPushButton("Fit")
        self.fit_button.setObjectName("fit_curves")
        hint(self.fit_button, "Show all steps and values again (also: double click in the plot).")
        self.fit_button.clicked.connect(self.fit)
        self.add_button = QPushButton("Add to viewer")
        self.add_button.setObjectName("add_curves_to_viewer")
        hint(self.add_button, "Add the curves shown here as layers to the main viewer.")
        self.add_button.clicked.connect(self._on_add)
        smooth_label = QLabel("Smooth")
        bar = QHBoxLayout()
        bar.setSpacing(6)
        bar.addWidget(self.run_label, 1)
        bar.addWidget(self.readout, 2)
        for item in (
            self.log_switch,
            smooth_label,
            self.smoothing,
            self.smoothing_value,
            self.fit_button,
            self.add_button,
        ):
            bar.addWidget(item)
        self._legend = QWidget()
        self._legend_layout = QVBoxLayout(self._legend)
        self._legend_layout.setContentsMargins(0, 0, 4, 0)
        self._legend_layout.setSpacing(0)
        self._legend_layout.addStretch(1)
        scroll = QScrollArea()
        scroll.setObjectName("curves_legend")
        scroll.setWidgetResizable(True)
        scroll.setFrameShape(QFrame.Shape.NoFrame)
        scroll.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        scroll.setFixedWidth(244)
        scroll.setWidget(self._legend)
        layout = QGridLayout(self)
        layout.setContentsMargins(6, 4, 6, 4)
        layout.setSpacing(4)
        layout.addLayout(bar, 0, 0, 1, 2)
        layout.addWidget(self.canvas, 1, 0)
        layout.addWidget(scroll, 1, 1)
        layout.setColumnStretch(0, 1)
        layout.setRowStretch(1, 1)

    # -- content -------------------------------------------------------------------

    def set_run(self, name: str, *, slot: int = 0) -> None:
        """Begin anew with another run; slot 1 is the one to compare with."""
        self.stores[slot] = CurveStore()
        self._names[slot] = name
        self._grown[slot] = set()
        for key in [key for key in self.canvas.lines if key.startswith(f"{slot}:")]:
            self.canvas.remove_line(key)
        shown = self._names[0] or "No run yet"
        self.run_label.set_text(f"{shown}  vs  {self._names[1]}" if self._names[1] else shown)
        self._fitted = True
        if slot == 0:
            self._prepare_layers()
        self._schedule()

    def _prepare_layers(self) -> None:
        """Make the layers of all curves while the worker starts.

        A new layer holds the window up for a twentieth of a second: a dozen of them when the first
        scores come, in the middle of the training, would be felt.
        """
        nothing = np.zeros(0)
        for name, color in CURVE_COLORS.items():
            self.canvas.set_line(f"0:{name}", Line(title_of(name), nothing, nothing, color))
        self._set_marks(self.stores[0])

    def add_events(self, events: Iterable[Event], *, slot: int = 0) -> None:
        """Take in new events; the plot follows within a second."""
        self._grown[slot] |= self.stores[slot].extend(events)
        if self._grown[slot]:
            self._schedule()

    def _schedule(self) -> None:
        if not self._redraw_timer.isActive():
            self._redraw_timer.start(round(1000 * self._rest) if self._rows else 0)

    def _on_drawn(self, seconds: float) -> None:
        self._rest = min(max(REDRAW_SECONDS, REDRAW_REST * seconds), LONGEST_REST)

    def redraw_now(self) -> None:
        """Show what is there at once, as when a run has ended."""
        self._redraw_timer.start(0)

    def refresh(self) -> None:
        """Bring the lines up to date with the stores."""
        if not self.isVisible():
            return  # showEvent draws what came meanwhile
        if self._fitted:
            self._set_fitted_range()
        for slot, store in enumerate(self.stores):
            for curve in store.ordered():
                row = self._row(curve.name)
                if (
                    curve.name in self._grown[slot]
                    or f"{slot}:{curve.name}" not in self.canvas.lines
                ):
                    self._set_curve(slot, curve, row.eye.isChecked())
                if slot == 0 and len(curve):
                    row.value.set_text(format_value(curve.points()[1][-1]))
            if "marks" in self._grown[slot] and slot == 0:
                self._set_marks(store)
            self._grown[slot].clear()

    def _set_curve(self, slot: int, curve: Curve, visible: bool) -> None:
        steps, values = curve.points()
        if curve.kind == "loss":
            values = compute_running_mean(values, self.smoothing.value())
        title = title_of(curve.name)
        self.canvas.set_line(
            f"{slot}:{curve.name}",
            Line(
                title=f"{title} ({self._names[1]})" if slot else title,
                x=steps,
                y=values,
                color=CURVE_COLORS.get(curve.name, "#999999"),
                width=1.8 if slot == 0 else 1.0,
                opacity=1.0 if slot == 0 else 0.55,
                visible=visible,
            ),
        )

    def _set_marks(self, store: CurveStore) -> None:
        for kind, title, color in (
            ("command", "commands", "#9aa0a6"),
            ("best", "best checkpoints", "#2fb344"),
        ):
            steps = np.asarray([mark.step for mark in store.marks if mark.kind == kind], float)
            self.canvas.set_line(
                f"0:{kind}",
                Line(title, steps, np.ones(len(steps)), color, 1.0, 0.6, vertical=True),
            )

    def _row(self, name: str) -> LegendRow:
        row = self._rows.get(name)
        if row is None:
            row = LegendRow(name, CURVE_COLORS.get(name, "#999999"), name not in HIDDEN_AT_FIRST)
            row.toggled.connect(self._on_toggled)
            self._rows[name] = row
            known = list(CURVE_COLORS)
            rank = known.index(name) if name in known else len(known)
            place = sum(
                1
                for other in self._rows
                if other != name and (known.index(other) if other in known else 99) < rank
            )
            self._legend_layout.insertWidget(place, row)
        return row

    def _on_toggled(self, name: str, shown: bool) -> None:
        for slot in (0, 1):
            self.canvas.set_visible(f"{slot}:{name}", shown)
        self._rescale()

    # -- range ---------------------------------------------------------------------

    def fit(self) -> None:
        """Show everything and keep showing it as it grows."""
        self._fitted = True
        self._set_fitted_range()

    def _rescale(self) -> None:
        self._fitted = True
        self._set_fitted_range()

    def _set_fitted_range(self) -> None:
        shown = [
            curve
            for store in self.stores
            for curve in store.curves.values()
            if (curve.name in self._rows and self._rows[curve.name].eye.isChecked())
            or (curve.name not in self._rows and curve.name not in HIDDEN_AT_FIRST)
        ]
        last = max(store.last_step for store in self.stores)
        fitted = compute_range(shown, log=self.log_switch.isChecked(), last_step=last)
        self.canvas.set_range(_settle(self.canvas.range, fitted))

    def _on_zoomed(self, _range: object) -> None:
        self._fitted = False

    def _on_smoothing(self, value: int) -> None:
        self.smoothing_value.setText(f"±{value}" if value else "off")
        for slot, store in enumerate(self.stores):
            for curve in store.ordered():
                if curve.kind == "loss":
                    self._set_curve(slot, curve, self._row(curve.name).eye.isChecked())

    # -- read-out and hand-over ----------------------------------------------------

    def _on_hover(self, place: tuple[float, float] | None) -> None:
        store = self.stores[0]
        if place is None or not store.curves:
            self.readout.set_text("")
            for name, row in self._rows.items():
                curve = store.curves.get(name)
                if curve is not None and len(curve):
                    row.value.set_text(format_value(curve.points()[1][-1]))
            return
        step, value = place
        width, _ = self.canvas.plot_size
        mark = store.nearest_mark(step, 6 * (self.canvas.range.x1 - self.canvas.range.x0) / width)
        said = f"step {max(step, 0):.0f}, at {format_value(value)}"
        self.readout.set_text(f"{said}: {mark.text}" if mark else said)
        for name, row in self._rows.items():
            curve = store.curves.get(name)
            found = None if curve is None else curve.value_at(step)
            row.value.set_text("" if found is None else format_value(found))

    def _on_add(self) -> None:
        curves = [
            curve
            for curve in self.stores[0].ordered()
            if curve.name in self._rows and self._rows[curve.name].eye.isChecked()
        ]
        self.add_to_viewer_requested.emit(
            build_curve_shapes(curves, run=self._names[0], radius=self.smoothing.value())
        )

    def showEvent(self, event: Any) -> None:  # noqa: N802
        """Draw what came while the dock was hidden."""
        super().showEvent(event)
        self._schedule()

    def close_canvas(self) -> None:
        """Let go of the embedded canvas."""
        self._redraw_timer.stop()
        self.canvas.close_canvas()


def _settle(old: Any, new: Any) -> Any:
    """Keep the old range while the new one fits: a frame that twitches is hard to read."""
    if old.log != new.log:
        return new
    height = new.y1 - new.y0
    fits = (
        old.y0 <= new.y0 + 0.02 * height
        and new.y1 <= old.y1 + 0.02 * height
        and (old.y1 - old.y0) < 1.3 * height
    )
    reach = new.x1 - new.x0
    fits_x = old.x0 == new.x0 and reach <= (old.x1 - old.x0) <= 1.3 * reach
    x1 = old.x1 if fits_x else new.x0 + 1.15 * reach if reach > 10 else new.x1
    low, high = (old.y0, old.y1) if fits else (new.y0, new.y1)
    return type(new)(new.x0, x1, low, high, new.log)


def build_curve_shapes(
    curves: Iterable[Curve],
    *,
    run: str,
    radius: int = 0,
    size: tuple[float, float] = (100.0, 200.0),
) -> list[Shapes]:
    """Turn curves into Shapes layers for the main viewer, one path a curve.

    Parameters
    ----------
    curves : iterable of Curve
        What to draw.
    run : str
        Goes into the layers' names.
    radius : int
        Smoothing of the losses, as in the plot.
    size : tuple of float
        Height and width of the whole picture in world units.

    Returns
    -------
    list of Shapes
        All in one frame, so that they lie over each other as in the plot.
    """
    chosen = [curve for curve in curves if len(curve) > 1]
    if not chosen:
        return []
    frame = compute_range(chosen, log=False, last_step=int(max(c.points()[0][-1] for c in chosen)))
    height, width = size
    layers = []
    for curve in chosen:
        steps, values = curve.points()
        if curve.kind == "loss":
            values = compute_running_mean(values, radius)
        x, y = frame.to_pixels(steps, values, 600.0, 300.0)
        stride = max(1, len(x) // 600)
        path = np.stack([y[::stride] / 300.0 * height, x[::stride] / 600.0 * width], axis=1)
        layers.append(
            Shapes(
                [path],
                shape_type="path",
                edge_width=height / 100,
                edge_color=CURVE_COLORS.get(curve.name, "#999999"),
                face_color="transparent",
                name=f"{title_of(curve.name)} [{Path(run).name}]",
                metadata={"surfseg": "curve", "curve": curve.name},
            )
        )
    return layers
