"""What the tests of strokes share: sheets in noise, a few strokes on them, and a classifier."""

from __future__ import annotations

import numpy as np
import pytest

from napari_surfseg.config import Data, Labels
from napari_surfseg.data.checks import check_volumes
from napari_surfseg.data.strokes.annotation import (
    gather_annotation,
)
from napari_surfseg.data.strokes.pixel_classifier import PixelClassifier
from napari_surfseg.data.volume import ArrayVolume

STROKES = Labels(foreground=(1,), background=(2,), ignore=(0,))


@pytest.fixture
def make_sheets():
    """Give the function."""

    def make_sheets(shape=(40, 48, 56), *, period=14, thickness=3, seed=0):
        """Bright sheets across Y in noise, and where they are."""
        rng = np.random.default_rng(seed)
        truth = np.zeros(shape, np.uint8)
        for first in range(5, shape[1], period):
            truth[:, first : first + thickness] = 1
        image = np.where(truth == 1, 150, 90) + rng.normal(0, 18, shape)
        return image.clip(0, 255).astype(np.uint8), truth

    return make_sheets


@pytest.fixture
def paint():
    """Give the function."""

    def paint(truth, plane=20):
        """A line on each of two sheets and between them, three voxels wide, in one slice."""
        labels = np.zeros(truth.shape, np.uint8)
        labels[plane, 5:8, 10:40] = 1
        labels[plane, 19:22, 10:40] = 1
        labels[plane, 12:14, 10:40] = 2
        labels[plane, 26:28, 10:40] = 2
        return labels

    return paint


@pytest.fixture
def make_pair():
    """Give the function."""

    def make_pair(image, labels):
        return check_volumes(
            ArrayVolume(image), ArrayVolume(labels), Data(labels=STROKES), role="train"
        )

    return make_pair


@pytest.fixture
def learn():
    """Give the function."""

    def learn(pair, seed=0):
        targets = pair.open_targets()
        blocks = gather_annotation([targets], [pair.census], seed=seed)
        return PixelClassifier([pair.image], [pair.spacing], [pair.roi], blocks, seed=seed)

    return learn
