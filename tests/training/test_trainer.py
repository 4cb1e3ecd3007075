"""The training loop on a small synthetic sheet, with the real parts."""

import math
from dataclasses import replace

import numpy as np
import pytest
import torch

from napari_surfseg import events
from napari_surfseg.config import Experiment
from napari_surfseg.config_files import apply_overrides
from napari_surfseg.errors import CheckpointError, ConfigError, NonFiniteLossError
from napari_surfseg.metrics.error_samples import read_error_samples
from napari_surfseg.model.checkpoint import load_checkpoint
from napari_surfseg.training import learner as learner_module
from napari_surfseg.training import trainer as trainer_module
from napari_surfseg.training.trainer import Trainer
from napari_surfseg.vocabulary import LOSS_TERMS


@pytest.fixture
def experiment(tmp_path):
    rng = np.random.default_rng(0)
    labels = np.zeros((32, 32, 96), np.uint8)
    labels[14:16] = 1
    labels[:, :4] = 2
    image = np.where(labels == 1, 140, 90) + rng.normal(0, 12, labels.shape)
    np.save(tmp_path / "image.npy", image.clip(0, 255).astype(np.uint8))
    np.save(tmp_path / "labels.npy", labels)
    return apply_overrides(
        Experiment(),
        [
            f"data.train=[{{image: {tmp_path}/image.npy, labels: {tmp_path}/labels.npy}}]",
            "data.patch_size=[16,32,32]",
            "data.validation.fraction=0.3",
            "model={preset: tiny, base_channels: 4, multipliers: [1, 2]}",
            "training.max_epochs=2",
            "training.train_iterations_per_epoch=4",
            "training.workers=0",
            "training.validation_share=1",
        ],
    )


class Run:
    """A trainer with its events and a script of commands by step."""

    def __init__(self, folder, experiment, commands=None, *, resume=False):
        self.events = []
        self.commands = dict(commands or {})
        self.folder = folder
        paths = {name: folder / name for name in ("checkpoints", "previews", "samples")}
        for path in paths.values():
            path.mkdir(parents=True, exist_ok=True)
        self.trainer = Trainer(
            experiment,
            emit=self.events.append,
            poll_commands=self._poll,
            device="cpu",
            resume=resume,
            **paths,
        )

    def _poll(self):
        step = max((event.step for event in self.events), default=0)
        return self.commands.pop(step, [])

    def run(self):
        self.trainer.run()
        return self

    def of(self, kind):
        return [event for event in self.events if isinstance(event, kind)]


@pytest.fixture(autouse=True)
def every_step_is_told(monkeypatch):
    monkeypatch.setattr(trainer_module, "TELL_SECONDS", 0)


def test_a_run_leaves_everything_it_promises(tmp_path, experiment):
    run = Run(tmp_path / "run", experiment).run()
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


def test_terms_are_raw_and_add_up_to_the_logged_total(tmp_path, experiment):
    experiment = apply_overrides(
        experiment, ["loss.skeleton_recall=0.2", "model.deep_supervision=true"]
    )
    weights = experiment.loss.weights
    for event in Run(tmp_path / "run", experiment).run().of(events.StepFinished):
        assert set(event.losses) == set(LOSS_TERMS)
        total = sum(weights[name] * value for name, value in event.losses.items())
        assert event.head_total == pytest.approx(total, rel=1e-4)
        assert math.isfinite(event.total)


def test_best_holds_the_weights_that_were_scored(tmp_path, experiment):
    run = Run(tmp_path / "run", experiment).run()
    best = load_checkpoint(tmp_path / "run" / "checkpoints" / "best.pt")
    scored = [event for event in run.of(events.ValidationFinished) if event.is_best][-1]
    assert best.epoch == scored.epoch
    assert best.threshold == scored.threshold
    assert best.metrics["surface_dice"] == scored.metrics["surface_dice"]
    assert best.training is None


def test_the_post_processing_is_chosen_on_the_validation_data(tmp_path, experiment):
    experiment = apply_overrides(experiment, ["training.tuning_share=1"])
    run = Run(tmp_path / "run", experiment).run()
    (tuned,) = run.of(events.PostprocessTuned)
    best = load_checkpoint(tmp_path / "run" / "checkpoints" / "best.pt")
    assert best.postprocess == tuned.settings
    assert tuned.score_after >= tuned.score_before
    assert tuned.steps[0]["name"] == "start"
    told = run.of(events.TuningProgressed)
    assert told[0].done == 0
    assert [event.done for event in told] == sorted(event.done for event in told)
    assert 0 < told[-1].done <= told[-1].total  # the share of the time may end it
    assert [(event.stage, event.num_stages) for event in told[:2]] == [(1, 7), (2, 7)]
    assert told[0].name == "predicting the validation data"
    assert [event.stage for event in told] == sorted(event.stage for event in told)
    untuned = apply_overrides(experiment, ["training.tuning_share=0"])
    assert not Run(tmp_path / "plain", untuned).run().of(events.PostprocessTuned)
    assert load_checkpoint(tmp_path / "plain" / "checkpoints" / "best.pt").postprocess is None


def test_too_little_validation_data_leaves_the_threshold(tmp_path, experiment):
    experiment = apply_overrides(
        experiment, ["training.tuning_share=1", "data.validation.fraction=0.07"]
    )
    run = Run(tmp_path / "run", experiment).run()
    assert not run.of(events.PostprocessTuned)
    assert load_checkpoint(tmp_path / "run" / "checkpoints" / "best.pt").postprocess is None


def test_a_threshold_that_a_person_set_is_not_moved(tmp_path, experiment):
    experiment = apply_overrides(
        experiment, ["training.tuning_share=1", "inference.threshold=0.35"]
    )
    (tuned,) = Run(tmp_path / "run", experiment).run().of(events.PostprocessTuned)
    assert tuned.settings["threshold"] == 0.35
    assert tuned.settings["low_threshold"] is None
    assert not {step["name"] for step in tuned.steps} & {"threshold", "smoothing", "hysteresis"}


def test_it_learns(tmp_path, experiment):
    experiment = apply_overrides(
        experiment, ["training.train_iterations_per_epoch=25", "training.max_learning_rate=0.01"]
    )
    run = Run(tmp_path / "run", experiment).run()
    assert run.of(events.ValidationFinished)[-1].metrics["surface_dice"] > 0.95


def test_a_resumed_run_repeats_the_unbroken_one(tmp_path, experiment):
    experiment = apply_overrides(experiment, ["model.dropout=0.1", "training.accumulate=2"])
    whole = Run(tmp_path / "whole", experiment).run()
    stopped = Run(tmp_path / "parts", experiment, {4: [events.Stop()]}).run()
    assert type(stopped.events[-1]) is events.RunStopped
    assert stopped.events[-1].step == 4
    resumed = Run(tmp_path / "parts", experiment, resume=True).run()
    assert resumed.of(events.RunStarted)[0].resumed
    expected = [event for event in whole.of(events.StepFinished) if event.step > 4]
    found = resumed.of(events.StepFinished)
    assert [event.step for event in found] == [event.step for event in expected]
    for a, b in zip(found, expected, strict=True):
        assert a.total == pytest.approx(b.total, rel=1e-4)
        assert a.learning_rate == pytest.approx(b.learning_rate)


def test_the_same_seed_gives_the_same_run(tmp_path, experiment):
    totals = [
        [event.total for event in Run(tmp_path / name, experiment).run().of(events.StepFinished)]
        for name in ("a", "b")
    ]
    assert totals[0] == pytest.approx(totals[1], rel=1e-5)


def test_resuming_with_another_network_is_refused(tmp_path, experiment):
    Run(tmp_path / "run", experiment, {2: [events.Stop()]}).run()
    other = apply_overrides(experiment, ["model.base_channels=8"])
    with pytest.raises(CheckpointError, match="does not fit this configuration"):
        Run(tmp_path / "run", other, resume=True).run()


def test_commands_take_effect_and_are_answered(tmp_path, experiment):
    new = events.SetLossWeights(weights={"cldice": 0.0, "soft_dice": 2.0})
    bad = [
        events.SetLossWeights(weights={"nonsense": 1.0}),
        events.SetLossWeights(weights={"cldice": -1.0}),
        events.SetLossWeights(weights=dict.fromkeys(LOSS_TERMS, 0.0)),
        events.SetTraining(max_epochs=0),
        events.SetTraining(foreground_share=2.0),
        events.SetPreview(image="elsewhere.tif"),
    ]
    shorter = events.SetTraining(max_epochs=1)
    run = Run(
        tmp_path / "run",
        experiment,
        {2: [new], 3: [events.Pause(), events.SaveNow(), events.Resume(), shorter, *bad]},
    ).run()
    steps = {event.step: event for event in run.of(events.StepFinished)}
    assert "cldice" in steps[2].losses
    assert "cldice" not in steps[3].losses
    assert max(steps) == 4
    applied = {event.command_id: event for event in run.of(events.CommandApplied)}
    assert applied[new.id].step == 2
    assert applied[new.id].details == {"weights": new.weights}
    refused = {event.command_id: event.message for event in run.of(events.CommandRefused)}
    assert set(refused) == {command.id for command in bad}
    assert all(message.endswith(".") for message in refused.values())


def test_pause_waits_and_still_saves_and_shows(tmp_path, experiment, monkeypatch):
    run = Run(tmp_path / "run", experiment, {2: [events.Pause(), events.SetPreview(seconds=0.01)]})
    waits = []

    def wait(seconds):
        waits.append(seconds)
        if len(waits) == 3:
            run.commands[2] = [events.SaveNow()]
        if len(waits) == 30:
            run.commands[2] = [events.Resume()]

    monkeypatch.setattr(trainer_module.time, "sleep", wait)
    monkeypatch.setattr("napari_surfseg.training.preview.FIRST_SECONDS", 0)
    run.run()
    kinds = [type(event) for event in run.events]
    paused, resumed = kinds.index(events.RunPaused), kinds.index(events.RunResumed)
    between = kinds[paused:resumed]
    assert events.CheckpointSaved in between
    assert events.StepFinished not in between
    assert type(run.events[-1]) is events.RunCompleted


def test_previews_lie_where_their_events_say(tmp_path, experiment, monkeypatch):
    monkeypatch.setattr("napari_surfseg.training.preview.FIRST_SECONDS", 0)
    monkeypatch.setattr("napari_surfseg.training.preview.TIME_SHARE", 1.0)
    experiment = apply_overrides(
        experiment, ["preview.seconds=0.001", "preview.size=[16,32,32]", "preview.keep=2"]
    )
    source = experiment.data.train[0].image
    look = events.SetPreview(image=source, center=(31, 0, 95))
    run = Run(tmp_path / "run", experiment, {4: [look]}).run()
    previews = run.of(events.PreviewWritten)
    assert [event.index for event in previews] == list(range(len(previews)))
    last = previews[-1]
    assert last.origin == (16, 0, 64)
    for name in (last.probabilities, last.skeleton):
        array = np.load(tmp_path / "run" / name)
        assert array.dtype == np.uint8
        assert array.shape == last.shape == (16, 32, 32)
    assert len(list((tmp_path / "run" / "previews").glob("*_skeleton.npy"))) <= 2


def test_a_nonfinite_loss_stops_before_the_weights_change(tmp_path, experiment, monkeypatch):
    real = learner_module.compute_combined_loss
    run = Run(tmp_path / "run", experiment)

    def poisoned(*args, **kwargs):
        result = real(*args, **kwargs)
        if run.trainer._counters.step == 2:
            run.before = [p.detach().clone() for p in run.trainer.learner.network.parameters()]
            terms = {**result.terms, "cldice": result.terms["cldice"] * float("nan")}
            return replace(result, terms=terms, total=result.total * float("nan"))
        return result

    monkeypatch.setattr(learner_module, "compute_combined_loss", poisoned)
    with pytest.raises(NonFiniteLossError, match=r"cldice became nan at step 3"):
        run.run()
    for before, now in zip(run.before, run.trainer.learner.network.parameters(), strict=True):
        assert torch.equal(before, now)


def test_minutes_bound_a_run_of_unknown_length(tmp_path, experiment):
    experiment = apply_overrides(
        experiment, ["training.max_epochs=null", "training.max_minutes=0.02"]
    )
    run = Run(tmp_path / "run", experiment).run()
    assert type(run.events[-1]) is events.RunCompleted
    assert run.of(events.RunStarted)[0].max_epochs is None
    assert run.of(events.ValidationFinished)
    assert run.events[-1].elapsed_seconds >= 1.2


def test_a_patch_larger_than_the_volume_is_cut_down_and_said(tmp_path, experiment):
    experiment = apply_overrides(experiment, ["data.patch_size=[64,64,64]"])
    run = Run(tmp_path / "run", experiment).run()
    (said,) = [n for n in run.of(events.DataChecked)[0].notes if "instead of" in n]
    assert said.endswith("are used instead of [64, 64, 64].")
    assert load_checkpoint(tmp_path / "run/checkpoints/last.pt").patch_size[:2] == (32, 32)


def test_a_patch_that_does_not_fit_is_refused_at_once(tmp_path, experiment):
    experiment = apply_overrides(experiment, ["data.patch_size=[30,32,32]"])
    with pytest.raises(ConfigError, match="28 or 32"):
        Run(tmp_path / "run", experiment)
