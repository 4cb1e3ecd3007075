"""The dock "Runs", as napari makes it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from qtpy.QtWidgets import QSizePolicy, QVBoxLayout, QWidget

from napari_surfseg.gui.curves.widget import LossCurvesWidget
from napari_surfseg.gui.run_session.session import get_session
from napari_surfseg.gui.run_table.controller import RunsController
from napari_surfseg.gui.run_table.view import RunsView
from napari_surfseg.gui.window.dock_layout import DockPlacer, show_dock

if TYPE_CHECKING:
    from pathlib import Path

    from napari.viewer import Viewer

__all__ = ["RunsWidget"]


class RunsWidget(QWidget):
    """The dock "Runs".

    Parameters
    ----------
    napari_viewer : napari.Viewer
        Whose session shows an attached run.
    """

    dock_name = "Runs"

    def __init__(self, napari_viewer: Viewer) -> None:
        super().__init__()
        self.setObjectName("runs_widget")
        DockPlacer(self, "Runs")
        self._viewer = napari_viewer
        self.session = get_session(napari_viewer)
        self.view = RunsView()
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(self.view)
        self.setSizePolicy(QSizePolicy.Policy.Preferred, QSizePolicy.Policy.Expanding)
        self.controller = RunsController(self.view, self.session)
        self.controller.attached.connect(self._on_attached)
        self.controller.comparing.connect(self._on_comparing)
        self.session.closed.connect(self.controller.close)

    def _on_attached(self, _run_dir: Path) -> None:
        show_dock(LossCurvesWidget, self._viewer, self)

    def _on_comparing(self, run_dir: Path, events: list[Any]) -> None:
        shown = show_dock(LossCurvesWidget, self._viewer, self)
        shown.panel.set_run(run_dir.name, slot=1)
        shown.panel.add_events(events, slot=1)
