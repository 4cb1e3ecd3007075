from qtpy.QtWidgets import QDockWidget, QMainWindow, QWidget

from napari_surfseg.gui.window.main_window import find_main_window


def test_a_dock_knows_its_window_floating_or_not(qtbot):
    window, widget = QMainWindow(), QWidget()
    qtbot.addWidget(window)
    dock = QDockWidget(window)
    dock.setWidget(widget)
    assert find_main_window(widget) is window
    dock.setFloating(True)
    assert find_main_window(widget) is window


def test_a_widget_in_no_window_has_none(qtbot):
    widget = QWidget()
    qtbot.addWidget(widget)
    assert find_main_window(widget) is None
