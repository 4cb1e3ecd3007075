"""A training from its configuration to its end, and what is given back when it fails."""

import threading

import pytest

from napari_surfseg import events
from napari_surfseg.config_files import apply_overrides


def count_loader_threads():
    return sum(thread.name.startswith("patches-") for thread in threading.enumerate())


def test_the_loader_is_closed_at_the_end_and_after_an_error(tmp_path, training_run, experiment):
    experiment = apply_overrides(experiment, ["training.workers=2", "training.max_epochs=1"])
    run = training_run(tmp_path / "whole", experiment).run()
    assert isinstance(run.events[-1], events.RunCompleted)
    assert count_loader_threads() == 0
    failing = training_run(tmp_path / "failing", experiment)

    def fail():
        raise KeyError("broken")

    failing.trainer._poll_commands = fail
    with pytest.raises(KeyError, match="broken"):
        failing.run()
    assert count_loader_threads() == 0
