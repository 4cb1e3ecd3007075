"""The training loop on a small synthetic sheet, with the real parts."""

import pytest

from napari_surfseg import events
from napari_surfseg.config_files import apply_overrides
from napari_surfseg.metrics.error_samples import read_error_samples
from napari_surfseg.model.checkpoint import load_checkpoint
from napari_surfseg.training import loop as loop_module

pytestmark = pytest.mark.usefixtures("every_step_is_reported")


def test_a_run_leaves_everything_it_promises(tmp_path, training_run, experiment):
    run = training_run(tmp_path / "run", experiment).run()
    assert [type(event) for event in run.events[:2]] == [events.DataChecked, events.RunStarted]
    assert type(run.events[-1]) is events.RunCompleted
    assert len(run.of(events.TERMINAL_EVENTS)) == 1
    assert [event.step for event in run.of(events.StepFinished)] == list(range(1, 9))
    assert [event.epoch for event in run.of(events.EpochFinished)] == [1, 2]
    assert run.of(events.ValidationFinished)[-1].epoch == 2
    epoch = run.of(events.EpochFinished)[0]
    assert epoch.patches["num_patches"] >= 4
    assert set(epoch.cache) >= {"hits", "misses", "evictions"}
    for name in ("last.pt", "best.pt"):
        assert (tmp_path / "run" / "checkpoints" / name).exists()
    samples = sorted(path.name for path in (tmp_path / "run" / "samples").iterdir())
    assert samples == [
        "topology_errors.json",
        "topology_errors.npz",
        *(f"validation_0_{n}.npy" for n in ("image", "labels", "probabilities")),
    ]
    # As many as the scores of the best epoch counted, in the volume's voxels.
    kept = read_error_samples(tmp_path / "run" / "samples")
    best = [event for event in run.of(events.ValidationFinished) if event.is_best][-1]
    assert kept.epoch == best.epoch
    unmatched = sum(
        best.metrics[f"topo_{side}_{dimension}"] - best.metrics[f"topo_matched_{dimension}"]
        for side in ("pred", "label")
        for dimension in range(3)
    )
    assert sum(kept.counts.values()) == unmatched
    assert all(row.error.location[2] >= 96 * 0.7 for row in kept.rows)


def test_it_learns(tmp_path, training_run, experiment):
    experiment = apply_overrides(
        experiment, ["training.train_iterations_per_epoch=25", "training.max_learning_rate=0.01"]
    )
    run = training_run(tmp_path / "run", experiment).run()
    assert run.of(events.ValidationFinished)[-1].metrics["surface_dice"] > 0.95


def test_the_same_seed_gives_the_same_run(tmp_path, training_run, experiment):
    totals = [
        [
            event.total
            for event in training_run(tmp_path / name, experiment).run().of(events.StepFinished)
        ]
        for name in ("a", "b")
    ]
    assert totals[0] == pytest.approx(totals[1], rel=1e-5)


def test_pause_waits_and_still_saves_and_shows(tmp_path, training_run, experiment, monkeypatch):
    run = training_run(
        tmp_path / "run", experiment, {2: [events.Pause(), events.SetPreview(seconds=0.01)]}
    )
    waits = []

    def wait(seconds):
        waits.append(seconds)
        if len(waits) == 3:
            run.commands[2] = [events.SaveNow()]
        if len(waits) == 30:
            run.commands[2] = [events.Resume()]

    monkeypatch.setattr(loop_module.time, "sleep", wait)
    monkeypatch.setattr("napari_surfseg.training.preview.FIRST_SECONDS", 0)
    run.run()
    kinds = [type(event) for event in run.events]
    paused, resumed = kinds.index(events.RunPaused), kinds.index(events.RunResumed)
    between = kinds[paused:resumed]
    assert events.CheckpointSaved in between
    assert events.StepFinished not in between
    assert type(run.events[-1]) is events.RunCompleted


def test_minutes_bound_a_run_of_unknown_length(tmp_path, training_run, experiment):
    experiment = apply_overrides(
        experiment, ["training.max_epochs=null", "training.max_minutes=0.02"]
    )
    run = training_run(tmp_path / "run", experiment).run()
    assert type(run.events[-1]) is events.RunCompleted
    assert run.of(events.RunStarted)[0].max_epochs is None
    assert run.of(events.ValidationFinished)
    assert run.events[-1].elapsed_seconds >= 1.2


def test_the_last_weights_are_scored_though_the_end_comes_between_two_epochs(
    tmp_path, training_run, experiment, monkeypatch
):
    """The time was not up as the last whole epoch ended, and is as the next one begins."""
    experiment = apply_overrides(experiment, ["training.max_epochs=9", "training.tuning_share=0"])
    run = training_run(tmp_path / "run", experiment, {8: [events.SetTraining(max_epochs=2)]})
    monkeypatch.setattr("napari_surfseg.training.scoring.Scoring.may_validate", lambda _: False)
    run.run()
    assert [event.epoch for event in run.of(events.EpochFinished)] == [1, 2]
    assert [event.epoch for event in run.of(events.ValidationFinished)] == [2]
    assert run.events[-1].best["epoch"] == 2
    last = load_checkpoint(tmp_path / "run" / "checkpoints" / "last.pt")
    assert last.training["counters"]["validated_step"] == 8


def test_weights_are_not_scored_twice(tmp_path, training_run, experiment):
    run = training_run(tmp_path / "run", experiment).run()
    assert [event.epoch for event in run.of(events.ValidationFinished)].count(2) == 1
