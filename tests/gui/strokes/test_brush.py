import numpy as np
import pytest
from napari.components import ViewerModel

from napari_surfseg.gui.strokes.brush import is_painting, paint_with


@pytest.fixture
def viewer():
    viewer = ViewerModel()
    viewer.add_labels(np.zeros((4, 8, 8), np.uint8), name="strokes", visible=False)
    viewer.add_image(np.zeros((4, 8, 8), np.uint8), name="scan")
    return viewer


def test_the_brush_is_taken_with_a_value(viewer):
    layer = viewer.layers["strokes"]
    viewer.dims.ndisplay = 3
    paint_with(viewer, layer, 2)
    assert viewer.dims.ndisplay == 2  # there is no slice to paint on in 3-D
    assert layer.visible
    assert viewer.layers.selection.active is layer
    assert is_painting(layer, 2)
    assert not is_painting(layer, 1)
    assert not is_painting(layer, 0)


def test_value_0_is_the_eraser(viewer):
    layer = viewer.layers["strokes"]
    paint_with(viewer, layer, 0)
    assert layer.mode == "erase"
    assert is_painting(layer, 0)
    layer.mode = "pan_zoom"
    assert not is_painting(layer, 0)
