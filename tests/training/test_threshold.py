import numpy as np
import pytest

from napari_surfseg.training.threshold import (
    PLAIN_THRESHOLD,
    THRESHOLD_RANGE,
    choose_threshold,
    find_best_threshold,
)


def test_the_threshold_has_the_greatest_dice():
    rng = np.random.default_rng(0)
    truth = rng.random(5000) < 0.2
    probs = np.clip(rng.normal(np.where(truth, 120, 70), 20), 0, 255).astype(np.uint8)
    histograms = np.stack([np.bincount(probs[truth == v], minlength=256) for v in (0, 1)])

    def dice(threshold):
        pred = probs > threshold * 255
        return 2 * (pred & truth).sum() / (pred.sum() + truth.sum())

    found = find_best_threshold(histograms)
    low, high = THRESHOLD_RANGE
    assert dice(found) == pytest.approx(max(dice(t) for t in np.arange(low, high, 0.5 / 255)))


def test_without_surface_it_is_one_half():
    histograms = np.zeros((2, 256), np.int64)
    histograms[0, 10] = 5
    assert find_best_threshold(histograms) == 0.5


def test_it_stays_in_its_range():
    histograms = np.zeros((2, 256), np.int64)
    histograms[0, 1], histograms[1, 2] = 100, 100
    assert THRESHOLD_RANGE[0] - 0.01 < find_best_threshold(histograms) < THRESHOLD_RANGE[1]


def test_what_a_person_set_comes_before_strokes_and_strokes_before_dice():
    labels = [np.array([0, 0, 1, 1, 2], np.uint8)]
    probabilities = [np.array([10, 20, 80, 90, 255], np.uint8)]
    assert choose_threshold(probabilities, labels, fixed=0.3, is_sparse=True) == 0.3
    strokes = choose_threshold(probabilities, labels, fixed=None, is_sparse=True)
    assert strokes == PLAIN_THRESHOLD
    dense = choose_threshold(probabilities, labels, fixed=None, is_sparse=False)
    assert 20 < dense * 255 < 80
