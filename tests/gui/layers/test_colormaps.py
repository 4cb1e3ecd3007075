import numpy as np
from napari.layers import Image, Labels

from napari_surfseg.gui.layers.colormaps import (
    SURFACE_COLOR,
    build_dense_colormap,
    build_probability_colormap,
    build_skeleton_colormap,
    build_strokes_colormap,
    color_of,
)


def test_surface_has_one_colour_and_background_another():
    data = np.zeros((2, 2, 2), np.uint8)
    strokes = Labels(data, colormap=build_strokes_colormap())
    dense = Labels(data, colormap=build_dense_colormap())
    np.testing.assert_allclose(color_of(strokes, 1), SURFACE_COLOR, atol=1e-6)
    np.testing.assert_allclose(color_of(dense, 1), SURFACE_COLOR, atol=1e-6)
    assert color_of(strokes, 2) != color_of(strokes, 1)
    assert color_of(None, 1) is None


def test_the_volume_shows_through_where_nothing_is_predicted():
    image = Image(np.zeros((2, 2, 2), np.uint8), colormap=build_probability_colormap())
    alpha = image.colormap.map(np.array([0.0, 1.0]))[:, 3]
    assert alpha[0] == 0
    assert alpha[1] > 0.9
    skeleton = Labels(np.zeros((2, 2, 2), np.uint8), colormap=build_skeleton_colormap())
    assert color_of(skeleton, 1)[2] > 0.9
