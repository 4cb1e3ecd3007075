"""What a run that has ended offers: predict with it, use it as labels, go on from it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from qtpy.QtCore import Signal
from qtpy.QtWidgets import (
    QComboBox,
    QHBoxLayout,
    QPushButton,
    QSizePolicy,
    QVBoxLayout,
    QWidget,
)

from napari_surfseg.gui.controls.basics import FieldError, hint, note
from napari_surfseg.gui.controls.number_boxes import NumberBox
from napari_surfseg.gui.training.settings_table import default_of, offered_range
from napari_surfseg.runs.folder import RunState

if TYPE_CHECKING:
    from napari_surfseg.runs.follow import RunSnapshot

__all__ = ["NextSteps", "has_result"]


def has_result(snapshot: RunSnapshot | None) -> bool:
    """Whether a run has ended and left weights."""
    if snapshot is None or snapshot.state.is_active or snapshot.state is RunState.NEW:
        return False
    # The first epoch is still under way while it is shown as such.
    least = 1 if snapshot.state in {RunState.COMPLETED, RunState.STOPPED} else 2
    return snapshot.epoch >= least


class NextSteps(QWidget):
    """Passive: :meth:`set_snapshot` shows or hides it, the signals say what was wanted."""

    predict_volume_clicked = Signal()
    predict_view_clicked = Signal()
    use_as_labels_clicked = Signal()
    start_from_clicked = Signal()
    longer_clicked = Signal(float, str)
    """Carries how much longer, and ``"minutes"`` or ``"epochs"``."""

    def __init__(self) -> None:
        super().__init__()
        self.setObjectName("next_steps")
        self._asked_of: object = None
        self.predict_volume = self._button(
            "predict_this_volume",
            "Predict this volume",
            "Find the surfaces of the whole volume with this run's network, in the dock Predict.",
        )
        self.predict_view = self._button(
            "predict_what_i_see",
            "Predict what I see",
            "The same for the part of the volume on the canvas only: in 2-D with as many slices "
            "as the live box has, half of them on either side.",
        )
        self.use_as_labels = self._button(
            "use_as_labels",
            "Use as labels",
            "Make a labels layer of the prediction, in place: every sheet becomes 1, surface. "
            "Correct it with the brush and train on it. It predicts the volume first, unless that "
            "was done.",
        )
        self.start_from = self._button(
            "start_from_network",
            "Start from this network",
            "Let the next run begin with this network's weights: with more labels, or on another "
            "volume.",
        )
        self.longer = self._button(
            "train_longer",
            "Train longer",
            "Go on with this run from its last checkpoint for as long as is set beside. The "
            "learning rate rises again a little and falls once more.",
        )
        self.error = FieldError("next_steps")
        low, high = offered_range("training.max_minutes")
        self.amount = NumberBox("longer_amount", "The time to add", low, high, decimals=1)
        self.amount.error = self.error
        self.amount.setValue(default_of("training.max_minutes"))
        # Without arrows, which keys and the wheel replace, it fits beside the button.
        self.amount.setButtonSymbols(NumberBox.ButtonSymbols.NoButtons)
        self.amount.setStyleSheet("min-width: 44px; padding: 1px 4px;")  # napari's theme says 90
        self.amount.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Fixed)
        hint(self.amount, f"How much longer to train (minutes or epochs, {low:g} to {high:.0f}).")
        self.unit = QComboBox()
        self.unit.setObjectName("longer_unit")
        for unit in ("minutes", "epochs"):
            self.unit.addItem(unit, unit)
        hint(self.unit, "What the number counts: minutes, or passes of the set number of steps.")
        self.message = note("")
        self.message.setObjectName("next_steps_message")
        self.message.hide()
        self.predict_volume.clicked.connect(self.predict_volume_clicked)
        self.predict_view.clicked.connect(self.predict_view_clicked)
        self.use_as_labels.clicked.connect(self.use_as_labels_clicked)
        self.start_from.clicked.connect(self.start_from_clicked)
        self.longer.clicked.connect(
            lambda: self.longer_clicked.emit(self.amount.value(), self.unit.currentData())
        )
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(4)
        layout.addWidget(self.message)
        layout.addWidget(self.error)
        for line in (
            (self.predict_volume, self.predict_view),
            (self.use_as_labels, self.start_from),
            (self.longer, self.amount, self.unit),
        ):
            row = QHBoxLayout()
            row.setSpacing(4)
            for control in line:
                row.addWidget(control, 1 if control is not self.longer else 0)
            layout.addLayout(row)
        self.setVisible(False)

    def _button(self, name: str, text: str, tip: str) -> QPushButton:
        button = QPushButton(text)
        button.setObjectName(name)
        hint(button, tip)
        # Two of them must fit side by side into the narrowest dock.
        button.setStyleSheet("padding: 3px 4px;")
        return button

    def set_snapshot(self, snapshot: RunSnapshot | None, *, busy: bool = False) -> None:
        """Show the steps once a run has ended, and ask by default for as long again."""
        ended = has_result(snapshot)
        if snapshot is not None and ended and self._asked_of != snapshot.started:
            self._asked_of = snapshot.started
            minutes = snapshot.max_minutes
            self.unit.setCurrentIndex(self.unit.findData("minutes" if minutes else "epochs"))
            self.amount.setValue(minutes or snapshot.max_epochs or 10)
        if not ended:
            self.set_message("")
            self.error.set_message("")
        self.setVisible(ended)
        self.setEnabled(not busy)

    def set_message(self, text: str) -> None:
        """Say what came of a step; with an empty text nothing."""
        self.message.setText(text)
        self.message.setVisible(bool(text))

    def set_error(self, message: str) -> None:
        """Say why a step was not taken, or with an empty sentence nothing."""
        self.error.set_message(message)
