"""However long a window follows a run, it remembers a bounded part of it, evenly."""

import numpy as np
import pytest

from napari_surfseg import events
from napari_surfseg.gui.run_session.kept_events import MOST_STEPS, EvenThinner, KeptEvents


def make_step(number):
    return events.StepFinished(
        step=number,
        epoch=1,
        losses={},
        head_total=0.5,
        total=0.5,
        learning_rate=1e-3,
        gradient_norm=1.0,
        steps_per_second=9.0,
        elapsed_seconds=1.0,
        progress=0.1,
    )


@pytest.mark.parametrize("number", [1, 10, 11, 12, 100, 1000, 12345])
def test_so_many_are_kept_at_most_and_evenly(number):
    thinner, kept = EvenThinner(10), []
    for item in range(number):
        if thinner.keeps():
            kept.append(item)
            if thinner.is_full(len(kept)):
                del kept[1::2]
    assert min(number, 5) <= len(kept) <= 10
    assert kept[0] == 0
    assert len(set(np.diff(kept))) <= 1
    assert number - kept[-1] <= 2 * number / len(kept) + 1


def test_steps_are_thinned_and_everything_else_stays_in_its_place():
    kept = KeptEvents()
    for number in range(3 * MOST_STEPS):
        kept.extend([make_step(number)])
        if number % 1000 == 0:
            kept.extend([events.WarningIssued(message="", step=number)])
            kept.extend([events.CheckpointSaved(path="last.pt", epoch=1, step=number)])
    found = list(kept)
    assert len(found) == len(kept)
    steps = [event.step for event in found if isinstance(event, events.StepFinished)]
    assert MOST_STEPS / 2 <= len(steps) <= MOST_STEPS
    assert len(set(np.diff(steps))) == 1
    warnings = [event for event in found if isinstance(event, events.WarningIssued)]
    assert [event.step for event in warnings] == list(range(0, 3 * MOST_STEPS, 1000))
    assert not any(isinstance(event, events.CheckpointSaved) for event in found)
    assert [event.step for event in found] == sorted(event.step for event in found)
