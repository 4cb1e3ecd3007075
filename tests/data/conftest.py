"""What the tests of data share: values of small volumes, and labels of sheets and strokes."""

import numpy as np
import pytest

from napari_surfseg.config import Data
from napari_surfseg.data.checks import check_volumes
from napari_surfseg.data.volume import ArrayVolume


@pytest.fixture
def make_values():
    """Make values of a type and shape, the same in every call."""

    def make(dtype="uint8", shape=(7, 11, 13)):
        values = np.random.default_rng(0).integers(0, 120, shape)
        return values.astype(dtype)

    return make


@pytest.fixture
def pair_of():
    """Give the function."""

    def pair_of(labels, image=None):
        if image is None:
            image = np.where(labels == 1, 150, 90).astype(np.uint8)
        volumes = ArrayVolume(image, name="image"), ArrayVolume(labels, name="labels")
        return check_volumes(*volumes, Data(), role="train")

    return pair_of


@pytest.fixture
def sheets():
    """Give the function."""

    def sheets(shape):
        labels = np.zeros(shape, np.uint8)
        labels[:, :, ::12] = 1
        labels[:, :, 1::12] = 1
        return labels

    return sheets


@pytest.fixture
def strokes(sheets):
    """Give the function."""

    def strokes(shape, num, seed=0):
        """Strokes of 3 by 20 voxels on single slices, half of them on the sheets."""
        rng = np.random.default_rng(seed)
        dense, labels = sheets(shape), np.full(shape, 2, np.uint8)
        for number in range(num):
            z, y = int(rng.integers(shape[0])), int(rng.integers(shape[1] - 20))
            x = 12 * int(rng.integers(1, shape[2] // 12))
            place = (
                np.s_[z, y : y + 20, x : x + 2]
                if number % 2
                else np.s_[z, y : y + 20, x + 4 : x + 7]
            )
            labels[place] = dense[place]
        return labels

    return strokes
