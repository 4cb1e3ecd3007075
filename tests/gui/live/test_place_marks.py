"""Where to paint next, as a layer."""

import numpy as np
import pytest
from napari.layers import Points

from napari_surfseg.gui.layers.camera import camera_of
from napari_surfseg.gui.live.place_marks import PLACES_NAME, PlaceMarks
from napari_surfseg.proofreading.places import DoubtfulPlace


def make_places(*kinds):
    return [
        DoubtfulPlace(kind, (8 + i, 10, 20), (3, 9, 19), (6, 12, 22), 9, 0.9 - i / 10, "Torn.")
        for i, kind in enumerate(kinds)
    ]


@pytest.fixture
def marks(viewer):
    return PlaceMarks(viewer)


def test_marks_lie_over_their_volume_and_are_replaced_in_place(viewer, source, marks):
    labels = viewer.add_labels(np.zeros((32, 64, 64), np.uint8), name="strokes")
    camera = camera_of(viewer)
    view = viewer.dims.current_step, camera.zoom, camera.center
    marks.show(make_places("hole", "uncertain"), source)
    layer = marks.layer
    assert isinstance(layer, Points)
    assert layer.name == PLACES_NAME
    np.testing.assert_array_equal(
        layer.data_to_world((4, 10, 20)), source.data_to_world((4, 10, 20))
    )
    assert viewer.layers.selection.active is labels
    assert (viewer.dims.current_step, camera.zoom, camera.center) == view
    assert list(layer.features["kind"]) == ["hole", "uncertain"]
    assert len({tuple(color) for color in layer.border_color}) == 2
    layer.selected_data = {0}
    marks.show(make_places("flickering", "hole", "bridge"), source)
    assert marks.layer is layer
    assert list(layer.features["kind"]) == ["flickering", "hole", "bridge"]
    assert len({tuple(color) for color in layer.border_color}) == 3
    assert {str(symbol) for symbol in layer.symbol} == {"diamond", "disc"}
    marks.show([], source)
    assert len(layer.data) == 0
    marks.show(make_places("small piece"), source)
    assert list(layer.features["reason"]) == ["Torn."]
    assert len(viewer.layers) == 3


def test_a_deleted_layer_stays_deleted_until_it_is_wanted_again(viewer, source, marks):
    marks.show([], source)
    assert marks.layer is None
    marks.show(make_places("hole"), source)
    marks.set_visible(False)
    assert not marks.layer.visible
    viewer.layers.remove(marks.layer)
    marks.show(make_places("hole"), source)
    assert marks.layer is None
    marks.restore()
    marks.set_visible(True)
    marks.show(make_places("hole"), source)
    assert marks.layer.visible
    assert PlaceMarks(viewer).layer is marks.layer
    marks.remove()
    assert marks.layer is None
    marks.show(make_places("hole"), None)
    assert marks.layer is not None


def test_marks_at_the_border_change_neither_the_sliders_nor_what_home_shows(viewer, source, marks):
    viewer.reset_view()
    before = viewer.dims.range, camera_of(viewer).zoom, camera_of(viewer).center
    corner = DoubtfulPlace("hole", (0, 63, 30), (0, 60, 28), (2, 64, 33), 9, 0.5, "Torn.")
    marks.show([corner, *make_places("bridge")], source)
    viewer.reset_view()
    assert (viewer.dims.range, camera_of(viewer).zoom, camera_of(viewer).center) == before
    assert marks.layer.data.tolist() == [[0, 63, 30], [8, 10, 20]]
    marks.show([corner], source)
    viewer.reset_view()
    assert (viewer.dims.range, camera_of(viewer).zoom, camera_of(viewer).center) == before
