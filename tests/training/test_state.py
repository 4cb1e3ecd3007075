"""Counters, running time and best score of a training."""

import pytest

from napari_surfseg.training import state as module
from napari_surfseg.training.state import TrainingState


@pytest.fixture
def clock(monkeypatch):
    moment = [0.0]
    monkeypatch.setattr(module.time, "perf_counter", lambda: moment[0])
    return moment


def test_pauses_are_no_running_time(clock):
    state = TrainingState(elapsed=100.0)
    state._counted_until = clock[0]
    clock[0] = 3.0
    assert state.elapsed_seconds() == 103.0
    state.count_time()
    clock[0] = 50.0
    state.skip_time()
    clock[0] = 51.0
    assert state.elapsed_seconds() == 104.0


def test_a_greater_score_is_the_best_and_one_that_is_no_number_never_is():
    state = TrainingState(epoch=1)
    assert state.record_scores({"dice": 0.5}, 0.5)
    state.epoch = 2
    assert not state.record_scores({"dice": 0.5}, 0.5)
    assert not state.record_scores({"dice": float("nan")}, float("nan"))
    assert state.best == {"dice": 0.5, "epoch": 1.0}
    assert state.stale_validations == 2
    state.forget_best_score()
    assert state.record_scores({"dice": 0.1}, 0.1)
    assert state.best["epoch"] == 2.0


def test_it_comes_back_as_it_was_saved():
    state = TrainingState(step=7, epoch=2, elapsed=1.5, best={"dice": 0.5}, num_previews=3)
    other = TrainingState()
    other.restore(state.as_dict())
    assert other.as_dict() == state.as_dict()
    with pytest.raises(TypeError):
        other.restore({"steps": 7})
