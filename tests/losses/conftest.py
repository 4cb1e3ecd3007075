"""Labels the loss tests share."""

import numpy as np
import pytest
import torch


@pytest.fixture(autouse=True)
def _one_thread():
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture
def sheet():
    """One flat sheet, two voxels thick, in a cube of 16."""
    y = torch.zeros(1, 1, 16, 16, 16)
    y[:, :, 7:9] = 1
    return y


@pytest.fixture
def tilted():
    """One sheet, two voxels thick, tilted by about 35 degrees in both directions."""
    z, y, x = np.mgrid[:24, :24, :24].astype(np.float64)
    height = z - 0.7 * y - 0.5 * x + 3
    normal = np.sqrt(1 + 0.49 + 0.25)
    return torch.from_numpy(np.abs(height) / normal <= 1).float()[None, None]
