"""The dock "Predict surfaces", as napari makes it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from qtpy.QtWidgets import QSizePolicy, QVBoxLayout, QWidget

from napari_surfseg.gui.predict.controller import PredictController
from napari_surfseg.gui.predict.view import PredictView
from napari_surfseg.gui.run_session.session import get_session
from napari_surfseg.gui.window.dock_layout import DockPlacer, open_plugin_dock

if TYPE_CHECKING:
    from napari.viewer import Viewer

__all__ = ["PredictWidget"]


class PredictWidget(QWidget):
    """The dock "Predict surfaces".

    Parameters
    ----------
    napari_viewer : napari.Viewer
        Where volumes come from and results go.
    """

    dock_name = "Predict surfaces"

    def __init__(self, napari_viewer: Viewer) -> None:
        super().__init__()
        self.setObjectName("predict_surfaces_widget")
        DockPlacer(self, "Predict")
        self._viewer = napari_viewer
        self.session = get_session(napari_viewer)
        self.view = PredictView()
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(self.view)
        self.setSizePolicy(QSizePolicy.Policy.Preferred, QSizePolicy.Policy.Expanding)
        self.controller = PredictController(napari_viewer, self.view, self.session)
        self.controller.open_proofread = self._proofread
        self.session.closed.connect(self.controller.close)

    def _proofread(self, folder: str) -> None:
        """Open the dock "Proofread" for a prediction; this folder may not import it."""
        dock: Any = open_plugin_dock(self._viewer, "Proofread", self)
        if dock is not None:
            dock.controller.proofread(folder)
