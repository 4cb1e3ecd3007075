"""Volumes as the network sees them."""

import numpy as np
import pytest

from napari_surfseg.config import Labels
from napari_surfseg.data.intensity import Intensity
from napari_surfseg.data.targets import HeldOutVolume, TargetVolume, UInt8Volume, is_void
from napari_surfseg.data.volume import ArrayVolume

SHAPE = (6, 7, 8)


def test_held_out_boxes_are_not_annotated_and_the_base_stays():
    values = np.ones(SHAPE, np.uint8)
    labels = ArrayVolume(values)
    held_out = HeldOutVolume(labels, [((0, 0, 0), (2, 9, 9)), ((4, 3, 3), (5, 5, 5))], 2)
    expected = values.copy()
    expected[:2] = 2
    expected[4:5, 3:5, 3:5] = 2
    np.testing.assert_array_equal(held_out.read((0, 0, 0), SHAPE), expected)
    np.testing.assert_array_equal(held_out.read((1, 2, 2), (5, 6, 4)), expected[1:5, 2:6, 2:4])
    assert (values == 1).all()


@pytest.mark.parametrize("void", [0.0, float("nan")])
def test_void_voxels_are_ignored(void):
    image = np.ones(SHAPE, np.float32)
    image[3] = void
    targets = TargetVolume(
        ArrayVolume(np.ones(SHAPE, np.uint8)), Labels(), image=ArrayVolume(image), void_value=void
    )
    found = targets.read((2, 0, 0), SHAPE)
    assert (found[1] == 2).all()
    assert (np.delete(found, 1, axis=0) == 1).all()
    assert is_void(image, void).sum() == 7 * 8
    assert not is_void(np.ones(SHAPE, np.uint8), float("nan")).any()


def test_equal_views_share_their_cached_chunks():
    image = ArrayVolume(np.zeros(SHAPE, np.uint16))
    low, high = Intensity(0, 100, 0.5, 0.1), Intensity(0, 200, 0.5, 0.1)
    assert UInt8Volume(image, low).key == UInt8Volume(image, low).key
    assert UInt8Volume(image, low).key != UInt8Volume(image, high).key
    assert UInt8Volume(image, low).dtype == np.uint8
