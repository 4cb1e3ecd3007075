"""The sliding-window engine: its network, its counter, its conversions, its memory."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from tests.inference.conftest import PLAIN, identity, noise
from torch import nn

from napari_surfseg.errors import CancelledError, DeviceMemoryError
from napari_surfseg.geometry import whole_box
from napari_surfseg.inference.settings import PredictionSettings
from napari_surfseg.inference.sliding_window import (
    SlabReader,
    WindowCounter,
    WindowedBox,
    WindowNetwork,
    evaluation_mode,
    find_converter,
    stream_slabs,
)
from napari_surfseg.inference.windows import split_into_blocks

SETTINGS = PredictionSettings(PLAIN, window=(8, 8, 8), batch_size=1)


class Crowded:
    """A network whose device holds some voxels only."""

    def __init__(self, most):
        self.most, self.batches = most, []

    def __call__(self, values):
        if values.numel() > self.most:
            raise torch.cuda.OutOfMemoryError("CUDA out of memory")
        self.batches.append(len(values))
        return identity(values)


def test_a_batch_that_does_not_fit_is_taken_in_halves():
    windows = noise((7, 8, 8, 8))
    model = Crowded(most=2 * 8**3)
    probs = WindowNetwork(model, SETTINGS)(windows)
    np.testing.assert_allclose(probs.numpy() * 255, windows, atol=1e-3)
    assert model.batches == [1, 2, 2, 2]


def test_a_window_that_does_not_fit_is_one_sentence():
    with pytest.raises(
        DeviceMemoryError, match=r"^The memory of the device cpu .* 8 x 8 x 8 .*\.$"
    ):
        WindowNetwork(Crowded(most=10), SETTINGS)(noise((1, 8, 8, 8)))


def test_bf16_is_close():
    conv = nn.Conv3d(1, 1, 3, padding=1)
    windows = noise((1, 16, 16, 16))
    full, half = (
        WindowNetwork(conv, replace(SETTINGS, precision=precision))(windows)
        for precision in ("float32", "bf16")
    )
    assert half.dtype == torch.float32
    assert 0 < (full - half).abs().max() < 0.02


@pytest.mark.parametrize("setting", [{"flips": "auto"}, {"batch_size": None}])
def test_a_network_needs_settings_that_are_decided(setting):
    with pytest.raises(ValueError, match="must be decided"):
        WindowNetwork(identity, replace(SETTINGS, **setting))


@pytest.mark.parametrize("max_area", [1, 10**6])
def test_slabs_of_all_blocks_cover_the_box_once(max_area):
    image = noise((20, 21, 22))
    box = WindowedBox.over(whole_box(image.shape), SETTINGS)
    found = np.zeros(image.shape, int)
    for block in split_into_blocks(box.grid, max_area, align=8):
        reader = SlabReader(lambda a, b: image[tuple(map(slice, a, b))], box, block)
        for slab in stream_slabs(WindowNetwork(identity, SETTINGS), reader, box, block):
            where = tuple(
                slice(a, a + n) for a, n in zip(slab.start, slab.probs.shape, strict=True)
            )
            found[where] += (slab.probs * 255).round().int().numpy()
    np.testing.assert_array_equal(found, image)


def test_the_counter_reports_and_stops():
    reported = []
    stop = []
    counter = WindowCounter(
        5, "It was cancelled.", lambda *numbers: reported.append(numbers), lambda: bool(stop)
    )
    counter(2, 1)
    counter(3, 0)
    assert reported == [(2, 5), (5, 5)]
    assert counter.num_skipped == 1
    stop.append(True)
    with pytest.raises(CancelledError, match=r"^It was cancelled\.$"):
        counter.raise_if_stopped()


@pytest.mark.parametrize("is_training", [True, False])
def test_evaluation_mode_is_for_a_time(is_training):
    model = nn.Identity().train(is_training)
    with evaluation_mode(model):
        assert not model.training
    assert model.training is is_training


def test_unknown_dtypes_are_refused():
    with pytest.raises(ValueError, match="dtype must be uint8, bool or float32, not int16"):
        find_converter(np.int16)
