"""A person in front of the real window: clicks, paints, waits and looks at the screen."""

import contextlib
import importlib

import numpy as np
import psutil
import pytest
from qtpy.QtCore import QEvent, QPointF, Qt
from qtpy.QtGui import QMouseEvent
from qtpy.QtTest import QTest
from qtpy.QtWidgets import QApplication, QPushButton

from napari_surfseg.gui.layers.camera import camera_of
from napari_surfseg.gui.run_session.session import get_session
from napari_surfseg.runs.lock import is_alive

# napari imports it with the first layer. pytest parses what it imports of napari, and Python 3.11
# ends with a SystemError where two threads parse at once.
with contextlib.suppress(ImportError):
    importlib.import_module("napari.components.histogram")

#: A loaded machine takes long to import torch; a healthy one needs a tenth of this.
PATIENCE_SECONDS = 150


@pytest.fixture(autouse=True)
def plain_machine(as_installed):
    """Nothing that a person set on this machine counts here."""


@pytest.fixture
def viewer(make_napari_viewer):
    """A real window of a laptop's size, whose run ends with the test."""
    viewer = make_napari_viewer(show=True)
    viewer.window._qt_window.move(0, 0)
    viewer.window.resize(1280, 800)
    yield viewer
    session = get_session(viewer)
    # A test that failed leaves its worker behind, and the window would ask what to do with it.
    worker = session.snapshot.worker if session.snapshot is not None else None
    if session.is_own and worker is not None and is_alive(worker):
        psutil.Process(worker.pid).kill()
    session.is_own = False
    session.close()


@pytest.fixture
def wait_for(screen):
    """Wait until something is so, while the window lives; the test fails where it never is."""

    def wait(condition, what):
        assert screen.run(PATIENCE_SECONDS, condition), f"waited in vain for {what}"

    return wait


class Person:
    """Clicks and paints in a window, and looks at its canvas on the screen."""

    def __init__(self, viewer, screen):
        self.viewer = viewer
        self.screen = screen
        self.canvas = viewer.window._qt_viewer.canvas.native

    def click(self, name):
        """Click the button of this objectName, which must be there and enabled."""
        (button,) = [
            found
            for found in self.viewer.window._qt_window.findChildren(QPushButton, name)
            if found.isVisible()
        ]
        assert button.isEnabled(), name
        QTest.mouseClick(button, Qt.MouseButton.LeftButton)

    def paint(self, places):
        """Drag the mouse over places (Y, X voxels) of the slice that is shown."""
        points = [QPointF(*self.to_canvas(place)[::-1]) for place in places]
        left, none = Qt.MouseButton.LeftButton, Qt.MouseButton.NoButton
        moves = [(QEvent.Type.MouseMove, points[0], none, none)]
        moves.append((QEvent.Type.MouseButtonPress, points[0], left, left))
        moves += [(QEvent.Type.MouseMove, point, none, left) for point in points[1:]]
        moves.append((QEvent.Type.MouseButtonRelease, points[-1], left, none))
        for kind, point, button, buttons in moves:
            place = QPointF(self.canvas.mapToGlobal(point.toPoint()))
            event = QMouseEvent(kind, point, place, button, buttons, Qt.KeyboardModifier.NoModifier)
            QApplication.sendEvent(self.canvas, event)
            QApplication.processEvents()

    def to_canvas(self, place):
        """Return the pixel (Y, X) of the canvas that shows a place of the world."""
        camera = camera_of(self.viewer)
        middle = np.array([self.canvas.height(), self.canvas.width()]) / 2
        return middle + (np.asarray(place) - np.asarray(camera.center)[-2:]) * camera.zoom

    def sees(self, is_color):
        """Count the canvas's pixels on the screen for which a function of R, G, B is true."""
        return int(is_color(*np.moveaxis(self.screen.grab(self.canvas).astype(int), -1, 0)).sum())


@pytest.fixture
def person(viewer, screen):
    """Whoever sits in front of the window."""
    return Person(viewer, screen)
