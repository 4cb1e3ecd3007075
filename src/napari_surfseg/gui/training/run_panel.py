"""What is always in view: the buttons, how far the run is, and how good."""

from __future__ import annotations

from typing import TYPE_CHECKING

from qtpy.QtCore import Qt, Signal
from qtpy.QtWidgets import (
    QCheckBox,
    QGridLayout,
    QHBoxLayout,
    QLabel,
    QProgressBar,
    QPushButton,
    QSlider,
    QVBoxLayout,
    QWidget,
)

from napari_surfseg.gui.controls.basics import ElidedLabel, FieldError, hint
from napari_surfseg.gui.controls.box_size import USUAL_SIZE, BoxSize
from napari_surfseg.gui.run_session.status import (
    compute_share,
    describe_all_scores,
    describe_pace,
    describe_place,
    describe_state,
    describe_validation,
)
from napari_surfseg.gui.training.next_steps import NextSteps
from napari_surfseg.gui.training.settings_table import offered_range
from napari_surfseg.runs.folder import RunState

if TYPE_CHECKING:
    from napari_surfseg.geometry import Size3
    from napari_surfseg.runs.follow import RunSnapshot

__all__ = ["RunPanel"]


class RunPanel(QWidget):
    """Passive: :meth:`set_snapshot` shows a run, the signals say what a person wants of it."""

    start_clicked = Signal()
    cancel_clicked = Signal()
    pause_clicked = Signal()
    resume_clicked = Signal()
    stop_clicked = Signal()
    save_clicked = Signal()
    live_toggled = Signal(bool)
    box_size_changed = Signal(object)
    """Carries the Z, Y, X voxels of the live box that a person chose."""
    curves_clicked = Signal()
    preview_chosen = Signal(object)
    """Carries the index of an earlier preview, or None for the newest."""

    def __init__(self) -> None:
        super().__init__()
        self.setObjectName("run_panel")
        self._previews: list[int] = []
        self.start = self._button(
            "start", "Start", "Write the run folder and start training in a process of its own."
        )
        self.cancel = self._button(
            "cancel_start", "Cancel", "Give up copying the layers; nothing of the run is left."
        )
        self.cancel.clicked.connect(self.cancel_clicked)
        self.cancel.hide()
        self.pause = self._button("pause", "Pause", "Finish the step and wait; nothing is lost.")
        self.resume = self._button(
            "resume",
            "Resume",
            "Go on with a paused run, or with one that ended early, from its last checkpoint.",
        )
        self.stop = self._button(
            "stop", "Stop", "Save last.pt and end the run, within seconds. It can be resumed."
        )
        self.save = self._button(
            "save_now", "Save now", "Write the checkpoint last.pt after this step."
        )
        self.start.clicked.connect(self.start_clicked)
        self.pause.clicked.connect(self.pause_clicked)
        self.resume.clicked.connect(self.resume_clicked)
        self.stop.clicked.connect(self.stop_clicked)
        self.save.clicked.connect(self.save_clicked)
        self.state = QLabel()
        self.state.setObjectName("run_state")
        self.state.setWordWrap(True)
        self.state.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)
        self.error = FieldError("run")
        self.progress = QProgressBar()
        self.progress.setObjectName("run_progress")
        self.progress.setRange(0, 1000)
        self.progress.setTextVisible(True)
        self.progress.setFixedHeight(16)
        hint(self.progress, "Share of the training that is done (per cent).")
        self.place = ElidedLabel()
        self.place.setObjectName("run_place")
        self.pace = ElidedLabel()
        self.pace.setObjectName("run_pace")
        self.pace.set_alignment(Qt.AlignmentFlag.AlignRight)
        self.newest = ElidedLabel()
        self.newest.setObjectName("newest_scores")
        self.best = ElidedLabel()
        self.best.setObjectName("best_scores")
        self.live = QCheckBox("Live")
        self.live.setObjectName("live_layers")
        self.live.setChecked(True)
        self.set_live_key(None)
        self.live.toggled.connect(self.live_toggled)
        low, high = offered_range("preview.size")
        self.box = BoxSize("live_box", USUAL_SIZE, (int(low), int(high)))
        self.box.changed.connect(self.box_size_changed)
        self.history = QSlider(Qt.Orientation.Horizontal)
        self.history.setObjectName("preview_history")
        self.history.setEnabled(False)
        hint(self.history, "Slide back through earlier live predictions (oldest kept to newest).")
        self.history.valueChanged.connect(self._on_history)
        self.history_value = QLabel("newest")
        self.history_value.setObjectName("preview_shown")
        self.history_value.setMinimumWidth(62)
        self.next_steps = NextSteps()
        self.curves = QPushButton("Curves")
        self.curves.setObjectName("show_curves")
        hint(self.curves, "Open the dock with the loss curves and scores of this run.")
        self.curves.clicked.connect(self.curves_clicked)

        buttons = QHBoxLayout()
        buttons.setSpacing(4)
        for button in (self.start, self.cancel, self.pause, self.resume, self.stop, self.save):
            buttons.addWidget(button)
        line = QHBoxLayout()
        line.addWidget(self.place, 9)
        line.addWidget(self.pace, 11)
        scores = QGridLayout()
        scores.setHorizontalSpacing(6)
        scores.setVerticalSpacing(1)
        scores.addWidget(QLabel("Newest"), 0, 0)
        scores.addWidget(self.newest, 0, 1)
        scores.addWidget(QLabel("Best"), 1, 0)
        scores.addWidget(self.best, 1, 1)
        scores.setColumnStretch(1, 1)
        live = QHBoxLayout()
        live.setSpacing(6)
        live.addWidget(self.live)
        live.addWidget(self.history, 1)
        live.addWidget(self.history_value)
        live.addWidget(self.curves)
        box = QHBoxLayout()
        box.setSpacing(6)
        box.addWidget(QLabel("Live box"))
        box.addWidget(self.box, 1)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(4, 4, 4, 4)
        layout.setSpacing(4)
        layout.addWidget(self.error)
        layout.addWidget(self.state)
        layout.addWidget(self.progress)
        layout.addLayout(line)
        layout.addLayout(scores)
        layout.addLayout(live)
        layout.addLayout(box)
        layout.addWidget(self.next_steps)
        layout.addLayout(buttons)
        self.set_snapshot(None, busy="")

    def _button(self, name: str, text: str, tip: str) -> QPushButton:
        button = QPushButton(text)
        button.setObjectName(name)
        hint(button, tip)
        return button

    def set_snapshot(self, snapshot: RunSnapshot | None, *, busy: str = "") -> None:
        """Show a run.

        Parameters
        ----------
        snapshot : RunSnapshot or None
            None before there is a run.
        busy : str
            What the window itself is doing (writing layers); empty if nothing.
        """
        state = snapshot.state if snapshot is not None else None
        self.state.setText(busy or describe_state(snapshot))
        self.place.set_text(describe_place(snapshot))
        self.pace.set_text(describe_pace(snapshot))
        newest_scores = snapshot.validation if snapshot else None
        best_scores = snapshot.best_validation if snapshot else None
        self.newest.set_text(describe_validation(newest_scores, snapshot))
        self.newest.set_details(describe_all_scores(newest_scores))
        best = describe_validation(best_scores, snapshot, only_deciding=True)
        self.best.set_details(describe_all_scores(best_scores))
        if snapshot is not None and snapshot.best_epoch is not None:
            best = f"epoch {snapshot.best_epoch}: {best}"
        self.best.set_text(best)
        # Never the bar that runs to and fro: it has the whole window painted at every turn, while
        # the worker needs the processor to start.
        self.progress.setRange(0, 1000)
        self.progress.setValue(round(1000 * compute_share(snapshot)))
        self.next_steps.set_snapshot(snapshot, busy=bool(busy))
        active = state is not None and state.is_active
        self.start.setVisible(not active)
        self.start.setEnabled(not busy)
        self.pause.setVisible(active and state is not RunState.PAUSED)
        self.pause.setEnabled(state is RunState.RUNNING)
        can_resume = state is RunState.PAUSED or (snapshot is not None and snapshot.can_resume)
        self.resume.setVisible(can_resume)
        self.resume.setEnabled(not busy)
        self.stop.setVisible(active)
        self.save.setVisible(active)
        self.save.setEnabled(state in {RunState.RUNNING, RunState.PAUSED})

    def set_state(self, text: str) -> None:
        """Say how the run is, in place of what :meth:`set_snapshot` said."""
        self.state.setText(text)

    def set_error(self, message: str) -> None:
        """Show what went wrong, or with an empty sentence nothing."""
        self.error.set_message(message)

    def set_box_size(self, size: Size3) -> None:
        """Show the size of the live box."""
        self.box.set_size(size)

    def box_size(self) -> Size3:
        """Return Z, Y, X voxels of the live box."""
        return self.box.size_voxels()

    def set_can_cancel(self, can: bool) -> None:
        """Offer to give up what the window itself is doing."""
        self.cancel.setVisible(can)

    def set_busy_progress(self, share: float) -> None:
        """Show how far the window's own work is."""
        self.progress.setRange(0, 1000)
        self.progress.setValue(round(1000 * share))

    def set_previews(self, indices: list[int]) -> None:
        """Offer these previews; the slider stays on the newest if it was there."""
        at_newest = self.history.value() == self.history.maximum()
        shown = self._previews[self.history.value()] if self._previews else None
        self._previews = indices
        self.history.blockSignals(True)
        self.history.setEnabled(len(indices) > 1)
        self.history.setRange(0, max(len(indices) - 1, 0))
        if at_newest or shown not in indices:
            self.history.setValue(self.history.maximum())
        else:
            self.history.setValue(indices.index(shown))
        self.history.blockSignals(False)

    def set_shown_preview(self, text: str, tip: str = "") -> None:
        """Say which preview is on display, or why there is none."""
        self.history_value.setText(text)
        self.history_value.setToolTip(f"<qt>{tip}</qt>" if tip else "")

    def set_live(self, shown: bool) -> None:
        """Say whether the live layers are shown."""
        self.live.setChecked(shown)

    def set_live_key(self, key: str | None) -> None:
        """Say which key shows and hides the live layers."""
        pressed = f" The key {key} does the same in the canvas." if key else ""
        hint(
            self.live,
            "Show or hide the newest prediction (orange) and its skeleton (cyan), updated where "
            f"you look while the network learns.{pressed} Showing them brings deleted ones back.",
        )

    def _on_history(self, value: int) -> None:
        newest = value >= len(self._previews) - 1
        self.preview_chosen.emit(None if newest else self._previews[value])
