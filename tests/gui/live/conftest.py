"""A volume and previews of it."""

import numpy as np
import pytest
from napari.components import ViewerModel

from napari_surfseg.gui.run_session.previews import LivePreview

#: Path of the run's volume.
SCAN = "/data/scan.zarr"


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


def show(live, preview, source):
    """Do at once what the window does in several turns of its event loop."""
    for part in live.plan(preview, source):
        part()


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


@pytest.fixture
def scan(viewer, session, run):
    """A layer that shows the volume of the run that the session follows."""
    layer = viewer.add_image(np.zeros((40, 200, 200), np.uint8), name="scan")
    session.attach(run.path)
    session.link_layer(SCAN, layer)
    return layer
