"""What the tests of data share: random values of a small volume."""

import numpy as np
import pytest


@pytest.fixture
def make_values():
    """Make values of a type and shape, the same in every call."""

    def make(dtype="uint8", shape=(7, 11, 13)):
        values = np.random.default_rng(0).integers(0, 120, shape)
        return values.astype(dtype)

    return make
