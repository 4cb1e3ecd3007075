"""The page of the loss weights: a switch, a slider, a number and a note for every term."""

from __future__ import annotations

from qtpy.QtCore import Qt, Signal
from qtpy.QtWidgets import (
    QCheckBox,
    QFrame,
    QGridLayout,
    QHBoxLayout,
    QPushButton,
    QSlider,
    QToolButton,
    QVBoxLayout,
    QWidget,
)

from napari_surfseg.gui.controls.basics import FieldError, hint, note
from napari_surfseg.gui.controls.debounce import Debounce
from napari_surfseg.gui.controls.number_boxes import NumberBox
from napari_surfseg.vocabulary import LOSS_TERMS, LossTerm

__all__ = ["LossPanel", "WeightRow"]

#: Sliders move in hundredths up to 1; the number beside them goes further.
SLIDER_STEPS = 100
#: A dragged slider sends one command when it rests, not one a pixel.
SETTLE_MILLISECONDS = 400


class WeightRow(QWidget):
    """The controls of one term's weight. Passive."""

    changed = Signal()
    """The weight is another one, by a person's hand."""

    def __init__(self, term: LossTerm) -> None:
        super().__init__()
        key, title = term.key, term.title
        self._default = term.weight
        self.switch = QCheckBox(term.heading)
        self.switch.setObjectName(f"{key}_on")
        hint(self.switch, f"Use this term. {term.note}")
        swatch = QFrame()
        swatch.setFixedSize(14, 4)
        swatch.setStyleSheet(f"background-color: {term.color}; border: none;")
        self.slider = QSlider(Qt.Orientation.Horizontal)
        self.slider.setObjectName(f"{key}_slider")
        self.slider.setRange(0, SLIDER_STEPS)
        hint(
            self.slider,
            f"Weight of {title} in the total loss (no unit, 0 to 1). {term.note}",
        )
        self.spin = NumberBox(f"{key}_weight", f"The weight of {title}", 0, 10, step=0.01)
        self.spin.setFixedWidth(88)
        hint(self.spin, f"Weight of {title} in the total loss (no unit, 0 to 10).")
        self.reset = QToolButton()
        self.reset.setObjectName(f"{key}_reset")
        self.reset.setText("↺")
        hint(self.reset, f"Back to the default weight, {term.weight:g} (no unit).")
        layout = QGridLayout(self)
        layout.setContentsMargins(0, 2, 0, 4)
        layout.setHorizontalSpacing(6)
        layout.setVerticalSpacing(0)
        head = QHBoxLayout()
        head.addWidget(self.switch)
        head.addWidget(swatch)
        head.addStretch(1)
        layout.addLayout(head, 0, 0, 1, 3)
        layout.addWidget(self.slider, 1, 0)
        layout.addWidget(self.spin, 1, 1)
        layout.addWidget(self.reset, 1, 2)
        layout.addWidget(self.spin.error, 2, 0, 1, 3)
        layout.addWidget(note(term.note), 3, 0, 1, 3)
        layout.setColumnStretch(0, 1)
        self.set_weight(term.weight)
        self.slider.valueChanged.connect(self._on_slider)
        self.spin.valueChanged.connect(self._on_spin)
        self.switch.toggled.connect(self._on_switch)
        self.reset.clicked.connect(lambda: self._change(self._default))

    def weight(self) -> float:
        """Return the weight; 0 while the term is switched off."""
        return round(self.spin.value(), 2) if self.switch.isChecked() else 0.0

    def set_weight(self, weight: float) -> None:
        """Show a weight without emitting that it changed; 0 switches the term off."""
        for control in (self.slider, self.spin, self.switch):
            control.blockSignals(True)
        if weight > 0:
            self.spin.setValue(weight)
            self.slider.setValue(min(round(weight * SLIDER_STEPS), SLIDER_STEPS))
        self.switch.setChecked(weight > 0)
        for control in (self.slider, self.spin, self.switch):
            control.blockSignals(False)
        self._show_switch()

    def _change(self, weight: float) -> None:
        if weight > 0:
            self.set_weight(weight)
        else:
            self.switch.setChecked(False)
        self.changed.emit()

    def _on_slider(self, value: int) -> None:
        self.spin.blockSignals(True)
        self.spin.setValue(value / SLIDER_STEPS)
        self.spin.blockSignals(False)
        self.changed.emit()

    def _on_spin(self, value: float) -> None:
        self.slider.blockSignals(True)
        self.slider.setValue(min(round(value * SLIDER_STEPS), SLIDER_STEPS))
        self.slider.blockSignals(False)
        self.changed.emit()

    def _on_switch(self, on: bool) -> None:
        if on and self.spin.value() == 0:
            self.set_weight(self._default or 0.1)
        self._show_switch()
        self.changed.emit()

    def _show_switch(self) -> None:
        on = self.switch.isChecked()
        self.slider.setEnabled(on)
        self.spin.setEnabled(on)


class LossPanel(QWidget):
    """The weights of all terms, and a button that resets them. Passive.

    A running training gets the weights when they have rested for a moment, not with every pixel
    that a slider moves.
    """

    settled = Signal(dict)
    """The weights have rested for a moment after a change; carries all of them."""

    def __init__(self) -> None:
        super().__init__()
        self.setObjectName("loss_panel")
        self.rows = {key: WeightRow(term) for key, term in LOSS_TERMS.items()}
        self.error = FieldError("loss")
        self.live_note = note("The total loss is the sum of weight × term.")
        self.live_note.setObjectName("loss_note")
        self.reset_all = QPushButton("Reset all weights")
        self.reset_all.setObjectName("reset_loss_weights")
        hint(self.reset_all, "Back to the default weight of every term.")
        self.reset_all.clicked.connect(self._on_reset_all)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(4, 4, 8, 4)
        layout.setSpacing(2)
        layout.addWidget(self.live_note)
        layout.addWidget(self.error)
        for row in self.rows.values():
            layout.addWidget(row)
            row.changed.connect(self._on_changed)
        layout.addWidget(self.reset_all)
        layout.addStretch(1)
        self._settle = Debounce(self, SETTLE_MILLISECONDS, self._on_settled)

    def weights(self) -> dict[str, float]:
        """Return the weight of every term, by key; 0 for one that is switched off."""
        return {term: row.weight() for term, row in self.rows.items()}

    def set_weights(self, weights: dict[str, float]) -> None:
        """Show weights; what a person is changing right now stays."""
        if self._settle.isActive():
            return
        for term, weight in weights.items():
            row = self.rows.get(term)
            if row is not None and abs(row.weight() - weight) > 0.004:
                row.set_weight(weight)

    def set_running(self, running: bool) -> None:
        """Say whether changes take effect at once."""
        self.live_note.setText(
            "Changes take effect with the next step."
            if running
            else "The total loss is the sum of weight × term."
        )

    def _on_changed(self) -> None:
        self.error.set_message("" if any(self.weights().values()) else "Use at least one term.")
        self._settle.start()

    def _on_settled(self) -> None:
        self.settled.emit(self.weights())

    def _on_reset_all(self) -> None:
        for key, row in self.rows.items():
            row.set_weight(LOSS_TERMS[key].weight)
        self._on_changed()
