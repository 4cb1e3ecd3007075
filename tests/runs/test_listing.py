import os

import pytest

from napari_surfseg import events
from napari_surfseg.errors import RunError
from napari_surfseg.runs.folder import RunFolder, RunState
from napari_surfseg.runs.listing import find_runs, list_runs, tabulate_runs
from napari_surfseg.runs.worker.worker import run_training


@pytest.fixture
def several(tmp_path, experiment, fake_trainer):
    for place, name in enumerate(("first", "second", "third")):
        folder = RunFolder(tmp_path / name).create(experiment)
        os.utime(folder.config_path, (place, place))
    (tmp_path / "no_run").mkdir()
    (tmp_path / "file.txt").write_text("")
    run_training(tmp_path / "second", build_trainer=fake_trainer(), with_report=False)
    os.utime(tmp_path / "second" / "config.yaml", (1, 1))
    events.EventWriter(tmp_path / "third" / "events.jsonl").write(
        events.RunFailed(message="There is no file a.tif.")
    )
    return tmp_path


def test_runs_are_found_by_age(several):
    assert [path.name for path in find_runs(several)] == ["first", "second", "third"]
    assert find_runs(several / "second") == [several / "second"]
    assert find_runs(several / "no_run") == []
    with pytest.raises(RunError, match=r"cannot be listed: No such file or directory\.$"):
        find_runs(several / "nowhere")


def test_states_and_scores(several):
    found = {run.path.name: run.snapshot for run in list_runs(several)}
    assert found["first"].state is RunState.NEW
    assert found["second"].state is RunState.COMPLETED
    assert found["second"].best_metrics["surface_dice"] == pytest.approx(0.9)
    assert found["third"].state is RunState.FAILED


def test_the_table(several):
    lines = tabulate_runs(list_runs(several)).splitlines()
    assert lines[0].split() == [
        "run",
        "state",
        "epoch",
        "done",
        "steps/s",
        "trained",
        "left",
        "surface",
        "dice",
        "newest",
        "score",
    ]
    assert lines[2].split()[:4] == ["second", "completed", "3/3", "100"]
    assert "0.9000" in lines[2]
    assert lines[4] == "third: There is no file a.tif."
    # Columns are aligned: every row reaches its numbers at the same place.
    assert lines[0].index("state") == lines[1].index("new") == lines[2].index("completed")
