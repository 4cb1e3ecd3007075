"""The training loop on a small synthetic sheet, with the real parts."""

from unittest.mock import Mock

import pytest

from napari_surfseg import events
from napari_surfseg.config_files import apply_overrides
from napari_surfseg.errors import DataError, DeviceMemoryError, NonFiniteLossError
from napari_surfseg.metrics.error_samples import read_error_samples
from napari_surfseg.model.checkpoint import load_checkpoint, save_checkpoint
from napari_surfseg.training import loop as loop_module
from napari_surfseg.training.schedule import LONGER_PEAK
from napari_surfseg.training.validation import Validator

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
    assert all(row.error.location[2] >= int(96 * 0.7) for row in kept.rows)


def test_it_learns(tmp_path, training_run, experiment):
    experiment = apply_overrides(
        experiment, ["training.train_iterations_per_epoch=25", "training.max_learning_rate=0.01"]
    )
    run = training_run(tmp_path / "run", experiment).run()
    assert run.of(events.ValidationFinished)[-1].metrics["surface_dice"] > 0.95


def test_an_epoch_of_the_warm_up_never_stays_the_best(
    tmp_path, training_run, experiment, monkeypatch
):
    falling = iter([0.9, 0.8, 0.7, 0.75, 0.7, 0.7, 0.7, 0.7])

    def score(*_args, **_options):
        return {"surface_dice": 1.0, "dice": 1.0, "mean_dice": next(falling)}

    monkeypatch.setattr(Validator, "measure", score)
    experiment = apply_overrides(
        experiment,
        [
            "training.max_epochs=8",
            "training.train_iterations_per_epoch=1",
            "training.tuning_share=0",
        ],
    )
    run = training_run(tmp_path / "run", experiment)
    monkeypatch.setattr("napari_surfseg.training.scoring.write_topology_errors", Mock())
    scored = run.run().of(events.ValidationFinished)
    assert [event.epoch for event in scored if event.is_warming_up] == [1]
    assert [event.epoch for event in scored if event.is_best] == [1, 2]
    assert run.of(events.RunCompleted)[-1].best["epoch"] == 2
    assert load_checkpoint(tmp_path / "run" / "checkpoints" / "best.pt").epoch == 2


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


@pytest.mark.parametrize(
    "error",
    [
        NonFiniteLossError("The loss became nan."),
        pytest.param(DataError("A chunk cannot be read."), marks=pytest.mark.slow),
        MemoryError(),
        pytest.param(RuntimeError("CUDA out of memory"), marks=pytest.mark.slow),
        KeyboardInterrupt(),
    ],
)
def test_whatever_ends_a_run_the_steps_taken_are_saved(tmp_path, training_run, experiment, error):
    whole = training_run(tmp_path / "whole", experiment).run()
    failing = training_run(tmp_path / "run", experiment)

    def poll():
        if failing.trainer.state.step == 6:
            raise error
        return []

    failing.trainer._poll_commands = poll
    with pytest.raises(type(error)):
        failing.run()
    assert load_checkpoint(tmp_path / "run" / "checkpoints" / "last.pt").step == 6
    resumed = training_run(tmp_path / "run", experiment, resume=True).run()
    found = [event.step for event in resumed.of(events.StepFinished)]
    assert found == [7, 8]
    assert resumed.of(events.EpochFinished)[-1].losses == pytest.approx(
        whole.of(events.EpochFinished)[-1].losses, rel=1e-4
    )


def test_a_step_that_failed_in_its_midst_is_not_saved(tmp_path, training_run, experiment):
    # Below it there are few smaller patches to try.
    experiment = apply_overrides(experiment, ["data.patch_size=[16,16,16]"])
    run = training_run(tmp_path / "run", experiment)

    def poll():
        if run.trainer.state.step == 2:
            run.parts.learner.average.update = fail
        return []

    def fail(_network):
        raise MemoryError

    run.trainer._poll_commands = poll
    with pytest.raises(DeviceMemoryError):
        run.run()
    assert not (tmp_path / "run" / "checkpoints" / "last.pt").exists()


def test_it_is_saved_every_so_many_minutes(tmp_path, training_run, experiment):
    experiment = apply_overrides(
        experiment,
        ["training.save_minutes=0.0001", "training.train_iterations_per_epoch=30"],
    )
    run = training_run(tmp_path / "run", experiment, {20: [events.Stop()]}).run()
    saved = [event.step for event in run.of(events.CheckpointSaved) if "last" in event.path]
    assert min(saved) < 20


def test_what_a_person_changed_survives_a_resume(tmp_path, training_run, experiment):
    image = f"{tmp_path}/image.npy"
    changes = [
        events.SetTraining(max_epochs=5, learning_rate_scale=0.5, foreground_share=1.0),
        events.SetLossWeights(weights={"cldice": 0.25}),
        events.SetPreview(image=image, center=(1, 2, 3), size=(8, 8, 8), seconds=100.0),
    ]
    run = training_run(tmp_path / "run", experiment, {2: changes, 6: [events.Stop()]}).run()
    assert run.events[-1].step == 6
    resumed = training_run(tmp_path / "run", experiment, {7: [events.Stop()]}, resume=True).run()
    steering = resumed.parts.steering
    assert (steering.max_epochs, steering.rate_scale) == (5, 0.5)
    assert steering.loss_weights["cldice"] == 0.25
    assert resumed.parts.loader.foreground_shares == [
        (0, experiment.data.foreground_share),
        (2, 1.0),
    ]
    shown = resumed.parts.previewer.as_command()
    assert (shown.image, shown.center, shown.size, shown.seconds) == (
        image,
        (1, 2, 3),
        (8, 8, 8),
        100.0,
    )
    longer = apply_overrides(experiment, ["training.max_epochs=3", "data.foreground_share=0.25"])
    resumed = training_run(tmp_path / "run", longer, resume=True).run()
    assert resumed.events[-1].step == 12
    assert resumed.parts.steering.rate_scale == 0.5
    assert resumed.parts.loader.foreground_shares == [(0, 0.25)]


def test_a_pause_survives_a_kill_and_a_stop_ends_it(tmp_path, training_run, experiment):
    paused = training_run(tmp_path / "run", experiment, {2: [events.Pause()]})
    calls = []

    def poll():
        calls.append(paused.trainer.state.step)
        if calls.count(2) > 3:
            raise KeyError("killed")
        return paused.commands.pop(paused.trainer.state.step, [])

    paused.trainer._poll_commands = poll
    with pytest.raises(KeyError, match="killed"):
        paused.run()
    resumed = training_run(tmp_path / "run", experiment, resume=True)

    def poll_again():
        return [events.Stop()] if resumed.of(events.RunPaused) else []

    resumed.trainer._poll_commands = poll_again
    resumed.run()
    assert resumed.of(events.RunPaused)
    assert resumed.of(events.StepFinished) == []
    assert any("was paused" in event.message for event in resumed.of(events.WarningIssued))
    again = training_run(tmp_path / "run", experiment, resume=True).run()
    assert again.events[-1].step == 8


def test_a_stopped_epoch_is_gone_on_with(tmp_path, training_run, experiment):
    training_run(tmp_path / "run", experiment, {6: [events.Stop()]}).run()
    resumed = training_run(tmp_path / "run", experiment, resume=True).run()
    assert [event.epoch for event in resumed.of(events.EpochFinished)] == [2]
    assert resumed.of(events.StepFinished)[-1].epoch == 2
    assert resumed.events[-1].epoch == 2


def test_an_epoch_killed_after_its_last_step_is_still_counted(tmp_path, training_run, experiment):
    failing = training_run(tmp_path / "run", experiment)
    emit = failing.trainer._reporter._emit

    def fail_at_the_last_step(event):
        emit(event)
        if isinstance(event, events.StepFinished) and event.step == 8:
            raise KeyError("killed")

    failing.trainer._reporter._emit = fail_at_the_last_step
    with pytest.raises(KeyError, match="killed"):
        failing.run()
    resumed = training_run(tmp_path / "run", experiment, resume=True).run()
    assert [event.epoch for event in resumed.of(events.EpochFinished)] == [2]
    assert [event.epoch for event in resumed.of(events.ValidationFinished)] == [2]
    assert resumed.events[-1].epoch == 2


def rates_of(run):
    return {event.step: event.learning_rate for event in run.of(events.StepFinished)}


def sixteen_steps(experiment, *overrides):
    return apply_overrides(
        experiment, ["training.max_epochs=4", "data.validation.fraction=0", *overrides]
    )


@pytest.mark.parametrize(
    "override", ["training.max_epochs=40", "training.max_minutes=60", "training.max_epochs=5"]
)
def test_a_run_made_longer_after_its_end_goes_on_at_its_low_rate(
    tmp_path, training_run, experiment, override
):
    experiment = sixteen_steps(experiment)
    first = rates_of(training_run(tmp_path / "run", experiment).run())
    bound = ["training.max_epochs=null"] if "minutes" in override else []
    longer = apply_overrides(experiment, [*bound, override])
    stop = {20: [events.Stop()]}
    second = rates_of(training_run(tmp_path / "run", longer, stop, resume=True).run())
    peak = max(first.values())
    assert min(second) == 17
    assert second[17] < 0.01 * peak
    assert max(second.values()) <= LONGER_PEAK * peak


def test_a_bound_changed_while_it_runs_makes_no_jump(tmp_path, training_run, experiment):
    change = events.SetTraining(max_epochs=40)
    commands = {8: [change], 12: [events.Stop()]}
    run = training_run(tmp_path / "run", sixteen_steps(experiment), commands).run()
    rates = rates_of(run)
    expected = rates_of(training_run(tmp_path / "other", sixteen_steps(experiment)).run())
    assert rates[9] == pytest.approx(expected[9])
    assert rates[9] > rates[10] > 0.95 * rates[9]
    resumed = rates_of(
        training_run(
            tmp_path / "run", sixteen_steps(experiment), {16: [events.Stop()]}, resume=True
        ).run()
    )
    assert rates[12] > resumed[13] > 0.95 * rates[12]


def test_a_run_made_longer_and_stopped_repeats_the_unbroken_one(tmp_path, training_run, experiment):
    """Bit for bit: in the midst of its second rise, of a second extension, and later."""
    losses = {}
    for name, stops in {"whole": (), "parts": (18, 26, 35)}.items():
        losses[name] = {}
        for epochs in (4, 7, 10):
            now = sixteen_steps(experiment, f"training.max_epochs={epochs}")
            while True:
                commands = {step: [events.Stop()] for step in stops}
                resume = (tmp_path / name).exists()
                run = training_run(tmp_path / name, now, commands, resume=resume).run()
                losses[name] |= {
                    event.step: (event.total, event.learning_rate)
                    for event in run.of(events.StepFinished)
                }
                stops = [step for step in stops if step > run.events[-1].step]
                if isinstance(run.events[-1], events.RunCompleted):
                    break
    assert list(losses["whole"]) == list(range(1, 41))
    assert losses["parts"] == losses["whole"]


def test_a_run_saved_before_its_schedule_was_kept_goes_on_smoothly(
    tmp_path, training_run, experiment
):
    experiment = sixteen_steps(experiment)
    first = rates_of(training_run(tmp_path / "run", experiment).run())
    path = tmp_path / "run" / "checkpoints" / "last.pt"
    old = load_checkpoint(path)
    del old.training["turn"]
    save_checkpoint(path, old)
    longer = apply_overrides(experiment, ["training.max_epochs=5"])
    second = rates_of(training_run(tmp_path / "run", longer, resume=True).run())
    assert second[17] < 0.01 * max(first.values())


def test_the_scale_a_person_set_holds_for_the_longer_run(tmp_path, training_run, experiment):
    experiment = sixteen_steps(experiment)
    longer = apply_overrides(experiment, ["training.max_epochs=8"])
    highest = {}
    for name, scale in (("plain", 1.0), ("scaled", 0.25)):
        commands = {2: [events.SetTraining(learning_rate_scale=scale)]}
        training_run(tmp_path / name, experiment, commands).run()
        second = rates_of(training_run(tmp_path / name, longer, resume=True).run())
        highest[name] = max(second.values())
    assert highest["scaled"] == pytest.approx(0.25 * highest["plain"])
