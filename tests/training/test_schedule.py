import pytest

from napari_surfseg.training.schedule import (
    compute_ema_decay,
    compute_learning_rate,
    compute_progress,
)


def test_progress_follows_the_bound_that_is_met_first():
    bounds = {"max_steps": 100, "max_seconds": 60.0}
    assert compute_progress(25, 6.0, **bounds) == 0.25
    assert compute_progress(25, 45.0, **bounds) == 0.75
    assert compute_progress(200, 0.0, **bounds) == 1.0
    assert compute_progress(10, 30.0, max_steps=None, max_seconds=60.0) == 0.5


def test_the_rate_rises_once_and_falls_once():
    rates = [compute_learning_rate(i / 1000, start=1e-4, peak=1e-3) for i in range(1001)]
    top = rates.index(max(rates))
    assert rates[0] == pytest.approx(1e-4)
    assert max(rates) == pytest.approx(1e-3)
    assert top == 150
    assert rates[-1] == pytest.approx(1e-6)
    assert rates[:151] == sorted(rates[:151])
    assert rates[150:] == sorted(rates[150:], reverse=True)


def test_the_average_forgets_its_start():
    assert compute_ema_decay(0, 0.999) == pytest.approx(0.1)
    assert compute_ema_decay(10**6, 0.999) == 0.999
