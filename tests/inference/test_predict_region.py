"""Regions in memory, with models whose answer is known."""

from dataclasses import fields

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.inference.conftest import PLAIN, identity, noise
from torch import nn
from torch.nn import functional

from napari_surfseg.errors import CancelledError
from napari_surfseg.inference.predict_region import predict_region
from napari_surfseg.inference.settings import PredictionSettings
from napari_surfseg.model.intensity import Intensity


def reader(image):
    def read(start, stop):
        assert all(0 <= a < b <= n for a, b, n in zip(start, stop, image.shape, strict=True))
        return image[tuple(map(slice, start, stop))]

    return read


def predict(image, model=identity, start=(0, 0, 0), stop=None, **settings):
    """Predict; the settings are those of the object, or of the function."""
    names = {field.name for field in fields(PredictionSettings)} & set(settings)
    how = PredictionSettings(**{"intensity": PLAIN, **{n: settings.pop(n) for n in names}})
    return predict_region(model, reader(image), (start, stop or image.shape), how, **settings)


@settings(max_examples=40, deadline=None)
@given(
    st.tuples(st.integers(1, 20), st.integers(1, 20), st.integers(1, 20)),
    st.tuples(st.integers(1, 12), st.integers(1, 12), st.integers(1, 12)),
    st.floats(0, 0.8),
    st.integers(1, 4),
    st.booleans(),
)
def test_a_pointwise_model_gives_itself_whatever_the_windows(
    shape, window, overlap, batch_size, flips
):
    image = noise(shape)
    probs = predict(
        image,
        window=window,
        overlap=overlap,
        batch_size=batch_size,
        flips=flips,
        skip_constant=False,
    )
    assert probs.dtype == np.uint8
    np.testing.assert_array_equal(probs, image)


def test_blending_a_translation_invariant_model_equals_its_whole_application():
    image = noise((30, 34, 38))
    kernel = torch.from_numpy(np.random.default_rng(3).normal(size=(1, 1, 5, 5, 5))).float()
    whole = torch.sigmoid(
        functional.conv3d(torch.from_numpy(image)[None, None].float() / 255, kernel)
    )[0, 0].numpy()

    class Valid(nn.Module):
        """The convolution where it sees the whole kernel, and garbage at the window's rim."""

        def forward(self, values):
            inner = functional.conv3d(values, kernel)
            return functional.pad(inner, (2,) * 6, value=0.0)

    probs = predict(image, Valid(), window=(16, 16, 16), overlap=0.5, dtype=np.float32)
    # The rim's garbage has a weight of at most (1 / 14) per axis there, never none.
    inside = probs[2:-2, 2:-2, 2:-2]
    assert np.abs(inside - whole).max() < 0.02

    def mirrored(values):
        return functional.conv3d(functional.pad(values, (2,) * 6, mode="reflect"), kernel)

    # Two windows that agree wherever both look give exactly what one gives.
    one = predict(image, mirrored, window=(30, 34, 38), dtype=np.float32)
    np.testing.assert_allclose(one[2:-2, 2:-2, 2:-2], whole, atol=1e-5)


def test_there_is_no_seam():
    # A smooth image through a small blur: at seams, jumps would stand out.
    ramp = np.linspace(0, 255, 60)
    image = np.broadcast_to(ramp[:, None, None], (60, 20, 20)).astype(np.uint8)
    blur = torch.ones(1, 1, 5, 1, 1) / 5

    def model(values):
        padded = functional.pad(values, (0, 0, 0, 0, 2, 2), mode="replicate")
        return identity(functional.conv3d(padded, blur).clamp(0, 1))

    probs = predict(image, model, window=(16, 16, 16), dtype=np.float32)
    along = probs[:, 10, 10]
    assert np.abs(np.diff(along, n=2))[3:-3].max() < 0.01


def test_intensity_normalises_as_in_training():
    image = noise((8, 8, 8))
    seen = []

    def model(values):
        seen.append(values.clone())
        return values

    predict(image, model, intensity=Intensity(0, 255, mean=0.4, std=0.2), window=(8, 8, 8))
    (values,) = seen
    assert values.dtype == torch.float32
    np.testing.assert_allclose(values[0, 0].numpy(), (image / 255 - 0.4) / 0.2, atol=1e-5)


def test_flips_are_averaged_and_put_back():
    image = noise((8, 8, 8), seed=5)
    kernel = torch.tensor([0.7, 0.2, 0.1]).reshape(1, 1, 1, 1, 3)  # not symmetric

    def model(values):
        padded = functional.pad(values, (1, 1, 0, 0, 0, 0), mode="replicate")
        return identity(functional.conv3d(padded, kernel))

    probs = predict(image, model, window=(8, 8, 8), flips=True, dtype=np.float32)
    padded = np.pad(image / 255.0, ((0, 0), (0, 0), (1, 1)), mode="edge")
    symmetric = 0.4 * padded[:, :, :-2] + 0.2 * padded[:, :, 1:-1] + 0.4 * padded[:, :, 2:]
    np.testing.assert_allclose(probs, symmetric, atol=1e-4)


def test_a_region_is_read_inside_its_bounds_only():
    image = noise((40, 40, 40))
    bounds = ((8, 0, 0), (30, 40, 40))
    touched = np.zeros(image.shape, bool)

    def read(start, stop):
        touched[tuple(map(slice, start, stop))] = True
        return image[tuple(map(slice, start, stop))]

    start, stop = (10, 12, 14), (14, 20, 39)
    settings = PredictionSettings(PLAIN, window=(16, 16, 16), context=3)
    probs = predict_region(identity, read, (start, stop), settings, bounds=bounds)
    np.testing.assert_array_equal(probs, image[10:14, 12:20, 14:39])
    assert np.argwhere(touched).min(axis=0).tolist() == [8, 8, 11]
    assert np.argwhere(touched).max(axis=0).tolist() == [23, 23, 39]


def test_a_thin_region_is_widened_before_it_is_mirrored():
    shapes = []

    def model(values):
        shapes.append(values.clone())
        return identity(values)

    image = noise((40, 16, 16))
    box = ((0, 0, 0), image.shape)
    predict(image, model, (38, 0, 0), (40, 16, 16), window=(16, 16, 16), bounds=box)
    np.testing.assert_allclose(shapes[0][0, 0].numpy() * 255, image[24:40], atol=1e-3)


def test_chosen_windows_suit_the_network():
    seen = set()

    def model(values):
        seen.add(tuple(values.shape[2:]))
        return identity(values)

    image = noise((20, 30, 50))
    probs = predict(image, model, window=(16, 16, 16), multiple=(8, 8, 8))
    np.testing.assert_array_equal(probs, image)
    (window,) = seen
    assert all(length % 8 == 0 for length in window)
    assert window != (16, 16, 16)


def test_constant_windows_need_no_network():
    image = np.zeros((16, 16, 48), np.uint8)
    image[..., 40:] = noise((16, 16, 8))
    calls = []

    def model(values):
        calls.append(len(values))
        return torch.full_like(values, 10)

    probs = predict(image, model, window=(16, 16, 16), overlap=0)
    assert calls == [1]
    assert not probs[..., :32].any()
    assert (probs[..., 32:] == 255).all()


def test_deep_supervision_heads_and_training_mode():
    class Heads(nn.Module):
        def forward(self, values):
            assert not self.training
            return [identity(values), values[:, :, ::2, ::2, ::2]]

    model = Heads().train()
    image = noise((8, 8, 8))
    np.testing.assert_array_equal(predict(image, model, window=(8, 8, 8)), image)
    assert model.training


def test_a_model_that_changes_the_shape_is_refused_and_mode_put_back():
    model = nn.MaxPool3d(2).train()
    with pytest.raises(ValueError, match="must keep the shape"):
        predict(noise((8, 8, 8)), model, window=(8, 8, 8))
    assert model.training


@pytest.mark.parametrize("dtype", [np.uint8, np.bool_, np.float32])
def test_dtypes(dtype):
    image = noise((8, 8, 8))
    probs = predict(image, window=(8, 8, 8), dtype=dtype)
    assert probs.dtype == dtype
    expected = {
        np.uint8: image,
        np.bool_: image > 127,
        np.float32: (image / 255).astype(np.float32),
    }[dtype]
    np.testing.assert_allclose(probs.astype(float), expected.astype(float), atol=1e-5)


def test_progress_counts_windows_and_stopping_stops():
    seen = []
    image = noise((16, 16, 32))
    predict(
        image,
        window=(16, 16, 8),
        overlap=0,
        batch_size=3,
        progress=lambda done, total: seen.append((done, total)),
    )
    assert seen == [(3, 4), (4, 4)]
    seen.clear()
    with pytest.raises(CancelledError, match="cancelled"):
        predict(
            image,
            window=(16, 16, 8),
            overlap=0,
            progress=lambda done, total: seen.append((done, total)),
            should_stop=lambda: len(seen) == 2,
        )
    assert seen == [(1, 4), (2, 4)]


def test_a_reader_that_fails_is_heard():
    def read(start, stop):
        raise RuntimeError("the disk is gone")

    with pytest.raises(RuntimeError, match="the disk is gone"):
        predict_region(
            identity, read, ((0, 0, 0), (8, 8, 8)), PredictionSettings(PLAIN, window=(8, 8, 8))
        )
