import numpy as np
import pytest
from napari.components import ViewerModel
from napari.layers import Image

from napari_surfseg.gui.controls.box_size import BoxSize
from napari_surfseg.gui.layers.camera import camera_of, compute_view_center
from napari_surfseg.gui.layers.placement import compute_placement
from napari_surfseg.gui.live.layers import LiveLayers
from napari_surfseg.gui.live.toggle_key import KEYS, bind_key, unbind_key
from napari_surfseg.gui.run_session.previews import LivePreview


def preview(value=100, shape=(8, 16, 16), origin=(4, 10, 20), index=0):
    skeleton = np.zeros(shape, np.uint8)
    skeleton[shape[0] // 2] = 1
    return LivePreview(
        index=index,
        image="scan.zarr",
        origin=origin,
        probabilities=np.full(shape, value, np.uint8),
        skeleton=skeleton,
    )


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
    live.show(preview(), source)
    for layer in (live.prediction, live.skeleton):
        for voxel in ((0, 0, 0), (7, 15, 15), (3, 0, 9)):
            in_source = np.add(voxel, (4, 10, 20))
            assert layer.data_to_world(voxel) == pytest.approx(source.data_to_world(in_source))


def test_units_and_axis_labels_come_from_the_source(viewer, source):
    live = LiveLayers(viewer)
    live.show(preview(), source)
    assert live.prediction.units == source.units
    assert live.skeleton.axis_labels == ("z", "y", "x")
    assert viewer.dims.axis_labels == ("z", "y", "x")


def test_updates_are_in_place_and_leave_the_source_alone(viewer, source):
    before = source.data.copy()
    live = LiveLayers(viewer)
    live.show(preview(10), source)
    first, data = live.prediction, live.prediction.data
    live.show(preview(200, index=1), source)
    assert live.prediction is first
    assert live.prediction.data is data
    assert (data == 200).all()
    assert len(viewer.layers) == 3
    np.testing.assert_array_equal(source.data, before)


def test_a_moved_preview_moves_the_layers(viewer, source):
    live = LiveLayers(viewer)
    live.show(preview(origin=(0, 0, 0)), source)
    live.show(preview(origin=(8, 30, 2)), source)
    assert live.prediction.data_to_world((0, 0, 0)) == pytest.approx(
        source.data_to_world((8, 30, 2))
    )
    live.show(preview(shape=(4, 6, 8)), source)
    assert live.skeleton.data.shape == (4, 6, 8)


def test_the_selection_stays_where_the_person_left_it(viewer, source):
    labels = viewer.add_labels(np.zeros((32, 64, 64), np.uint8), name="painted")
    viewer.layers.selection.active = labels
    LiveLayers(viewer).show(preview(), source)
    assert viewer.layers.selection.active is labels


def test_a_deleted_layer_stays_deleted_until_it_is_asked_for(viewer, source):
    live = LiveLayers(viewer)
    live.show(preview(), source)
    viewer.layers.remove(live.prediction)
    live.show(preview(7), source)
    assert live.prediction is None
    assert live.skeleton is not None
    live.restore()
    live.show(preview(7), source)
    assert (live.prediction.data == 7).all()


def test_a_volume_that_is_no_layer_still_gets_its_previews(viewer):
    live = LiveLayers(viewer)
    live.show(preview(), None)
    assert live.prediction.data_to_world((0, 0, 0)) == (4, 10, 20)
    assert compute_placement(None, (1, 2, 3))["translate"].tolist() == [1, 2, 3]


def test_the_view_center_is_a_voxel_of_the_source(viewer, source):
    viewer.dims.set_point(0, 100 + 4 * 9)
    camera = camera_of(viewer)
    camera.center = (0, 2 * 20, 2 * 30 - 7)
    assert compute_view_center(viewer, source) == (9, 20, 30)
    camera.center = (0, -1e6, 1e6)
    assert compute_view_center(viewer, source) == (9, 0, 63)
    viewer.dims.ndisplay = 3
    camera.center = (100 + 4 * 3, 2 * 5, 2 * 6 - 7)
    assert compute_view_center(viewer, source) == (3, 5, 6)


# -- where they lie -----------------------------------------------------------------


def names(viewer):
    return [layer.name for layer in viewer.layers]


def test_they_lie_over_the_volume_and_under_the_labels(viewer, source):
    viewer.add_image(np.zeros((32, 64, 64), np.uint8), name="other image")
    viewer.add_labels(np.zeros((32, 64, 64), np.uint8), name="strokes")
    viewer.add_points(name="points", ndim=3)
    LiveLayers(viewer).show(preview(), source)
    live = ["live prediction", "live skeleton"]
    assert names(viewer) == ["scan", "other image", *live, "strokes", "points"]


def test_without_labels_over_the_volume_they_lie_on_top(viewer):
    viewer.add_labels(np.zeros((32, 64, 64), np.uint8), name="below")
    source = viewer.add_image(np.zeros((32, 64, 64), np.uint8), name="scan")
    LiveLayers(viewer).show(preview(), source)
    assert names(viewer) == ["below", "scan", "live prediction", "live skeleton"]


def test_another_order_of_a_persons_stays_until_another_volume_is_shown(viewer, source):
    live = LiveLayers(viewer)
    live.show(preview(), source)
    viewer.layers.move(0, 3)  # the volume over its live layers
    live.show(preview(7), source)
    assert names(viewer) == ["live prediction", "live skeleton", "scan"]
    other = viewer.add_image(np.zeros((32, 64, 64), np.uint8), name="other")
    live.show(preview(), other)
    assert names(viewer) == ["scan", "other", "live prediction", "live skeleton"]


# -- how they look ------------------------------------------------------------------


def test_the_box_is_framed_by_whichever_live_layer_there_is(viewer, source):
    live = LiveLayers(viewer)
    live.show(preview(), source)
    assert live.prediction.bounding_box.visible
    assert not live.prediction.bounding_box.points
    assert not live.skeleton.bounding_box.visible
    viewer.layers.remove(live.prediction)
    live.show(preview(), source)
    assert live.skeleton.bounding_box.visible


def test_in_3d_there_are_fronts_and_lines_and_back_in_2d_what_was(viewer, source):
    live = LiveLayers(viewer)
    live.show(preview(), source)
    assert live.prediction.opacity < 0.7
    before = (live.prediction.opacity, live.prediction.rendering, live.skeleton.blending)
    viewer.dims.ndisplay = 3
    live.restyle()
    assert live.prediction.rendering == "attenuated_mip"
    assert live.skeleton.depiction == "plane"
    assert tuple(live.skeleton.plane.position) == (4, 8, 8)
    live.show(preview(shape=(4, 8, 8)), source)
    assert tuple(live.skeleton.plane.position) == (2, 4, 4)
    viewer.dims.ndisplay = 2
    live.restyle()
    assert live.skeleton.depiction == "volume"
    assert before == (live.prediction.opacity, live.prediction.rendering, live.skeleton.blending)


def test_what_a_person_changed_of_the_look_stays(viewer, source):
    live = LiveLayers(viewer)
    live.show(preview(), source)
    live.prediction.opacity = 0.25
    live.skeleton.visible = False
    viewer.dims.ndisplay = 3
    live.restyle()
    assert live.prediction.opacity == 0.25
    assert live.prediction.rendering == "attenuated_mip"
    live.prediction.rendering = "iso"
    viewer.dims.ndisplay = 2
    live.restyle()
    live.show(preview(9), source)
    assert live.prediction.rendering == "iso"
    assert not live.skeleton.visible


# -- what is there already ----------------------------------------------------------


def test_a_later_one_takes_over_what_is_there(viewer, source):
    first = LiveLayers(viewer)
    first.show(preview(), source)
    first.prediction.name = "renamed"
    viewer.layers.remove(first.skeleton)
    second = LiveLayers(viewer)
    second.show(preview(7), source)
    assert second.prediction is first.prediction
    assert (second.prediction.data == 7).all()
    assert second.skeleton is None
    assert names(viewer) == ["scan", "renamed"]


# -- the key ------------------------------------------------------------------------


def test_a_key_that_somebody_has_is_left_to_them(viewer):
    pressed = []
    viewer.bind_key(KEYS[0], lambda _viewer: pressed.append("theirs"))
    key = bind_key(viewer, lambda: pressed.append("ours"))
    assert key == KEYS[1]
    viewer.keymap[next(iter(k for k in viewer.keymap if str(k) == "Shift+H"))](viewer)
    assert pressed == ["ours"]
    unbind_key(viewer, key)
    assert bind_key(viewer, lambda: None) == KEYS[1]


def test_the_key_is_none_that_napari_uses(viewer):
    assert bind_key(viewer, lambda: None) == "H"


def test_the_size_of_the_box_is_told_once_it_was_chosen(qtbot):
    box = BoxSize("live_box", (32, 128, 128))
    qtbot.addWidget(box)
    told = []
    box.changed.connect(told.append)
    box.set_size((16, 64, 64))
    assert told == []
    box.spins[1].setValue(96)
    assert told == [(16, 96, 64)]
    assert "0.098 million voxels" in box.spins[0].toolTip()


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
