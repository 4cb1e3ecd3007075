"""The search for post-processing: it helps on other data, keeps no chance, and can be stopped."""

from types import SimpleNamespace

import numpy as np
import pytest
from scipy import ndimage

from napari_surfseg.errors import DataError
from napari_surfseg.geometry import box_slices
from napari_surfseg.inference import postprocess_tuning
from napari_surfseg.inference.postprocess_tuning import TuningData, cut_pieces, tune_postprocess
from napari_surfseg.metrics.score import compute_metrics
from napari_surfseg.surfaces.postprocess import PostProcess
from napari_surfseg.surfaces.postprocess_blocks import apply_postprocess

SHAPE = (24, 48, 48)
PLANES = (6, 16)


def noisy_sheet(seed, shape=(24, 40, 40)):
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


def two_sheets():
    """Make two flat sheets, three voxels thick, and sure probabilities of them."""
    label = np.zeros(SHAPE, np.uint8)
    for z in PLANES:
        label[z : z + 3] = 1
    return np.where(label == 1, 230, 10).astype(np.uint8), label


def everywhere(step=12):
    """Name a place in the middle of each of 16 cells: every piece of the data holds some."""
    return [(y, x) for y in range(step // 2, 48, step) for x in range(step // 2, 48, step)]


def changed(settings):
    """Return what differs from a plain threshold."""
    return {k: v for k, v in settings.as_dict().items() if v != getattr(PostProcess, k)}


def challenge_score(probs, label, settings):
    return compute_metrics(apply_postprocess(probs, settings), label)["score"]


def quick_measure(pred, label):
    """Measure without topology, for tests of the search itself: the Dice coefficient."""
    return {"score": 2 * (pred & label).sum() / max(1, pred.sum() + label.sum())}


def quick_score(probs, label, settings):
    return quick_measure(apply_postprocess(probs, settings), label)["score"]


#: Steps that are kept unless the data say otherwise.
TIDYING = ("component size", "closing tears")


def kept_names(history):
    return [step.name for step in history if step.kept]


def test_tuned_settings_raise_the_score_of_other_data():
    settings, history = tune_postprocess(TuningData(*zip(noisy_sheet(0), strict=True)))
    assert history[-1].score >= history[0].score
    assert settings != PostProcess()
    probs, label = noisy_sheet(1)
    assert challenge_score(probs, label, settings) > challenge_score(probs, label, PostProcess())


def test_specks_are_dropped_by_their_size():
    probs, label = two_sheets()
    for y, x in everywhere():
        probs[11:14, y : y + 3, x : x + 3] = 230  # 27 voxels, as sure as the sheets
    settings, history = tune_postprocess(TuningData([probs], [label]), with_threshold=False)
    assert "component size" in kept_names(history)
    assert settings.min_area > 0
    np.testing.assert_array_equal(apply_postprocess(probs, settings), label)


def test_holes_are_plugged_by_closing():
    probs, label = two_sheets()
    for z in PLANES:
        for y, x in everywhere():
            probs[z : z + 3, y : y + 2, x : x + 2] = 40  # a hole through the sheet
    settings, _ = tune_postprocess(TuningData([probs], [label]), with_threshold=False)
    assert settings.tear_layers or settings.closing_radius
    np.testing.assert_array_equal(apply_postprocess(probs, settings), label)


def test_sheets_that_closing_would_bridge_stay_apart():
    label = np.zeros(SHAPE, np.uint8)
    label[6:9] = label[10:13] = 1  # one voxel between them
    probs = np.where(label == 1, 230, 110).astype(np.uint8)
    for y, x in everywhere():
        probs[6:9, y, x] = 110  # holes that closing would plug, at the price of the gap
    settings, _ = tune_postprocess(TuningData([probs], [label]), with_threshold=False)
    assert settings.closing_radius == 0
    assert not apply_postprocess(probs, settings)[9].any()


def test_what_helps_in_one_corner_only_is_not_kept():
    probs, label = two_sheets()
    probs[11:14, 4:7, 4:7] = 230
    improved = PostProcess(smoothing=1.0)
    assert challenge_score(probs, label, improved) > challenge_score(probs, label, PostProcess())
    _, history = tune_postprocess(TuningData([probs], [label]))
    assert set(kept_names(history)) <= {"start", *TIDYING}


def test_a_perfect_prediction_is_left_alone():
    _, label = noisy_sheet(3)
    settings, history = tune_postprocess(TuningData([label * 255], [label]))
    np.testing.assert_array_equal(apply_postprocess(label * 255, settings), label)
    assert set(kept_names(history)) <= {"start", *TIDYING}


def test_a_better_score_is_not_bought_with_surface_dice():
    """Flooding raises this score on every piece; the guard alone stops it."""
    probs, label = noisy_sheet(4)

    def measure(pred, truth):
        flood = float(pred.mean())
        return {"score": flood, "surface_dice": 1 - flood, "dice": 1 - flood}

    settings, _ = tune_postprocess(TuningData([probs], [label]), measure=measure)
    start, end = (apply_postprocess(probs, s).mean() for s in (PostProcess(), settings))
    assert end - start <= postprocess_tuning.MAX_LOSS
    unguarded = tune_postprocess(
        TuningData([probs], [label]), measure=lambda p, _: {"score": p.mean()}
    )
    assert apply_postprocess(probs, unguarded[0]).mean() - start > 5 * postprocess_tuning.MAX_LOSS


@pytest.mark.parametrize("goal", ["score", "surface_dice", "dice"])
def test_the_goal_is_what_rises(goal):
    probs, label = noisy_sheet(5)

    def measure(pred, truth):
        found = quick_measure(pred, truth)["score"]
        return {"score": 0.5, "surface_dice": 0.5, "dice": 0.5} | {goal: found}

    settings, history = tune_postprocess(TuningData([probs], [label]), measure=measure, goal=goal)
    assert settings.threshold < 0.5
    assert history[0].score < max(step.score for step in history if step.kept)
    assert history[0].score == quick_score(probs, label, PostProcess())


@pytest.mark.parametrize(
    ("lost", "is_allowed"),
    [
        ([0.0015, 0.0015, 0.0015, 0.0015], True),
        ([0.003, 0.003, 0.003, 0.003], False),
        ([0.0, 0.0, 0.0, 0.006], False),  # other data may be like the last piece
        ([-0.01, -0.01, 0.0, 0.006], True),
    ],
)
def test_what_pieces_lose_says_what_other_data_may_lose(lost, is_allowed):
    start, other = PostProcess(), PostProcess(smoothing=0.5)
    pieces = {start: np.zeros(4), other: -np.array(lost)}
    scorer = SimpleNamespace(on_pieces=lambda settings: {"dice": pieces[settings]})
    search = postprocess_tuning._Search(scorer, None, start, "score")
    assert search._loses_little_elsewhere([scorer], other) == is_allowed


def test_a_training_sample_vetoes_what_helps_on_the_slab_alone():
    probs, label = noisy_sheet(5)
    alone, _ = tune_postprocess(TuningData([probs], [label]), measure=quick_measure)
    assert alone.threshold < 0.5
    elsewhere = np.where(label == 1, 200, 120).astype(np.uint8)  # lower would flood it
    settings, _ = tune_postprocess(
        TuningData([probs], [label]),
        measure=quick_measure,
        training_sample=TuningData([elsewhere], [label]),
    )
    assert settings.threshold == 0.5
    agreeing, _ = tune_postprocess(
        TuningData([probs], [label]),
        measure=quick_measure,
        training_sample=TuningData([probs], [label]),
    )
    assert agreeing == alone


def test_a_step_is_kept_only_if_it_helps_and_the_result_can_be_repeated():
    probs, label = noisy_sheet(2)
    settings, history = tune_postprocess(TuningData([probs], [label]), measure=quick_measure)
    again, same = tune_postprocess(TuningData([probs], [label]), measure=quick_measure)
    assert (settings, history) == (again, same)
    kept = [step for step in history if step.kept]
    assert len(kept) > 1
    assert kept[-1].settings == settings
    assert [s.score for s in kept] == sorted(s.score for s in kept)
    needs_proof = [step for step in kept[1:] if step.name not in TIDYING]
    assert all(step.gain > postprocess_tuning.MIN_GAIN for step in needs_proof)
    assert quick_score(probs, label, settings) == pytest.approx(kept[-1].score)


def test_progress_is_reported_and_stopping_keeps_the_best_so_far():
    probs, label = noisy_sheet(4)
    reported = []
    tune_postprocess(
        TuningData([probs], [label]), measure=quick_measure, progress=lambda *a: reported.append(a)
    )
    assert [done for done, _, _ in reported] == sorted(done for done, _, _ in reported)
    assert reported[-1][0] == reported[-1][1]
    calls = []

    def stop():
        calls.append(0)
        return len(calls) > 10

    settings, history = tune_postprocess(
        TuningData([probs], [label]), measure=quick_measure, should_stop=stop
    )
    assert [step.num_tried for step in history] == [1, 10]
    assert history[1].kept
    assert settings == history[1].settings


def test_volumes_count_by_what_is_annotated():
    probs, label = noisy_sheet(5)
    ignored = np.full_like(label, 2)
    both = tune_postprocess(TuningData([probs, probs], [label, ignored]), measure=quick_measure)
    assert both[1][0].score == pytest.approx(quick_score(probs, label, PostProcess()))
    assert both == tune_postprocess(TuningData([probs], [label]), measure=quick_measure)


def test_too_little_to_cut_is_left_alone():
    probs, label = noisy_sheet(6, shape=(16, 16, 16))
    settings, history = tune_postprocess(TuningData([probs], [label]))
    assert settings == PostProcess()
    assert [step.name for step in history] == ["start"]


def test_pieces_share_the_volume_and_its_annotation():
    label = np.zeros((20, 40, 80), np.uint8)
    label[10] = 1
    label[..., 60:] = 2
    boxes = cut_pieces(label, 4)
    covered = np.zeros(label.shape, int)
    for box in map(box_slices, boxes):
        covered[box] += 1
        assert (label[box] != 2).sum() >= postprocess_tuning.MIN_PIECE_VOXELS
        assert (label[box] == 1).any()
    assert (covered == 1).all()
    assert len(boxes) == 4


def test_no_piece_is_without_surface():
    label = np.zeros((40, 40, 40), np.uint8)
    label[5] = 1  # halves across Z would leave one without
    boxes = cut_pieces(label, 4)
    assert sorted(start[1:] for start, _ in boxes) == [
        (0, 0), (0, 20), (20, 0), (20, 20)
    ]  # fmt: skip
    label[5, 1:] = label[5, :, 1:] = 0
    assert len(cut_pieces(label, 4)) == 1


def test_a_single_plane_is_cut_along_its_other_axes_only():
    label = np.zeros((1, 200, 200), np.uint8)
    label[:, ::10] = 1
    boxes = cut_pieces(label, 4)
    assert len(boxes) == 4
    assert {(start[0], stop[0]) for start, stop in boxes} == {(0, 1)}


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
        tune_postprocess(TuningData(probs, labels))
    assert words in str(caught.value)
    assert str(caught.value).endswith(".")
