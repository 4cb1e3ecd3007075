"""The dock "Topology errors", as napari makes it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from qtpy.QtWidgets import QSizePolicy, QVBoxLayout, QWidget

from napari_surfseg.gui.run_session.session import get_session
from napari_surfseg.gui.topology.controller import TopologyController
from napari_surfseg.gui.topology.view import TopologyView
from napari_surfseg.gui.window.dock_layout import DockPlacer

if TYPE_CHECKING:
    from napari.viewer import Viewer

__all__ = ["TopologyErrorsWidget"]


class TopologyErrorsWidget(QWidget):
    """The dock "Topology errors".

    Parameters
    ----------
    napari_viewer : napari.Viewer
        Where volumes come from and marks go.
    """

    dock_name = "Topology errors"

    def __init__(self, napari_viewer: Viewer) -> None:
        super().__init__()
        self.setObjectName("topology_errors_widget")
        DockPlacer(self, "Errors")
        self.session = get_session(napari_viewer)
        self.view = TopologyView()
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(self.view)
        self.setSizePolicy(QSizePolicy.Policy.Preferred, QSizePolicy.Policy.Expanding)
        self.controller = TopologyController(napari_viewer, self.view)
        self.session.closed.connect(self.controller.close)
