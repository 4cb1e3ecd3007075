"""What "Runs" does; a stand-in for the view, no window."""

from unittest.mock import Mock

import pytest
from tests.gui.conftest import step_event

from napari_surfseg.config import Experiment
from napari_surfseg.errors import CancelledError, OutputError
from napari_surfseg.events import EventWriter
from napari_surfseg.gui.run_table import controller as module
from napari_surfseg.gui.run_table import share_defaults
from napari_surfseg.gui.run_table.controller import RunsController, RunsViewProtocol
from napari_surfseg.runs.folder import RunFolder
from napari_surfseg.sharing.settings import ShareSettings


@pytest.fixture
def view():
    view = Mock(spec=RunsViewProtocol)
    view.selected.return_value = []
    view.open_on_desktop.return_value = True
    view.share_format.return_value = "bioimageio"
    view.share_settings.return_value = ShareSettings("Cells", ("A. Person",), "CC0-1.0")
    view.choose_output.side_effect = lambda suggested: suggested
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
    assert launched == [((run.path,), {"resume": False, "launcher": None})]
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


@pytest.fixture
def shared(monkeypatch, tmp_path):
    """What was shared, instead of by a process; ``error`` is raised if there is one."""

    def share(run, output, kind, _process, settings):
        share.calls.append((run, output, kind))
        share.settings = settings
        if share.error is not None:
            raise share.error
        return output

    share.calls, share.error = [], None
    monkeypatch.setattr(share_defaults, "find_file", lambda: tmp_path / "kept" / "share.yaml")
    monkeypatch.setattr(module, "share_run", share)
    monkeypatch.setattr("napari_surfseg.sharing.settings._is_installed", lambda _name: True)
    return share


def test_a_run_is_shared_beside_it(controller, view, run, shared, tmp_path):
    controller.share()
    assert shared.calls == []  # nothing is selected
    view.selected.return_value = [str(run.path)]
    controller.share()
    output = tmp_path / "first_shared.zip"
    assert shared.calls == [(run.path, output, "bioimageio")]
    assert last(view.set_state) == f"bioimage.io package (a .zip): {output}, licence CC0-1.0."
    assert shared.settings.title == "Cells"
    kept = ShareSettings(authors=("A. Person",), licence="CC0-1.0")
    assert share_defaults.read_share_settings() == kept  # a title is one network's
    assert [call.args for call in view.set_busy.call_args_list] == [(True,), (False,)]
    assert last(view.set_error) == ""
    view.ask.assert_not_called()


@pytest.mark.parametrize("error", [CancelledError, OutputError])
def test_what_ends_an_export_is_said(controller, view, run, shared, error):
    view.selected.return_value = [str(run.path)]
    shared.error = error("It ended.")
    controller.share()
    assert last(view.set_state) == "Nothing was written."
    assert last(view.set_error) == "It ended."
    assert last(view.set_busy) is False


def test_a_file_is_replaced_only_if_a_person_says_so(controller, view, run, shared, tmp_path):
    view.selected.return_value = [str(run.path)]
    mine = tmp_path / "mine.zip"
    mine.touch()
    view.choose_output.side_effect = lambda _suggested: tmp_path / "mine"
    view.ask.return_value = False
    controller.share()
    assert last(view.ask) == f"{mine} exists already. Replace it?"
    assert shared.calls == []
    view.ask.return_value = True
    controller.share()
    assert shared.calls == [(run.path, mine, "bioimageio")]


def test_what_cannot_be_shared_is_said_before_it_begins(
    controller, view, run, shared, tmp_path, monkeypatch
):
    view.selected.return_value = [str(run.path)]
    view.choose_output.side_effect = lambda _suggested: None
    controller.share()
    assert last(view.set_error) == ""  # a person thought better of it
    for chosen, kind, said in (
        (run.path, "monai", f"{run.path} exists already; choose another name."),
        (tmp_path / "gone" / "mine", "onnx", "there is no folder"),
        (tmp_path / "mine.zip", "monai", "name a folder without .zip"),
    ):
        view.share_format.return_value = kind
        view.choose_output.side_effect = lambda _suggested, chosen=chosen: chosen
        controller.share()
        assert said in last(view.set_error)
    view.choose_output.reset_mock()
    view.share_settings.return_value = ShareSettings(licence="as you like")
    controller.share()
    assert "The licence is 'as you like', but it must be" in last(view.set_error)
    view.share_settings.return_value = ShareSettings()
    monkeypatch.setattr("napari_surfseg.sharing.settings._is_installed", lambda _name: False)
    controller.share()
    assert "needs the library monai; install it with" in last(view.set_error)
    view.choose_output.assert_not_called()
    assert shared.calls == []
    view.set_busy.assert_not_called()


def test_an_export_under_way_can_be_ended(controller, view, run, shared, monkeypatch):
    view.selected.return_value = [str(run.path)]
    ended = []

    def share(_run, _output, _kind, process, _settings):
        controller.share()  # a second one does not begin
        controller.cancel_share()
        ended.append(process.is_cancelled)
        process.check_cancelled()

    monkeypatch.setattr(module, "share_run", share)
    controller.share()
    assert ended == [True]
    assert last(view.set_error) == "The export was cancelled."
