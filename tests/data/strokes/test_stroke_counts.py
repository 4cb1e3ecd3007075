"""Labels that were painted on, counted again where they changed."""

import numpy as np
import pytest

from napari_surfseg.config import Data
from napari_surfseg.data.checks import check_volumes
from napari_surfseg.data.strokes.stroke_counts import StrokedVolume, count_strokes
from napari_surfseg.data.volume import ArrayVolume
from napari_surfseg.errors import LabelError


@pytest.fixture
def labels():
    labels = np.zeros((70, 80, 130), np.uint8)
    labels[20:22] = 1
    labels[60:] = 2
    return labels


def make_pair(labels, roi=None):
    image = ArrayVolume(np.zeros(labels.shape, np.uint8))
    return check_volumes(image, ArrayVolume(labels, name="labels"), Data(), role="train", roi=roi)


def test_painted_boxes_lie_over_the_labels(labels):
    box = np.full((10, 12, 14), 7, np.uint8)
    painted = StrokedVolume(ArrayVolume(labels), [((15, 60, 60), box)])
    expected = labels.copy()
    expected[15:25, 60:72, 60:74] = 7
    for start, stop in (
        ((0, 0, 0), labels.shape),
        ((20, 65, 0), (30, 70, 130)),
        ((0, 0, 0), (5, 5, 5)),
    ):
        place = tuple(slice(a, b) for a, b in zip(start, stop, strict=True))
        np.testing.assert_array_equal(painted.read(start, stop), expected[place])
    assert not (labels == 7).any()


@pytest.mark.parametrize(
    "roi", [None, ((10, 66), (0, 80), (30, 130)), ((0, 70), (70, 80), (0, 130))]
)
def test_a_recount_is_what_a_new_count_finds(labels, roi):
    rng = np.random.default_rng(0)
    pair = make_pair(labels, roi)
    boxes = [
        ((0, 0, 0), rng.integers(0, 3, (64, 64, 64)).astype(np.uint8)),
        ((40, 50, 100), rng.integers(0, 3, (30, 30, 30)).astype(np.uint8)),
    ]
    new = count_strokes(pair, boxes)
    after = labels.copy()
    for start, values in boxes:
        after[tuple(slice(a, a + n) for a, n in zip(start, values.shape, strict=True))] = values
    fresh = make_pair(after, roi)
    np.testing.assert_array_equal(new.census.blocks.dense(), fresh.census.blocks.dense())
    assert new.as_row()["num_surface"] == fresh.as_row()["num_surface"]
    assert new.census.num_ignored == fresh.census.num_ignored
    assert pair.census.num_foreground != new.census.num_foreground


def test_only_what_was_painted_is_read(labels):
    pair = make_pair(labels)
    read = []
    original = pair.labels.read
    pair.labels.read = lambda start, stop: read.append((start, stop)) or original(start, stop)
    count_strokes(pair, [((5, 70, 100), np.ones((3, 3, 3), np.uint8))])
    assert read == [((0, 64, 64), (64, 80, 128))]


def test_what_cannot_be_learned_from_is_refused(labels):
    pair = make_pair(labels)
    whole = np.zeros(labels.shape, np.uint8)
    with pytest.raises(LabelError, match="has no surface voxels"):
        count_strokes(pair, [((0, 0, 0), whole)])
    with pytest.raises(LabelError, match=r"holds the value 9 \(8 voxels\), not listed"):
        count_strokes(pair, [((0, 0, 0), np.full((2, 2, 2), 9, np.uint8))])
    assert pair.census.num_foreground == 2 * 80 * 130
