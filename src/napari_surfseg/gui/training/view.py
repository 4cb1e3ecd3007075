"""The "Surface training" view: four pages of settings over the always visible run panel."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from qtpy.QtCore import Signal
from qtpy.QtWidgets import QFrame, QScrollArea, QTabWidget, QVBoxLayout, QWidget

from napari_surfseg.gui.controls.basics import NARROWEST, FieldError, NoWheelFilter, scrolled
from napari_surfseg.gui.controls.debounce import Debounce
from napari_surfseg.gui.controls.tab_order import TabOrder
from napari_surfseg.gui.strokes.panel import StrokesPanel
from napari_surfseg.gui.training.data_page import DataPage
from napari_surfseg.gui.training.form import TrainingForm
from napari_surfseg.gui.training.loss_page import LossPanel
from napari_surfseg.gui.training.network_page import NetworkPage
from napari_surfseg.gui.training.run_panel import RunPanel
from napari_surfseg.gui.training.settings_form import SettingsForm, say_of_setting
from napari_surfseg.gui.training.settings_table import LABELS, LIVE_SETTINGS, OWN_NETWORK_SETTINGS
from napari_surfseg.gui.training.training_page import TrainingPage

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from napari_surfseg.gui.training.launcher_choice import LauncherChoice
    from napari_surfseg.gui.training.settings_form import MoreSection
    from napari_surfseg.runs.follow import RunSnapshot

__all__ = ["TrainingView"]

FIXED_REASON = (
    "Fixed for this run: the network and its data cannot change under a running training."
)
ROI_KEY = re.compile(r"data\.train\.(\d+)\.roi")
DATA_PAGE, NETWORK_PAGE, LOSS_PAGE, TRAINING_PAGE = range(4)


class TrainingView(QWidget):
    """Passive: ``set_*`` fills it, :meth:`form` reads it, signals say what a person did.

    It is a :class:`~napari_surfseg.gui.training.protocols.TrainingViewProtocol`, which is all
    that the controllers know of it.
    """

    form_changed = Signal()
    length_changed = Signal()
    live_setting_changed = Signal(str)
    launchers_wanted = Signal()

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setObjectName("surface_training")
        self.data = DataPage()
        self.network = NetworkPage()
        self.loss = LossPanel()
        self.training = TrainingPage()
        self.run = RunPanel()
        self.strokes = StrokesPanel()
        self._tips: dict[QWidget, str] = {}
        self._network_error: FieldError | None = None
        self._revealed: QWidget = self
        self._reveal = Debounce(self, 0, self._on_reveal)
        self._more: tuple[tuple[MoreSection, int], ...] = (
            (self.data.more, DATA_PAGE),
            (self.network.more, NETWORK_PAGE),
            (self.training.more, TRAINING_PAGE),
        )
        self._errors = self._collect_errors()
        self.tabs = QTabWidget()
        self.tabs.setObjectName("training_pages")
        self.tabs.setDocumentMode(True)
        for title, page, tip in (
            ("Data", self.data, "Volumes, labels, validation."),
            ("Network", self.network, "Size of the network and of its patches."),
            ("Losses", self.loss, "What counts as an error, and how much."),
            ("Training", self.training, "How long, where, and the finer settings."),
        ):
            index = self.tabs.addTab(scrolled(page, f"{title.lower()}_page"), title)
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
        TabOrder(self)
        self._wheel = NoWheelFilter(self)
        self._wheel.guard(self)
        for more, _page in self._more:
            more.changed.connect(self._on_setting)
        self.data.pairs_changed.connect(self.form_changed)
        self.data.validation_changed.connect(self.form_changed)
        self.data.meanings_changed.connect(self.form_changed)
        self.network.changed.connect(self._on_network)
        self.training.changed.connect(self.form_changed)
        self.training.length_changed.connect(self.length_changed)
        self.training.where.opened.connect(self.launchers_wanted)

    def _on_network(self) -> None:
        if not self._tips:  # nothing is fixed for a run
            for key in OWN_NETWORK_SETTINGS:
                self.control(key).setEnabled(not self.network.is_monai)
        self.form_changed.emit()

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
        if self.network.is_monai:
            settings |= dict.fromkeys(OWN_NETWORK_SETTINGS)  # they are no settings of MONAI's
        settings |= {
            **self.network.values(),
            **self.training.values(),
            "preview.size": list(self.run.box_size()),
        }
        validation = self.data.validation
        return TrainingForm(
            pairs=tuple(
                replace(pair, roi=field.value())
                for pair, field in zip(self.data.pairs(), self.data.more.rois, strict=True)
            ),
            many=self.data.many_choices(),
            validation=validation.mode.currentData(),
            validation_fraction=validation.fraction.value() / 100,
            validation_layer=validation.box_layer.choice(),
            meanings=self.data.labels.meanings(),
            instances=self.data.labels.instances,
            loss_weights=self.loss.weights(),
            settings=settings,
            device=self.training.device.currentData(),
            launcher=self.training.where.name(),
            name=self.training.name.text().strip(),
            folder=self.training.folder.text().strip(),
        )

    def setting(self, key: str) -> Any:
        """Read one of the settings behind "More"."""
        return self._form_of(key).value(key)

    def control(self, key: str) -> Any:
        """Return the control of one of the settings behind "More"."""
        return self._form_of(key).controls[key]

    def _forms(self) -> list[SettingsForm]:
        return [form for more, _page in self._more for form in more.forms]

    def _form_of(self, key: str) -> SettingsForm:
        return next(form for form in self._forms() if key in form.controls)

    # -- filling -------------------------------------------------------------------

    def set_folder(self, folder: Path) -> None:
        """Show where runs are made."""
        self.training.folder.setText(str(folder))

    def set_device(self, device: str) -> None:
        """Show where to train."""
        self.training.set_device(device)

    def set_launchers(self, choices: Sequence[LauncherChoice]) -> None:
        """Offer other machines to train on."""
        self.training.where.set_launchers(choices)

    def set_launcher(self, name: str) -> None:
        """Choose another machine to train on."""
        self.training.where.choose(name)

    def set_estimate(self, text: str) -> None:
        """Show what the network will be and need."""
        self.network.estimate.setText(text)

    def set_patch_step(self, divisor: int) -> None:
        """Let the arrows of the patch size move by what the network divides by."""
        self.network.set_patch_step(divisor)

    def set_network_error(self, message: str, field: str | None = None) -> None:
        """Show beside its control why the network cannot be built; empty takes it away."""
        if self._network_error is not None:
            self._network_error.set_message("")
        self._network_error = self._find_error(field or "model")[0]
        self._network_error.set_message(say_of_setting(message, self._labels()))

    def set_patch_error(self, message: str) -> None:
        """Show why the patch does not fit the network, or with an empty sentence nothing."""
        self.network.patch_error.set_message(message)

    def set_start_from(self, checkpoint: str, preset: str) -> None:
        """Let the network start from a checkpoint, with the preset that fits, and show both."""
        self.network.start_from.set_value(checkpoint)
        self.network.set_preset(preset)
        self.form_changed.emit()
        self.tabs.setCurrentIndex(NETWORK_PAGE)

    def set_automatic_start(self, network: str | None) -> None:
        """Say which network of the package a run starts from that names none."""
        self.network.start_from.set_meaning(network)

    def set_recent_starts(self, runs: Sequence[tuple[str, str]]) -> None:
        """Offer runs to start from: the folder and the name of each."""
        self.network.start_from.set_recent(runs)

    def set_start_note(self, text: str) -> None:
        """Say what is taken of the network that is started from."""
        self.network.start_note.setText(text)

    def show_data_page(self) -> None:
        """Turn to the page with the volumes and labels."""
        self.tabs.setCurrentIndex(DATA_PAGE)

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
            *self.network.lockable(),
            *self.training.lockable(),
        ]
        for form in self._forms():
            fixed += [w for key, w in form.controls.items() if key not in LIVE_SETTINGS]
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

    # -- errors --------------------------------------------------------------------

    def show_error(self, message: str, field: str | None = None) -> None:
        """Show a sentence beside the control it concerns, unfold it and turn to its page."""
        error, page = self._find_error(field)
        error.set_message(say_of_setting(message, self._labels()))
        if page is not None:
            self.tabs.setCurrentIndex(page)
            for more, place in self._more:
                if place == page and more.body.isAncestorOf(error):
                    more.button.setChecked(True)
            self._revealed = error
            self._reveal.start()  # once the page is laid out with the sentence in it

    def _labels(self) -> dict[str, str]:
        labels = dict(LABELS)
        for form in self._forms():
            labels |= form.labels
        return labels

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

    def _collect_errors(self) -> dict[str, tuple[FieldError, int]]:
        """Return where a sentence about a key, or its start, is shown, and on which page."""
        pages: tuple[tuple[dict[str, FieldError], int], ...] = (
            (self.data.errors(), DATA_PAGE),
            (self.network.errors(), NETWORK_PAGE),
            ({"loss": self.loss.error}, LOSS_PAGE),
            (self.training.errors(), TRAINING_PAGE),
        )
        found = {key: (error, page) for errors, page in pages for key, error in errors.items()}
        for more, page in self._more:
            for form in more.forms:
                for key, control in form.controls.items():
                    found[key] = (control.error, page)
        return found

    def _find_error(self, field: str | None) -> tuple[FieldError, int | None]:
        key = field or ""
        roi = ROI_KEY.fullmatch(key)
        if roi is not None and int(roi[1]) < len(self.data.more.rois):
            return self.data.more.rois[int(roi[1])].error, DATA_PAGE
        while key:
            if key in self._errors:
                return self._errors[key]
            key = key.rpartition(".")[0]
        return self.run.error, None
