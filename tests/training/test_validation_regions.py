"""Which boxes of the validation volumes are scored."""

import math

import numpy as np
import pytest

from napari_surfseg.config import Data
from napari_surfseg.data.checks import check_volumes
from napari_surfseg.data.volume import ArrayVolume
from napari_surfseg.geometry import box_shape, contains_box, count_voxels
from napari_surfseg.training.validation_regions import choose_regions


@pytest.fixture
def pair():
    """Annotated in its last quarter along X only."""
    labels = np.full((64, 64, 256), 2, np.uint8)
    labels[:, :, 192:] = 0
    labels[:, 10:12, 192:] = 1
    image = np.random.default_rng(0).integers(0, 255, labels.shape).astype(np.uint8)
    return check_volumes(ArrayVolume(image), ArrayVolume(labels), Data(), role="validation")


def test_only_the_annotated_place_is_scored(pair):
    (region,) = choose_regions([pair], max_voxels=10**9, seed=0)
    assert region.box == ((0, 0, 192), (64, 64, 256))


def test_a_large_place_is_represented_by_a_part_that_the_seed_chooses(pair):
    (region,) = choose_regions([pair], max_voxels=64**3 // 8, seed=0)
    assert contains_box(((0, 0, 192), (64, 64, 256)), region.box)
    assert count_voxels(region.box) <= 64**3 // 8
    assert math.prod(box_shape(region.box)) > 64**3 // 16
    assert choose_regions([pair], max_voxels=64**3 // 8, seed=0) == [region]
