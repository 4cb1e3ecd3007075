"""The switches above the loss curves."""

from __future__ import annotations

from qtpy.QtCore import Qt, Signal
from qtpy.QtWidgets import QCheckBox, QHBoxLayout, QLabel, QPushButton, QSlider, QWidget

from napari_surfseg.gui.controls.basics import hint

__all__ = ["SMOOTHING", "CurveControls"]

#: Smoothing at first, in per cent of the run on either side.
SMOOTHING = 6


class CurveControls(QWidget):
    """Scale, smoothing, and what to do with the plot. Passive."""

    changed = Signal()
    """Another scale or another smoothing was chosen."""
    fit_clicked = Signal()
    add_clicked = Signal()

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.log_switch = QCheckBox("Log")
        self.log_switch.setObjectName("log_scale")
        hint(self.log_switch, "Logarithmic axis of the losses; values of 0 and below are left out.")
        self.log_switch.toggled.connect(lambda _on: self.changed.emit())
        self._smooth_label = QLabel("Smooth")
        self.smoothing = QSlider(Qt.Orientation.Horizontal)
        self.smoothing.setObjectName("smoothing")
        self.smoothing.setRange(0, 20)
        self.smoothing.setValue(SMOOTHING)
        self.smoothing.setMinimumWidth(40)
        self.smoothing.setMaximumWidth(90)
        hint(
            self.smoothing,
            "Average every loss over so much of the run on either side (0 to 20 %; 0 is off). The "
            "total is drawn as it is behind, fainter. Scores stay as they are.",
        )
        self.smoothing.valueChanged.connect(lambda _value: self.changed.emit())
        self.fit_button = QPushButton("Fit")
        self.fit_button.setObjectName("fit_curves")
        hint(
            self.fit_button,
            "Show all steps and the usual values again (also: double click in the plot). Single "
            "values far off, as in the first steps, may lie outside.",
        )
        self.fit_button.clicked.connect(self.fit_clicked)
        self.add_button = QPushButton("Add to viewer")
        self.add_button.setObjectName("add_curves_to_viewer")
        hint(self.add_button, "Add a picture of this plot to the main viewer, as a layer.")
        self.add_button.clicked.connect(self.add_clicked)
        layout = QHBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(6)
        for item in (
            self.log_switch,
            self._smooth_label,
            self.smoothing,
            self.fit_button,
            self.add_button,
        ):
            layout.addWidget(item)

    def set_narrow(self, narrow: bool) -> None:
        """Leave out the label of the smoothing where there is little width."""
        self._smooth_label.setVisible(not narrow)
