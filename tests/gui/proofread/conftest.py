"""A prediction with a mistake in each of five octants, and the labels it should be."""

import numpy as np
import pytest

from napari_surfseg.metrics.topology_errors import find_topology_errors

SHAPE = (48, 64, 64)


def make_volumes():
    """Return a prediction and labels with a mistake in each of five octants."""
    label = np.zeros(SHAPE, np.uint8)
    pred = np.zeros(SHAPE, np.uint8)
    # Sheets in the upper half: one torn, two joined by two bridges, one with a speck beside it.
    label[5:7] = pred[5:7] = 1
    pred[5:7, 6:9, 20:23] = 0
    label[12:14, :30, 34:] = pred[12:14, :30, 34:] = 1
    pred[7:12, 4, 40:42] = pred[7:12, 10, 40:42] = 1
    pred[16, 40:42, 3:5] = 1
    # Blocks in the lower half: one hollow, one not found.
    label[30:40, 4:14, 4:14] = pred[30:40, 4:14, 4:14] = 1
    pred[34:36, 7:9, 7:9] = 0
    label[30:36, 40:50, 40:50] = pred[40:42, 60:63, 60:63] = label[40:42, 60:63, 60:63] = 1
    return pred, label


@pytest.fixture(scope="session")
def volumes():
    """The prediction and the labels; not to be changed."""
    return make_volumes()


@pytest.fixture(scope="session")
def errors(volumes):
    return find_topology_errors(*volumes)
