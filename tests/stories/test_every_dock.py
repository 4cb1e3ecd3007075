"""What holds for the widgets of every dock."""

import os
import subprocess
import sys

import pytest
from qtpy.QtWidgets import (
    QAbstractButton,
    QAbstractSlider,
    QAbstractSpinBox,
    QComboBox,
    QLineEdit,
    QProgressBar,
    QScrollBar,
    QWidget,
)

from napari_surfseg.gui.predict.view import PredictView
from napari_surfseg.gui.proofread.view import ProofreadView
from napari_surfseg.gui.run_table.view import RunsView
from napari_surfseg.gui.surface_tools.view import ToolsView
from napari_surfseg.gui.training.view import TrainingView


@pytest.mark.parametrize("make", [TrainingView, PredictView, RunsView, ProofreadView, ToolsView])
def test_every_control_has_a_name_and_a_tooltip(qtbot, make):
    view = make()
    qtbot.addWidget(view)
    kinds = (
        QAbstractButton,
        QAbstractSlider,
        QAbstractSpinBox,
        QComboBox,
        QLineEdit,
        QProgressBar,
    )
    inner = (QAbstractSpinBox, QComboBox, QScrollBar)
    seen = set()
    for control in view.findChildren(QWidget):
        if not isinstance(control, kinds) or isinstance(control, QScrollBar):
            continue
        if isinstance(control.parentWidget(), inner):
            continue
        name = control.objectName()
        if name.startswith("qt_") or name in {"ScrollLeftButton", "ScrollRightButton"}:
            continue  # parts of Qt's own composed widgets
        assert name, f"a {type(control).__name__} has no name"
        assert name == name.lower().replace(" ", "_")
        assert name not in seen, name
        seen.add(name)
        assert control.toolTip(), name
    assert len(seen) > 4


@pytest.mark.parametrize("make", [TrainingView, PredictView, RunsView, ProofreadView, ToolsView])
def test_the_widgets_fit_a_small_screen(qtbot, make):
    view = make()
    qtbot.addWidget(view)
    assert view.minimumSizeHint().width() <= 420
    assert view.minimumSizeHint().height() <= 700


#: The controllers of these docks, each with a stand-in for its view, where QtWidgets is missing.
WITHOUT_WIDGETS = """
import sys
sys.modules["PyQt6.QtWidgets"] = sys.modules["PySide6.QtWidgets"] = None
from unittest.mock import Mock
import numpy as np
from napari.components import ViewerModel
from qtpy.QtCore import QCoreApplication
from napari_surfseg.gui.predict.controller import PredictController, PredictViewProtocol
from napari_surfseg.gui.run_session.session import Session
from napari_surfseg.gui.run_table.controller import RunsController, RunsViewProtocol
from napari_surfseg.gui.proofread.controller import ProofreadController, ProofreadViewProtocol

application = QCoreApplication([])
viewer, session = ViewerModel(), Session()
viewer.add_image(np.zeros((4, 4, 4)), name="scan")
viewer.add_labels(np.zeros((4, 4, 4), np.uint8), name="sheet")
views = [Mock(spec=one) for one in (PredictViewProtocol, ProofreadViewProtocol, RunsViewProtocol)]
predict, topology, runs = views
predict.lost_volume.return_value = ""
predict.form.return_value.source = topology.source.return_value = None
topology.meanings.return_value = {1: "foreground"}
topology.lost.return_value = ""
topology.current.return_value = None
runs.selected.return_value = []
controllers = [
    PredictController(viewer, predict, session),
    ProofreadController(viewer, topology, session),
    RunsController(runs, session),
]
controllers[0].predict()
predict.set_error.assert_called_with("Choose a volume: a layer or a file.")
controllers[1].find()
topology.show_error.assert_called_with(
    "Choose a prediction: a layer or a file.", "prediction"
)
controllers[2].attach()
runs.set_error.assert_called_with("")
for controller in controllers:
    controller.close()
session.close()
"""


def test_controllers_need_no_widgets(tmp_path):
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", WITHOUT_WIDGETS],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "HOME": str(tmp_path)},
    )
    assert done.returncode == 0, done.stderr
