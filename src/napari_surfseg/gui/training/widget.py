"""The dock widget "Surface training", as napari makes it."""

from __future__ import annotations

import contextlib
import threading
from functools import partial
from typing import TYPE_CHECKING, Any

from napari.utils import progress
from qtpy.QtCore import QEvent, QObject
from qtpy.QtWidgets import QLabel, QSizePolicy, QVBoxLayout, QWidget

from napari_surfseg.gui.background.questions import Asker
from napari_surfseg.gui.background.signals import disconnect
from napari_surfseg.gui.background.threads import Jobs
from napari_surfseg.gui.controls.question_dialog import ask_in_dialog
from napari_surfseg.gui.curves.widget import LossCurvesWidget
from napari_surfseg.gui.layers.layer_watch import unwrap
from napari_surfseg.gui.live.controller import get_live_controller
from napari_surfseg.gui.predict.widget import PredictWidget
from napari_surfseg.gui.run_session.close_guard import CloseGuard
from napari_surfseg.gui.run_session.session import Session, get_session
from napari_surfseg.gui.training.controller import TrainingController
from napari_surfseg.gui.training.next_steps_controller import NextStepsController
from napari_surfseg.gui.training.view import TrainingView
from napari_surfseg.gui.window.dock_layout import DockPlacer, show_dock
from napari_surfseg.runs.event_text import describe_tuning
from napari_surfseg.runs.standby import prepare_standby, release_standby
from napari_surfseg.wording import format_duration

if TYPE_CHECKING:
    from pathlib import Path

    from napari.viewer import Viewer

    from napari_surfseg.gui.run_session.previews import LivePreview
    from napari_surfseg.runs.follow import RunSnapshot

__all__ = ["SurfaceTrainingWidget"]


class ActivityProgress(QObject):
    """The run's progress in napari's activity dock.

    Parameters
    ----------
    session : Session
        Whose run.
    widget : QWidget
        Any in the window.
    """

    def __init__(self, session: Session, widget: QWidget) -> None:
        super().__init__(widget)
        self._widget = widget
        self._session = session
        self._bar: Any = None
        session.polled.connect(self._on_polled)
        session.attached.connect(self._on_attached)
        session.closed.connect(self.close)

    def end(self) -> None:
        """Remove the bar and disconnect from the session."""
        disconnect(self._session.polled, self._on_polled)
        disconnect(self._session.attached, self._on_attached)
        disconnect(self._session.closed, self.close)
        self.close()

    def close(self) -> None:
        """Remove the bar."""
        if self._bar is not None:
            self._bar.close()
            self._bar = None

    def _on_attached(self, _run_dir: object) -> None:
        self.close()

    def _on_polled(self, snapshot: RunSnapshot) -> None:
        if not snapshot.state.is_active:
            self.close()
            return
        if self._bar is None:
            self._bar = progress(total=100, desc=f"Training {snapshot.name}")
            self._hold_spinner()
        bar = self._bar
        if bar is not None and snapshot.tuning is not None:
            bar.set_description(f"{snapshot.name}: {describe_tuning(snapshot.tuning)}")
        moved = int(100 * snapshot.progress) - bar.n if bar is not None else 0
        if moved <= 0:
            return
        bar.update(moved)
        # napari lets the event loop turn while it draws a bar, and the run may end meanwhile.
        if self._bar is bar and snapshot.seconds_left is not None:
            bar.set_description(
                f"Training {snapshot.name}, {format_duration(snapshot.seconds_left)} left"
            )

    def _hold_spinner(self) -> None:
        """Stop the animation beside napari's activity button.

        It moves thirty times a second, and each time the whole window is drawn again: without a
        graphics card that alone takes half a core from the training.
        """
        for label in self._widget.window().findChildren(QLabel):
            if label.movie() is not None:
                label.movie().stop()


class SurfaceTrainingWidget(QWidget):
    """Choose volumes, set the loss weights, start, and watch the training.

    Parameters
    ----------
    napari_viewer : napari.Viewer
        Where the volumes are and the live layers appear.
    """

    def __init__(self, napari_viewer: Viewer) -> None:
        super().__init__()
        self._is_docked = False
        self.setObjectName("surface_training_widget")
        DockPlacer(self, "Training")
        self._viewer = napari_viewer
        self.session = get_session(napari_viewer)
        self.view = TrainingView()
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(self.view)
        # Without this, napari puts a stretch below and the pages get half the height.
        self.setSizePolicy(QSizePolicy.Policy.Preferred, QSizePolicy.Policy.Expanding)
        viewer = unwrap(napari_viewer)
        self.controller = TrainingController(
            viewer, self.view, self.session, ask=Asker(partial(ask_in_dialog, parent=self.view)).ask
        )
        self.live = get_live_controller(viewer, self.session)
        self.next_steps = NextStepsController(
            viewer,
            self.view,
            self.session,
            self.live,
            self.controller,
            lambda: show_dock(PredictWidget, napari_viewer, self).controller,
            Jobs(),
        )
        self.activity = ActivityProgress(self.session, self)
        run = self.view.run
        run.set_live(self.live.enabled)
        run.set_live_key(self.live.key)
        run.live_toggled.connect(self.live.set_enabled)
        run.box_size_changed.connect(self.live.set_size)
        self.live.enabled_changed.connect(run.set_live)
        self.live.size_changed.connect(run.set_box_size)
        self.live.missed.connect(self._on_missed)
        self.view.run.curves_clicked.connect(self.show_curves)
        self.live.shown.connect(self._on_shown)
        self.controller.started.connect(self._on_started)
        self.session.closed.connect(self._on_session_closed)
        self._was_active = False
        self.session.polled.connect(self._on_polled)
        self.session.closed.connect(release_standby)
        self._stand_by()

    def _stand_by(self) -> None:
        """Keep a worker ready for the next start; in a thread, since it can take a while."""
        threading.Thread(target=prepare_standby, name="surfseg-standby", daemon=True).start()

    def _on_polled(self, snapshot: RunSnapshot) -> None:
        if self._was_active and not snapshot.state.is_active:
            self._stand_by()  # while a run trains, it would slow that down
        self._was_active = snapshot.state.is_active

    def _on_started(self, _run_dir: Path) -> None:
        self.show_curves()

    def _on_shown(self, preview: LivePreview) -> None:
        self.view.run.set_shown_preview(f"step {preview.step}")

    def _on_missed(self, preview: LivePreview) -> None:
        self.view.run.set_shown_preview(
            "not open",
            f"The live prediction is of {preview.image}, which is not open in this window; open "
            "it to see the prediction over it.",
        )

    def show_curves(self) -> None:
        """Open the dock with the loss curves, or bring it to the front."""
        show_dock(LossCurvesWidget, self._viewer, self)

    def _on_session_closed(self) -> None:
        # Qt may have deleted the widget's timers before the window said that it is gone.
        with contextlib.suppress(RuntimeError):
            self.controller.close()

    def event(self, event: Any) -> bool:
        """Disconnect from the viewer when napari removes the widget from its dock for good."""
        if event.type() == QEvent.Type.ParentChange:
            if self.parent() is not None:
                self._is_docked = True
            elif self._is_docked:
                self._is_docked = False
                disconnect(self.session.closed, self._on_session_closed)
                disconnect(self.session.polled, self._on_polled)
                disconnect(self.live.enabled_changed, self.view.run.set_live)
                disconnect(self.live.size_changed, self.view.run.set_box_size)
                disconnect(self.live.missed, self._on_missed)
                disconnect(self.live.shown, self._on_shown)
                self.activity.end()
                self.next_steps.close()
                self._on_session_closed()
        return super().event(event)

    def showEvent(self, event: Any) -> None:  # noqa: N802
        """Watch for the window's closing from the first time it is shown."""
        super().showEvent(event)
        CloseGuard.install(self, self.session)
