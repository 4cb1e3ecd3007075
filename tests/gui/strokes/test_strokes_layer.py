import numpy as np
from napari.layers import Image

from napari_surfseg.gui.layers.label_regions import region_of
from napari_surfseg.gui.strokes.strokes_layer import BRUSH_VOXELS, build_strokes_layer


def test_an_empty_layer_lies_over_all_of_its_volume():
    image = Image(np.ones((4, 8, 8), np.uint8), name="scan", scale=(3, 2, 2), translate=(1, 2, 3))
    layer = build_strokes_layer(image)
    assert layer.name == "scan strokes"
    assert layer.data.shape == (4, 8, 8)
    assert not layer.data.any()
    assert layer.brush_size == BRUSH_VOXELS
    np.testing.assert_allclose(layer.data_to_world((1, 2, 3)), image.data_to_world((1, 2, 3)))
    assert region_of(layer) is None


def test_a_part_of_a_volume_is_remembered():
    image = Image(np.ones((8, 16, 16), np.uint8), scale=(3, 2, 2))
    box = ((2, 4, 0), (6, 12, 16))
    layer = build_strokes_layer(image, box)
    assert layer.data.shape == (4, 8, 16)
    assert region_of(layer) == (box, (8, 16, 16))
    np.testing.assert_allclose(layer.data_to_world((0, 0, 0)), image.data_to_world((2, 4, 0)))
