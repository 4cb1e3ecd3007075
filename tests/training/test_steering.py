"""Commands of watchers: what they change, and how they are answered."""

import pytest

from napari_surfseg import events
from napari_surfseg.vocabulary import LOSS_TERMS

pytestmark = pytest.mark.usefixtures("every_step_is_reported")


def test_commands_take_effect_and_are_answered(tmp_path, training_run, experiment):
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
    run = training_run(
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
