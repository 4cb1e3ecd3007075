"""Start painting: a strokes layer in place, with a settled meaning, and a brush in the hand."""

import numpy as np
import pytest
from napari.components import ViewerModel

from napari_surfseg.config_files import load_experiment
from napari_surfseg.gui.controls.label_schemes import suggest_scheme
from napari_surfseg.gui.training.controller import TrainingController

SHAPE = (20, 40, 40)
STROKES = {0: "ignore", 1: "foreground", 2: "background"}
DENSE = {0: "background", 1: "foreground", 2: "ignore"}


@pytest.fixture
def viewer():
    viewer = ViewerModel()
    viewer.add_image(
        np.random.default_rng(0).integers(0, 255, SHAPE).astype(np.uint8),
        name="scan",
        scale=(3, 2, 2),
        translate=(5, 6, 7),
        rotate=[[1, 0, 0], [0, 0.8, -0.6], [0, 0.6, 0.8]],
        units=("nm",) * 3,
        axis_labels=("z", "y", "x"),
    )
    return viewer


@pytest.fixture
def controller(viewer, view, session, jobs, tmp_path):
    controller = TrainingController(
        viewer,
        view,
        session,
        ask=lambda *_: True,
        launch=lambda *_a, **_o: 1,
        jobs=jobs,
        runs_folder=tmp_path,
    )
    yield controller
    controller.close()


def paint(layer, value, y):
    layer.data_setitem((np.full(6, 10), np.full(6, y), np.arange(10, 16)), value)


def test_one_button_and_the_brush_is_in_the_hand(controller, view, viewer):
    view.data.paint.click()
    image, layer = viewer.layers
    assert layer.name == "scan strokes"
    assert layer.data.shape == SHAPE
    assert layer.data.dtype == np.uint8
    for voxel in ((0, 0, 0), (3, 20, 39)):
        np.testing.assert_allclose(layer.data_to_world(voxel), image.data_to_world(voxel))
    assert layer.units == image.units
    assert layer.axis_labels == image.axis_labels
    assert viewer.layers.selection.active is layer
    assert (layer.mode, layer.selected_label) == ("paint", 1)
    assert view.data.rows[0].labels.choice().layer is layer
    assert view.data.labels.meanings() == STROKES
    assert [row.count.text() for row in view.data.labels.values.rows.values()] == [
        "the rest",
        "0 voxels",
        "0 voxels",
    ]
    view.data.paint.click()
    assert len(viewer.layers) == 2


def test_the_meaning_of_strokes_is_settled_before_any_is_painted(
    controller, view, viewer, tmp_path
):
    view.data.paint.click()
    controller.start()
    assert view.data.labels.error.text().startswith("No voxel is labelled as surface yet")
    assert not (tmp_path / "surfaces").exists()
    paint(viewer.layers[-1], 1, 5)
    controller.form._recount.timeout.emit()
    controller.form._recount.stop()
    controller.start()
    assert view.data.labels.error.text().startswith("No voxel is labelled as background yet")
    paint(viewer.layers[-1], 2, 9)
    controller.start()  # what was painted just now is not counted yet
    labels = load_experiment(tmp_path / "surfaces" / "config.yaml").data.labels
    assert (labels.foreground, labels.background, labels.ignore) == ((1,), (2,), (0,))


def test_choosing_strokes_before_painting_makes_2_background(controller, view, viewer):
    layer = viewer.add_labels(np.zeros(SHAPE, np.uint8), name="by hand")
    assert view.data.labels.meanings() == STROKES
    assert "Nothing is painted yet" in view.data.labels.counting.text()
    scheme = view.data.labels.scheme
    scheme.setCurrentIndex(scheme.findData("strokes"))
    scheme.activated.emit(scheme.currentIndex())
    for value, y in ((2, 5), (1, 9)):
        paint(layer, value, y)
        controller.form._recount.timeout.emit()
        assert view.data.labels.meanings() == STROKES
    assert view.data.labels.values.rows[2].count.text() == "6 voxels"


def test_strokes_stay_strokes_however_much_is_painted(controller, view, viewer):
    layer = viewer.add_labels(np.zeros(SHAPE, np.uint8), name="by hand")
    layer.data[5:9] = 1
    layer.data[10:14] = 2
    controller.form._recount.timeout.emit()
    assert view.data.labels.meanings() == STROKES


def test_what_a_person_said_of_a_value_stays(controller, view, viewer):
    layer = viewer.add_labels(np.zeros(SHAPE, np.uint8), name="by hand")
    row = view.data.labels.values.rows[2]
    row.meaning.setCurrentIndex(row.meaning.findData("ignore"))
    paint(layer, 1, 9)
    paint(layer, 2, 5)
    controller.form._recount.timeout.emit()
    assert view.data.labels.meanings()[2] == "ignore"


@pytest.mark.parametrize(
    ("counts", "meanings", "says"),
    [
        ({0: 1000}, {0: "ignore"}, "Nothing is painted yet"),
        ({0: 100_000, 1: 10}, {0: "ignore", 1: "foreground"}, "Taken for strokes"),
        ({0: 100_000, 2: 1}, {0: "ignore", 2: "background"}, "1 voxel is painted"),
        ({0: 100_000, 1: 10, 2: 10}, STROKES, "Choose dense if"),
        ({0: 90_000, 1: 5000}, {0: "background", 1: "foreground"}, ""),
        ({0: 90_000, 1: 5000, 2: 5000}, DENSE, ""),
        ({0: 90_000, 255: 5}, {0: "background", 255: "foreground"}, ""),
        ({}, {}, ""),
    ],
)
def test_what_was_assumed_is_said(counts, meanings, says):
    found, said = suggest_scheme(counts)
    assert found == meanings
    assert says in said
    assert bool(said) == bool(says)


def test_the_buttons_choose_what_the_brush_paints(controller, view, viewer):
    tools = view.strokes.tools
    assert tools.isHidden()
    view.data.paint.click()
    layer = viewer.layers[-1]
    assert not tools.isHidden()
    assert tools.buttons["foreground"].isChecked()
    tools.buttons["background"].click()
    assert (layer.mode, layer.selected_label) == ("paint", 2)
    tools.buttons["ignore"].click()
    assert layer.mode == "erase"
    assert [button.isChecked() for button in tools.buttons.values()] == [False, False, True]
    layer.mode = "paint"
    layer.selected_label = 1
    assert tools.buttons["foreground"].isChecked()
    viewer.layers.selection.active = viewer.layers["scan"]
    assert not any(button.isChecked() for button in tools.buttons.values())
    tools.buttons["foreground"].click()
    assert viewer.layers.selection.active is layer


def test_dense_labels_have_the_buttons_too(controller, view, viewer):
    data = np.zeros(SHAPE, np.uint8)
    data[10:12] = 1
    layer = viewer.add_labels(data, name="dense")
    tools = view.strokes.tools
    assert [button.text() for button in tools.buttons.values()] == [
        "Surface",
        "Background",
        "Not annotated",
    ]
    tools.buttons["ignore"].click()
    assert (layer.mode, layer.selected_label) == ("paint", 2)


def test_painting_needs_a_layer(controller, view, viewer):
    viewer.layers.clear()
    view.data.paint.click()
    assert view.data.pairs_error.text().startswith("Painting needs a volume that is a layer")
    assert len(viewer.layers) == 0


def test_from_3d_it_turns_to_a_slice(controller, view, viewer):
    viewer.dims.ndisplay = 3
    view.data.paint.click()
    assert viewer.dims.ndisplay == 2


def test_multiscale_volumes_are_painted_at_their_finest(controller, view, viewer):
    viewer.layers.clear()
    levels = [np.zeros((16, 32, 32), np.uint8), np.zeros((8, 16, 16), np.uint8)]
    viewer.add_image(levels, multiscale=True, name="pyramid", scale=(4, 4, 4))
    view.data.paint.click()
    assert viewer.layers[-1].data.shape == (16, 32, 32)
    np.testing.assert_array_equal(viewer.layers[-1].scale, (4, 4, 4))
