"""Marks in the viewer, and the camera's way to each of them."""

from dataclasses import replace

import numpy as np
import pytest
from napari.components import ViewerModel

from napari_surfseg.gui.layers.camera import camera_of
from napari_surfseg.gui.proofread.layers import (
    DIMENSIONS,
    ERROR_COLORS,
    MARK_SIZES,
    ErrorLayers,
    build_error_layers,
    canvas_edge,
    choose_zoom,
    fly_to,
)
from napari_surfseg.metrics.error_table import ERROR_NAMES
from napari_surfseg.proofreading.places import PLACE_KINDS

FOUND = {
    "hole": (18, (5, 6, 20), (7, 9, 23)),
    "extra component": (4, (16, 40, 3), (17, 42, 5)),
    "extra cavity": (8, (34, 7, 7), (36, 9, 9)),
    "missing component": (600, (30, 40, 40), (36, 50, 50)),
    "bridge": (10, (7, 4, 40), (12, 5, 42)),
}


@pytest.fixture
def viewer(qapp):
    return ViewerModel()


@pytest.fixture
def source(viewer, volumes):
    """A labels layer that is neither of unit size nor at the origin."""
    return viewer.add_labels(
        volumes[1],
        name="labels",
        scale=(4, 2, 2),
        translate=(100, 10, -30),
        units=("um",) * 3,
        axis_labels=("z", "y", "x"),
    )


@pytest.fixture
def show(viewer, source):
    """Show errors at once, instead of a layer at a time."""
    shown = ErrorLayers(viewer)

    def at_once(errors):
        shown.show(errors, source, (1, 1, 1))
        shown.adder.finish()
        return shown

    return at_once


def test_every_mistake_is_a_mark_of_its_own_kind(errors, source):
    layers = dict(build_error_layers(errors, source))
    assert set(FOUND) <= set(layers)
    for name, (size, start, stop) in FOUND.items():
        layer = layers[name]
        (place,) = np.flatnonzero(layer.features["size"] == size)[:1]
        error = errors[layer.features["index"][place]]
        assert layer.features["kind"][place] == error.name == name
        assert tuple(layer.data[place].astype(int)) == error.location
        if name != "bridge":
            assert (error.start, error.stop) == (start, stop)
    assert sum(len(layer.data) for layer in layers.values()) == len(errors)
    colors = {tuple(layer.border_color[0]) for layer in layers.values()}
    assert len(colors) == len(layers)


def test_marks_lie_over_their_source(errors, source):
    for name, layer in build_error_layers(errors, source):
        np.testing.assert_allclose(
            layer.data_to_world(layer.data[0]), source.data_to_world(layer.data[0])
        )
        assert [str(unit) for unit in layer.units] == ["micrometer"] * 3
        assert layer.axis_labels == ("z", "y", "x")
        low, high = MARK_SIZES[DIMENSIONS[name]]
        assert low <= layer.size.min() <= layer.size.max() <= high
    holes = [error for error in errors if error.name == "hole"]
    ((_, hole),) = build_error_layers(holes, None, (2, 1, 1))
    assert hole.scale.tolist() == [2, 1, 1]


def test_marks_at_the_border_change_neither_the_sliders_nor_what_home_shows(
    viewer, source, errors, show
):
    def look():
        viewer.reset_view()
        return viewer.dims.range, camera_of(viewer).zoom, camera_of(viewer).center

    before = look()
    first = replace(errors[0], location=(0, 0, 63), start=(0, 0, 20), stop=(3, 44, 64))
    last = replace(errors[0], location=(47, 63, 0), start=(47, 63, 0), stop=(48, 64, 1))
    layer = show([first, *errors, last]).layers[first.name]
    assert look() == before
    assert layer.size[0] > layer.size[-1]
    assert tuple(layer.data[0]) == first.location
    assert tuple(layer.data[-1]) == last.location


def test_there_is_a_colour_for_every_name():
    names = [name for name, _ in ERROR_NAMES.values()]
    assert set(ERROR_COLORS) == set(DIMENSIONS) == {*names, *PLACE_KINDS}
    for together in (names, PLACE_KINDS):
        assert len({ERROR_COLORS[name] for name in together}) == len(together)


def test_the_zoom_changes_as_little_as_will_do():
    # 600 pixels; an error of 10: at most 8 extents or 120 voxels, at least 1.6 or 30 voxels.
    assert choose_zoom(1.0, 600, 10, 1) == 600 / 120
    assert choose_zoom(10.0, 600, 10, 1) == 10.0
    assert choose_zoom(50.0, 600, 10, 1) == 600 / 30
    assert choose_zoom(1.0, 600, 100, 1) == 1.0
    assert choose_zoom(0.1, 600, 100, 1) == 600 / 800
    assert choose_zoom(9.0, 600, 100, 1) == 600 / 160
    # A patch as large as the volume: its marked voxel is what there is to see.
    assert choose_zoom(9.0, 600, 5000, 1) == pytest.approx(600 / (1.6 * 128))
    assert choose_zoom(1.0, 600, 30, 3) == 600 / 360


@pytest.mark.parametrize("order", [(0, 1, 2), (1, 0, 2), (2, 1, 0)])
def test_flying_in_two_dimensions(viewer, source, errors, order, show):
    viewer.dims.order = order
    shown = show(errors)
    for index, error in enumerate(errors):
        shown.go_to(index, error)
        world = np.asarray(source.data_to_world(error.location))
        np.testing.assert_allclose(viewer.dims.point, world)
        camera = camera_of(viewer)
        np.testing.assert_allclose(camera.center[-2:], world[list(order[1:])])
        across = canvas_edge(viewer) / camera.zoom
        assert 30 * 2 <= across <= 120 * 4
        marked = [(name, set(layer.selected_data)) for name, layer in shown.layers.items()]
        ((name, (place,)),) = [(name, chosen) for name, chosen in marked if chosen]
        assert name == error.name
        assert tuple(shown.layers[name].data[place].astype(int)) == error.location
        widths = shown.layers[name].border_width
        assert widths[place] == widths.max() > np.delete(widths, place).max(initial=0)


def test_flying_in_three_dimensions(viewer, source, errors, show):
    viewer.dims.ndisplay = 3
    shown = show(errors)
    shown.go_to(0, errors[0])
    np.testing.assert_allclose(camera_of(viewer).center, source.data_to_world(errors[0].location))


def test_flying_beside_a_time_series(viewer, source, errors):
    viewer.add_image(np.zeros((3, 8, 8, 8), np.uint8))
    layers = dict(build_error_layers(errors, source))
    viewer.dims.set_point(0, 2)
    fly_to(viewer, layers[errors[0].name], errors[0])
    world = source.data_to_world(errors[0].location)
    np.testing.assert_allclose(viewer.dims.point, [2, *world])


def test_new_marks_replace_the_old_ones_and_the_brush_stays(viewer, source, errors, show):
    viewer.layers.selection.active = source
    shown = show(errors)
    first = list(shown.layers.values())
    assert viewer.layers.selection.active is source
    viewer.layers.remove(first[0])
    show(errors[:1])
    assert [layer for layer in viewer.layers if layer is not source] == list(shown.layers.values())
    shown.go_to(5, errors[5])  # no longer shown
    viewer.layers.remove(shown.layers[errors[0].name])
    shown.go_to(0, errors[0])  # deleted by hand: the way is still known
    np.testing.assert_allclose(viewer.dims.point, source.data_to_world(errors[0].location))
