"""Gaps between strokes, filled by a classifier."""

from __future__ import annotations

import numpy as np
import pytest

from napari_surfseg.data.cache import VolumeCache
from napari_surfseg.data.strokes.filled_targets import FilledTargets
from napari_surfseg.data.volume import ArrayVolume


def test_gaps_are_filled_and_strokes_stay(make_sheets, paint, make_pair, learn):
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


def test_void_is_never_filled(make_sheets, paint, make_pair, learn):
    image, truth = make_sheets()
    image[:8] = 0
    pair = make_pair(image, paint(truth))
    filled = FilledTargets(
        pair.open_targets(), learn(pair), 0, pair.roi, image=pair.image, void_value=0
    )
    assert (filled.read((0, 0, 0), (8, 48, 56)) == 2).all()


def test_what_is_kept_for_validation_is_never_filled(make_sheets, paint, make_pair, learn):
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


def test_filled_chunks_are_made_once(make_sheets, paint, make_pair, learn):
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
