"""A way of computing is used where it is clearly the quickest here, and not otherwise."""

import pytest
import torch

from napari_surfseg import events
from napari_surfseg.errors import CancelledError
from napari_surfseg.training import speed_trial
from napari_surfseg.training.speed_trial import find_fastest, list_ways


class Machine:
    """Takes so many seconds in each way; an error is raised."""

    def __init__(self, **seconds):
        self.seconds = seconds
        self.way = ""
        self.ways = {name: lambda name=name: setattr(self, "way", name) for name in seconds}

    def measure(self):
        found = self.seconds[self.way]
        if isinstance(found, Exception):
            raise found
        return found


@pytest.mark.parametrize(
    ("seconds", "chosen"),
    [
        ({"plain": 1.0, "tuned": 0.8}, "tuned"),
        ({"plain": 1.0, "tuned": 0.99}, "plain"),  # chance
        ({"plain": 1.0, "tuned": 1.5}, "plain"),
        ({"plain": 1.0, "tuned": RuntimeError("no compiler")}, "plain"),
        ({"plain": 1.0, "tuned": MemoryError(), "other": 0.5}, "other"),
    ],
)
def test_what_is_clearly_quickest_is_used(seconds, chosen):
    machine = Machine(**seconds)
    assert find_fastest(machine.ways, machine.measure)[0] == machine.way == chosen


def test_an_end_leaves_it_plain():
    machine = Machine(plain=1.0, tuned=CancelledError("stopped"))
    with pytest.raises(CancelledError):
        find_fastest(machine.ways, machine.measure)
    assert machine.way == "plain"


def test_nothing_is_tried_on_a_cpu():
    assert list_ways(torch.device("cpu")) == {}


def test_a_trial_is_reported_and_leaves_the_training_as_it_is(
    tmp_path, training_run, experiment, monkeypatch
):
    without = training_run(tmp_path / "without", experiment).run()
    ways = {"plain": lambda: None, "tuned": lambda: None}
    monkeypatch.setattr(speed_trial, "list_ways", lambda _device: ways)
    run = training_run(tmp_path / "run", experiment).run()
    (tried,) = run.of(events.SpeedTried)
    assert set(tried.seconds) == set(ways)
    for name, tensor in without.parts.learner.network.state_dict().items():
        assert torch.equal(run.parts.learner.network.state_dict()[name], tensor)
