"""Which boxes of the validation volumes are scored."""

import math

import numpy as np
import pytest

from napari_surfseg.config import Data
from napari_surfseg.data.checks import check_volumes
from napari_surfseg.data.volume import ArrayVolume
from napari_surfseg.geometry import box_shape, box_slices, contains_box, count_voxels
from napari_surfseg.training.validation_regions import choose_regions


def check(labels):
    image = np.zeros(labels.shape, np.uint8)
    return check_volumes(ArrayVolume(image), ArrayVolume(labels), Data(), role="validation")


@pytest.fixture
def pair():
    """Annotated in its last quarter along X only."""
    labels = np.full((64, 64, 256), 2, np.uint8)
    labels[:, :, 192:] = 0
    labels[:, 10:12, 192:] = 1
    return check(labels)


def patches_far_apart():
    """Annotated in two small places at opposite corners, of which the middle has nothing."""
    labels = np.full((192, 192, 192), 2, np.uint8)
    for place in (slice(2, 14), slice(178, 190)):
        labels[place, place, place] = 0
        labels[place, place, place.start + 5] = 1
    return labels


def one_surface_voxel():
    """Background around a single surface voxel, far from the background elsewhere."""
    labels = np.full((160, 160, 160), 2, np.uint8)
    labels[:, :, :40] = 0
    labels[150, 150, 150] = 1
    return labels


def plane_at_the_border_of_blocks():
    """A sheet that lies at the last plane of a block, of which a box can touch the rest."""
    labels = np.zeros((128, 128, 128), np.uint8)
    labels[63, :, :] = 1
    labels[:40] = 2
    return labels


def test_only_the_annotated_place_is_scored(pair):
    (region,) = choose_regions([pair], max_voxels=10**9, seed=0)
    assert region.box == ((0, 0, 192), (64, 64, 256))


def test_a_large_place_is_represented_by_a_part_that_the_seed_chooses(pair):
    (region,) = choose_regions([pair], max_voxels=64**3 // 8, seed=0)
    assert contains_box(((0, 0, 192), (64, 64, 256)), region.box)
    assert count_voxels(region.box) <= 64**3 // 8
    assert math.prod(box_shape(region.box)) > 64**3 // 16
    assert choose_regions([pair], max_voxels=64**3 // 8, seed=0) == [region]


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize(
    "build", [patches_far_apart, one_surface_voxel, plane_at_the_border_of_blocks]
)
@pytest.mark.parametrize("max_voxels", [4**3, 16**3, 32**3])
def test_what_is_scored_holds_surface(build, max_voxels, seed):
    labels = build()
    (region,) = choose_regions([check(labels)], max_voxels=max_voxels, seed=seed)
    assert count_voxels(region.box) <= max_voxels
    assert (labels[box_slices(region.box)] == 1).any()


@pytest.mark.parametrize("extent", [16, 1, 8])
@pytest.mark.parametrize("max_voxels", [2, 1000, 2**16])
def test_a_small_volume_beside_a_huge_one_keeps_a_part(extent, max_voxels):
    small = np.zeros((extent, 16, 16), np.uint8)
    small[:, 8] = 1
    huge = np.zeros((256, 256, 256), np.uint8)
    huge[:, 100] = 1
    regions = choose_regions([check(small), check(huge)], max_voxels=max_voxels, seed=0)
    sizes = [count_voxels(region.box) for region in regions]
    assert sum(sizes) <= max_voxels
    assert sizes[0] >= min(small.size // 2, max_voxels // 5)  # cut to whole planes
    for region, labels in zip(regions, (small, huge), strict=True):
        assert (labels[box_slices(region.box)] == 1).any()


def test_many_more_volumes_than_voxels_to_score_still_end():
    labels = np.zeros((8, 8, 8), np.uint8)
    labels[4] = 1
    regions = choose_regions([check(labels)] * 5, max_voxels=3, seed=0)
    assert [count_voxels(region.box) for region in regions] == [1] * 5
