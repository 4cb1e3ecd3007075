"""What a step computes, and what it refuses."""

import math
from dataclasses import replace

import pytest
import torch

from napari_surfseg import events
from napari_surfseg.config_files import apply_overrides
from napari_surfseg.errors import NonFiniteLossError
from napari_surfseg.training import gradients, recovery
from napari_surfseg.training import learner as learner_module
from napari_surfseg.vocabulary import LOSS_TERMS

pytestmark = pytest.mark.usefixtures("every_step_is_reported")


def test_terms_are_raw_and_add_up_to_the_logged_total(tmp_path, training_run, experiment):
    experiment = apply_overrides(
        experiment, ["loss.skeleton_recall=0.2", "model.deep_supervision=true"]
    )
    weights = experiment.loss.weights
    for event in training_run(tmp_path / "run", experiment).run().of(events.StepFinished):
        assert set(event.losses) == set(LOSS_TERMS)
        total = sum(weights[name] * value for name, value in event.losses.items())
        assert event.head_total == pytest.approx(total, rel=1e-4)
        assert math.isfinite(event.total)


def test_a_nonfinite_loss_stops_before_the_weights_change(
    tmp_path, training_run, experiment, monkeypatch
):
    real = gradients.compute_combined_loss
    run = training_run(tmp_path / "run", experiment)

    def poisoned(*args, **kwargs):
        result = real(*args, **kwargs)
        if run.trainer.state.step >= 2:
            run.before = [p.detach().clone() for p in run.parts.learner.network.parameters()]
            terms = {**result.terms, "cldice": result.terms["cldice"] * float("nan")}
            return replace(result, terms=terms, total=result.total * float("nan"))
        return result

    monkeypatch.setattr(gradients, "compute_combined_loss", poisoned)
    monkeypatch.setattr(recovery, "MOST_IN_ROW", 1)
    with pytest.raises(NonFiniteLossError, match=r"cldice became nan at step 4"):
        run.run()
    for before, now in zip(run.before, run.parts.learner.network.parameters(), strict=True):
        assert torch.equal(before, now)


def test_a_step_that_is_not_taken_leaves_statistics_of_batches_as_they_were(
    tmp_path, training_run, experiment, monkeypatch
):
    """The forward pass alone changes them, with what led to a loss that is not finite."""
    network = "model={preset: monai, network: SegResNetDS, arguments: {norm: batch, "
    arguments = "init_filters: 4, blocks_down: [1, 1]}}"
    run = training_run(tmp_path / "run", apply_overrides(experiment, [network + arguments]))
    real = gradients.compute_combined_loss

    def poisoned(*args, **kwargs):
        result = real(*args, **kwargs)
        if run.trainer.state.step >= 2:
            return replace(result, total=result.total * float("nan"))
        return result

    seen = []
    take = learner_module.Learner.take_step

    def watched(learner, *args):
        def look():
            return {name: tensor.clone() for name, tensor in learner.network.named_buffers()}

        before = look()
        try:
            return take(learner, *args)
        except NonFiniteLossError:
            seen.append((before, look()))
            raise

    monkeypatch.setattr(gradients, "compute_combined_loss", poisoned)
    monkeypatch.setattr(learner_module.Learner, "take_step", watched)
    monkeypatch.setattr(recovery, "MOST_IN_ROW", 1)
    with pytest.raises(NonFiniteLossError):
        run.run()
    before, after = seen[0]
    assert any("running_mean" in name for name in before)
    for name, tensor in before.items():
        assert torch.equal(after[name], tensor), name
