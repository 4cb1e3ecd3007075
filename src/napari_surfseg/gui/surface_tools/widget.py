"""The dock "Surface tools", as napari makes it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from qtpy.QtWidgets import QSizePolicy, QVBoxLayout, QWidget

from napari_surfseg.gui.run_session.session import get_session
from napari_surfseg.gui.surface_tools.controller import ToolsController
from napari_surfseg.gui.surface_tools.view import ToolsView
from napari_surfseg.gui.window.dock_layout import DockPlacer

if TYPE_CHECKING:
    from napari.viewer import Viewer

__all__ = ["SurfaceToolsWidget"]


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
        self.session.closed.connect(self.controller.close)
