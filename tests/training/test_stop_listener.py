"""Stop is heard while a run checks its data and while it is scored, not only between two steps."""

import numpy as np
import pytest

from napari_surfseg import events
from napari_surfseg.cancelling import listening
from napari_surfseg.config import Labels
from napari_surfseg.config_files import apply_overrides
from napari_surfseg.data.census import take_census
from napari_surfseg.data.volume import ArrayVolume
from napari_surfseg.errors import CancelledError
from napari_surfseg.training import stop_listener
from napari_surfseg.training import validation as validation_module
from napari_surfseg.training.stop_listener import StopListener


def test_other_commands_are_kept_in_their_order(monkeypatch):
    monkeypatch.setattr(stop_listener, "LISTEN_SECONDS", 0)
    sent = [[events.Pause(id="a")], [events.Stop(id="b")], [], [events.Resume(id="c")]]
    listener = StopListener(lambda: sent.pop(0))
    assert [listener.is_stopped() for _ in range(3)] == [False, True, True]
    assert [command.id for command in listener()] == ["a", "b", "c"]
    assert len(sent) == 0


def test_a_census_ends_in_the_middle():
    labels = ArrayVolume(np.zeros((8, 8, 8), np.uint8))
    with listening(lambda: True), pytest.raises(CancelledError):
        take_census(labels, Labels())


def test_a_stop_while_the_volumes_are_checked_ends_the_run(tmp_path, training_run, experiment):
    sent = {0: [events.Pause(id="wait"), events.Stop(id="stop")]}
    run = training_run(tmp_path / "run", experiment, sent).run()
    kinds = [type(event) for event in run.events]
    assert kinds == [events.CommandRefused, events.CommandApplied, events.RunStopped]
    assert [event.command_id for event in run.events[:2]] == ["wait", "stop"]


def test_a_stop_while_loops_are_compiled_ends_the_run(
    tmp_path, training_run, experiment, monkeypatch
):
    run = training_run(tmp_path / "run", experiment)

    def stopped_meanwhile(*_args):
        run.commands[0] = [events.Stop()]

    monkeypatch.setattr("napari_surfseg.training.learner.Learner.compile_ahead", stopped_meanwhile)
    monkeypatch.setattr("napari_surfseg.training.loop.compute_metrics", lambda *_: 1 / 0)
    run.run()
    assert isinstance(run.events[-1], events.RunStopped)
    assert run.of(events.StepFinished) == []


@pytest.mark.parametrize("part", ["predict_region", "compute_metrics"])
@pytest.mark.parametrize("epochs", [1, 3])
def test_a_stop_while_it_is_scored_ends_the_run(
    tmp_path, training_run, experiment, monkeypatch, part, epochs
):
    monkeypatch.setattr(stop_listener, "LISTEN_SECONDS", 0)
    experiment = apply_overrides(experiment, [f"training.max_epochs={epochs}"])
    run = training_run(tmp_path / "run", experiment)
    real = getattr(validation_module, part)

    def stopped_meanwhile(*args, **kwargs):
        run.commands[run.trainer.state.step] = [events.Stop()]
        return real(*args, **kwargs)

    monkeypatch.setattr(validation_module, part, stopped_meanwhile)
    run.run()
    assert isinstance(run.events[-1], events.RunStopped)
    assert run.of(events.ValidationFinished) == []
    assert run.of(events.PostprocessTuned) == []
    assert (tmp_path / "run" / "checkpoints" / "last.pt").exists()
    assert run.trainer.state.epoch == 1
