"""What "Runs" does; a stand-in for the view, no window."""

from unittest.mock import Mock

import pytest
from tests.gui.conftest import step_event

from napari_surfseg.config import Experiment
from napari_surfseg.events import EventWriter
from napari_surfseg.gui.run_table.controller import RunsController, RunsViewProtocol
from napari_surfseg.runs.folder import RunFolder


@pytest.fixture
def view():
    view = Mock(spec=RunsViewProtocol)
    view.selected.return_value = []
    view.open_on_desktop.return_value = True
    return view


@pytest.fixture
def launched():
    return []


@pytest.fixture
def controller(view, session, jobs, run, tmp_path, launched):
    controller = RunsController(
        view, session, launch=lambda *a, **k: launched.append((a, k)), jobs=jobs, folder=tmp_path
    )
    yield controller
    controller.close()


def last(setter):
    """What the view shows, as it was set last."""
    return setter.call_args.args[0]


def test_the_runs_of_the_folder_are_shown(controller, view, tmp_path):
    assert last(view.set_folder) == tmp_path
    assert [row.path.name for row in last(view.set_runs)] == ["first"]
    RunFolder(tmp_path / "second").create(Experiment())
    controller.refresh()
    assert {row.path.name for row in last(view.set_runs)} == {"first", "second"}
    controller.set_folder(str(tmp_path / "missing"))
    assert last(view.set_runs) == []


def test_a_run_is_attached_resumed_and_revealed(controller, view, session, run, launched):
    controller.attach()
    assert session.run_dir is None  # nothing is selected
    view.selected.return_value = [str(run.path)]
    controller.attach()
    assert session.run_dir == run.path
    controller.resume()
    assert launched == [((run.path,), {"resume": False})]
    assert session.is_own
    controller.reveal()
    assert last(view.open_on_desktop) == run.path
    view.open_on_desktop.return_value = False
    controller.reveal()
    assert last(view.set_error) == f"This desktop has no program to open {run.path}."


def test_a_report_is_written_only_where_there_is_none(controller, view, run, monkeypatch):
    written = []
    monkeypatch.setattr("napari_surfseg.runs.report.page.write_report", written.append)
    view.selected.return_value = [str(run.path)]
    controller.report()
    assert written == [run.path]
    assert last(view.open_on_desktop) == run.report_path
    run.report_path.write_text("mine")
    controller.report()
    assert len(written) == 1


def test_an_attached_run_brings_its_folder(controller, view, session, tmp_path):
    other = RunFolder(tmp_path / "elsewhere" / "third").create(Experiment())
    session.attach(other.path)
    assert last(view.set_folder) == tmp_path / "elsewhere"
    assert [row.path for row in last(view.set_runs)] == [other.path]


def test_two_runs_are_compared(controller, view, session, run, writer, tmp_path):
    writer.write(step_event(1))
    other = RunFolder(tmp_path / "second").create(Experiment())
    EventWriter(other.events_path).write(step_event(7))
    compared = []
    controller.comparing.connect(lambda *given: compared.append(given))
    view.selected.return_value = [str(run.path), str(other.path)]
    controller.compare()
    ((second, events),) = compared
    assert (session.run_dir, second) == (run.path, other.path)
    assert [event.step for event in events] == [7]
    # The run that is shown already stays the first.
    session.attach(other.path)
    controller.compare()
    assert session.run_dir == other.path
    assert compared[-1][0] == run.path
