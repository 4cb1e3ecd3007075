"""Counters, running time and best score of a training."""

import math

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


def choose(scores, *, warm_up=0, tolerance=0.0, by="mean_dice"):
    """Record one score an epoch; return the epoch that is the best after each of them."""
    state, chosen = TrainingState(), []
    for state.epoch, score in enumerate(scores, 1):
        state.record_scores(
            {by: score}, by, tolerance=tolerance, is_warming_up=state.epoch <= warm_up
        )
        chosen.append(int(state.best["epoch"]) if state.best else 0)
    return chosen


@pytest.mark.parametrize(
    ("scores", "settings", "chosen"),
    [
        ([0.5, 0.4, 0.6], {}, [1, 1, 3]),
        ([0.5, 0.5, 0.4], {}, [1, 2, 2]),  # the newest of equal ones
        ([math.nan, 0.1, math.nan], {}, [0, 2, 2]),
        ([0.9, 0.8, 0.5, 0.6], {"warm_up": 2}, [1, 1, 3, 4]),
        ([0.9, 0.8, math.nan, 0.6], {"warm_up": 2}, [1, 1, 1, 4]),
        ([0.7, 0.9], {"warm_up": 2}, [1, 2]),  # the run ended there
        ([0.9, 0.5, 0.4], {"warm_up": 1}, [1, 2, 2]),
        ([0.90, 0.87, 0.89, 0.84, 0.86], {"tolerance": 0.05}, [1, 2, 3, 3, 5]),
        # Not one step down after the other: the greatest of all is what it is compared with.
        ([0.90, 0.86, 0.82, 0.78], {"tolerance": 0.05}, [1, 2, 2, 2]),
    ],
)
def test_the_best_epoch(scores, settings, chosen):
    assert choose(scores, **settings) == chosen


def test_epochs_without_a_better_score_are_counted_once_the_rate_has_risen():
    state = TrainingState()
    stale = []
    for state.epoch, score in enumerate([0.9, 0.8, 0.5, 0.5, 0.4, 0.6], 1):
        state.record_scores({"dice": score}, "dice", is_warming_up=state.epoch < 3)
        stale.append(state.stale_validations)
    assert stale == [0, 0, 0, 1, 2, 0]


def test_scores_of_other_labels_are_forgotten():
    state = TrainingState(epoch=1)
    assert state.record_scores({"dice": 0.5}, "dice")
    state.forget_best_score()
    assert state.record_scores({"dice": 0.1}, "dice")


WHOLE = {"surface_dice": 0.9, "dice": 0.5, "mean_dice": 0.7, "score": 0.6}


@pytest.mark.parametrize(
    ("before", "best_by", "metrics", "by", "is_best"),
    [
        # Another score decides: what the best epoch had of it counts.
        (WHOLE, "surface_dice", WHOLE | {"mean_dice": 0.71}, "mean_dice", True),
        (WHOLE, "surface_dice", WHOLE | {"mean_dice": 0.69}, "mean_dice", False),
        (WHOLE, "", WHOLE | {"score": 0.5}, "score", False),
        # An older run, whose scores have none of that name: they are not compared.
        ({"surface_dice": 0.9, "dice": 0.5}, "", WHOLE | {"mean_dice": 0.1}, "mean_dice", True),
        ({"surface_dice": 0.9, "dice": 0.5}, "", WHOLE | {"surface_dice": 0.8}, "surface_dice",
         False),
        # Strokes and whole surfaces.
        (WHOLE, "mean_dice", {"dice": 0.4, "recall": 0.4}, "dice", True),
        ({"dice": 0.8, "recall": 0.8}, "dice", WHOLE, "mean_dice", True),
        ({"dice": 0.8, "recall": 0.8}, "", {"dice": 0.7}, "dice", False),
    ],
)  # fmt: skip
def test_a_resumed_run_compares_like_with_like(before, best_by, metrics, by, is_best):
    state = TrainingState()
    state.restore(
        {"epoch": 4, "best": before | {"epoch": 2.0}, "best_value": 0.95} | {"best_by": best_by}
        if best_by
        else {"epoch": 4, "best": before | {"epoch": 2.0}, "best_value": 0.95}
    )
    assert state.record_scores(metrics, by) is is_best


def test_it_comes_back_as_it_was_saved():
    state = TrainingState(step=7, epoch=2, elapsed=1.5, best={"dice": 0.5}, num_previews=3)
    other = TrainingState()
    other.restore(state.as_dict())
    assert other.as_dict() == state.as_dict()
    with pytest.raises(TypeError):
        other.restore({"steps": 7})
