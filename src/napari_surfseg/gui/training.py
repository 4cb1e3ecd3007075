"""The dock widgets "Surface training" and "Loss curves", as napari makes them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from napari.utils import progress
from qtpy.QtCore import QObject, Signal
from qtpy.QtWidgets import QDockWidget, QSizePolicy, QVBoxLayout, QWidget

from napari_surfseg.gui.close_guard import CloseGuard, find_main_window
from napari_surfseg.gui.curves import CurvesPanel
from napari_surfseg.gui.live_controller import LiveController
from napari_surfseg.gui.session import Session, get_session
from napari_surfseg.gui.training_controller import TrainingController
from napari_surfseg.gui.training_view import TrainingView
from napari_surfseg.runs.text import format_duration

if TYPE_CHECKING:
    from pathlib import Path

    from napari.viewer import Viewer

    from napari_surfseg.gui.live import LivePreview
    from napari_surfseg.runs.follow import RunSnapshot

__all__ = ["LossCurvesWidget", "SurfaceTrainingWidget"]


class ActivityProgress(QObject):
    """The run's progress in napari's activity dock."""

    finished = Signal()

    def __init__(self, session: Session) -> None:
        super().__init__()
        self._session = session
        self._bar: Any = None
        session.polled.connect(self._on_polled)
        session.attached.connect(self._on_attached)
        session.closed.connect(self.close)

    def close(self) -> None:
        """Take the bar away."""
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
            self._bar = progress(total=1000, desc=f"Training {snapshot.name}")
        moved = round(1000 * snapshot.progress) - self._bar.n
        if moved > 0:
            self._bar.update(moved)
        if snapshot.seconds_left is not None:
            self._bar.set_description(
                f"Training {snapshot.name}, {format_duration(snapshot.seconds_left)} left"
            )


class SurfaceTrainingWidget(QWidget):
    """Pick volumes, weigh the losses, start, and watch it learn.

    Parameters
    ----------
    napari_viewer : napari.Viewer
        Where the volumes are and the live layers appear.
    """

    def __init__(self, napari_viewer: Viewer) -> None:
        super().__init__()
        self.setObjectName("surface_training_widget")
        self._viewer = napari_viewer
        self.session = get_session(napari_viewer)
        self.view = TrainingView()
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(self.view)
        # Without this, napari puts a stretch below and the pages get half the height.
        self.setSizePolicy(QSizePolicy.Policy.Preferred, QSizePolicy.Policy.Expanding)
        self.controller = TrainingController(napari_viewer, self.view, self.session)
        self.live = LiveController(napari_viewer, self.session)
        self.activity = ActivityProgress(self.session)
        self.view.run.live_toggled.connect(self.live.set_enabled)
        self.view.run.curves_clicked.connect(self.show_curves)
        self.live.shown.connect(self._on_shown)
        self.controller.started.connect(self._on_started)
        self.session.closed.connect(self._on_session_closed)

    def _on_started(self, _run_dir: Path) -> None:
        self.show_curves()

    def _on_shown(self, preview: LivePreview) -> None:
        self.view.run.set_shown_preview(f"step {preview.step}")

    def show_curves(self) -> None:
        """Open the dock with the loss curves below the canvas, or bring it to the front."""
        window = find_main_window(self)
        shown = window.findChild(LossCurvesWidget) if window is not None else None
        if shown is None:
            self._viewer.window.add_dock_widget(
                LossCurvesWidget(self._viewer), name="Loss curves", area="bottom"
            )
            return
        dock = shown.parentWidget()
        while dock is not None and not isinstance(dock, QDockWidget):
            dock = dock.parentWidget()
        if dock is not None:
            dock.show()
            dock.raise_()

    def _on_session_closed(self) -> None:
        self.live.close()
        self.controller.close()

    def showEvent(self, event: Any) -> None:  # noqa: N802
        """Watch for the window's closing from the first time it is shown."""
        super().showEvent(event)
        CloseGuard.install(self, self.session)


class LossCurvesWidget(QWidget):
    """The curves of the session's run.

    Parameters
    ----------
    napari_viewer : napari.Viewer
        Takes the curves as layers on demand.
    """

    def __init__(self, napari_viewer: Viewer) -> None:
        super().__init__()
        self.setObjectName("loss_curves_widget")
        self._viewer = napari_viewer
        self.session = get_session(napari_viewer)
        self.panel = CurvesPanel()
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(self.panel)
        self._closed = False
        self.session.attached.connect(self._on_attached)
        self.session.polled.connect(self._on_polled)
        self.session.closed.connect(self.release)
        self.panel.add_to_viewer_requested.connect(self._on_add)
        if self.session.run_dir is not None:
            self.panel.set_run(self.session.run_dir.name)
            self.panel.add_events(self.session.history)

    def _on_attached(self, run_dir: Path) -> None:
        self.panel.set_run(run_dir.name)

    def _on_polled(self, snapshot: RunSnapshot) -> None:
        self.panel.add_events(snapshot.new_events)

    def _on_add(self, layers: list[Any]) -> None:
        extent = self._viewer.layers.extent.world if len(self._viewer.layers) else None
        for layer in layers:
            if extent is not None and extent.shape[1] >= 2:
                # Beside what is there, as wide as it: on top they would hide the volume.
                width = max(float(extent[1, -1] - extent[0, -1]), 1.0)
                size = width / 200.0
                layer.scale = (size, size)
                layer.translate = (float(extent[0, -2]), float(extent[1, -1]) + 0.05 * width)
            self._viewer.add_layer(layer)

    def release(self) -> None:
        """Let go of the embedded canvas."""
        if not self._closed:
            self._closed = True
            self.panel.close_canvas()

    def closeEvent(self, event: Any) -> None:  # noqa: N802
        """Close the canvas with the dock."""
        self.release()
        super().closeEvent(event)
