import numpy as np
import pytest
from tests.gui.live.conftest import make_preview, show

from napari_surfseg.gui.layers.placement import compute_placement
from napari_surfseg.gui.live.layers import LiveLayers


# napari says so of every layer that is turned out of the slice; placing it is what matters here.
@pytest.mark.filterwarnings("ignore:Non-orthogonal slicing:UserWarning")
@pytest.mark.parametrize(
    "extra",
    [
        {},
        {"rotate": [[0, 0, 1], [0, 1, 0], [-1, 0, 0]]},
        {"shear": [0.1, 0.2, 0.3]},
        {"affine": np.array([[0, 2, 0, 5], [1, 0, 0.5, 6], [0, 0, 3, 7], [0, 0, 0, 1.0]])},
    ],
)
def test_the_live_layers_lie_exactly_over_their_source(viewer, extra):
    source = viewer.add_image(
        np.zeros((32, 64, 64), np.uint8), scale=(4, 2, 2), translate=(100, 0, -7), **extra
    )
    live = LiveLayers(viewer)
    show(live, make_preview(), source)
    for layer in (live.prediction, live.skeleton):
        for voxel in ((0, 0, 0), (7, 15, 15), (3, 0, 9)):
            in_source = np.add(voxel, (4, 10, 20))
            assert layer.data_to_world(voxel) == pytest.approx(source.data_to_world(in_source))


def test_units_and_axis_labels_come_from_the_source(viewer, source):
    live = LiveLayers(viewer)
    show(live, make_preview(), source)
    assert live.prediction.units == source.units
    assert live.skeleton.axis_labels == ("z", "y", "x")
    assert viewer.dims.axis_labels == ("z", "y", "x")


def test_updates_are_in_place_and_leave_the_source_alone(viewer, source):
    before = source.data.copy()
    live = LiveLayers(viewer)
    show(live, make_preview(10), source)
    first, data = live.prediction, live.prediction.data
    show(live, make_preview(200, index=1), source)
    assert live.prediction is first
    assert live.prediction.data is data
    assert (data == 200).all()
    assert len(viewer.layers) == 3
    np.testing.assert_array_equal(source.data, before)


def test_a_moved_preview_moves_the_layers(viewer, source):
    live = LiveLayers(viewer)
    show(live, make_preview(origin=(0, 0, 0)), source)
    show(live, make_preview(origin=(8, 30, 2)), source)
    assert live.prediction.data_to_world((0, 0, 0)) == pytest.approx(
        source.data_to_world((8, 30, 2))
    )
    show(live, make_preview(shape=(4, 6, 8)), source)
    assert live.skeleton.data.shape == (4, 6, 8)


def test_the_selection_stays_where_the_person_left_it(viewer, source):
    labels = viewer.add_labels(np.zeros((32, 64, 64), np.uint8), name="painted")
    viewer.layers.selection.active = labels
    show(LiveLayers(viewer), make_preview(), source)
    assert viewer.layers.selection.active is labels


def test_a_deleted_layer_stays_deleted_until_it_is_asked_for(viewer, source):
    live = LiveLayers(viewer)
    show(live, make_preview(), source)
    viewer.layers.remove(live.prediction)
    show(live, make_preview(7), source)
    assert live.prediction is None
    assert live.skeleton is not None
    live.restore()
    show(live, make_preview(7), source)
    assert (live.prediction.data == 7).all()


def test_a_volume_that_is_no_layer_still_gets_its_previews(viewer):
    live = LiveLayers(viewer)
    show(live, make_preview(), None)
    assert live.prediction.data_to_world((0, 0, 0)) == (4, 10, 20)
    assert compute_placement(None, (1, 2, 3))["translate"].tolist() == [1, 2, 3]


def names(viewer):
    return [layer.name for layer in viewer.layers]


def test_they_lie_over_the_volume_and_under_the_labels(viewer, source):
    viewer.add_image(np.zeros((32, 64, 64), np.uint8), name="other image")
    viewer.add_labels(np.zeros((32, 64, 64), np.uint8), name="strokes")
    viewer.add_points(name="points", ndim=3)
    show(LiveLayers(viewer), make_preview(), source)
    live = ["live prediction", "live skeleton"]
    assert names(viewer) == ["scan", "other image", *live, "strokes", "points"]


def test_without_labels_over_the_volume_they_lie_on_top(viewer):
    viewer.add_labels(np.zeros((32, 64, 64), np.uint8), name="below")
    source = viewer.add_image(np.zeros((32, 64, 64), np.uint8), name="scan")
    show(LiveLayers(viewer), make_preview(), source)
    assert names(viewer) == ["below", "scan", "live prediction", "live skeleton"]


def test_another_order_of_a_persons_stays_until_another_volume_is_shown(viewer, source):
    live = LiveLayers(viewer)
    show(live, make_preview(), source)
    viewer.layers.move(0, 3)  # the volume over its live layers
    show(live, make_preview(7), source)
    assert names(viewer) == ["live prediction", "live skeleton", "scan"]
    other = viewer.add_image(np.zeros((32, 64, 64), np.uint8), name="other")
    show(live, make_preview(), other)
    assert names(viewer) == ["scan", "other", "live prediction", "live skeleton"]


def test_a_later_one_takes_over_what_is_there(viewer, source):
    first = LiveLayers(viewer)
    show(first, make_preview(), source)
    first.prediction.name = "renamed"
    viewer.layers.remove(first.skeleton)
    second = LiveLayers(viewer)
    show(second, make_preview(7), source)
    assert second.prediction is first.prediction
    assert (second.prediction.data == 7).all()
    assert second.skeleton is None
    assert names(viewer) == ["scan", "renamed"]
