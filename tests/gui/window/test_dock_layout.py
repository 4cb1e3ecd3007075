"""The docks fit a laptop's screen, and a narrow column of it."""

import pytest
from napari._qt.qt_resources import get_stylesheet
from qtpy.QtCore import Qt
from qtpy.QtWidgets import QApplication, QPushButton, QScrollArea, QStyle, QWidget

from napari_surfseg.gui.predict.view import PredictView
from napari_surfseg.gui.proofread.view import ProofreadView
from napari_surfseg.gui.run_session.session import get_session
from napari_surfseg.gui.run_table.view import RunsView
from napari_surfseg.gui.strokes.brush import BrushButton
from napari_surfseg.gui.training.view import TrainingView
from napari_surfseg.gui.window.dock_layout import CURVES_HEIGHT, find_dock
from napari_surfseg.runs.folder import RunState
from napari_surfseg.runs.follow import RunSnapshot

PLUGIN = "napari-surfseg"
WIDTH = 300
#: What the menu, the status bar and the tabs leave of 800 pixels.
HEIGHT = 700
SIDE = ("Surface training", "Predict surfaces", "Runs", "Proofread")


def show_everything(view):
    """Unfold what is folded and say what may be said, so that all that can ask for width does."""
    for widget in view.findChildren(QWidget):
        if not widget.isWindow() and widget.isHidden() and "error" not in widget.objectName():
            widget.setVisible(True)
    if isinstance(view, TrainingView):
        view.data.add_pair()
        meanings = {0: "ignore", 1: "foreground", 2: "background"}
        view.data.labels.set_values({0: 204_800_000, 1: 0, 2: 0}, meanings, {})
        view.set_snapshot(RunSnapshot(state=RunState.RUNNING, name="scroll"))
        colors = {"foreground": (1, 0, 0, 1), "background": (0, 0, 1, 1), "ignore": None}
        texts = {"foreground": "Surface", "background": "Background", "ignore": "Not annotated"}
        view.strokes.brush.set_buttons(
            {
                meaning: BrushButton(value, color, texts[meaning], "Paint it.")
                for value, (meaning, color) in enumerate(colors.items())
            },
            "foreground",
        )


@pytest.mark.parametrize("make", [TrainingView, PredictView, RunsView, ProofreadView])
def test_every_page_is_whole_in_a_narrow_dock(qtbot, make):
    view = make()
    qtbot.addWidget(view)
    view.setStyleSheet(get_stylesheet("dark"))
    view.resize(WIDTH, HEIGHT)
    view.show()
    show_everything(view)
    QApplication.processEvents()
    assert view.minimumSizeHint().width() <= WIDTH
    assert view.minimumWidth() <= WIDTH
    assert view.minimumSizeHint().height() <= HEIGHT
    for button in view.findChildren(QPushButton):
        if button.isVisible() and button.text():
            assert button.width() >= button.sizeHint().width(), button.objectName()
    bar = view.style().pixelMetric(QStyle.PixelMetric.PM_ScrollBarExtent)
    for area in view.findChildren(QScrollArea):
        needed = area.widget().minimumSizeHint().width()
        assert needed <= WIDTH - bar, f"{area.objectName()} needs {needed} pixels"


def test_five_docks_fit_a_laptops_screen(qtbot, make_napari_viewer):
    viewer = make_napari_viewer(show=True)
    window = viewer.window._qt_window
    window.resize(1280, 800)
    docks = {}
    for name in (*SIDE, "Loss curves"):
        dock, _widget = viewer.window.add_plugin_dock_widget(PLUGIN, name)
        QApplication.processEvents()
        docks[name] = dock
    qtbot.waitUntil(lambda: docks["Loss curves"].height() == CURVES_HEIGHT)
    side = [docks[name] for name in SIDE]
    assert {window.dockWidgetArea(dock) for dock in side} == {Qt.DockWidgetArea.RightDockWidgetArea}
    assert set(window.tabifiedDockWidgets(side[0])) == set(side[1:])
    assert window.dockWidgetArea(docks["Loss curves"]) == Qt.DockWidgetArea.BottomDockWidgetArea
    for ndisplay in (3, 2):
        viewer.dims.ndisplay = ndisplay
        QApplication.processEvents()
        assert window.minimumSizeHint().height() <= 800
        assert (window.width(), window.height()) == (1280, 800)
    get_session(viewer).close()


def test_a_dock_stays_where_a_person_puts_it(qtbot, make_napari_viewer):
    viewer = make_napari_viewer(show=True)
    window = viewer.window._qt_window
    dock, widget = viewer.window.add_plugin_dock_widget(PLUGIN, "Runs")
    qtbot.waitUntil(lambda: dock.windowTitle() == "Runs")
    assert find_dock(widget) == (window, dock)
    window.addDockWidget(Qt.DockWidgetArea.LeftDockWidgetArea, dock)
    dock.hide()
    dock.show()
    QApplication.processEvents()
    assert window.dockWidgetArea(dock) == Qt.DockWidgetArea.LeftDockWidgetArea
    get_session(viewer).close()
