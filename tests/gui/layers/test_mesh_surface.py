"""Meshes that leave every slice of the volume within reach."""

import numpy as np
from napari.components import ViewerModel
from napari.layers import Layer, Surface

from napari_surfseg.gui.layers.mesh_surface import MeshSurface

FACES = np.array([[0, 1, 2]])


def test_every_slice_of_the_volume_can_be_reached(qapp):
    viewer = ViewerModel()
    viewer.add_image(np.zeros((6, 7, 8), np.uint8), scale=(2, 1, 1))
    corners = np.array([[-0.5, -0.5, -0.5], [5.5, 6.5, 7.5], [5.5, -0.5, 7.5]])
    viewer.layers.append(MeshSurface((corners, FACES), scale=(2, 1, 1)))
    for index in range(6):
        viewer.dims.set_point(0, 2.0 * index)
        assert viewer.dims.point[0] == 2.0 * index
    np.testing.assert_array_equal(viewer.layers[-1].vertices, corners)


def test_a_mesh_within_one_voxel_and_as_a_file(qapp):
    layer = MeshSurface((np.full((3, 3), 2.4), FACES))
    assert layer.extent.data.tolist() == [[2.0] * 3] * 2
    data, options, kind = layer.as_layer_data_tuple()
    assert kind == "surface"
    assert type(Layer.create(data, options, kind)) is Surface
