"""Stand-ins for the tests of the window: work done in place, and a run that a test controls."""

import inspect
from pathlib import Path
from types import SimpleNamespace

import pytest
from qtpy.QtCore import QObject, Signal

from napari_surfseg.config import Experiment
from napari_surfseg.errors import SurfsegError
from napari_surfseg.events import EventWriter, StepFinished, read_commands
from napari_surfseg.gui.run_session.session import Session
from napari_surfseg.gui.training.view import TrainingView
from napari_surfseg.runs.folder import RunFolder


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
    for spin in view.network.patch:
        spin.setValue(32)
    return view


@pytest.fixture
def run(tmp_path):
    """A run folder without a worker."""
    return RunFolder(tmp_path / "first").create(Experiment())


@pytest.fixture
def writer(run):
    """Writes the run's events as its worker does."""
    return EventWriter(run.events_path)


def step_event(number):
    """The event of a training step whose loss falls."""
    return StepFinished(
        step=number,
        epoch=1,
        losses={"soft_dice": 0.5},
        head_total=0.5,
        total=1.0 / number,
        learning_rate=0.1,
        gradient_norm=1.0,
        steps_per_second=1.0,
        elapsed_seconds=float(number),
        progress=0.1,
    )


def sent_commands(session):
    """What a session has sent to the worker of its run."""
    session._sender.submit(lambda: None).result(5)
    return read_commands(RunFolder(session.run_dir).commands_path)


@pytest.fixture
def satisfies():
    """Whether a view has all that a protocol names, with the same parameters.

    mypy cannot say so: every attribute of a class that derives from Qt's is Any to it.
    """

    def check(view, protocol):
        for name in dir(protocol):
            if name.startswith("_"):
                continue
            found = getattr(view, name)
            wanted = getattr(protocol, name)
            if not isinstance(wanted, property):
                assert inspect.signature(found) == inspect.signature(wanted), name
        return True

    return check
