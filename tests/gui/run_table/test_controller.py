from tests.gui.conftest import step_event

from napari_surfseg.config import Experiment
from napari_surfseg.events import (
    EventWriter,
)
from napari_surfseg.gui.run_table.controller import RunsController
from napari_surfseg.gui.run_table.run_list import RunList
from napari_surfseg.gui.run_table.view import CURVE_ROLE, RunsView
from napari_surfseg.runs.folder import RunFolder


def test_the_table_tells_each_run(qtbot, session, jobs, run, writer, tmp_path):
    for number in range(1, 200):
        writer.write(step_event(number))
    RunFolder(tmp_path / "second").create(Experiment())
    view = RunsView()
    qtbot.addWidget(view)
    launched = []
    controller = RunsController(
        view, session, launch=lambda *a, **k: launched.append((a, k)), jobs=jobs, folder=tmp_path
    )
    assert view.table.rowCount() == 2
    names = [view.table.item(row, 0).text() for row in range(2)]
    row = names.index("first")
    assert view.table.item(row, 1).text() == "vanished"
    curve = view.table.item(row, 4).data(CURVE_ROLE)
    assert 2 < len(curve) <= 60
    assert curve[0] > curve[-1]
    assert not view.attach.isEnabled()
    view.table.selectRow(row)
    assert view.attach.isEnabled()
    assert not view.compare.isEnabled()
    view.attach.click()
    assert session.run_dir == tmp_path / "first"
    controller.refresh()
    assert view.selected() == [str(tmp_path / "first")]
    view.resume.click()
    assert launched == [((tmp_path / "first",), {"resume": False})]
    controller.close()


def test_two_runs_are_compared(qtbot, session, jobs, run, writer, tmp_path):
    writer.write(step_event(1))
    other = RunFolder(tmp_path / "second").create(Experiment())
    EventWriter(other.events_path).write(step_event(7))
    view = RunsView()
    qtbot.addWidget(view)
    controller = RunsController(view, session, jobs=jobs, folder=tmp_path)
    view.table.selectAll()
    assert view.compare.isEnabled()
    with qtbot.waitSignal(controller.comparing) as told:
        view.compare.click()
    second, events = told.args
    assert {session.run_dir.name, second.name} == {"first", "second"}
    assert len(events) == 1
    controller.close()


def test_a_folder_without_runs_says_so(qtbot, session, jobs, tmp_path):
    view = RunsView()
    qtbot.addWidget(view)
    controller = RunsController(view, session, jobs=jobs, folder=tmp_path / "missing")
    assert view.table.rowCount() == 0
    assert view.message.whole_text() == "There are no runs in this folder."
    assert RunList().look(tmp_path / "missing") == []
    controller.close()
