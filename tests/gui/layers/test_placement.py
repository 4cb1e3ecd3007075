import numpy as np
import pytest
from napari.components import ViewerModel
from napari.layers import Image

from napari_surfseg.gui.layers.placement import compute_placement


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


def test_over_a_layer_with_a_channel_axis_it_lies_where_that_shows_its_voxels():
    source = Image(
        np.zeros((1, 4, 5, 6), np.uint8),
        scale=(9, 4, 2, 1),
        translate=(7, 10, 20, 30),
        shear=(0, 0, 0, 0.1, 0, 0),
        units=("s", "nm", "nm", "nm"),
    )
    place = compute_placement(source, (1, 2, 3))
    over = Image(np.zeros((2, 2, 2), np.uint8), **place)
    voxel = np.asarray(source.data_to_world((0, 1, 2, 3)))[1:]
    np.testing.assert_allclose(over.data_to_world((0, 0, 0)), voxel)
    np.testing.assert_allclose(
        over.data_to_world((1, 1, 1)), np.asarray(source.data_to_world((0, 2, 3, 4)))[1:]
    )
    assert over.units == source.units[1:]
