"""The dock "Loss curves"."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Any

from qtpy.QtWidgets import QVBoxLayout, QWidget

from napari_surfseg.gui.curves.controller import CurvesController
from napari_surfseg.gui.curves.panel import CurvesPanel
from napari_surfseg.gui.curves.viewer_layers import add_curves
from napari_surfseg.gui.run_session.close_guard import CloseGuard
from napari_surfseg.gui.run_session.session import get_session
from napari_surfseg.gui.window.dock_layout import DockPlacer

if TYPE_CHECKING:
    from napari.viewer import Viewer

    from napari_surfseg.gui.curves.plot_line import Line

__all__ = ["LossCurvesWidget"]


class LossCurvesWidget(QWidget):
    """The curves of the session's run.

    Parameters
    ----------
    napari_viewer : napari.Viewer
        Takes the curves as layers on demand.
    """

    dock_name = "Loss curves"
    dock_area = "bottom"

    def __init__(self, napari_viewer: Viewer) -> None:
        super().__init__()
        self.setObjectName("loss_curves_widget")
        DockPlacer(self, "Curves", below_canvas=True)
        self._viewer = napari_viewer
        self.session = get_session(napari_viewer)
        self.panel = CurvesPanel()
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(self.panel)
        self._closed = False
        self.controller = CurvesController(self.panel, self.session)
        self.session.closed.connect(self.release)
        self.panel.add_to_viewer_requested.connect(self._on_add)
        napari_viewer.events.theme.connect(self._on_theme)
        self._on_theme()

    def _on_add(self, run: str, lines: list[Line]) -> None:
        add_curves(self._viewer, run, lines, self.panel.canvas)

    def _on_theme(self, _event: object = None) -> None:
        self.panel.set_theme(self._viewer.theme)

    def release(self) -> None:
        """Follow the run no longer and close the embedded canvas."""
        if not self._closed:
            self._closed = True
            self.controller.close()
            self._viewer.events.theme.disconnect(self._on_theme)
            with contextlib.suppress(RuntimeError):
                self.panel.close_canvas()

    def showEvent(self, event: Any) -> None:  # noqa: N802
        """Watch for the window's closing from the first time it is shown."""
        super().showEvent(event)
        CloseGuard.install(self, self.session)

    def closeEvent(self, event: Any) -> None:  # noqa: N802
        """Close the canvas with the dock."""
        self.release()
        super().closeEvent(event)
