import pytest
import torch

from napari_surfseg.training.threads import ThreadTuner, choose_workers


def _drive(tuner, seconds_of, total):
    """Run steps that take ``seconds_of(threads)`` for ``total`` seconds; give the time spent."""
    spent = dict.fromkeys((1, 2, 4), 0.0)
    clock = 0.0
    while clock < total:
        seconds = seconds_of(tuner.num_threads, clock)
        spent[tuner.num_threads] += seconds
        clock += seconds
        tuner.record(seconds)
    return spent


def test_the_quickest_number_is_kept():
    tuner = ThreadTuner((1, 2))
    spent = _drive(tuner, lambda n, _: {1: 1.0, 2: 0.6}[n], 200)
    assert tuner.num_threads == 2
    assert spent[1] < 0.1 * 200


def test_a_hopeless_number_is_tried_once_and_then_rarely():
    tuner = ThreadTuner((1, 2))
    spent = _drive(tuner, lambda n, _: {1: 0.2, 2: 3.0}[n], 400)
    assert tuner.num_threads == 1
    assert spent[2] < 0.1 * 400


def test_a_run_that_begins_on_a_busy_machine_does_not_stand_still():
    tuner = ThreadTuner((1, 2))
    spent = _drive(tuner, lambda n, _: {1: 0.2, 2: 4.0}[n], 10)
    assert spent[2] == 4.0  # one step, in which it is seen to be hopeless
    assert tuner.num_threads == 1


@pytest.mark.parametrize(
    ("numbers", "order"),
    [((1,), [1]), ((2, 1), [1, 2]), ((1, 3, 4), [1, 3, 4]), ((16, 1, 15), [15, 16, 1])],
)
def test_the_first_number_leaves_a_core_to_others(numbers, order):
    tuner, tried = ThreadTuner(numbers), []
    for _ in range(20):
        if tuner.num_threads not in tried:
            tried.append(tuner.num_threads)
        tuner.record(1.0)
    assert tried == order


def test_it_notices_when_the_other_core_becomes_free():
    tuner = ThreadTuner((1, 2))
    _drive(tuner, lambda n, t: 0.2 if n == 1 else (2.0 if t < 100 else 0.12), 600)
    assert tuner.num_threads == 2


def test_a_single_candidate_is_never_changed():
    tuner = ThreadTuner((1,))
    assert {tuner.record(0.5) for _ in range(200)} == {1}


def test_a_cpu_run_has_one_loader_thread_unless_more_are_asked_for():
    assert choose_workers("auto", torch.device("cpu")) == 1
    assert choose_workers(3, torch.device("cpu")) == 3
