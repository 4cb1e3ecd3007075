"""The window and the batch that suit a network and a device."""

import numpy as np
import pytest
from tests.inference.conftest import PLAIN
from torch import nn

from napari_surfseg.inference.settings import PredictionSettings
from napari_surfseg.inference.window_size import (
    ACTIVATION_BYTES,
    GPU_BATCH_VOXELS,
    LIVE_TENSORS,
    choose_fitting_window,
    fit_to_device,
)
from napari_surfseg.model.network import SurfaceUNet
from napari_surfseg.model.presets import ARCHITECTURES


@pytest.mark.parametrize(
    ("preset", "window"),
    [("tiny", (128, 128, 128)), ("base", (64, 80, 80)), ("exp001", (64, 72, 72))],
)
def test_windows_grow_as_far_as_the_activations_fit(preset, window):
    class Like(SurfaceUNet):
        def __init__(self, architecture):
            nn.Module.__init__(self)
            self.architecture = architecture

    architecture = ARCHITECTURES[preset]
    chosen = choose_fitting_window(
        Like(architecture),
        (1000, 1000, 1000),
        PredictionSettings(PLAIN, window=(64, 64, 64), multiple=(8, 8, 8)),
    )
    values = architecture.channels[0] * 4 * np.prod(chosen) / architecture.stem_factor**3
    assert values * LIVE_TENSORS <= ACTIVATION_BYTES["cpu"]
    assert np.prod(chosen) >= 0.7 * np.prod(window)


def test_without_a_multiple_the_window_stays():
    settings = PredictionSettings(PLAIN, window=(5, 6, 7))
    assert choose_fitting_window(nn.Identity(), (100, 100, 100), settings) == (5, 6, 7)


def test_a_cpu_is_given_one_window_and_a_gpu_several():
    settings = PredictionSettings(PLAIN, window=(32, 64, 64))
    model, shape = nn.Identity(), (100, 100, 100)
    assert fit_to_device(settings, model, shape).batch_size == 1
    on_gpu = PredictionSettings(PLAIN, window=(32, 64, 64), device="cuda:0")
    batch_size = fit_to_device(on_gpu, model, shape).batch_size
    assert batch_size * 32 * 64 * 64 == GPU_BATCH_VOXELS
    chosen = PredictionSettings(PLAIN, window=(32, 64, 64), batch_size=3)
    assert fit_to_device(chosen, model, shape).batch_size == 3
