"""The curves follow the run of the session; no window is needed."""

from unittest.mock import Mock

import pytest

from napari_surfseg.events import RunPaused
from napari_surfseg.gui.curves.controller import CurvesController, CurvesViewProtocol
from napari_surfseg.runs.folder import RunState
from napari_surfseg.runs.follow import RunSnapshot

EVENT = RunPaused(step=3)


@pytest.fixture
def view():
    return Mock(spec=CurvesViewProtocol)


def test_a_run_that_is_attached_fills_the_curves(view, session, feeds, tmp_path):
    controller = CurvesController(view, session)
    session.attach(tmp_path)
    view.set_run.assert_called_once_with(tmp_path.name)
    feeds[-1].polled.emit(RunSnapshot(state=RunState.RUNNING, new_events=(EVENT,)))
    view.add_events.assert_called_once_with((EVENT,))
    view.redraw_now.assert_not_called()
    feeds[-1].polled.emit(RunSnapshot(state=RunState.COMPLETED))
    view.redraw_now.assert_called_once_with()
    controller.close()


def test_curves_opened_during_a_run_show_what_happened_before(view, session, feeds, tmp_path):
    session.attach(tmp_path)
    feeds[-1].polled.emit(RunSnapshot(state=RunState.RUNNING, new_events=(EVENT,)))
    controller = CurvesController(view, session)
    view.set_run.assert_called_once_with(tmp_path.name)
    view.add_events.assert_called_once_with((EVENT,))
    controller.close()


def test_a_closed_controller_follows_no_longer(view, session, feeds, tmp_path):
    controller = CurvesController(view, session)
    session.attach(tmp_path)
    controller.close()
    feeds[-1].polled.emit(RunSnapshot(state=RunState.RUNNING, new_events=(EVENT,)))
    view.add_events.assert_not_called()
