"""The runs of a folder, as they are read."""

import pytest
from tests.gui.conftest import step_event

from napari_surfseg.config import Experiment
from napari_surfseg.gui.run_table.run_list import CURVE_POINTS, RunList
from napari_surfseg.runs.folder import RunFolder, RunState


def test_each_run_has_its_state_and_a_thinned_curve(run, writer, tmp_path):
    for number in range(1, 200):
        writer.write(step_event(number))
    RunFolder(tmp_path / "second").create(Experiment())
    runs = RunList()
    rows = {row.path.name: row for row in runs.read(tmp_path)}
    assert set(rows) == {"first", "second"}
    assert rows["first"].snapshot.state is RunState.VANISHED
    curve = rows["first"].curve
    assert 2 < len(curve) <= CURVE_POINTS
    assert curve[0] > curve[-1]
    assert rows["second"].curve == ()


def test_only_what_is_new_is_read_again(run, writer, tmp_path):
    runs = RunList()
    for number in (1, 2):
        writer.write(step_event(number))
        (row,) = runs.read(tmp_path)
        assert row.curve == pytest.approx([1 / step for step in range(1, number + 1)])


def test_a_folder_that_is_not_there_has_no_runs(tmp_path):
    assert RunList().read(tmp_path / "missing") == []


@pytest.mark.parametrize("name", ["best_checkpoint", "last_checkpoint"])
def test_a_run_has_a_checkpoint_once_there_is_one(run, writer, tmp_path, name):
    writer.write(step_event(1))
    runs = RunList()
    assert not runs.read(tmp_path)[0].has_checkpoint
    path = getattr(run, name)
    path.parent.mkdir(exist_ok=True)
    path.touch()
    assert runs.read(tmp_path)[0].has_checkpoint
