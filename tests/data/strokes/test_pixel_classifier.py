"""The classifier that learns from points on and beside strokes."""

from __future__ import annotations

import numpy as np

from napari_surfseg.data.strokes.annotation import (
    AnnotatedBlock,
    gather_annotation,
)
from napari_surfseg.data.strokes.pixel_classifier import PixelClassifier
from napari_surfseg.metrics.surface import compute_dice


def test_four_strokes_find_the_sheets_of_the_whole_volume(make_sheets, paint, make_pair, learn):
    image, truth = make_sheets()
    classifier = learn(make_pair(image, paint(truth)))
    probs = classifier.predict(0, (0, 0, 0), truth.shape)
    assert compute_dice((probs > 0.5).astype(np.uint8), truth) > 0.85
    # As thin as they are, not twice as thick.
    assert 0.7 < (probs > 0.5).sum() / truth.sum() < 1.3


def test_the_same_seed_finds_the_same(make_sheets, paint, make_pair, learn):
    image, truth = make_sheets()
    pair = make_pair(image, paint(truth))
    first, second = (learn(pair, seed=5).predict(0, (4, 4, 4), (20, 30, 30)) for _ in range(2))
    np.testing.assert_array_equal(first, second)


def test_a_box_and_threads_find_what_the_whole_does(make_sheets, paint, make_pair, learn):
    image, truth = make_sheets()
    classifier = learn(make_pair(image, paint(truth)))
    whole = classifier.predict(0, (0, 0, 0), truth.shape)
    box = classifier.predict_quickly(0, (3, 5, 7), (30, 40, 50))
    # A forest's leaves change abruptly, so the last digits of a response can matter here and there.
    assert np.mean(np.abs(box - whole[3:30, 5:40, 7:50]) > 0.02) < 0.01


def test_blocks_of_two_volumes_are_kept_apart(make_sheets, paint, make_pair):
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
