import numpy as np
import pytest

from napari_surfseg.training.validation import THRESHOLD_RANGE, choose_threshold


def test_the_threshold_has_the_greatest_dice():
    rng = np.random.default_rng(0)
    truth = rng.random(5000) < 0.2
    probs = np.clip(rng.normal(np.where(truth, 120, 70), 20), 0, 255).astype(np.uint8)
    histograms = np.stack([np.bincount(probs[truth == v], minlength=256) for v in (0, 1)])

    def dice(threshold):
        pred = probs > threshold * 255
        return 2 * (pred & truth).sum() / (pred.sum() + truth.sum())

    found = choose_threshold(histograms)
    low, high = THRESHOLD_RANGE
    assert dice(found) == pytest.approx(max(dice(t) for t in np.arange(low, high, 0.5 / 255)))


def test_without_surface_it_is_one_half():
    histograms = np.zeros((2, 256), np.int64)
    histograms[0, 10] = 5
    assert choose_threshold(histograms) == 0.5


def test_it_stays_in_its_range():
    histograms = np.zeros((2, 256), np.int64)
    histograms[0, 1], histograms[1, 2] = 100, 100
    assert THRESHOLD_RANGE[0] - 0.01 < choose_threshold(histograms) < THRESHOLD_RANGE[1]
