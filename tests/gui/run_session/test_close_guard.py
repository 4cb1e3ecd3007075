import pytest
from qtpy.QtGui import QCloseEvent
from qtpy.QtWidgets import QMainWindow
from tests.gui.conftest import sent_commands

from napari_surfseg.events import Stop
from napari_surfseg.gui.run_session.close_guard import CloseGuard
from napari_surfseg.runs.folder import RunState
from napari_surfseg.runs.follow import RunSnapshot


@pytest.fixture
def window(qtbot):
    window = QMainWindow()
    qtbot.addWidget(window)
    return window


@pytest.fixture
def training(session, feeds, run):
    """A run that this window started and that trains."""
    session.attach(run.path, own=True)
    feeds[-1].polled.emit(RunSnapshot(state=RunState.RUNNING))


@pytest.mark.parametrize("answer", ["keep", "stop", "cancel"])
def test_a_person_decides_what_becomes_of_the_run(window, session, training, answer):
    guard = CloseGuard(window, session)
    guard.ask = lambda: answer
    event = QCloseEvent()
    assert guard.eventFilter(window, event) == (answer == "cancel")
    assert event.isAccepted() == (answer != "cancel")
    kinds = [type(command) for command in sent_commands(session)]
    assert kinds == ([Stop] if answer == "stop" else [])


def test_the_session_ends_with_the_window(window, session, training, qtbot):
    guard = CloseGuard(window, session)
    guard.ask = lambda: "keep"
    window.show()
    with qtbot.waitSignal(session.closed):
        window.close()


def test_a_run_of_another_window_is_not_asked_about(window, session, feeds, run):
    session.attach(run.path)
    feeds[-1].polled.emit(RunSnapshot(state=RunState.RUNNING))
    guard = CloseGuard(window, session)
    guard.ask = None  # calling it would raise
    assert not guard.eventFilter(window, QCloseEvent())
