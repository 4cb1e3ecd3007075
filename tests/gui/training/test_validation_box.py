import numpy as np
import pytest
from napari.components import ViewerModel
from napari.layers import Image, Shapes

from napari_surfseg.errors import ConfigError
from napari_surfseg.geometry import from_ranges, whole_box
from napari_surfseg.gui.layers.layer_volume import is_volume
from napari_surfseg.gui.training.validation_box import build_box_layer, largest_box_beside, read_box

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
    assert read_box(image, box) == ((0, 24, 0), (20, 40, 60))


def test_what_is_no_volume_has_none():
    assert not is_volume(Image(np.zeros((2, 4, 5, 6))))
    assert not is_volume(Image(np.zeros((4, 5))))
    assert is_volume(Image([np.zeros((1, 4, 6, 8)), np.zeros((1, 2, 3, 4))], multiscale=True))
    with pytest.raises(ConfigError, match="holds no rectangle"):
        read_box(Image(np.zeros(SHAPE)), Shapes(ndim=3))


@pytest.mark.parametrize(
    ("box", "gap", "left"),
    [
        (((0, 50), (60, 100), (0, 80)), 8, ((0, 50), (0, 52), (0, 80))),
        (((10, 20), (0, 100), (0, 80)), 2, ((22, 50), (0, 100), (0, 80))),
    ],
)
def test_training_takes_the_largest_part_beside_the_validation_box(box, gap, left):
    bounds = whole_box((50, 100, 80))
    assert largest_box_beside(bounds, from_ranges(box), gap) == from_ranges(left)


def test_a_box_over_everything_leaves_no_part():
    bounds = whole_box((50, 100, 80))
    assert largest_box_beside(bounds, bounds) is None


def test_only_what_is_used_of_the_volume_is_left():
    used = from_ranges(((10, 50), (0, 100), (0, 80)))
    drawn = from_ranges(((0, 50), (60, 300), (0, 80)))
    assert largest_box_beside(used, drawn) == from_ranges(((10, 50), (0, 52), (0, 80)))
