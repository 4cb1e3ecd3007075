"""Doubtful places of volumes: block by block as in one piece, and what the files say."""

import numpy as np
import pytest

from napari_surfseg.data.volume import ArrayVolume
from napari_surfseg.errors import DataError
from napari_surfseg.inference.doubt_in_volume import DoubtSources, find_places_in_volume
from napari_surfseg.proofreading.find import find_doubtful_places


@pytest.fixture
def probs():
    """A sheet through three blocks, with a hole, a speck, and a patch across a block's border."""
    probs = np.zeros((40, 48, 144), np.uint8)
    probs[19:23] = 70
    probs[20:22] = 235
    probs[19:23, 20:24, 20:24] = 90
    probs[20:22, 18:30, 42:56] = 130
    probs[6:9, 20:23, 100:103] = 160
    return probs


def test_blocks_find_what_the_whole_has(probs):
    whole = find_doubtful_places(probs)
    shares = []
    found = find_places_in_volume(
        DoubtSources(ArrayVolume(probs)),
        0.5,
        block=(64, 64, 48),
        report=lambda _stage, share: shares.append(share),
    )
    assert [p.kind for p in found.places] == [p.kind for p in whole]
    for place, same in zip(found.places, whole, strict=True):
        assert np.linalg.norm(np.subtract(place.location, same.location)) < 3
        assert place.weight == pytest.approx(same.weight, abs=0.05)
    assert shares == [0, 1 / 3, 2 / 3, 1]
    assert found.warnings == []
    few = find_places_in_volume(DoubtSources(ArrayVolume(probs)), 0.5, max_places=1)
    assert few.places == whole[:1]


def test_what_is_annotated_and_what_others_say(probs):
    strokes = np.full(probs.shape, 7, np.uint8)
    strokes[..., :80] = 1
    sources = DoubtSources(ArrayVolume(probs), labels=ArrayVolume(strokes), ignore=(7,))
    assert [p.kind for p in find_places_in_volume(sources, 0.5).places] == ["small piece"]
    other = probs.copy()
    other[:, :20, 80:100] = 0
    sources = DoubtSources(ArrayVolume(probs), other=ArrayVolume(other))
    assert "disagreement" in [p.kind for p in find_places_in_volume(sources, 0.5).places]


def test_masks_and_probabilities_are_told_apart(probs):
    grey = probs.copy()
    grey[0].reshape(-1)[:256] = np.arange(256)
    found = find_places_in_volume(DoubtSources(ArrayVolume(grey)))
    assert found.threshold == 0.5
    assert "looks like probabilities" in found.warnings[0]
    said = ArrayVolume(probs, content="probabilities")
    found = find_places_in_volume(DoubtSources(said))
    assert (found.threshold, found.warnings) == (0.5, [])
    found = find_places_in_volume(DoubtSources(ArrayVolume((probs > 127).astype(np.uint8))))
    assert found.threshold is None
    assert "hole" in [p.kind for p in found.places]


def test_volumes_of_two_shapes_are_refused(probs):
    sources = DoubtSources(ArrayVolume(probs), earlier=ArrayVolume(probs[1:], source="old.tif"))
    with pytest.raises(DataError, match=r"old\.tif has 39 × 48 × 144"):
        find_places_in_volume(sources)
