"""The dock "Surface tools", as napari makes it."""

from __future__ import annotations

import weakref
from typing import TYPE_CHECKING, Any

from qtpy.QtWidgets import QSizePolicy, QVBoxLayout, QWidget

from napari_surfseg.gui.run_session.session import get_session
from napari_surfseg.gui.surface_tools.controller import ToolsController
from napari_surfseg.gui.surface_tools.view import ToolsView
from napari_surfseg.gui.window.dock_layout import DockPlacer

if TYPE_CHECKING:
    from napari.viewer import Viewer

    from napari_surfseg.gui.run_session.session import Session

__all__ = ["SurfaceToolsWidget"]

#: What was set in a dock that was closed.
_remembered: weakref.WeakKeyDictionary[Session, dict[str, Any]] = weakref.WeakKeyDictionary()


class SurfaceToolsWidget(QWidget):
    """The dock "Surface tools".

    Parameters
    ----------
    napari_viewer : napari.Viewer
        Where layers come from and results go.
    """

    dock_name = "Surface tools"

    def __init__(self, napari_viewer: Viewer) -> None:
        super().__init__()
        self.setObjectName("surface_tools_widget")
        DockPlacer(self, "Tools")
        self.session = get_session(napari_viewer)
        self.view = ToolsView()
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(self.view)
        self.setSizePolicy(QSizePolicy.Policy.Preferred, QSizePolicy.Policy.Expanding)
        self.controller = ToolsController(napari_viewer, self.view)
        if self.session in _remembered:
            self.view.restore(_remembered[self.session])
        self.view.changed.connect(self._remember)
        self.session.closed.connect(self.controller.close)

    def _remember(self) -> None:
        """Keep what is set for the next time that the dock is opened beside this viewer."""
        _remembered[self.session] = self.view.state()
