"""A model whose answer is known, outputs in a folder, and one torch thread."""

import numpy as np
import pytest
import torch

from napari_surfseg.data.open import open_volume
from napari_surfseg.model.intensity import Intensity

PLAIN = Intensity(low=0, high=255, mean=0.0, std=1.0)


def identity(values):
    """Logits whose probability is the grey value / 255."""
    return torch.logit(values.double().clamp(1e-9, 1 - 1e-9)).float()


def noise(shape, seed=0):
    return np.random.default_rng(seed).integers(0, 256, shape, dtype=np.uint8)


def read_all(path):
    volume = open_volume(path)
    return volume.read((0, 0, 0), volume.shape)


@pytest.fixture
def folder(tmp_path):
    """A folder in which only what a test names may be left at its end."""
    yield tmp_path
    assert [p.name for p in tmp_path.iterdir() if p.name.startswith(".")] == []


@pytest.fixture(autouse=True, scope="session")
def _one_thread():
    """Two threads on busy cores wait for each other more than they compute."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)
