"""Strokes as points, what lies beside them, and the classifier that learns from both."""

from __future__ import annotations

import numpy as np
import pytest

from napari_surfseg.config import Data, Labels
from napari_surfseg.data.cache import VolumeCache
from napari_surfseg.data.checks import check_volumes
from napari_surfseg.data.strokes.annotation import (
    AnnotatedBlock,
    find_beside,
    gather_annotation,
    list_points,
)
from napari_surfseg.data.strokes.filled_targets import FilledTargets
from napari_surfseg.data.strokes.pixel_classifier import PixelClassifier
from napari_surfseg.data.volume import ArrayVolume
from napari_surfseg.metrics.surface import compute_dice

STROKES = Labels(foreground=(1,), background=(2,), ignore=(0,))


def make_sheets(shape=(40, 48, 56), *, period=14, thickness=3, seed=0):
    """Bright sheets across Y in noise, and where they are."""
    rng = np.random.default_rng(seed)
    truth = np.zeros(shape, np.uint8)
    for first in range(5, shape[1], period):
        truth[:, first : first + thickness] = 1
    image = np.where(truth == 1, 150, 90) + rng.normal(0, 18, shape)
    return image.clip(0, 255).astype(np.uint8), truth


def paint(truth, plane=20):
    """A line on each of two sheets and between them, three voxels wide, in one slice."""
    labels = np.zeros(truth.shape, np.uint8)
    labels[plane, 5:8, 10:40] = 1
    labels[plane, 19:22, 10:40] = 1
    labels[plane, 12:14, 10:40] = 2
    labels[plane, 26:28, 10:40] = 2
    return labels


def make_pair(image, labels):
    return check_volumes(
        ArrayVolume(image), ArrayVolume(labels), Data(labels=STROKES), role="train"
    )


def learn(pair, seed=0):
    targets = pair.open_targets()
    blocks = gather_annotation([targets], [pair.census], seed=seed)
    return PixelClassifier([pair.image], [pair.spacing], [pair.roi], blocks, seed=seed)


def test_beside_a_stroke_is_its_plane_only():
    targets = np.full((9, 15, 15), 2, np.uint8)
    targets[4, 7, 2:13] = 1
    beside = find_beside(targets, (1.0, 1.0, 1.0))
    assert not beside[[0, 1, 2, 3, 5, 6, 7, 8]].any()
    assert np.flatnonzero(beside[4, :, 7]).tolist() == [5, 9]  # 1 < distance <= 2.5


def test_beside_a_stroke_painted_in_another_plane():
    targets = np.full((15, 9, 15), 2, np.uint8)
    targets[7, 4, 2:13] = 1
    targets[8, 4, 2:13] = 1
    beside = find_beside(targets, (1.0, 1.0, 1.0))
    # Two planes along Z and one along Y: it was painted across Y.
    assert not beside[:, [0, 1, 2, 3, 5, 6, 7, 8]].any()
    assert beside[5, 4, 7]
    assert beside[10, 4, 7]


def test_beside_a_ball_is_all_around_it():
    z, y, x = np.mgrid[:15, :15, :15]
    targets = np.where((z - 7) ** 2 + (y - 7) ** 2 + (x - 7) ** 2 <= 9, 1, 2).astype(np.uint8)
    beside = find_beside(targets, (1.0, 1.0, 1.0))
    assert beside[12, 7, 7]
    assert beside[7, 2, 7]


def test_what_was_annotated_is_never_beside():
    targets = np.full((5, 15, 15), 2, np.uint8)
    targets[2, 7, 2:13] = 1
    targets[2, 9] = 0
    assert not find_beside(targets, (1.0, 1.0, 1.0))[targets != 2].any()


def test_points_are_what_was_painted_and_what_is_beside():
    targets = np.full((3, 9, 9), 2, np.uint8)
    targets[1, 4, 1:8] = 1
    targets[1, 0] = 0
    places, kinds = list_points(targets, (1.0, 1.0, 1.0))
    assert np.bincount(kinds).tolist()[:2] == [9, 7]
    assert set(targets[tuple(places[kinds == 2].T)]) == {2}


def test_few_blocks_are_read_of_many(monkeypatch):
    labels = np.full((64, 64, 640), 0, np.uint8)
    labels[:, :10] = 1
    labels[:, 20:30] = 2
    pair = make_pair(np.zeros(labels.shape, np.uint8), labels)
    monkeypatch.setattr("napari_surfseg.data.strokes.annotation.MAX_BLOCKS", 3)
    blocks = gather_annotation([pair.open_targets()], [pair.census], seed=1)
    assert len(blocks) == 3
    again = gather_annotation([pair.open_targets()], [pair.census], seed=1)
    assert [b.start for b in blocks] == [b.start for b in again]


def test_four_strokes_find_the_sheets_of_the_whole_volume():
    image, truth = make_sheets()
    classifier = learn(make_pair(image, paint(truth)))
    probs = classifier.predict(0, (0, 0, 0), truth.shape)
    assert compute_dice((probs > 0.5).astype(np.uint8), truth) > 0.85
    # As thin as they are, not twice as thick.
    assert 0.7 < (probs > 0.5).sum() / truth.sum() < 1.3


def test_the_same_seed_finds_the_same():
    image, truth = make_sheets()
    pair = make_pair(image, paint(truth))
    first, second = (learn(pair, seed=5).predict(0, (4, 4, 4), (20, 30, 30)) for _ in range(2))
    np.testing.assert_array_equal(first, second)


def test_a_box_and_threads_find_what_the_whole_does():
    image, truth = make_sheets()
    classifier = learn(make_pair(image, paint(truth)))
    whole = classifier.predict(0, (0, 0, 0), truth.shape)
    box = classifier.predict_quickly(0, (3, 5, 7), (30, 40, 50))
    # A forest's leaves change abruptly, so the last digits of a response can matter here and there.
    assert np.mean(np.abs(box - whole[3:30, 5:40, 7:50]) > 0.02) < 0.01


def test_gaps_are_filled_and_strokes_stay():
    image, truth = make_sheets()
    labels = paint(truth)
    labels[20, 5:8, 10:20] = 2  # a person may say the contrary of what is to be seen
    pair = make_pair(image, labels)
    targets = pair.open_targets()
    filled = FilledTargets(targets, learn(pair), 0, ((0, 0, 0), (40, 48, 40)))
    values = filled.read((0, 0, 0), truth.shape)
    assert (values[20, 5:8, 10:20] == 0).all()
    known = targets.read((0, 0, 0), truth.shape)
    np.testing.assert_array_equal(values[known != 2], known[known != 2])
    assert set(np.unique(values[..., :40])) == {0, 1}
    assert set(np.unique(values[..., 40:])) <= {2}  # outside the part in use nothing is filled


def test_void_is_never_filled():
    image, truth = make_sheets()
    image[:8] = 0
    pair = make_pair(image, paint(truth))
    filled = FilledTargets(
        pair.open_targets(), learn(pair), 0, pair.roi, image=pair.image, void_value=0
    )
    assert (filled.read((0, 0, 0), (8, 48, 56)) == 2).all()


def test_what_is_kept_for_validation_is_never_filled():
    image, truth = make_sheets()
    pair = make_pair(image, paint(truth))
    kept = ((0, 10, 0), (40, 20, 30))
    filled = FilledTargets(pair.open_targets(), learn(pair), 0, pair.roi, held_out=[kept])
    inside = filled.read((5, 8, 5), (15, 25, 50))
    assert (inside[:, 2:12, :25] == 2).all()
    assert (inside[:, 12:] != 2).all()
    assert (inside[:, :, 25:] != 2).all()


@pytest.mark.parametrize("voxel", [(0, 0, 0), (99, 130, 210), (60, 64, 255), (10, 200, 100)])
def test_a_patch_finds_room_within_few_chunks(voxel):
    bounds = ((0, 0, 0), (100, 220, 260))
    targets = ArrayVolume(np.zeros(bounds[1], np.uint8))
    filled = FilledTargets(targets, None, 0, bounds)
    start, stop = filled.chunk_bounds(voxel, (64, 64, 64))
    assert all(a <= v < b for a, v, b in zip(start, voxel, stop, strict=True))
    assert all(b - a >= 64 for a, b in zip(start, stop, strict=True))
    assert all(0 <= a < b <= n for a, b, n in zip(start, stop, bounds[1], strict=True))


def test_filled_chunks_are_made_once():
    image, truth = make_sheets()
    pair = make_pair(image, paint(truth))
    calls = []
    classifier = learn(pair)
    original = classifier.predict
    classifier.predict = lambda *place: calls.append(place) or original(*place)
    cache = VolumeCache(10**8)
    view = cache.view(FilledTargets(pair.open_targets(), classifier, 0, pair.roi))
    for start in ((0, 0, 0), (5, 6, 7), (8, 8, 8)):
        view.read(start, (30, 30, 30))
    assert len(calls) == 1


def test_blocks_of_two_volumes_are_told_apart():
    image, truth = make_sheets()
    dark = 255 - image
    pairs = [make_pair(image, paint(truth)), make_pair(dark, paint(truth))]
    blocks = gather_annotation(
        [pair.open_targets() for pair in pairs], [pair.census for pair in pairs]
    )
    assert {block.source for block in blocks} == {0, 1}
    assert all(isinstance(block, AnnotatedBlock) for block in blocks)
    classifier = PixelClassifier(
        [pair.image for pair in pairs],
        [pair.spacing for pair in pairs],
        [pair.roi for pair in pairs],
        blocks,
    )
    for source in (0, 1):
        probs = classifier.predict(source, (0, 0, 0), truth.shape)
        assert compute_dice((probs > 0.5).astype(np.uint8), truth) > 0.6
