"""Stand-ins for the window's tests: work done at once, a run that says what it is told."""

from pathlib import Path
from types import SimpleNamespace

import pytest
from qtpy.QtCore import QObject, Signal

from napari_surfseg.errors import SurfsegError
from napari_surfseg.gui.run_session.session import Session
from napari_surfseg.gui.training.view import TrainingView


@pytest.fixture(autouse=True)
def plain_machine(as_installed):
    """Nothing that a person set on this machine counts here."""


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
    follow_failed = Signal(str)

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
