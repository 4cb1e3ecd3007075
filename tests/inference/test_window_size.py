"""The window and the batch that suit a network and a device."""

import numpy as np
import pytest
from tests.inference.conftest import PLAIN
from torch import nn

from napari_surfseg.errors import DeviceMemoryError
from napari_surfseg.inference.settings import PredictionSettings, WindowLimit
from napari_surfseg.inference.window_size import (
    ACTIVATION_BYTES,
    GPU_BATCH_VOXELS,
    LIVE_TENSORS,
    choose_fitting_window,
    fit_to_device,
    with_fitting_window,
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


def crowded(most, error):
    """Predict, where only so many voxels fit."""

    def predict(settings):
        if np.prod(settings.window) > most:
            raise error
        return settings.window

    return predict


ERRORS = [
    RuntimeError("CUDA out of memory"),
    MemoryError(),
    DeviceMemoryError("It is too small.", window=(64, 64, 64)),
]


@pytest.mark.parametrize("error", ERRORS, ids=lambda error: type(error).__name__)
def test_the_next_smaller_window_is_tried_until_one_fits(error):
    said = []
    limit = WindowLimit(lambda before, now: said.append((before, now)))
    settings = PredictionSettings(PLAIN, window=(32, 64, 64), multiple=(16, 16, 16), limit=limit)
    error.window = None
    window = with_fitting_window(settings, crowded(32**3, error))
    assert window == (32, 32, 32)
    assert said == [((32, 64, 64), (32, 48, 48)), ((32, 48, 48), (32, 32, 32))]
    assert limit.describe().endswith("32 x 64 x 64 voxels, so windows of 32 x 32 x 32 were used.")
    assert with_fitting_window(settings, lambda chosen: chosen.window) == window  # known by now
    assert choose_fitting_window(None, (500, 500, 500), settings) == window


def test_a_window_that_was_made_larger_falls_back_to_the_patch():
    limit = WindowLimit()
    settings = PredictionSettings(PLAIN, window=(32, 32, 32), multiple=(16, 16, 16), limit=limit)
    error, calls = DeviceMemoryError("It is too small.", window=(96, 96, 96)), []

    def predict(chosen):
        calls.append(chosen)
        if len(calls) == 1:
            raise error
        return choose_fitting_window(None, (500, 500, 500), chosen)

    assert with_fitting_window(settings, predict) == (32, 32, 32)


@pytest.mark.parametrize(
    ("error", "kind"),
    [(ERRORS[0], DeviceMemoryError), (ERRORS[1], MemoryError), (ERRORS[2], DeviceMemoryError)],
)
@pytest.mark.parametrize("multiple", [None, (16, 16, 16)])
def test_where_no_window_fits_it_is_one_error(error, kind, multiple):
    settings = PredictionSettings(PLAIN, window=(32, 64, 64), multiple=multiple)
    with pytest.raises(kind):
        with_fitting_window(settings, crowded(10, error))


def test_an_error_that_always_names_the_same_window_ends_too():
    settings = PredictionSettings(PLAIN, window=(32, 64, 64), multiple=(16, 16, 16))
    error = DeviceMemoryError("It is too small.", window=(64, 64, 64))

    def predict(_settings):
        raise error

    with pytest.raises(DeviceMemoryError):
        with_fitting_window(settings, predict)


def test_other_errors_are_raised_at_once():
    settings = PredictionSettings(PLAIN, window=(32, 64, 64), multiple=(16, 16, 16))
    with pytest.raises(KeyError):
        with_fitting_window(settings, crowded(10, KeyError()))
