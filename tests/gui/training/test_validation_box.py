import numpy as np
import pytest
from napari.components import ViewerModel
from napari.layers import Image, Shapes

from napari_surfseg.errors import ConfigError
from napari_surfseg.gui.layers.layer_volume import is_volume
from napari_surfseg.gui.training.validation_box import build_box_layer, read_box

SHAPE = (20, 40, 60)


@pytest.mark.parametrize(
    "place",
    [
        {"scale": (3, 2, 1), "translate": (5, 6, 7)},
        {"affine": [[1, 0, 0, 9], [0, 0, 2, 8], [0, 2, 0, 7], [0, 0, 0, 1]]},
    ],
)
@pytest.mark.parametrize("leading", [0, 1, 2])
def test_the_box_drawn_over_a_volume_lies_in_its_voxels(place, leading):
    data = np.zeros((1,) * leading + SHAPE, np.uint8)
    padded = {}
    for key, value in place.items():
        if key == "affine":
            padded[key] = np.eye(leading + 4)
            padded[key][-4:, -4:] = value
        else:
            padded[key] = [7] * leading + list(value)
    viewer = ViewerModel()
    image = viewer.add_image(data, **padded)
    assert is_volume(image)
    viewer.dims.set_point(range(leading), image.data_to_world((0,) * data.ndim)[:leading])
    box = build_box_layer(viewer, image)
    assert read_box(image, box) == ((0, 20), (24, 40), (0, 60))


def test_what_is_no_volume_has_none():
    assert not is_volume(Image(np.zeros((2, 4, 5, 6))))
    assert not is_volume(Image(np.zeros((4, 5))))
    assert is_volume(Image([np.zeros((1, 4, 6, 8)), np.zeros((1, 2, 3, 4))], multiscale=True))
    with pytest.raises(ConfigError, match="holds no rectangle"):
        read_box(Image(np.zeros(SHAPE)), Shapes(ndim=3))
