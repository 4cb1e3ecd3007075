"""Where to paint next: places of previews, less what is annotated."""

from types import SimpleNamespace

import numpy as np
import pytest

from napari_surfseg.config import Preview
from napari_surfseg.data.volume import ArrayVolume
from napari_surfseg.training import live_places
from napari_surfseg.training.live_places import LivePlaces


@pytest.fixture
def scene():
    """A sheet with two holes in a volume of which nothing is annotated."""
    probs = np.zeros((24, 48, 48), np.uint8)
    probs[11:13] = 235
    probs[11:13, 10:14, 10:14] = probs[11:13, 34:38, 34:38] = 90
    targets = np.full((32, 60, 60), 2, np.uint8)
    pair = SimpleNamespace(
        spacing=(1.0, 1.0, 1.0), held_out=(), open_targets=lambda _cache: ArrayVolume(targets)
    )
    cache = SimpleNamespace(view=lambda volume: volume)
    return SimpleNamespace(
        probs=probs, targets=targets, pair=pair, places=LivePlaces({"a.tif": pair}, cache)
    )


BOX = ((4, 6, 8), (28, 54, 56))


def find(scene, box=BOX):
    scene.places._due = 0.0
    return scene.places.find("a.tif", box, scene.probs, 0.5)


def test_places_are_in_voxels_of_the_volume_and_not_where_strokes_are(scene):
    first, second = sorted(find(scene), key=lambda place: place.location)
    assert np.linalg.norm(np.subtract(first.location, (15, 17, 19))) < 4
    assert np.linalg.norm(np.subtract(second.location, (15, 41, 43))) < 4
    scene.targets[12:20, 10:26, 12:28] = 1
    (left,) = find(scene)
    assert left.location == second.location
    scene.pair.held_out = (((0, 30, 30), (32, 60, 60)),)
    assert find(scene) == []
    scene.pair.held_out = ()
    scene.targets[:] = 0
    assert find(scene) == []


def test_what_changed_since_the_last_preview_of_the_same_place_is_listed(scene):
    find(scene)
    before = scene.probs.copy()
    scene.probs = before.copy()
    scene.probs[11:13, 20:40, :16] = 0
    assert "flickering" in {place.kind for place in find(scene)}
    scene.probs = before
    moved = ((0, 0, 0), (24, 48, 48))
    assert "flickering" not in {place.kind for place in find(scene, moved)}


def test_the_search_takes_its_share_of_the_time_and_no_more(scene, monkeypatch):
    clock = iter([100.0, 100.0, 102.0, 102.0 + 77.9, 102.0 + 78.1, 200.0, 201.0])
    monkeypatch.setattr(live_places, "time", SimpleNamespace(monotonic=lambda: next(clock)))
    scene.places._due = 0.0
    assert scene.places.find("a.tif", BOX, scene.probs, 0.5)
    assert scene.places.find("a.tif", BOX, scene.probs, 0.5) is None
    assert scene.places.find("a.tif", BOX, scene.probs, 0.5)


def test_of_a_large_preview_the_middle_is_looked_at(scene, monkeypatch):
    scene.probs[11:13, 20:24, 24:28] = 90
    assert len(find(scene)) == 3
    monkeypatch.setattr(live_places, "MAX_VOXELS", 24**3)
    (middle,) = find(scene)
    assert np.linalg.norm(np.subtract(middle.location, (15, 27, 33))) < 4


def test_a_preview_as_it_is_offered_is_looked_at_whole():
    assert np.prod(Preview().size) == live_places.MAX_VOXELS == 2**20
