"""The table of runs."""

from pathlib import Path

import pytest
from qtpy.QtCore import Qt

from napari_surfseg.gui.run_table.controller import RunsViewProtocol
from napari_surfseg.gui.run_table.run_list import RunRow
from napari_surfseg.gui.run_table.view import CURVE_ROLE, RunsView
from napari_surfseg.runs.folder import RunState
from napari_surfseg.runs.follow import RunSnapshot

ROWS = [
    RunRow(
        Path("runs/second"), RunSnapshot(state=RunState.RUNNING, progress=0.5), (3.0, 2.0), True
    ),
    RunRow(
        Path("runs/first"),
        RunSnapshot(state=RunState.VANISHED, best_metrics={"surface_dice": 0.9}),
        (),
    ),
]


@pytest.fixture
def view(qtbot):
    view = RunsView()
    qtbot.addWidget(view)
    view.set_runs(ROWS)
    return view


def test_the_view_is_what_its_controller_needs(satisfies):
    assert satisfies(RunsView, RunsViewProtocol)


def test_a_row_shows_a_run(view):
    texts = [[view.table.item(row, column).text() for column in range(5)] for row in range(2)]
    assert texts == [
        ["second", "running", "50 %", "–", ""],
        ["first", "vanished", "0 %", "0.900", ""],
    ]
    assert view.table.item(0, 4).data(CURVE_ROLE) == [3.0, 2.0]
    assert view.table.item(1, 0).data(Qt.ItemDataRole.UserRole) == str(Path("runs/first"))


def test_the_selection_stays_with_its_run_and_enables_buttons(view):
    one = (view.attach, view.resume, view.report, view.reveal)
    assert not any(button.isEnabled() for button in (*one, view.compare))
    view.table.selectRow(1)
    assert all(button.isEnabled() for button in one)
    view.set_runs(ROWS[::-1])
    assert view.selected() == [str(Path("runs/first"))]
    view.table.selectAll()
    assert view.compare.isEnabled()
    assert not any(button.isEnabled() for button in one)


def test_a_folder_without_runs_says_so(view):
    view.set_runs([])
    assert view.message.whole_text() == "There are no runs in this folder."


def test_one_run_with_a_checkpoint_can_be_shared(view):
    share = view.sharing.share
    assert not share.isEnabled()
    view.table.selectRow(1)  # has none yet
    assert not share.isEnabled()
    view.table.selectRow(0)
    assert share.isEnabled()
    view.set_busy(True)
    view.set_runs(ROWS)
    assert not share.isEnabled()
    view.set_busy(False)
    assert share.isEnabled()
    view.table.selectAll()
    assert not share.isEnabled()
