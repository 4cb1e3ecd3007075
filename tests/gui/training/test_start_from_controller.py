import json
from dataclasses import replace
from pathlib import Path

import pytest
from tests.gui.training.stand_ins import JobsInPlace, mock_session, mock_view

from napari_surfseg.config import Experiment
from napari_surfseg.gui.training.form import TrainingForm
from napari_surfseg.gui.training.protocols import TrainingViewProtocol
from napari_surfseg.gui.training.start_from_controller import StartFromController
from napari_surfseg.runs.folder import RunFolder, RunState
from napari_surfseg.runs.follow import RunSnapshot


def write_run(path, dice=None):
    run = RunFolder(path).create(Experiment())
    run.checkpoints.mkdir()
    for file in (run.last_checkpoint, run.best_checkpoint):
        file.write_bytes(b"not read")
    metrics = {} if dice is None else {"surface_dice": dice}
    summary = {"name": path.name, "model": "tiny", "epoch": 2, "metrics": metrics}
    run.best_checkpoint.with_suffix(".json").write_text(json.dumps(summary))
    return run


class Window:
    """A view that shows a form, and a session; what was set last is read from them."""

    def __init__(self, folder):
        self.view = mock_view(TrainingViewProtocol)
        self.session = mock_session()
        self.form = TrainingForm(folder=str(folder))
        self.view.form.side_effect = lambda: self.form

    def open(self):
        self.controller = StartFromController(self.view, self.session, JobsInPlace())

    def set(self, **settings):
        self.form = replace(
            self.form, settings={f"model.{key}": value for key, value in settings.items()}
        )
        self.view.form_changed.emit()

    @property
    def note(self):
        return self.view.set_start_note.call_args.args[0]

    @property
    def recent(self):
        return self.view.set_recent_starts.call_args.args[0]

    @property
    def meant(self):
        return self.view.set_automatic_start.call_args.args[0]


@pytest.fixture
def window(tmp_path, registry):
    registry.add()
    return Window(tmp_path / "runs")


def test_the_default_and_its_sentence_follow_the_form(window):
    window.open()
    assert window.meant == "sheets-tiny"
    assert "finds sheets already" in window.note
    window.set(preset="small")
    assert window.meant is None
    assert "take what fits" in window.note
    window.set(start_from="none")
    assert "knowing nothing" in window.note


def test_a_setting_that_is_refused_leaves_all_as_it_was(window):
    window.open()
    window.set(dropout=7)
    assert window.meant == "sheets-tiny"


def test_trained_runs_are_offered_the_newest_first(window, tmp_path):
    import os

    runs = [write_run(tmp_path / "runs" / f"walls-{n}", dice=0.9 if n else None) for n in range(7)]
    RunFolder(tmp_path / "runs" / "untrained").create(Experiment())
    for age, run in enumerate(runs):
        os.utime(run.path / "config.yaml", (age, age))
    window.open()
    assert [Path(path).name for path, _ in window.recent] == [f"walls-{n}" for n in (6, 5, 4, 3, 2)]
    assert window.recent[0][1] == "walls-6 (surface Dice 0.90)"


def test_a_run_that_ends_is_offered(window, tmp_path):
    window.open()
    assert window.recent == []
    write_run(tmp_path / "runs" / "walls")
    for state in (RunState.RUNNING, RunState.COMPLETED):
        window.session.polled.emit(RunSnapshot(state=state))
    assert window.recent == [(str(tmp_path / "runs" / "walls"), "walls")]
    window.controller.close()
    assert window.session.polled.slots == []


def test_a_run_is_described_or_what_is_wrong_with_it(window, tmp_path):
    run = write_run(tmp_path / "runs" / "walls")
    window.open()
    window.set(start_from=str(run.path))
    assert window.note == "best.pt of walls, network tiny, epoch 2: its weights are taken."
    window.set(start_from=str(tmp_path / "gone.pt"))
    assert window.note == f"There is no checkpoint {tmp_path / 'gone.pt'}."


def test_a_folder_that_cannot_be_listed_offers_nothing(window, tmp_path):
    (tmp_path / "runs").write_text("a file")
    window.open()
    assert window.recent == []
