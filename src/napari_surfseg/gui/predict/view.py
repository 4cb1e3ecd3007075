"""The widgets of the dock "Predict surfaces"."""

from __future__ import annotations

from typing import TYPE_CHECKING

from qtpy.QtCore import Signal
from qtpy.QtWidgets import (
    QFileDialog,
    QLabel,
    QVBoxLayout,
    QWidget,
)

from napari_surfseg.gui.controls.basics import (
    NARROWEST,
    FieldError,
    NoWheelFilter,
    labelled_rows,
    push_button,
    scrolled,
)
from napari_surfseg.gui.controls.job_controls import JobControls
from napari_surfseg.gui.controls.network_files import NETWORK_FILES
from napari_surfseg.gui.controls.question_dialog import ask_in_dialog
from napari_surfseg.gui.controls.source_choice import SourceChoice
from napari_surfseg.gui.controls.tab_order import TabOrder
from napari_surfseg.gui.predict.prediction import PredictForm
from napari_surfseg.gui.predict.rows import InputRows, OptionRows

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from napari.layers import Layer

__all__ = ["PredictView"]


class PredictView(QWidget):
    """Passive; what it offers is :class:`~.controller.PredictViewProtocol`."""

    predict_clicked = Signal()
    cancel_clicked = Signal()
    checkpoint_changed = Signal(str)
    use_current_clicked = Signal()
    weights_changed = Signal()
    proofread_clicked = Signal()

    def __init__(self) -> None:
        super().__init__()
        self.setObjectName("predict_surfaces")
        body = QWidget()
        form = labelled_rows(spacing=6)
        self.inputs = InputRows(form)
        self.options = OptionRows(form)
        self._connect_inputs()
        inside = QVBoxLayout(body)
        inside.setContentsMargins(4, 4, 8, 4)
        inside.addLayout(form)
        inside.addStretch(1)
        self.error = FieldError("predict")
        predict = push_button(
            "predict",
            "Predict",
            "Find the surfaces, in a process of its own, and add them as layers.",
        )
        predict.clicked.connect(self.predict_clicked)
        cancel = push_button(
            "cancel_prediction",
            "Cancel",
            "End the prediction. Finished blocks of a whole volume are kept: Predict goes on from "
            "there.",
        )
        cancel.clicked.connect(self.cancel_clicked)
        state = QLabel("Choose a network and a volume, then press Predict.")
        state.setWordWrap(True)
        self.job = JobControls("predict", start=predict, cancel=cancel, state=state)
        self.proofread = push_button(
            "proofread_prediction",
            "Proofread",
            "Go through the places where this prediction is in doubt, in the dock Proofread, and "
            "mend them.",
        )
        self.proofread.clicked.connect(self.proofread_clicked)
        self.proofread.hide()
        layout = QVBoxLayout(self)
        layout.setContentsMargins(6, 4, 6, 4)
        layout.setSpacing(4)
        layout.addWidget(scrolled(body, "predict_page"), 1)
        for item in (self.error, self.job.state, self.proofread, self.job.progress):
            layout.addWidget(item)
        layout.addLayout(self.job.buttons)
        self.setMinimumWidth(NARROWEST)
        TabOrder(self)
        self._wheel = NoWheelFilter(self)
        self._wheel.guard(self)
        self.set_busy(False)

    def _connect_inputs(self) -> None:
        inputs = self.inputs
        inputs.checkpoint.editingFinished.connect(
            lambda: self.checkpoint_changed.emit(inputs.checkpoint.text().strip())
        )
        inputs.network.chosen.connect(self.checkpoint_changed)
        inputs.browse.clicked.connect(self._on_browse)
        inputs.use_current.clicked.connect(self.use_current_clicked)
        inputs.weights.currentIndexChanged.connect(lambda _index: self.weights_changed.emit())

    def _on_browse(self) -> None:
        path = QFileDialog.getOpenFileName(
            self, "Choose a network", self.inputs.checkpoint.text(), NETWORK_FILES
        )[0]
        if path:
            self.set_checkpoint(path)
            self.checkpoint_changed.emit(path)

    def form(self) -> PredictForm:
        """Read everything."""
        min_voxels = self.options.min_voxels_row.value()
        return PredictForm(
            checkpoint=self.inputs.checkpoint.text().strip(),
            newest=self.inputs.weights.currentData() == "newest",
            source=self.inputs.source.choice(),
            threshold=self.options.threshold_row.value(),
            min_voxels=None if min_voxels is None else int(min_voxels),
            overlap=self.options.overlap.value() / 100,
            flips=self.options.flips.currentData(),
            device=self.options.device.currentData(),
            sheets=self.options.sheets.isChecked(),
            skeleton=self.options.skeleton.isChecked(),
            mesh=self.options.mesh.isChecked(),
            folder=self.options.folder.text().strip(),
        )

    def set_checkpoint(self, path: str) -> None:
        """Show which checkpoint is used."""
        self.inputs.network.set_text(path)

    def set_weights(self, titles: dict[str, str]) -> None:
        """Offer a run's ``"best"`` and ``"newest"`` weights, with what is known of each."""
        self.inputs.set_weights(titles)

    def set_summary(self, text: str) -> None:
        """Say what the checkpoint is."""
        self.inputs.summary.setText(text)

    def set_tuned(self, threshold: float | None, min_voxels: int | None) -> None:
        """Show what the checkpoint was tuned to; None for what is not known."""
        self.options.threshold_row.set_tuned(threshold)
        self.options.min_voxels_row.set_tuned(min_voxels)

    def set_folder(self, folder: Path) -> None:
        """Show where predictions go."""
        self.options.folder.setText(str(folder))

    def set_device(self, device: str) -> None:
        """Show where the network runs."""
        self.options.device.setCurrentIndex(max(self.options.device.findData(device), 0))

    def set_volumes(self, layers: Sequence[Layer]) -> None:
        """Offer these layers as the volume."""
        self.inputs.source.set_layers(layers)

    def lost_volume(self) -> str:
        """Return the name of the volume that a person chose and that is gone; else ``""``."""
        return self.inputs.source.lost

    def suggest_volume(self, layer: Layer) -> None:
        """Choose a layer, unless something is chosen or a person has chosen."""
        if self.inputs.source.choice() is None and not self.inputs.source.is_manual:
            self.inputs.source.set_choice(SourceChoice.of_layer(layer))

    def choose_volume(self, choice: SourceChoice) -> None:
        """Choose a volume as if a person had."""
        self.inputs.source.set_choice(choice)
        self.inputs.source.confirm()

    def set_busy(self, busy: bool) -> None:
        """Switch between Predict and Cancel."""
        self.job.set_busy(busy)

    def set_state(self, text: str, share: float | None = None) -> None:
        """Say what is going on, and how much of it is done, 0 to 1."""
        self.job.set_state(text, share)

    def ask(self, question: str) -> bool:
        """Ask the person in a dialog."""
        return ask_in_dialog(question, self)

    def set_can_proofread(self, can: bool) -> None:
        """Offer to proofread the prediction that was made last, or not."""
        self.proofread.setVisible(can)

    def set_error(self, message: str) -> None:
        """Show a sentence, or with an empty one nothing."""
        self.error.set_message(message)
