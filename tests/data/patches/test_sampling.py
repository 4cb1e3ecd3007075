"""Where patches are centred, and in which order."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from napari_surfseg.config import Data, Labels
from napari_surfseg.data.cache import VolumeCache
from napari_surfseg.data.checks import check_volumes
from napari_surfseg.data.patches.augment import SYMMETRIES
from napari_surfseg.data.patches.sampling import PatchSampler, place_patch
from napari_surfseg.data.volume import ArrayVolume
from napari_surfseg.errors import DataError


def make_pair(labels, roi=None, name="a"):
    image = np.random.default_rng(0).integers(0, 255, labels.shape).astype(np.uint8)
    return check_volumes(
        ArrayVolume(image, name=name), ArrayVolume(labels), Data(), role="train", roi=roi
    )


def make_sampler(pairs, share=0.65, seed=1, *, cached=True):
    cache = VolumeCache(2**26 if cached else 0)
    targets = [cache.view(pair.open_targets()) for pair in pairs]
    return PatchSampler(pairs, targets, foreground_share=share, seed=seed)


def draw(sampler, index):
    return sampler.draw(index, np.random.default_rng([5, index]))


def test_share_is_reached_in_every_stretch():
    labels = np.zeros((20, 40, 40), np.uint8)
    labels[10, :, 4::5] = 1
    for share in (0.0, 0.1, 0.65, 1.0):
        for seed in range(5):
            sampler = make_sampler([make_pair(labels)], share=share, seed=seed)
            wanted = np.array([sampler.is_foreground(i) for i in range(5000)])
            for length in (1, 10, 100):
                counts = np.convolve(wanted, np.ones(length), "valid")
                assert np.all(np.abs(counts - share * length) <= 1)


@pytest.mark.parametrize("surface", [0.02, 0.3, 0.7])
def test_centres_are_what_they_are_said_to_be(surface):
    labels = (np.random.default_rng(0).random((50, 60, 70)) < surface).astype(np.uint8)
    sampler = make_sampler([make_pair(labels)])
    places = [draw(sampler, i) for i in range(1000)]
    values = np.array([labels[place.voxel] for place in places])
    assert values.tolist() == [int(place.centred) for place in places]
    assert values.mean() == pytest.approx(0.65, abs=0.002)


def test_every_voxel_is_as_likely_as_any_other():
    labels = np.full((70, 10, 10), 2, np.uint8)
    labels[:, 0, 0] = 0
    labels[62:67, 4, 4] = 1  # across a border of blocks: two in the first, three in the second
    sampler = make_sampler([make_pair(labels)], share=1.0)
    drawn = [draw(sampler, i).voxel[0] for i in range(3000)]
    counts = np.bincount(drawn, minlength=70)[62:67]
    assert counts.sum() == 3000
    assert np.all(np.abs(counts - 600) < 5 * np.sqrt(600))


def test_ignored_voxels_are_never_centres():
    labels = np.full((40, 40, 40), 2, np.uint8)
    labels[5, 5, 5:25] = 1
    labels[30, 30, 5:25] = 0
    sampler = make_sampler([make_pair(labels)], share=0.5)
    voxels = {draw(sampler, i).voxel for i in range(200)}
    assert voxels <= {(5, 5, x) for x in range(5, 25)} | {(30, 30, x) for x in range(5, 25)}
    assert len(voxels) == 40


def test_only_the_region_is_drawn_from():
    labels = np.zeros((30, 80, 30), np.uint8)
    labels[:, ::3] = 1
    pair = make_pair(labels, roi=((5, 20), (10, 75), (3, 8)))
    sampler = make_sampler([pair])
    voxels = np.array([draw(sampler, i).voxel for i in range(500)])
    assert np.all(voxels >= (5, 10, 3))
    assert np.all(voxels < (20, 75, 8))


def test_volumes_are_drawn_by_what_is_annotated():
    small, large = np.zeros((20, 20, 20), np.uint8), np.zeros((20, 20, 60), np.uint8)
    sparse = np.full((60, 60, 60), 2, np.uint8)
    for labels in (small, large, sparse):
        labels[0, :, :10] = 1
    sparse[0, 0, 50] = 0
    pairs = [make_pair(labels) for labels in (small, large, sparse)]
    sampler = make_sampler(pairs)
    counts = np.bincount([draw(sampler, i).source for i in range(2000)], minlength=3)
    supervised = np.array([8000, 24000, 601])
    np.testing.assert_allclose(counts / 2000, supervised / supervised.sum(), atol=0.03)


def test_a_plan_depends_on_seed_and_index_alone():
    labels = np.zeros((40, 40, 40), np.uint8)
    labels[::4] = 1
    first, second = make_sampler([make_pair(labels)]), make_sampler([make_pair(labels)])
    forwards = [draw(first, i) for i in range(50)]
    backwards = [draw(second, i) for i in reversed(range(50))]
    assert forwards == backwards[::-1]


def test_strokes_painted_meanwhile():
    labels = np.zeros((20, 20, 20), np.uint8)
    labels[5, 5] = 1
    sampler = make_sampler([make_pair(labels)], share=1.0, cached=False)
    labels[5, 5] = 0
    labels[7, 7, 7] = 1
    assert draw(sampler, 0).voxel == (7, 7, 7)
    labels[7, 7, 7] = 0
    with pytest.raises(DataError, match="no longer holds the labels it had"):
        draw(sampler, 0)


def test_voxel_comes_to_the_centre():
    shape = (30, 32, 34)
    places = np.arange(np.prod(shape)).reshape(shape)
    patch = (8, 8, 8)
    bounds = (0, 0, 0), shape
    for symmetry in SYMMETRIES:
        start = place_patch((12, 13, 14), patch, symmetry, bounds)
        cut = places[tuple(slice(a, a + 8) for a in start)]
        assert symmetry.apply(cut)[4, 4, 4] == places[12, 13, 14]


def test_patches_stay_inside():
    bounds = (10, 10, 10), (30, 30, 30)
    identity = SYMMETRIES[0]
    assert place_patch((10, 20, 29), (8, 8, 8), identity, bounds) == (10, 16, 22)


def test_patches_larger_than_the_volume_hold_all_of_it():
    bounds = (0, 0, 0), (10, 30, 30)
    for z in range(10):
        start = place_patch((z, 15, 15), (16, 8, 8), SYMMETRIES[0], bounds)
        assert start[0] <= 0
        assert start[0] + 16 >= 10
    starts = {place_patch((z, 15, 15), (16, 8, 8), SYMMETRIES[0], bounds)[0] for z in range(10)}
    assert starts == {-6, -5, -4, -3, -2, -1, 0}  # where it lies in the patch varies


def test_labels_of_other_values_are_understood():
    labels = np.zeros((20, 20, 20), np.uint8)
    labels[3] = 200
    labels[5] = 100
    mapping = Labels(foreground=(200,), background=(100,), ignore=(0,))
    pair = check_volumes(
        ArrayVolume(labels + 1), ArrayVolume(labels), Data(labels=mapping), role="train"
    )
    sampler = make_sampler([pair], share=0.5)
    assert {draw(sampler, i).voxel[0] for i in range(40)} == {3, 5}


def test_volumes_are_drawn_by_their_weights_where_they_have_some():
    small, large = np.zeros((8, 8, 8), np.uint8), np.zeros((40, 20, 20), np.uint8)
    small[4] = large[20] = 1
    pairs = [make_pair(small), make_pair(large, name="b")]
    drawn = [draw(make_sampler(pairs), i).source for i in range(300)]
    assert np.mean(drawn) > 0.9  # by annotated voxels
    pairs = [replace(pair, weight=weight) for pair, weight in zip(pairs, (3, 1), strict=True)]
    sampler = make_sampler(pairs)
    assert np.mean([draw(sampler, i).source for i in range(2000)]) == pytest.approx(0.25, abs=0.03)
