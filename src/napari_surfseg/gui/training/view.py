"""The "Surface training" widget: four pages of settings over the always visible run panel."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from qtpy.QtCore import Signal
from qtpy.QtWidgets import (
    QComboBox,
    QFileDialog,
    QFrame,
    QHBoxLayout,
    QLabel,
    QLineEdit,
    QScrollArea,
    QSizePolicy,
    QTabWidget,
    QToolButton,
    QVBoxLayout,
    QWidget,
)

from napari_surfseg.config import MODEL_PRESETS
from napari_surfseg.gui.controls.basics import (
    NARROWEST,
    FieldError,
    NoWheelFilter,
    hint,
    labelled_rows,
    note,
    scrolled,
)
from napari_surfseg.gui.controls.debounce import Debounce
from napari_surfseg.gui.controls.number_boxes import NumberBox, WholeBox, with_error
from napari_surfseg.gui.controls.tab_order import TabOrder
from napari_surfseg.gui.strokes.panel import StrokesPanel
from napari_surfseg.gui.training.data_page import DataPanel
from napari_surfseg.gui.training.form import TrainingForm
from napari_surfseg.gui.training.loss_page import LossPanel
from napari_surfseg.gui.training.run_panel import RunPanel
from napari_surfseg.gui.training.settings_form import MoreSection, SettingsForm, say_of_setting
from napari_surfseg.gui.training.settings_table import LABELS, NETWORK_SETTINGS, TRAINING_SETTINGS

if TYPE_CHECKING:
    from pathlib import Path

    from napari_surfseg.runs.follow import RunSnapshot

__all__ = ["TrainingView"]

FIXED_REASON = (
    "Fixed for this run: the network and its data cannot change under a running training."
)
ROI_KEY = re.compile(r"data\.train\.(\d+)\.roi")
#: Settings a running training takes, by key.
LIVE_SETTINGS = ("data.foreground_share", "preview.seconds")


class TrainingView(QWidget):
    """Passive: ``set_*`` fills it, :meth:`form` reads it, signals say what a person did."""

    form_changed = Signal()
    length_changed = Signal()
    live_setting_changed = Signal(str)

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setObjectName("surface_training")
        self.data = DataPanel()
        self.loss = LossPanel()
        self.run = RunPanel()
        self.strokes = StrokesPanel()
        self._errors: dict[str, tuple[FieldError, int]] = {}
        self._tips: dict[QWidget, str] = {}
        self.tabs = QTabWidget()
        self.tabs.setObjectName("training_pages")
        self.tabs.setDocumentMode(True)
        pages = (
            ("Data", self.data, "Volumes, labels, validation."),
            ("Network", self._build_network(), "Size of the network and of its patches."),
            ("Losses", self.loss, "What counts as an error, and how much."),
            ("Training", self._build_training(), "How long, where, and the finer settings."),
        )
        self._more = ((self.data.more, 0), (self.more_network, 1), (self.more, 3))
        for more, _page in self._more:
            more.changed.connect(self._on_setting)
        for index, (title, page, tip) in enumerate(pages):
            self.tabs.addTab(scrolled(page, f"{title.lower()}_page"), title)
            self.tabs.setTabToolTip(index, tip)
        line = QFrame()
        line.setFrameShape(QFrame.Shape.HLine)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(6, 4, 6, 4)
        layout.setSpacing(4)
        layout.addWidget(self.tabs, 1)
        layout.addWidget(line)
        layout.addWidget(self.strokes)
        layout.addWidget(self.run)
        self.setMinimumWidth(NARROWEST)
        self._collect_errors()
        self._revealed: QWidget = self
        self._reveal = Debounce(self, 0, self._on_reveal)
        TabOrder(self)
        self._wheel = NoWheelFilter(self)
        self._wheel.guard(self)
        self.data.pairs_changed.connect(self.form_changed)
        self.data.validation_changed.connect(self.form_changed)
        self.data.meanings_changed.connect(self.form_changed)

    # -- pages ---------------------------------------------------------------------

    def _build_network(self) -> QWidget:
        page = QWidget()
        self.preset = QComboBox()
        self.preset.setObjectName("model_preset")
        self.preset.addItem("automatic", "auto")
        for name in MODEL_PRESETS:
            self.preset.addItem(name, name)
        self.preset.setSizeAdjustPolicy(
            QComboBox.SizeAdjustPolicy.AdjustToMinimumContentsLengthWithIcon
        )
        hint(
            self.preset,
            "Size of the 3-D U-Net; automatic is tiny on a CPU and small on a GPU. Larger ones see "
            "more and take longer; exp001 is the reference experiment and wants a GPU.",
        )
        self.patch_error = FieldError("data_patch_size")
        self.patch = []
        patch_box = QWidget()
        patch_line = QHBoxLayout(patch_box)
        patch_line.setContentsMargins(0, 0, 0, 0)
        patch_line.setSpacing(4)
        for axis in "zyx":
            spin = WholeBox(f"patch_size_{axis}", f"Patch along {axis.upper()}", 8, 1024, step=8)
            spin.error = self.patch_error
            spin.setValue(64)
            hint(
                spin,
                f"Edge of a training patch along {axis.upper()} (voxels, 8 to 1024; 64 by "
                "default). Larger patches show more of a sheet and cost memory and time.",
            )
            spin.valueChanged.connect(lambda _value: self.form_changed.emit())
            self.patch.append(spin)
            spin.setPrefix(f"{axis} ")
            spin.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Fixed)
            patch_line.addWidget(spin, 1)
        self.preset.currentIndexChanged.connect(lambda _index: self.form_changed.emit())
        self.estimate = QLabel("")
        self.estimate.setObjectName("model_estimate")
        self.estimate.setWordWrap(True)
        self.model_error = FieldError("model")
        form = labelled_rows(spacing=6)
        form.addRow("Size", self.preset)
        form.addRow(self.model_error)
        form.addRow("Patch", patch_box)
        form.addRow(self.patch_error)
        form.addRow(self.estimate)
        form.addRow(
            note(
                "A patch must show a whole sheet and its neighbours. The memory is an estimate for "
                "one step of training; the network runs in a process of its own, so napari itself "
                "stays small."
            )
        )
        self.more_network = MoreSection("more_network", NETWORK_SETTINGS)
        layout = QVBoxLayout(page)
        layout.setContentsMargins(4, 6, 8, 4)
        layout.addLayout(form)
        layout.addWidget(self.more_network)
        layout.addStretch(1)
        return page

    def _build_training(self) -> QWidget:
        page = QWidget()
        self.length_kind = QComboBox()
        self.length_kind.setObjectName("training_length_kind")
        self.length_kind.setMinimumWidth(104)  # napari's theme cuts the word "minutes" at less
        self.length_kind.addItem("minutes", "minutes")
        self.length_kind.addItem("epochs", "epochs")
        hint(
            self.length_kind,
            "Bound the training by time or by epochs; the learning rate's schedule spans it.",
        )
        self.training_error = FieldError("training")
        self.length = NumberBox("training_length", "Length", 0.1, 100000, decimals=1)
        self.length.error = self.training_error
        # Without arrows, which keys replace, it fits beside its unit in the narrowest dock.
        self.length.setButtonSymbols(NumberBox.ButtonSymbols.NoButtons)
        self.length.setStyleSheet("min-width: 44px; padding: 1px 4px;")  # napari's theme says 90
        self.length.setValue(10)
        hint(
            self.length,
            "How long to train (minutes or epochs, 0.1 to 100000; 10 by default). It can be "
            "changed while it runs.",
        )
        self.steps = WholeBox("steps_per_epoch", "Steps an epoch", 1, 100000)
        self.steps.setValue(100)
        hint(
            self.steps,
            "Optimizer steps in an epoch; after each the network is saved and may be scored "
            "(steps, 1 to 100000; 100 by default).",
        )
        self.device = QComboBox()
        self.device.setObjectName("device")
        self.device.addItem("automatic", "auto")
        self.device.addItem("CPU", "cpu")
        self.device.addItem("GPU (CUDA)", "cuda")
        hint(self.device, "Where to train. Automatic takes a GPU where PyTorch finds one.")
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
        form.addRow(self.training_error)
        form.addRow("Steps an epoch", with_error(self.steps))
        form.addRow("Device", self.device)
        form.addRow("Run name", self.name)
        form.addRow(self.name_error)
        form.addRow("Runs folder", folder_line)
        form.addRow(self.folder_error)
        layout = QVBoxLayout(page)
        layout.setContentsMargins(4, 6, 8, 4)
        layout.addLayout(form)
        self.more = MoreSection("more_training", TRAINING_SETTINGS)
        layout.addWidget(self.more)
        layout.addStretch(1)
        self.length.valueChanged.connect(lambda _value: self.length_changed.emit())
        self.length_kind.currentIndexChanged.connect(lambda _index: self.length_changed.emit())
        self.device.currentIndexChanged.connect(lambda _index: self.form_changed.emit())
        return page

    def _collect_errors(self) -> None:
        for key, error in self.data.errors().items():
            self._errors[key] = (error, 0)
        self._errors |= {
            "data.patch_size": (self.patch_error, 1),
            "model": (self.model_error, 1),
            "loss": (self.loss.error, 2),
            "training": (self.training_error, 3),
            "training.train_iterations_per_epoch": (self.steps.error, 3),
            "experiment": (self.name_error, 3),
            "run_dir": (self.folder_error, 3),
        }
        for more, page in self._more:
            for form in more.forms:
                for key, control in form.controls.items():
                    self._errors[key] = (control.error, page)

    def _on_browse(self) -> None:
        found = QFileDialog.getExistingDirectory(self, "Folder for runs", self.folder.text())
        if found:
            self.folder.setText(found)

    def _on_setting(self, key: str) -> None:
        if key in LIVE_SETTINGS:
            self.live_setting_changed.emit(key)
        self.form_changed.emit()

    # -- reading -------------------------------------------------------------------

    def form(self) -> TrainingForm:
        """Read everything."""
        settings: dict[str, Any] = {}
        for form in self._forms():
            settings |= form.values()
        minutes = self.length_kind.currentData() == "minutes"
        settings |= {
            "data.patch_size": [spin.value() for spin in self.patch],
            "model.preset": self.preset.currentData(),
            "preview.size": list(self.run.box.size_voxels()),
            "training.max_minutes": self.length.value() if minutes else None,
            "training.max_epochs": None if minutes else max(round(self.length.value()), 1),
            "training.train_iterations_per_epoch": self.steps.value(),
        }
        return TrainingForm(
            pairs=tuple(
                replace(pair, roi=field.value())
                for pair, field in zip(self.data.pairs(), self.data.more.rois, strict=True)
            ),
            validation=self.data.validation.mode.currentData(),
            validation_fraction=self.data.validation.fraction.value() / 100,
            validation_layer=self.data.validation.box_layer.choice(),
            meanings=self.data.labels.meanings(),
            weights=self.loss.weights(),
            settings=settings,
            device=self.device.currentData(),
            name=self.name.text().strip(),
            folder=self.folder.text().strip(),
        )

    def setting(self, key: str) -> Any:
        """Read one of the settings behind "More"."""
        return self._form_of(key).value(key)

    def control(self, key: str) -> Any:
        """Return the control of one of the settings behind "More"."""
        return self._form_of(key).controls[key]

    def set_setting(self, key: str, value: Any) -> None:
        """Fill one of the settings behind "More"."""
        self._form_of(key).set_value(key, value)

    def reveal_setting(self, key: str) -> None:
        """Unfold one of the settings behind "More", and turn to its page."""
        for more, page in self._more:
            if any(key in form.controls for form in more.forms):
                more.button.setChecked(True)
                self.tabs.setCurrentIndex(page)

    def _forms(self) -> list[SettingsForm]:
        return [form for more, _page in self._more for form in more.forms]

    def _form_of(self, key: str) -> SettingsForm:
        return next(form for form in self._forms() if key in form.controls)

    # -- filling -------------------------------------------------------------------

    def set_folder(self, folder: Path) -> None:
        """Show where runs are made."""
        self.folder.setText(str(folder))

    def set_device(self, device: str) -> None:
        """Show where to train."""
        self.device.setCurrentIndex(max(self.device.findData(device), 0))

    def set_estimate(self, text: str) -> None:
        """Show what the network will be and need."""
        self.estimate.setText(text)

    def set_patch_step(self, divisor: int) -> None:
        """Let the arrows of the patch size move by what the network divides by."""
        for spin in self.patch:
            spin.setSingleStep(divisor)

    def set_snapshot(self, snapshot: RunSnapshot | None, *, busy: str = "") -> None:
        """Show a run and fix what it does not let change."""
        self.run.set_snapshot(snapshot, busy=busy)
        active = snapshot is not None and snapshot.state.is_active
        self.set_locked(active or bool(busy))
        self.loss.set_running(active)

    def set_locked(self, locked: bool) -> None:
        """Fix or free everything a running training cannot take, and say why."""
        fixed: list[QWidget] = [
            *self.data.lockable(),
            self.preset,
            *self.patch,
            self.steps,
            self.device,
            self.name,
            self.folder,
            self.browse,
            self.length_kind,
        ]
        for form in self._forms():
            fixed += [w for key, w in form.controls.items() if key not in LIVE_SETTINGS]
        fixed += self.data.more.rois
        for control in fixed:
            if locked and control.isEnabled():
                self._tips[control] = control.toolTip()
                control.setToolTip(f"<qt>{FIXED_REASON}</qt>")
                control.setEnabled(False)
        if not locked:
            for control, tip in self._tips.items():
                control.setToolTip(tip)
                control.setEnabled(True)
            self._tips.clear()

    def show_error(self, message: str, field: str | None = None) -> None:
        """Show a sentence beside the control it concerns, unfold it and turn to its page."""
        error, page = self._find_error(field)
        labels = dict(LABELS)
        for form in self._forms():
            labels |= form.labels
        error.set_message(say_of_setting(message, labels))
        if page is not None:
            self.tabs.setCurrentIndex(page)
            for more, place in self._more:
                if place == page and more.body.isAncestorOf(error):
                    more.button.setChecked(True)
            self._revealed = error
            self._reveal.start()  # once the page is laid out with the sentence in it

    def has_place_for(self, field: str) -> bool:
        """Whether a sentence about this setting is shown beside a control on one of the pages."""
        return self._find_error(field)[1] is not None

    def _on_reveal(self) -> None:
        area = self.tabs.currentWidget()
        if isinstance(area, QScrollArea) and area.isAncestorOf(self._revealed):
            area.ensureWidgetVisible(self._revealed)

    def clear_errors(self) -> None:
        """Take all sentences away."""
        rois = [field.error for field in self.data.more.rois]
        for error in (*(error for error, _page in self._errors.values()), *rois, self.run.error):
            error.set_message("")

    def _find_error(self, field: str | None) -> tuple[FieldError, int | None]:
        key = field or ""
        found = ROI_KEY.fullmatch(key)
        if found is not None and int(found[1]) < len(self.data.more.rois):
            return self.data.more.rois[int(found[1])].error, 0
        while key:
            if key in self._errors:
                return self._errors[key]
            key = key.rpartition(".")[0]
        return self.run.error, None
