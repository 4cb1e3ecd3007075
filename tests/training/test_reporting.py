"""Events of a training: their step, how often they come, and means of an epoch."""

import pytest

from napari_surfseg import events
from napari_surfseg.training import reporting as module
from napari_surfseg.training.reporting import EpochMeans, Reporter
from napari_surfseg.training.state import TrainingState

VALUES = {"total": 2.0, "head_total": 1.0, "gradient_norm": 0.5, "soft_dice": 0.25}


def test_a_term_is_averaged_over_the_steps_that_computed_it():
    means = EpochMeans()
    means.add({"total": 1.0, "cldice": 0.5}, 0.5)
    means.add({"total": 3.0}, 1.5)
    assert means.means() == {"total": 2.0, "cldice": 0.5}
    assert means.steps_per_second == pytest.approx(1.0)


def test_quick_steps_are_reported_now_and_then_and_the_first_of_an_epoch_always(monkeypatch):
    moment = [0.0]
    monkeypatch.setattr(module.time, "perf_counter", lambda: moment[0])
    found = []
    state = TrainingState()
    reporter = Reporter(found.append, state)
    for step in range(1, 21):
        state.step = step
        moment[0] = 0.03 * step
        if step == 6:
            reporter.begin_epoch()
        reporter.report_step(VALUES, rate=0.1, steps_per_second=1.0, progress=0.5)
    assert [event.step for event in found] == [1, 5, 6, 10, 14, 18]
    assert found[0].losses == {"soft_dice": 0.25}


def test_a_run_ends_as_completed_or_stopped():
    found = []
    reporter = Reporter(found.append, TrainingState(step=5, epoch=1))
    reporter.report_end(is_stopped=False)
    reporter.report_end(is_stopped=True)
    assert [type(event) for event in found] == [events.RunCompleted, events.RunStopped]
    assert all(event.step == 5 and event.best is None for event in found)
