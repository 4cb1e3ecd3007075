"""Stand-ins for the window's tests: work done at once, a run that says what it is told."""

from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from qtpy.QtCore import QObject, Signal
from qtpy.QtGui import QColor, QImage

from napari_surfseg.errors import SurfsegError
from napari_surfseg.gui.run_session.session import Session
from napari_surfseg.gui.training.view import TrainingView
from napari_surfseg.gui.window import preferences
from napari_surfseg.gui.window.screen import grab_screen, live


@pytest.fixture(autouse=True)
def no_preferences(monkeypatch):
    """Nothing that a person set on this machine counts here."""
    monkeypatch.setattr(preferences, "read_preferences", preferences.Preferences)


@pytest.fixture(autouse=True)
def no_warm_up(monkeypatch):
    """Opening the widget starts no process here."""
    monkeypatch.setattr("napari_surfseg.gui.training.widget.prepare_standby", lambda: None)


class JobsAtOnce:
    """Does in place what the window does in threads."""

    def start(self, _name, work, *, done, failed, progressed=None):
        job = SimpleNamespace(is_cancelled=lambda: False, report=progressed or (lambda _x: None))
        try:
            outcome = work(job)
        except SurfsegError as error:
            failed(error)
        else:
            done(outcome)

    def cancel(self, name):
        """Nothing is under way."""

    def cancel_all(self):
        """Nothing is under way."""


class FakeFeed(QObject):
    """Says what a test makes it say."""

    polled = Signal(object)
    preview_loaded = Signal(object)
    previews_changed = Signal(object)
    broke = Signal(str)

    def __init__(self, run_dir: Path):
        super().__init__()
        self.run_dir = run_dir
        self.wishes = []
        self.running = False

    def start(self):
        self.running = True

    def stop(self, **_options):
        self.running = False

    def show_preview(self, index):
        self.wishes.append(index)


@pytest.fixture
def jobs():
    return JobsAtOnce()


@pytest.fixture
def feeds():
    """Every feed that was made, newest last."""
    return []


@pytest.fixture
def session(qapp, feeds):
    def make(run_dir):
        feeds.append(FakeFeed(run_dir))
        return feeds[-1]

    session = Session(make)
    yield session
    session.close()


@pytest.fixture
def view(qtbot):
    """The training widget, with patches that fit small volumes."""
    view = TrainingView()
    qtbot.addWidget(view)
    for spin in view.patch:
        spin.setValue(32)
    return view


class Screen:
    """Looks at the screen as a person does, while Qt's own event loop runs.

    ``QWidget.grab`` and ``viewer.screenshot`` draw again for the picture, and so show what a
    person may never see.
    """

    def run(self, seconds, until=None):
        """Run Qt's own event loop, with nothing in between, at most so long.

        Returns whether ``until`` came true (always True without one).
        """
        return live(seconds, until)

    def grab(self, widget=None):
        """Return what the screen shows, (height, width, 3) uint8; of a widget's place, if given."""
        picture = grab_screen(widget).toImage()
        if picture.isNull():
            pytest.skip("this platform draws on no screen")
        picture = picture.convertToFormat(QImage.Format.Format_RGB888)
        bits = picture.constBits()
        if hasattr(bits, "setsize"):  # PyQt gives a pointer, PySide a buffer
            bits.setsize(picture.sizeInBytes())
        rows = np.frombuffer(bits, np.uint8).reshape(picture.height(), picture.bytesPerLine())
        return rows[:, : 3 * picture.width()].reshape(picture.height(), -1, 3).copy()

    def count(self, widget, color, tolerance=40):
        """Count the pixels of a widget's place on the screen that have about this colour."""
        wanted = np.array(QColor(color).getRgb()[:3], int)
        return int((np.abs(self.grab(widget).astype(int) - wanted).max(axis=-1) < tolerance).sum())


@pytest.fixture
def screen(qapp):
    """The real screen; the test is skipped where there is none."""
    return Screen()
