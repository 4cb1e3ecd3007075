"""The page "Training": how long to train, on which device, and where the run is kept."""

from __future__ import annotations

from typing import Any

from qtpy.QtCore import Signal
from qtpy.QtWidgets import (
    QComboBox,
    QFileDialog,
    QHBoxLayout,
    QLineEdit,
    QToolButton,
    QVBoxLayout,
    QWidget,
)

from napari_surfseg.gui.controls.basics import FieldError, hint, labelled_rows
from napari_surfseg.gui.controls.number_boxes import NumberBox, WholeBox, with_error
from napari_surfseg.gui.training.settings_form import MoreSection
from napari_surfseg.gui.training.settings_table import (
    TRAINING_SETTINGS,
    default_of,
    describe_range,
    offered_range,
)
from napari_surfseg.gui.training.where import WhereBox

__all__ = ["TrainingPage"]


class TrainingPage(QWidget):
    """Length, device, name and folder, and the finer settings behind "More". Passive."""

    changed = Signal()
    length_changed = Signal()

    def __init__(self) -> None:
        super().__init__()
        self.length_kind = QComboBox()
        self.length_kind.setObjectName("training_length_kind")
        self.length_kind.setMinimumWidth(104)  # napari's theme cuts the word "minutes" at less
        self.length_kind.addItem("minutes", "minutes")
        self.length_kind.addItem("epochs", "epochs")
        hint(
            self.length_kind,
            "Bound the training by time or by epochs; the learning rate's schedule spans it.",
        )
        self.length_error = FieldError("training")
        self.length = NumberBox(
            "training_length", "Length", *offered_range("training.max_minutes"), decimals=1
        )
        self.length.error = self.length_error
        # Without arrows, which keys replace, it fits beside its unit in the narrowest dock.
        self.length.setButtonSymbols(NumberBox.ButtonSymbols.NoButtons)
        self.length.setStyleSheet("min-width: 44px; padding: 1px 4px;")  # napari's theme says 90
        self.length.setValue(default_of("training.max_minutes"))
        hint(
            self.length,
            f"How long to train, in minutes or epochs ({describe_range('training.max_minutes')}). "
            "It can be changed while it runs.",
        )
        steps = "training.train_iterations_per_epoch"
        low, high = offered_range(steps)
        self.steps = WholeBox("steps_per_epoch", "Steps an epoch", int(low), int(high))
        self.steps.setValue(default_of(steps))
        hint(
            self.steps,
            "Optimizer steps in an epoch; after each the network is saved and may be scored "
            f"({describe_range(steps)}).",
        )
        self.where = WhereBox()
        self.where_error = FieldError("launcher")
        self.device = QComboBox()
        self.device.setObjectName("device")
        self.device.addItem("automatic", "auto")
        self.device.addItem("CPU", "cpu")
        self.device.addItem("GPU (CUDA)", "cuda")
        hint(
            self.device,
            "What to train on, in that machine. Automatic takes a GPU where PyTorch finds one.",
        )
        self.name = QLineEdit("surfaces")
        self.name.setObjectName("run_name")
        hint(self.name, "Name of the run, shown in tables and reports (text).")
        self.folder = QLineEdit()
        self.folder.setObjectName("run_folder")
        hint(
            self.folder,
            "Folder in which the run's own folder is made (path). Where it starts is set in "
            "napari's Preferences, under Surface segmentation.",
        )
        self.browse = QToolButton()
        self.browse.setObjectName("choose_run_folder")
        self.browse.setText("…")
        hint(self.browse, "Choose the folder for runs.")
        self.browse.clicked.connect(self._on_browse)
        self.name_error = FieldError("experiment_name")
        self.folder_error = FieldError("run_dir")
        length_line = QHBoxLayout()
        length_line.addWidget(self.length, 1)
        length_line.addWidget(self.length_kind)
        folder_line = QHBoxLayout()
        folder_line.addWidget(self.folder, 1)
        folder_line.addWidget(self.browse)
        form = labelled_rows(spacing=5)
        form.addRow("Length", length_line)
        form.addRow(self.length_error)
        form.addRow("Steps an epoch", with_error(self.steps))
        form.addRow("Where", self.where)
        form.addRow(self.where_error)
        form.addRow("Device", self.device)
        form.addRow("Run name", self.name)
        form.addRow(self.name_error)
        form.addRow("Runs folder", folder_line)
        form.addRow(self.folder_error)
        self.more = MoreSection("more_training", TRAINING_SETTINGS)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(4, 6, 8, 4)
        layout.addLayout(form)
        layout.addWidget(self.more)
        layout.addStretch(1)
        self.length.valueChanged.connect(self._on_length)
        self.length_kind.currentIndexChanged.connect(self._on_length)
        self.device.currentIndexChanged.connect(self._on_device)
        self.where.currentIndexChanged.connect(self._on_device)

    def _on_length(self, _value: float) -> None:
        self.length_changed.emit()

    def _on_device(self, _index: int) -> None:
        self.changed.emit()

    def _on_browse(self, _checked: bool = False) -> None:
        found = QFileDialog.getExistingDirectory(self, "Folder for runs", self.folder.text())
        if found:
            self.folder.setText(found)

    def values(self) -> dict[str, Any]:
        """Return the settings in full view, by configuration key."""
        minutes = self.length_kind.currentData() == "minutes"
        return {
            "training.max_minutes": self.length.value() if minutes else None,
            "training.max_epochs": None if minutes else max(round(self.length.value()), 1),
            "training.train_iterations_per_epoch": self.steps.value(),
        }

    def set_device(self, device: str) -> None:
        """Show where to train."""
        self.device.setCurrentIndex(max(self.device.findData(device), 0))

    def errors(self) -> dict[str, FieldError]:
        """Return where sentences about a setting are shown, by the start of its key."""
        return {
            "training": self.length_error,
            "training.train_iterations_per_epoch": self.steps.error,
            "experiment": self.name_error,
            "run_dir": self.folder_error,
            "launcher": self.where_error,
        }

    def lockable(self) -> list[QWidget]:
        """Return the controls in full view that are fixed for a run."""
        named = [self.name, self.folder, self.browse]
        return [self.steps, self.where, self.device, *named, self.length_kind]
