"""The search for post-processing: it helps on other data, never hurts its own, and can be told."""

import numpy as np
import pytest
from scipy import ndimage

from napari_surfseg.errors import DataError
from napari_surfseg.inference.tuning import tune_postprocess
from napari_surfseg.metrics.score import compute_metrics
from napari_surfseg.surfaces.postprocess import PostProcess, apply_postprocess


def noisy_sheet(seed, shape=(24, 28, 28)):
    """Make a wavy sheet, and probabilities of it that are too low and full of specks."""
    rng = np.random.default_rng(seed)
    height = ndimage.gaussian_filter(rng.standard_normal(shape[1:]), 6)
    surface = shape[0] / 2 + 4 * height / abs(height).max()
    distance = abs(np.arange(shape[0])[:, None, None] - surface)
    label = (distance < 1.5).astype(np.uint8)
    probs = 150 * np.exp(-((distance / 2) ** 2)) + 12 * rng.standard_normal(shape)
    specks = rng.random(shape) < 0.004
    probs[specks] = 200
    return np.clip(probs, 0, 255).astype(np.uint8), label


def challenge_score(probs, label, settings):
    return compute_metrics(apply_postprocess(probs, settings), label)["score"]


def quick_score(pred, label):
    """Score without topology, for tests of the search itself: the Dice coefficient."""
    return 2 * (pred & label).sum() / max(1, pred.sum() + label.sum())


def test_tuned_settings_raise_the_score_of_other_data():
    settings, history = tune_postprocess(*zip(noisy_sheet(0), strict=True))
    assert history[-1].score >= history[0].score
    assert settings != PostProcess()
    probs, label = noisy_sheet(1)
    assert challenge_score(probs, label, settings) > challenge_score(probs, label, PostProcess())


def test_a_step_is_kept_only_if_it_helps_and_the_result_can_be_repeated():
    probs, label = noisy_sheet(2)
    settings, history = tune_postprocess([probs], [label], score=quick_score)
    again, same = tune_postprocess([probs], [label], score=quick_score)
    assert (settings, history) == (again, same)
    kept = [step for step in history if step.kept]
    assert kept[-1].settings == settings
    assert [s.score for s in kept] == sorted(s.score for s in kept)
    assert all(s.gain > 0 for s in kept[1:])
    assert quick_score(apply_postprocess(probs, settings), label) == pytest.approx(kept[-1].score)


def test_a_perfect_prediction_is_left_alone():
    _, label = noisy_sheet(3)
    settings, history = tune_postprocess([label * 255], [label], score=quick_score)
    assert settings == PostProcess()
    assert not any(step.kept for step in history[1:])


def test_progress_is_told_and_stopping_keeps_the_best_so_far():
    probs, label = noisy_sheet(4)
    told = []
    tune_postprocess([probs], [label], score=quick_score, progress=lambda *a: told.append(a))
    assert [done for done, _, _ in told] == sorted(done for done, _, _ in told)
    assert told[-1][0] == told[-1][1]
    calls = []

    def stop():
        calls.append(0)
        return len(calls) > 20

    settings, history = tune_postprocess([probs], [label], score=quick_score, should_stop=stop)
    assert [step.num_tried for step in history] == [1, 20]
    assert history[1].kept
    assert settings == [s for s in history if s.kept][-1].settings


def test_volumes_count_by_what_is_annotated():
    probs, label = noisy_sheet(5)
    ignored = np.full_like(label, 2)
    both = tune_postprocess([probs, probs], [label, ignored], score=quick_score)
    assert both[1][0].score == pytest.approx(quick_score(probs > 127, label))


@pytest.mark.parametrize(
    ("probs", "labels", "words"),
    [
        ([], [], "at least one"),
        ([np.zeros((2, 2, 2), np.uint8)], [], "at least one"),
        ([np.zeros((2, 2, 2))], [np.zeros((2, 2, 2), np.uint8)], "uint8"),
        ([np.zeros((2, 2, 2), np.uint8)], [np.zeros((2, 2, 3), np.uint8)], "one shape"),
        ([np.zeros((2, 2, 2), np.uint8)], [np.full((2, 2, 2), 2, np.uint8)], "ignored"),
    ],
)
def test_nothing_to_tune_on_is_refused_in_a_sentence(probs, labels, words):
    with pytest.raises(DataError) as caught:
        tune_postprocess(probs, labels)
    assert words in str(caught.value)
    assert str(caught.value).endswith(".")
