"""The dock "Proofread", as napari makes it."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from qtpy.QtWidgets import QSizePolicy, QVBoxLayout, QWidget

from napari_surfseg.gui.proofread.controller import ProofreadController
from napari_surfseg.gui.proofread.view import ProofreadView
from napari_surfseg.gui.run_session.session import get_session
from napari_surfseg.gui.window.dock_layout import DockPlacer, open_plugin_dock

if TYPE_CHECKING:
    from napari.viewer import Viewer

__all__ = ["ProofreadWidget"]


class ProofreadWidget(QWidget):
    """The dock "Proofread".

    Parameters
    ----------
    napari_viewer : napari.Viewer
        Where volumes come from and marks go.
    """

    dock_name = "Proofread"

    def __init__(self, napari_viewer: Viewer) -> None:
        super().__init__()
        self.setObjectName("proofread_widget")
        DockPlacer(self, "Proofread")
        self.session = get_session(napari_viewer)
        self.view = ProofreadView()
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(self.view)
        self.setSizePolicy(QSizePolicy.Policy.Preferred, QSizePolicy.Policy.Expanding)
        self.controller = ProofreadController(napari_viewer, self.view, self.session)
        self.controller.teaching.open_training = partial(
            open_plugin_dock, napari_viewer, "Surface training", self
        )
        self.session.closed.connect(self.controller.close)
