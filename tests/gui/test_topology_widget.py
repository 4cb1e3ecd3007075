"""The "Topology errors" widget: hand-made volumes in, marks out, and the way to each of them."""

import numpy as np
import pytest
import tifffile
from napari.components import ViewerModel
from napari.layers import Labels

from napari_surfseg.errors import SurfsegError
from napari_surfseg.gui.background.processes import JobProcess
from napari_surfseg.gui.controls.source_choice import SourceChoice
from napari_surfseg.gui.layers.camera import camera_of
from napari_surfseg.gui.layers.layer_volume import take_layer
from napari_surfseg.gui.run_session.session import get_session
from napari_surfseg.gui.topology.comparison import Comparison, run_comparison
from napari_surfseg.gui.topology.controller import TopologyController
from napari_surfseg.gui.topology.layers import (
    ERROR_COLORS,
    MARK_SIZES,
    ErrorLayers,
    build_error_layers,
    canvas_edge,
    choose_zoom,
    fly_to,
)
from napari_surfseg.gui.topology.view import TopologyView
from napari_surfseg.gui.topology.widget import TopologyErrorsWidget
from napari_surfseg.metrics.error_table import ERROR_NAMES
from napari_surfseg.metrics.features import find_topology_errors

SHAPE = (48, 64, 64)
DIMENSIONS = {f"error: {name}": dimension for name, dimension in ERROR_NAMES.values()}


def make_volumes():
    """Return a prediction and labels with a mistake in each of five octants."""
    label = np.zeros(SHAPE, np.uint8)
    pred = np.zeros(SHAPE, np.uint8)
    # Sheets in the upper half: one torn, two joined by two bridges, one with a speck beside it.
    label[5:7] = pred[5:7] = 1
    pred[5:7, 6:9, 20:23] = 0
    label[12:14, :30, 34:] = pred[12:14, :30, 34:] = 1
    pred[7:12, 4, 40:42] = pred[7:12, 10, 40:42] = 1
    pred[16, 40:42, 3:5] = 1
    # Blocks in the lower half: one hollow, one not found.
    label[30:40, 4:14, 4:14] = pred[30:40, 4:14, 4:14] = 1
    pred[34:36, 7:9, 7:9] = 0
    label[30:36, 40:50, 40:50] = pred[40:42, 60:63, 60:63] = label[40:42, 60:63, 60:63] = 1
    return pred, label


FOUND = {
    "hole": (18, (5, 6, 20), (7, 9, 23)),
    "extra component": (4, (16, 40, 3), (17, 42, 5)),
    "extra cavity": (8, (34, 7, 7), (36, 9, 9)),
    "missing component": (600, (30, 40, 40), (36, 50, 50)),
    "bridge": (10, (7, 4, 40), (12, 5, 42)),
}


@pytest.fixture
def errors():
    return find_topology_errors(*make_volumes())


@pytest.fixture
def viewer(qapp):
    return ViewerModel()


@pytest.fixture
def source(viewer):
    """A labels layer that is neither of unit size nor at the origin."""
    return viewer.add_labels(
        make_volumes()[1],
        name="labels",
        scale=(4, 2, 2),
        translate=(100, 10, -30),
        units=("um",) * 3,
        axis_labels=("z", "y", "x"),
    )


@pytest.fixture
def controller(qtbot, viewer, source, jobs):
    viewer.add_labels(
        make_volumes()[0],
        name="surface",
        scale=(4, 2, 2),
        units=("um",) * 3,
        axis_labels=("z", "y", "x"),
        metadata={"surfseg": "prediction"},
    )
    view = TopologyView()
    qtbot.addWidget(view)
    controller = TopologyController(viewer, view, jobs=jobs)
    controller.view = view
    yield controller
    controller.close()


# ---- the marks


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
    for layer in dict(build_error_layers(errors, source)).values():
        np.testing.assert_allclose(
            layer.data_to_world(layer.data[0]), source.data_to_world(layer.data[0])
        )
        assert [str(unit) for unit in layer.units] == ["micrometer"] * 3
        assert layer.axis_labels == ("z", "y", "x")
        low, high = MARK_SIZES[DIMENSIONS[layer.name]]
        assert low <= layer.size.min() <= layer.size.max() <= high
    holes = [error for error in errors if error.name == "hole"]
    ((_, hole),) = build_error_layers(holes, None, (2, 1, 1))
    assert hole.scale.tolist() == [2, 1, 1]


def test_there_is_a_colour_for_every_name():
    names = [name for name, _ in ERROR_NAMES.values()]
    assert list(ERROR_COLORS) == names
    assert len(set(ERROR_COLORS.values())) == len(names)


# ---- the way


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
def test_flying_in_two_dimensions(viewer, source, errors, order):
    viewer.dims.order = order
    shown = ErrorLayers(viewer)
    list(shown.show(errors, source, (1, 1, 1)))
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


def test_flying_in_three_dimensions(viewer, source, errors):
    viewer.dims.ndisplay = 3
    shown = ErrorLayers(viewer)
    list(shown.show(errors, source, (1, 1, 1)))
    shown.go_to(0, errors[0])
    np.testing.assert_allclose(camera_of(viewer).center, source.data_to_world(errors[0].location))


def test_flying_beside_a_time_series(viewer, source, errors):
    viewer.add_image(np.zeros((3, 8, 8, 8), np.uint8))
    layers = dict(build_error_layers(errors, source))
    viewer.dims.set_point(0, 2)
    fly_to(viewer, layers[errors[0].name], errors[0])
    world = source.data_to_world(errors[0].location)
    np.testing.assert_allclose(viewer.dims.point, [2, *world])


def test_new_marks_replace_the_old_ones_and_the_brush_stays(viewer, source, errors):
    viewer.layers.selection.active = source
    shown = ErrorLayers(viewer)
    list(shown.show(errors, source, (1, 1, 1)))
    first = list(shown.layers.values())
    assert viewer.layers.selection.active is source
    viewer.layers.remove(first[0])
    list(shown.show(errors[:1], source, (1, 1, 1)))
    assert [layer for layer in viewer.layers if layer is not source] == list(shown.layers.values())
    shown.go_to(5, errors[5])  # no longer shown
    viewer.layers.remove(shown.layers[errors[0].name])
    shown.go_to(0, errors[0])  # deleted by hand: the way is still known
    np.testing.assert_allclose(viewer.dims.point, source.data_to_world(errors[0].location))


# ---- the list


def test_the_list_is_filtered_and_stepped_through(qtbot, errors):
    view = TopologyView()
    qtbot.addWidget(view)
    chosen = []
    view.error_chosen.connect(chosen.append)
    view.step(1)
    assert chosen == []
    view.set_result({"score": 0.5, "topo_matched_1": 2.0}, errors, "found")
    assert view.model.rowCount() == len(errors)
    assert "<b>score 0.500</b>" in view.scores.text()
    sizes = [view.model.index(row, 1).data() for row in range(len(errors))]
    assert sizes == [f"{error.size:,}" for error in errors]
    view.next.click()
    view.next.click()
    view.previous.click()
    assert chosen == [0, 1, 0]
    assert not view.previous.isEnabled()
    assert view.place.text() == f"1 / {len(errors)}"
    view.kind.setCurrentIndex(view.kind.findData("hole"))
    holes = [i for i, error in enumerate(errors) if error.name == "hole"]
    assert view.kind.currentText() == f"hole ({len(holes)})"
    assert view.model.rowCount() == len(holes)
    view.step(1)
    assert chosen[-1] == holes[0]
    for _ in errors:
        view.step(1)
    assert chosen[-1] == holes[-1]
    assert not view.next.isEnabled()


# ---- the comparison


def test_it_guesses_which_layer_is_which(controller):
    assert controller.view.prediction.choice().name == "surface"
    assert controller.view.labels.choice().name == "labels"
    assert controller.view.meanings() == {0: "background", 1: "foreground"}


def test_from_layers_to_marks(qtbot, controller, viewer):
    """With the real process."""
    view = controller.view
    view.compute.click()
    assert view.error.text() == view.prediction_error.text() == ""
    assert not controller.is_busy
    names = {f"error: {name}" for name in FOUND}
    qtbot.waitUntil(lambda: names <= {layer.name for layer in viewer.layers})
    assert "errors, the largest first." in view.state.text()
    assert "surface Dice" in view.scores.text()
    assert "matched" in view.counts.text()
    view.next.click()
    # The labels' place, not the prediction's, which lies elsewhere.
    np.testing.assert_allclose(
        viewer.dims.point, viewer.layers["labels"].data_to_world(view.model.errors[0].location)
    )


def test_what_is_not_annotated_is_not_compared(controller):
    controller.view.values.rows[0].meaning.setCurrentIndex(2)
    controller.view.compute.click()
    # Only what lies on the labelled surface itself is left to be wrong.
    names = {error.name for error in controller.view.model.errors}
    assert {"hole", "extra cavity"} <= names
    assert not {"bridge", "extra component"} & names


def test_files_are_compared_where_they_lie(tmp_path):
    pred, label = make_volumes()
    tifffile.imwrite(tmp_path / "probs.tif", (pred * 200).astype(np.uint8))
    tifffile.imwrite(tmp_path / "labels.tif", label)
    told = []
    found = run_comparison(
        str(tmp_path / "probs.tif"),
        str(tmp_path / "labels.tif"),
        {0: "background", 1: "foreground"},
        0.5,
        JobProcess("napari_surfseg.inference.evaluation_process", "comparison"),
        lambda stage, share: told.append(stage),
    )
    assert found.errors == find_topology_errors(pred, label)
    assert "finding topology errors" in told
    assert not any(stage.startswith("copying") for stage in told)


def test_a_cancelled_comparison_says_so():
    pred, label = (make_volume_of(array) for array in make_volumes())
    process = JobProcess("napari_surfseg.inference.evaluation_process", "comparison")
    process.cancel()
    with pytest.raises(SurfsegError, match=r"comparison was cancelled\.$"):
        run_comparison(pred, label, {1: "foreground"}, None, process, lambda *_: None)


def make_volume_of(array):
    return take_layer(Labels(array, name="a layer"))


def test_faults_are_sentences_beside_their_field(controller, viewer):
    view = controller.view
    viewer.add_labels(np.ones((3, 4, 5), np.uint8), name="small")
    view.prediction.set_choice(SourceChoice.of_layer(viewer.layers["small"]))
    view.compute.click()
    assert "'small' has 3 × 4 × 5 voxels" in view.prediction_error.text()
    assert "48 × 64 × 64" in view.prediction_error.text()
    view.prediction.set_choice(SourceChoice.of_file("gone.tif"))
    view.compute.click()
    assert "gone.tif" in view.prediction_error.text()
    view.prediction.set_choice(SourceChoice.of_layer(Labels(np.ones((3, 4, 5), np.uint8))))
    view.compute.click()
    assert view.prediction_error.text().startswith("There is no layer 'Labels' any more")
    view.prediction.set_choice(None)
    view.compute.click()
    assert view.prediction_error.text() == "Choose a prediction: a layer or a file."
    view.prediction.set_choice(SourceChoice.of_layer(viewer.layers["surface"]))
    view.values.rows[1].meaning.setCurrentIndex(1)
    view.compute.click()
    assert view.prediction_error.text() == ""
    assert view.labels_error.text().startswith("No label value means surface")
    view.labels.set_choice(SourceChoice.of_file("gone.tif"))
    controller.count_labels()
    assert "gone.tif" in view.labels_error.text()
    assert view.counting.text() == ""
    assert not controller.is_busy


def test_in_a_real_window(qtbot, make_napari_viewer, errors):
    """The canvas has its real size; the closed session lets the viewer go."""
    viewer = make_napari_viewer(show=True)
    labels = viewer.add_labels(make_volumes()[1], name="labels", scale=(4, 2, 2))
    widget = TopologyErrorsWidget(viewer)
    viewer.window.add_dock_widget(widget, name="Topology errors")
    widget.controller._on_done(Comparison({}, errors, ["Mind this."], (4.0, 2.0, 2.0)))
    assert widget.view.state.text().endswith("errors, the largest first. Mind this.")
    qtbot.waitUntil(lambda: len(viewer.layers) == 1 + len({error.name for error in errors}))
    for ndisplay in (2, 3):
        viewer.dims.ndisplay = ndisplay
        widget.view.step(1)
        error = errors[widget.view.table.currentIndex().row()]
        world = labels.data_to_world(error.location)
        np.testing.assert_allclose(viewer.dims.point, world)
        camera = camera_of(viewer)
        np.testing.assert_allclose(camera.center[-ndisplay:], world[-ndisplay:])
        assert 100 < canvas_edge(viewer) < 4000
        assert canvas_edge(viewer) / camera.zoom <= 120 * 4 * 1.01
    get_session(viewer).close()
    viewer.layers.remove("labels")
    assert not widget.controller.is_busy
