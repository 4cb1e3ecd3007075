"""What best.pt and last.pt hold, and going on from the latter."""

import errno
from pathlib import Path

import pytest

from napari_surfseg import events, files
from napari_surfseg.config_files import apply_overrides
from napari_surfseg.errors import CheckpointError, OutputError
from napari_surfseg.model.checkpoint import load_checkpoint
from napari_surfseg.runs.checkpoint_summary import read_summary

pytestmark = pytest.mark.usefixtures("every_step_is_reported")


def test_best_holds_the_weights_that_were_scored(tmp_path, training_run, experiment):
    run = training_run(tmp_path / "run", experiment).run()
    best = load_checkpoint(tmp_path / "run" / "checkpoints" / "best.pt")
    scored = [event for event in run.of(events.ValidationFinished) if event.is_best][-1]
    assert best.epoch == scored.epoch
    assert best.threshold == scored.threshold
    assert best.metrics["surface_dice"] == scored.metrics["surface_dice"]
    assert best.chosen_by == scored.scored_by == "mean_dice"
    assert best.summary()["chosen_by"] == "mean_dice"
    assert read_summary(tmp_path / "run" / "checkpoints" / "best.pt").chosen_by == "mean_dice"
    assert best.training is None
    assert load_checkpoint(tmp_path / "run" / "checkpoints" / "last.pt").chosen_by is None


def test_a_resumed_run_repeats_the_unbroken_one(tmp_path, training_run, experiment):
    experiment = apply_overrides(experiment, ["model.dropout=0.1", "training.accumulate=2"])
    whole = training_run(tmp_path / "whole", experiment).run()
    stopped = training_run(tmp_path / "parts", experiment, {4: [events.Stop()]}).run()
    assert type(stopped.events[-1]) is events.RunStopped
    assert stopped.events[-1].step == 4
    resumed = training_run(tmp_path / "parts", experiment, resume=True).run()
    assert resumed.of(events.RunStarted)[0].resumed
    expected = [event for event in whole.of(events.StepFinished) if event.step > 4]
    found = resumed.of(events.StepFinished)
    assert [event.step for event in found] == [event.step for event in expected]
    for a, b in zip(found, expected, strict=True):
        assert a.total == pytest.approx(b.total, rel=1e-4)
        assert a.learning_rate == pytest.approx(b.learning_rate)


def test_resuming_with_another_network_is_refused(tmp_path, training_run, experiment):
    training_run(tmp_path / "run", experiment, {2: [events.Stop()]}).run()
    other = apply_overrides(experiment, ["model.base_channels=8"])
    with pytest.raises(CheckpointError, match="does not fit this configuration"):
        training_run(tmp_path / "run", other, resume=True).run()


@pytest.mark.parametrize("name", ["best.pt", "last.pt"])
def test_a_file_that_cannot_be_replaced_for_a_while_is_a_warning(
    tmp_path, training_run, experiment, monkeypatch, name
):
    """As on Windows while a viewer or a scanner holds it open."""
    monkeypatch.setattr(files, "RETRY_SECONDS", ())
    real = Path.replace
    refused = []

    def replace(path, target):
        if target.name == name and not refused:
            refused.append(target)
            raise PermissionError(errno.EACCES, "The process cannot access the file")
        return real(path, target)

    run = training_run(tmp_path / "run", experiment)
    monkeypatch.setattr(Path, "replace", replace)
    run.run()
    assert isinstance(run.events[-1], events.RunCompleted)
    warnings = [event.message for event in run.of(events.WarningIssued)]
    assert sum(name in message for message in warnings) == 1
    assert load_checkpoint(tmp_path / "run" / "checkpoints" / name).step >= 4


def test_a_last_save_that_fails_is_said_at_the_end(tmp_path, training_run, experiment, monkeypatch):
    def refuse(path, checkpoint):
        raise OutputError(f"{path.name} could not be written: Permission denied.")

    monkeypatch.setattr("napari_surfseg.training.checkpoint_writer.save_checkpoint", refuse)
    with pytest.raises(OutputError, match="could not be written"):
        training_run(tmp_path / "run", experiment).run()


def test_a_summary_that_cannot_be_written_is_a_warning(
    tmp_path, training_run, experiment, monkeypatch
):
    monkeypatch.setattr(files, "RETRY_SECONDS", ())
    real = Path.replace

    def replace(path, target):
        if target.name == "best.json":
            raise PermissionError(errno.EACCES, "The process cannot access the file")
        return real(path, target)

    monkeypatch.setattr(Path, "replace", replace)
    run = training_run(tmp_path / "run", experiment).run()
    assert isinstance(run.events[-1], events.RunCompleted)
    assert any("best.json" in event.message for event in run.of(events.WarningIssued))
