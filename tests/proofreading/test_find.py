"""Doubtful places: each kind where it was planted, and none where nothing is wrong."""

import itertools

import numpy as np
import pytest

from napari_surfseg.cancelling import listening
from napari_surfseg.errors import CancelledError, DataError
from napari_surfseg.proofreading.find import find_doubtful_places
from napari_surfseg.proofreading.places import PLACE_KINDS


def is_near(place, voxel, reach=5.0, spacing=(1, 1, 1)):
    step = (np.array(place.location) - voxel) * np.array(spacing)
    return np.linalg.norm(step) <= reach


@pytest.mark.parametrize("kind", PLACE_KINDS)
def test_each_kind_is_first_where_it_was_planted(planted, kind):
    probs, arrays, voxel = planted(kind)
    places = find_doubtful_places(probs, **arrays)
    assert places
    first = places[0]
    assert first.kind == kind
    if kind == "loose end":  # along the tear
        assert abs(first.location[0] - voxel[0]) <= 2
        assert abs(first.location[2] - voxel[2]) <= 3
    else:
        assert is_near(first, voxel), first
    assert all(
        a <= at < b for a, at, b in zip(first.start, first.location, first.stop, strict=True)
    )
    assert 0 < first.weight < 1
    assert first.size > 0
    assert first.reason.endswith(".")
    assert [p.weight for p in places] == sorted((p.weight for p in places), reverse=True)


@pytest.mark.parametrize("values", [0, 255, "slabs", "one"])
def test_nothing_where_nothing_is_wrong(slabs, values):
    probs = slabs if isinstance(values, str) else np.full((24, 24, 24), values, np.uint8)
    if values == "one":
        probs[20:] = 0
    assert find_doubtful_places(probs) == []
    assert find_doubtful_places(probs > 127, None) == []


@pytest.mark.parametrize("kind", PLACE_KINDS)
def test_what_is_annotated_is_left_out(planted, kind):
    probs, arrays, _ = planted(kind)
    assert find_doubtful_places(probs, annotated=np.ones(probs.shape, np.uint8), **arrays) == []
    places = find_doubtful_places(probs, annotated=np.zeros(probs.shape, bool), **arrays)
    assert places == find_doubtful_places(probs, **arrays)


@pytest.mark.parametrize("kind", PLACE_KINDS)
def test_turned_volumes_have_turned_places(planted, kind):
    probs, arrays, voxel = planted(kind)
    weight = find_doubtful_places(probs, **arrays)[0].weight
    for axes, flip in itertools.product([(1, 2, 0), (2, 1, 0)], [(), (0, 1, 2)]):
        turned = [np.flip(np.transpose(a, axes), flip) for a in (probs, *arrays.values())]
        first = find_doubtful_places(turned[0], **dict(zip(arrays, turned[1:], strict=True)))[0]
        at = [
            n - 1 - p if flip else p for p, n in zip(first.location, turned[0].shape, strict=True)
        ]
        back = np.empty(3)
        back[list(axes)] = at
        assert first.kind == kind
        assert first.weight == pytest.approx(weight, rel=0.1)
        if kind != "loose end":
            assert np.linalg.norm(back - voxel) <= 6


def test_long_voxels(planted):
    """Every second plane along X: the same places, in half the voxels."""
    for kind in PLACE_KINDS:
        probs, arrays, voxel = planted(kind)
        thinned = {name: array[..., ::2] for name, array in arrays.items()}
        first = find_doubtful_places(probs[..., ::2], 0.5, (1.0, 1.0, 2.0), **thinned)[0]
        assert first.kind == kind
        if kind != "loose end":
            there = (*voxel[:2], voxel[2] // 2)
            assert is_near(first, there, 6.0, (1, 1, 2)), (kind, first)


def test_what_matters_more_comes_first(slabs):
    probs = slabs.copy()
    probs[12:14, 4:7, 4:7] = 100  # a small hole
    probs[26:28, 20:40, 20:40] = 125  # a large patch of which nothing is sure
    probs[19:21, 40:42, 4:6] = 160  # a speck
    kinds = [place.kind for place in find_doubtful_places(probs)]
    assert kinds[0] == "uncertain"
    assert kinds.index("hole") < kinds.index("small piece")
    assert len(find_doubtful_places(probs, max_places=2)) == 2


def test_places_are_apart_and_evidence_adds_up(planted):
    probs, _, voxel = planted("hole")
    alone = find_doubtful_places(probs)[0]
    both = find_doubtful_places(probs, other=np.where(probs == 90, np.uint8(220), probs))[0]
    assert is_near(both, voxel)
    assert both.weight > alone.weight
    noisy = np.random.default_rng(0).integers(60, 200, probs.shape).astype(np.uint8)
    at = np.array([p.location for p in find_doubtful_places(noisy)], float)
    gaps = np.linalg.norm(at[:, None] - at[None], axis=2)[~np.eye(len(at), dtype=bool)]
    assert gaps.min() >= 8


def test_other_types_give_the_same(planted):
    probs, _, _ = planted("hole")
    places = find_doubtful_places(probs)
    assert find_doubtful_places((probs / 255).astype(np.float32)) == places
    assert find_doubtful_places(probs.astype(np.int16)) == places
    assert find_doubtful_places(np.asfortranarray(probs)) == places
    mask = find_doubtful_places(probs > 127, None)
    assert mask == find_doubtful_places((probs > 127).astype(np.uint16) * 7, None)
    assert mask[0].kind == "hole"


@pytest.mark.parametrize("shape", [(0, 4, 4), (1, 1, 1), (1, 40, 40), (3, 5, 200)])
def test_odd_shapes(shape):
    for value in (0, 130, 255):
        find_doubtful_places(np.full(shape, value, np.uint8))
    find_doubtful_places(np.random.default_rng(1).integers(0, 256, shape).astype(np.uint8))


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"probs": np.zeros((4, 4))}, "a volume"),
        ({"probs": np.full((4, 4, 4), np.nan)}, "64 NaN voxels"),
        ({"probs": np.full((4, 4, 4), 3.0)}, "from 3 to 3"),
        ({"probs": np.full((4, 4, 4), 300)}, "0 to 255"),
        ({"threshold": 1.5}, "threshold is 1.5"),
        ({"spacing": (1, 0, 1)}, "voxel size"),
        ({"earlier": np.zeros((4, 4, 5), np.uint8)}, "4 × 4 × 5"),
    ],
)
def test_refusals(given, said):
    with pytest.raises(DataError, match=said) as caught:
        find_doubtful_places(**{"probs": np.zeros((4, 4, 4), np.uint8), **given})
    assert str(caught.value).endswith(".")


def test_it_reports_and_can_be_stopped(slabs):
    stages = []
    find_doubtful_places(slabs, report=lambda stage, share: stages.append(share))
    assert stages == sorted(stages)
    assert len(stages) == 5
    with listening(lambda: True), pytest.raises(CancelledError):
        find_doubtful_places(slabs)
