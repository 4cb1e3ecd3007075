"""A volume and previews of it."""

import numpy as np
import pytest
from napari.components import ViewerModel

from napari_surfseg.gui.run_session.previews import LivePreview


def make_preview(value=100, shape=(8, 16, 16), origin=(4, 10, 20), index=0):
    skeleton = np.zeros(shape, np.uint8)
    skeleton[shape[0] // 2] = 1
    return LivePreview(
        index=index,
        image="scan.zarr",
        origin=origin,
        probabilities=np.full(shape, value, np.uint8),
        skeleton=skeleton,
    )


@pytest.fixture
def viewer():
    return ViewerModel()


@pytest.fixture
def source(viewer):
    return viewer.add_image(
        np.zeros((32, 64, 64), np.uint8),
        name="scan",
        scale=(4, 2, 2),
        translate=(100, 0, -7),
        units=("um", "um", "um"),
        axis_labels=("z", "y", "x"),
    )
