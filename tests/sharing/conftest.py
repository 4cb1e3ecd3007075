"""What the tests of every format share."""

import numpy as np
import pytest
from scipy import ndimage

from napari_surfseg.model.checkpoint import save_checkpoint


@pytest.fixture
def checkpoint_path(tmp_path, tiny_checkpoint):
    """A checkpoint as a run leaves it."""
    path = tmp_path / "best.pt"
    save_checkpoint(path, tiny_checkpoint)
    return path


@pytest.fixture
def volume():
    """Grey values of 16 bits, with the void of a masked scan at one end; odd sizes."""
    noise = ndimage.gaussian_filter(np.random.default_rng(0).normal(size=(45, 33, 51)), 1)
    values = np.clip(noise * 2000 + 500, 0, 1200).astype(np.uint16)
    values[:, :, :5] = 0
    return values
