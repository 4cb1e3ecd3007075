"""The "Predict surfaces" widget: what to predict with, on what, and what to make of it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from qtpy.QtCore import Signal
from qtpy.QtWidgets import (
    QCheckBox,
    QComboBox,
    QFileDialog,
    QFormLayout,
    QHBoxLayout,
    QLabel,
    QLineEdit,
    QToolButton,
    QVBoxLayout,
    QWidget,
)

from napari_surfseg.gui.controls.basics import (
    NARROWEST,
    FieldError,
    NoWheelFilter,
    hint,
    labelled_rows,
    note,
    push_button,
    scrolled,
)
from napari_surfseg.gui.controls.job_controls import JobControls
from napari_surfseg.gui.controls.layer_or_file import SourceCombo
from napari_surfseg.gui.controls.number_boxes import NumberBox, WholeBox, with_error
from napari_surfseg.gui.controls.question_dialog import ask_in_dialog
from napari_surfseg.gui.controls.source_choice import SourceChoice
from napari_surfseg.gui.controls.tab_order import TabOrder
from napari_surfseg.gui.controls.tuned_number import TunedRow
from napari_surfseg.gui.predict.prediction import PredictForm

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

    def __init__(self) -> None:
        super().__init__()
        self.setObjectName("predict_surfaces")
        body = QWidget()
        form = labelled_rows(spacing=6)
        self._build_inputs(form)
        self._build_options(form)
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
            "cancel_prediction", "Cancel", "End the prediction; nothing of it is left."
        )
        cancel.clicked.connect(self.cancel_clicked)
        state = QLabel("Choose a checkpoint and a volume, then press Predict.")
        state.setWordWrap(True)
        self.job = JobControls("predict", start=predict, cancel=cancel, state=state)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(6, 4, 6, 4)
        layout.setSpacing(4)
        layout.addWidget(scrolled(body, "predict_page"), 1)
        for item in (self.error, self.job.state, self.job.progress):
            layout.addWidget(item)
        layout.addLayout(self.job.buttons)
        self.setMinimumWidth(NARROWEST)
        TabOrder(self)
        self._wheel = NoWheelFilter(self)
        self._wheel.guard(self)
        self.set_busy(False)

    def _build_inputs(self, form: QFormLayout) -> None:
        self.checkpoint = QLineEdit()
        self.checkpoint.setObjectName("checkpoint")
        self.checkpoint.setPlaceholderText("best.pt, last.pt or a run folder")
        hint(
            self.checkpoint,
            "A checkpoint (best.pt, last.pt) or a run folder, which stands for its best.pt (path).",
        )
        self.checkpoint.editingFinished.connect(
            lambda: self.checkpoint_changed.emit(self.checkpoint.text().strip())
        )
        self.browse = QToolButton()
        self.browse.setObjectName("choose_checkpoint")
        self.browse.setText("…")
        hint(self.browse, "Choose a checkpoint file.")
        self.browse.clicked.connect(self._on_browse)
        self.use_current = push_button(
            "use_current_run",
            "current run",
            "Take the best checkpoint of the run that is shown in Surface training.",
        )
        self.use_current.clicked.connect(self.use_current_clicked)
        self.weights = QComboBox()
        self.weights.setObjectName("weights")
        hint(
            self.weights,
            "Which of a run's two checkpoints to use: the one that scored best on the validation "
            "data (best.pt), or the newest (last.pt).",
        )
        self.set_weights({})
        self.weights.currentIndexChanged.connect(lambda _index: self.weights_changed.emit())
        self.summary = note("")
        self.summary.setObjectName("checkpoint_summary")
        line = QHBoxLayout()
        line.addWidget(self.checkpoint, 1)
        line.addWidget(self.browse)
        line.addWidget(self.use_current)
        self.source = SourceCombo("predict_volume", "volume")
        hint(
            self.source,
            "The volume to find surfaces in: an image layer with three axes (Z, Y, X) or a file.",
        )
        form.addRow("Network", line)
        form.addRow(self.weights)
        form.addRow(self.summary)
        form.addRow("Volume", self.source)

    def _build_options(self, form: QFormLayout) -> None:
        self.threshold = NumberBox("threshold", "The threshold", 0.01, 0.99, step=0.05)
        hint(
            self.threshold,
            "Probability above which a voxel is surface (0 to 1). One of your own also leaves out "
            "the clean-up (smoothing, plugged holes) that was tuned with the checkpoint's.",
        )
        self.threshold_row = TunedRow(self.threshold, "threshold_from_checkpoint")
        self.min_voxels = WholeBox(
            "min_component_size", "The smallest piece", 0, 10_000_000, step=50, suffix=" vox"
        )
        hint(
            self.min_voxels,
            "Leave out connected pieces smaller than this (voxels, 0 to 10 million); 0 keeps all.",
        )
        self.min_voxels_row = TunedRow(self.min_voxels, "min_component_size_from_checkpoint")
        self.overlap = WholeBox("window_overlap", "The overlap", 0, 90, step=5, suffix=" %")
        self.overlap.setValue(25)
        hint(
            self.overlap,
            "Share of a window that its neighbour sees again (per cent, 0 to 90; 25 by default). "
            "More is smoother and slower.",
        )
        self.flips = QComboBox()
        self.flips.setObjectName("flips")
        for title, wanted in (("automatic", "auto"), ("on", True), ("off", False)):
            self.flips.addItem(title, wanted)
        hint(
            self.flips,
            "Average over the eight flips of the volume: eight times slower, a better surface. "
            "Automatic does it where it takes no more than about two minutes.",
        )
        self.device = QComboBox()
        self.device.setObjectName("predict_device")
        for title, key in (("automatic", "auto"), ("CPU", "cpu"), ("GPU (CUDA)", "cuda")):
            self.device.addItem(title, key)
        hint(self.device, "Where the network runs. Automatic takes a GPU where PyTorch finds one.")
        self.sheets = QCheckBox("one label a connected sheet")
        self.sheets.setObjectName("label_sheets")
        self.sheets.setChecked(True)
        hint(
            self.sheets,
            "Give each connected sheet a label and colour of its own, the largest "
            "first; otherwise all surface is label 1.",
        )
        self.skeleton = QCheckBox("skeleton")
        self.skeleton.setObjectName("make_skeleton")
        self.skeleton.setChecked(True)
        hint(self.skeleton, "Also add the middle of the sheets, about one voxel thick, as labels.")
        self.mesh = QCheckBox("mesh")
        self.mesh.setObjectName("make_mesh")
        self.mesh.setChecked(True)
        hint(self.mesh, "Also add the surface as triangles; save it as PLY, OBJ or STL.")
        self.folder = QLineEdit()
        self.folder.setObjectName("predictions_folder")
        hint(self.folder, "Folder in which each prediction gets a folder of its own (path).")
        form.addRow("Threshold", self.threshold_row)
        form.addRow("Smallest piece", self.min_voxels_row)
        form.addRow("Overlap", with_error(self.overlap))
        form.addRow("Flips", self.flips)
        form.addRow("Device", self.device)
        form.addRow("Labels", self.sheets)
        form.addRow("Also make", self.skeleton)
        form.addRow("", self.mesh)
        form.addRow("Results in", self.folder)

    def _on_browse(self) -> None:
        path = QFileDialog.getOpenFileName(
            self, "Choose a checkpoint", self.checkpoint.text(), "Checkpoints (*.pt)"
        )[0]
        if path:
            self.set_checkpoint(path)
            self.checkpoint_changed.emit(path)

    def form(self) -> PredictForm:
        """Read everything."""
        min_voxels = self.min_voxels_row.value()
        return PredictForm(
            checkpoint=self.checkpoint.text().strip(),
            newest=self.weights.currentData() == "newest",
            source=self.source.choice(),
            threshold=self.threshold_row.value(),
            min_voxels=None if min_voxels is None else int(min_voxels),
            overlap=self.overlap.value() / 100,
            flips=self.flips.currentData(),
            device=self.device.currentData(),
            sheets=self.sheets.isChecked(),
            skeleton=self.skeleton.isChecked(),
            mesh=self.mesh.isChecked(),
            folder=self.folder.text().strip(),
        )

    def set_checkpoint(self, path: str) -> None:
        """Show which checkpoint is used."""
        self.checkpoint.setText(path)

    def set_weights(self, titles: dict[str, str]) -> None:
        """Offer a run's ``"best"`` and ``"newest"`` weights, with what is known of each."""
        chosen = self.weights.currentData()
        self.weights.blockSignals(True)
        self.weights.clear()
        for key in ("best", "newest"):
            if key in titles or not titles:
                title = f": {titles[key]}" if key in titles else " weights"
                self.weights.addItem(f"{key}{title}", key)
        self.weights.setCurrentIndex(max(self.weights.findData(chosen), 0))
        self.weights.setEnabled(len(titles) > 1)
        self.weights.blockSignals(False)

    def set_summary(self, text: str) -> None:
        """Say what the checkpoint is."""
        self.summary.setText(text)

    def set_tuned(self, threshold: float | None, min_voxels: int | None) -> None:
        """Show what the checkpoint was tuned to; None for what is not known."""
        self.threshold_row.set_tuned(threshold)
        self.min_voxels_row.set_tuned(min_voxels)

    def set_folder(self, folder: Path) -> None:
        """Show where predictions go."""
        self.folder.setText(str(folder))

    def set_device(self, device: str) -> None:
        """Show where the network runs."""
        self.device.setCurrentIndex(max(self.device.findData(device), 0))

    def set_volumes(self, layers: Sequence[Layer]) -> None:
        """Offer these layers as the volume."""
        self.source.set_layers(layers)

    def lost_volume(self) -> str:
        """Return the name of the volume that a person chose and that is gone; else ``""``."""
        return self.source.lost

    def suggest_volume(self, layer: Layer) -> None:
        """Choose a layer, unless something is chosen or a person has chosen."""
        if self.source.choice() is None and not self.source.is_manual:
            self.source.set_choice(SourceChoice.of_layer(layer))

    def choose_volume(self, choice: SourceChoice) -> None:
        """Choose a volume as if a person had."""
        self.source.set_choice(choice)
        self.source.confirm()

    def set_busy(self, busy: bool) -> None:
        """Switch between Predict and Cancel."""
        self.job.set_busy(busy)

    def set_state(self, text: str, share: float | None = None) -> None:
        """Say what is going on, and how much of it is done, 0 to 1."""
        self.job.set_state(text, share)

    def ask(self, question: str) -> bool:
        """Ask the person in a dialog."""
        return ask_in_dialog(question, self)

    def set_error(self, message: str) -> None:
        """Show a sentence, or with an empty one nothing."""
        self.error.set_message(message)
