"""What the network is scored on while it learns."""

from __future__ import annotations

from qtpy.QtCore import Signal
from qtpy.QtWidgets import QComboBox, QGridLayout, QPushButton, QWidget

from napari_surfseg.gui.controls.basics import FieldError, hint
from napari_surfseg.gui.controls.layer_or_file import SourceCombo
from napari_surfseg.gui.controls.number_boxes import WholeBox
from napari_surfseg.gui.training.settings_table import default_of, offered_range

__all__ = ["ValidationPanel"]


class ValidationPanel(QWidget):
    """The ways to validate, each with what it needs. Passive."""

    changed = Signal()
    draw_box_requested = Signal()

    def __init__(self) -> None:
        super().__init__()
        self.mode = QComboBox()
        self.mode.setObjectName("validation_mode")
        for title, key in (
            ("automatic", "automatic"),
            ("none", "none"),
            ("a drawn box", "box"),
            ("pairs for validation", "pairs"),
        ):
            self.mode.addItem(title, key)
        hint(
            self.mode,
            "What the network is scored on while it learns; it is never trained on. Automatic "
            "keeps parts that stand for each volume, and goes without where the strokes are too "
            "few to be parted. None learns from everything and scores nothing.",
        )
        self.error = FieldError("data_validation")
        low, high = (round(100 * x) for x in offered_range("data.validation.fraction"))
        share = round(100 * default_of("data.validation.fraction"))
        self.fraction = WholeBox(
            "validation_fraction", "The share for validation", low, high, step=5, suffix=" %"
        )
        self.fraction.error = self.error
        self.fraction.setValue(share)
        hint(
            self.fraction,
            "Share of each volume that is kept for validation (per cent, "
            f"{low} to {high}; {share} by default).",
        )
        self.box_layer = SourceCombo("validation_box_layer", "Shapes layer", files=False)
        hint(
            self.box_layer,
            "Shapes layer whose first rectangle is the validation box, over all "
            "slices of the axis it is drawn across. Training uses the largest part beside it.",
        )
        self.draw_box = QPushButton("Draw")
        self.draw_box.setObjectName("draw_validation_box")
        hint(self.draw_box, "Add a Shapes layer with a rectangle to move and resize.")
        layout = QGridLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setHorizontalSpacing(6)
        layout.addWidget(self.mode, 0, 0)
        layout.addWidget(self.fraction, 0, 1)
        layout.addWidget(self.box_layer, 1, 0)
        layout.addWidget(self.draw_box, 1, 1)
        layout.addWidget(self.error, 2, 0, 1, 2)
        layout.setColumnStretch(0, 1)
        self.draw_box.clicked.connect(self.draw_box_requested)
        self.mode.currentIndexChanged.connect(self._on_mode)
        self.fraction.valueChanged.connect(self._on_fraction)
        self.box_layer.chosen.connect(self.changed)
        self._on_mode()

    def _on_mode(self, _index: int = 0) -> None:
        mode = self.mode.currentData()
        self.fraction.setVisible(mode == "automatic")
        self.box_layer.setVisible(mode == "box")
        self.draw_box.setVisible(mode == "box")
        self.changed.emit()

    def _on_fraction(self, _value: float) -> None:
        self.changed.emit()
