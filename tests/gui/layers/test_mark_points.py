"""Points whose extent stays within a volume."""

import numpy as np
import pytest
from napari.components import ViewerModel
from napari.layers import Image, Layer, Points

from napari_surfseg.gui.layers.mark_points import MarkPoints

PLACES = [[0, 0, 0], [4, 30, 39], [2, 9, 9]]


@pytest.mark.parametrize("shape", [(5, 31, 40), (3, 5, 31, 40)])
def test_the_extent_is_that_of_the_volume_at_most(qapp, shape):
    viewer = ViewerModel()
    source = viewer.add_image(np.zeros(shape, np.uint8))
    world = viewer.layers._extent_world_augmented.tolist()
    layer = MarkPoints(PLACES, source, size=[7, 48, 12])
    viewer.layers.append(layer)
    assert viewer.layers._extent_world_augmented.tolist() == world
    assert layer.data.tolist() == PLACES
    layer.data = [[2, 9, 9]]
    layer.size = 1
    assert layer.extent.data.tolist() == [[2, 9, 9]] * 2
    layer.set_volume(Image(np.zeros((9, 9, 9), np.uint8)))
    layer.data = [[8, 8, 8]]
    layer.size = 20
    np.testing.assert_allclose(layer._extent_data_augmented, [[-0.5] * 3, [8.5] * 3])
    layer.data = np.zeros((0, 3))
    assert viewer.layers._extent_world_augmented.tolist() == world


def test_without_a_volume_and_as_a_file_it_is_any_points_layer(qapp):
    layer = MarkPoints(PLACES, None, size=10)
    plain = Points(PLACES, size=10)
    np.testing.assert_array_equal(layer._extent_data_augmented, plain._extent_data_augmented)
    data, options, kind = layer.as_layer_data_tuple()
    assert kind == "points"
    assert type(Layer.create(data, options, kind)) is Points
