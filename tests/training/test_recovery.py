"""A loss that is not finite: a step is skipped, a state restored, and only then training ends."""

from dataclasses import replace

import pytest
import torch

from napari_surfseg import events
from napari_surfseg.config_files import apply_overrides
from napari_surfseg.errors import NonFiniteLossError
from napari_surfseg.training import gradients

pytestmark = pytest.mark.usefixtures("every_step_is_reported")


@pytest.fixture
def start(tmp_path, training_run, experiment, monkeypatch):
    """Train twelve steps, of which some have a loss that is not finite."""
    experiment = apply_overrides(
        experiment,
        ["training.train_iterations_per_epoch=6", "training.tuning_share=0", "preview.seconds=0"],
    )
    real = gradients.compute_combined_loss
    run = training_run(tmp_path / "run", experiment)
    run.weights = {}

    def weights():
        return [p.detach().clone() for p in run.parts.learner.network.parameters()]

    def build(bad, value=float("nan")):
        def poisoned(*args, **kwargs):
            result = real(*args, **kwargs)
            step = run.trainer.state.step
            run.weights[step] = weights()
            return replace(result, total=result.total * value) if step in bad else result

        monkeypatch.setattr(gradients, "compute_combined_loss", poisoned)
        return run

    return build


def warnings(run):
    said = [event.message for event in run.of(events.WarningIssued)]
    return [message for message in said if "not finite" in message]


def same(first, second):
    return all(torch.equal(a, b) for a, b in zip(first, second, strict=True))


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -float("inf")])
@pytest.mark.parametrize("bad", [{0}, {3}, {3, 4}, {5, 6}, {1, 3, 5}, {11}])
def test_a_step_without_a_finite_loss_is_skipped_and_counted(start, bad, value):
    run = start(bad, value).run()
    assert isinstance(run.events[-1], events.RunCompleted)
    assert run.trainer.state.num_skipped == len(bad)
    reported = [event.step for event in run.of(events.StepFinished)]
    assert reported == [step + 1 for step in range(12) if step not in bad]
    for step in bad - {11}:
        assert same(run.weights[step], run.weights[step + 1])
    (said,) = warnings(run)
    assert said.startswith(f"Step {min(bad) + 1} was skipped")
    assert run.parts.steering.rate_scale == 1.0


def test_three_in_a_row_restore_the_last_good_state_at_half_the_rate(start):
    run = start({4, 5, 6}).run()
    assert isinstance(run.events[-1], events.RunCompleted)
    assert same(run.weights[7], run.weights[0])
    assert not same(run.weights[8], run.weights[7])
    assert run.parts.steering.rate_scale == 0.5
    said = warnings(run)
    assert len(said) == 2
    assert "3 steps in a row" in said[1]
    assert "half the learning rate" in said[1]


def test_the_state_that_is_restored_is_a_recent_one(start, monkeypatch):
    monkeypatch.setattr("napari_surfseg.training.recovery.STEPS_BETWEEN", 3)
    run = start({4, 5, 6}).run()
    assert same(run.weights[7], run.weights[3])


def test_it_ends_only_where_restoring_did_not_help(start, tmp_path):
    run = start({4, 5, 6, 8, 9, 10})
    with pytest.raises(NonFiniteLossError, match="at step 11"):
        run.run()
    assert same(run.weights[10], run.weights[9])


def test_later_trouble_is_met_again_at_a_quarter_of_the_rate(start, monkeypatch):
    monkeypatch.setattr("napari_surfseg.training.recovery.STEPS_BETWEEN", 1)
    run = start({2, 3, 4, 7, 8, 9}).run()
    assert isinstance(run.events[-1], events.RunCompleted)
    assert run.parts.steering.rate_scale == 0.25
