"""Launchers are offered, and that of the run that is followed is chosen."""

from unittest.mock import Mock

import pytest
from tests.gui.training.stand_ins import JobsInPlace, mock_session, mock_view

from napari_surfseg.gui.training import where_controller
from napari_surfseg.gui.training.form import TrainingForm
from napari_surfseg.gui.training.protocols import TrainingViewProtocol
from napari_surfseg.gui.training.where_controller import WhereController
from napari_surfseg.runs.follow import RunSnapshot
from napari_surfseg.runs.launch_record import LaunchRecord


@pytest.fixture
def looked(monkeypatch):
    found = Mock(return_value=[])
    monkeypatch.setattr(where_controller, "list_launchers", found)
    return found


def test_a_run_that_is_opened_shows_where_it_is_trained(tmp_path, looked):
    view, session = mock_view(TrainingViewProtocol), mock_session(run_dir=tmp_path)
    view.form.return_value = TrainingForm(folder=str(tmp_path))
    controller = WhereController(view, session, JobsInPlace())
    looked.assert_called_once_with(tmp_path)
    view.set_launcher.assert_not_called()
    record = LaunchRecord(launcher="gpu", title="workstation")
    session.polled.emit(RunSnapshot(launch=record))
    view.set_launcher.assert_called_once_with("gpu")
    # A person may choose another one for the next run.
    session.polled.emit(RunSnapshot(launch=record))
    view.set_launcher.assert_called_once_with("gpu")
    view.launchers_wanted.emit()
    assert looked.call_count == 3
    controller.close()
    assert not session.polled.slots
