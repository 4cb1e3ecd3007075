"""Layers are known by identity: names, order and what else is open change nothing."""

import numpy as np
import pytest
from napari.components import ViewerModel

from napari_surfseg.config_files import load_experiment
from napari_surfseg.data.open import open_volume
from napari_surfseg.gui.predict.controller import PredictController
from napari_surfseg.gui.predict.view import PredictView
from napari_surfseg.gui.proofread.controller import ProofreadController
from napari_surfseg.gui.proofread.view import ProofreadView
from napari_surfseg.gui.training.controller import TrainingController

SHAPE = (32, 32, 32)


@pytest.fixture
def viewer():
    viewer = ViewerModel()
    for name, value in (("a", 10), ("b", 20)):
        viewer.add_image(np.full(SHAPE, value, np.uint8), name=name)
    labels = np.zeros(SHAPE, np.uint8)
    labels[10:12] = 1
    viewer.add_labels(labels, name="sheet")
    viewer.add_shapes([[[0, 1, 1], [0, 1, 9], [0, 9, 9], [0, 9, 1]]], name="box")
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


def pick(combo, name):
    """Choose by hand."""
    index = combo.findText(name)
    assert index >= 0, [combo.itemText(i) for i in range(combo.count())]
    combo.setCurrentIndex(index)
    combo.activated.emit(index)


@pytest.fixture
def choosers(qtbot, controller, view, viewer, session, jobs):
    """Every chooser of the docks with the name of a layer that it offers."""
    predict_view, proofread_view = PredictView(), ProofreadView()
    for one in (predict_view, proofread_view):
        qtbot.addWidget(one)
    others = [
        PredictController(viewer, predict_view, session, jobs=jobs),
        ProofreadController(viewer, proofread_view, session, jobs=jobs),
    ]
    view.data.add_pair()
    row, validation = view.data.rows
    validation.role.setCurrentIndex(validation.role.findData("validation"))
    yield {
        "training volume": (row.image, "b"),
        "training labels": (row.labels, "sheet"),
        "validation volume": (validation.image, "b"),
        "validation labels": (validation.labels, "sheet"),
        "validation box": (view.data.validation.box_layer, "box"),
        "volume to predict": (predict_view.inputs.source, "b"),
        "compared prediction": (proofread_view.inputs.prediction, "sheet"),
        "compared labels": (proofread_view.inputs.labels, "sheet"),
    }
    for other in others:
        other.close()


@pytest.mark.parametrize(
    "which",
    [
        "training volume",
        "training labels",
        "validation volume",
        "validation labels",
        "validation box",
        "volume to predict",
        "compared prediction",
        "compared labels",
    ],
)
def test_every_chooser_holds_its_layer(choosers, viewer, which):
    combo, name = choosers[which]
    layer = viewer.layers[name]
    for other in list(viewer.layers):
        if type(other) is type(layer) and other is not layer:
            other.name = "other"
    pick(combo, name)
    layer.name = "renamed"
    assert (combo.choice().layer, combo.currentText()) == (layer, "renamed")
    twin = type(layer)(layer.data, name=name)
    viewer.add_layer(twin)
    assert (combo.choice().layer, combo.currentText()) == (layer, "renamed")
    viewer.layers.move(viewer.layers.index(layer), len(viewer.layers))
    viewer.layers.reverse()
    assert (combo.choice().layer, combo.currentText()) == (layer, "renamed")
    viewer.layers.remove(layer)
    assert combo.choice() is None
    assert combo.lost == "renamed"
    assert combo.currentText().startswith("choose ")
    pick(combo, twin.name)
    assert (combo.choice().layer, combo.lost) == (twin, "")


def image_value(tmp_path):
    (pair,) = load_experiment(tmp_path / "surfaces" / "config.yaml").data.train
    return int(open_volume(pair.image).read((0, 0, 0), (1, 1, 1))[0, 0, 0])


def test_another_name_is_not_another_layer(controller, view, viewer, session, tmp_path):
    row = view.data.rows[0]
    pick(row.image, "b")
    chosen = viewer.layers["b"]
    chosen.name = "c"
    viewer.layers["a"].name = "b"
    assert row.image.currentText() == "c"
    controller.start()
    assert image_value(tmp_path) == 20
    (pair,) = load_experiment(tmp_path / "surfaces" / "config.yaml").data.train
    chosen.name = "renamed while it trains"
    assert session.layer_of(pair.image) is chosen


def test_other_places_in_the_list_change_nothing(controller, view, viewer, tmp_path):
    pick(view.data.rows[0].image, "b")
    viewer.layers.move(0, 3)
    assert view.data.rows[0].image.currentText() == "b"
    controller.start()
    assert image_value(tmp_path) == 20


def test_a_chosen_layer_that_goes_is_not_replaced(controller, view, viewer, session):
    row = view.data.rows[0]
    pick(row.image, "b")
    viewer.layers["b"].name = "c"
    viewer.layers.remove("c")
    assert row.image.choice() is None
    assert row.image.currentText() == "choose volume…"
    gone = "The layer 'c' is gone from the viewer; choose another volume."
    assert view.data.pairs_error.text() == gone
    viewer.add_image(np.zeros(SHAPE, np.uint8), name="new")
    assert row.image.choice() is None
    controller.start()
    assert view.data.pairs_error.text() == gone
    assert session.run_dir is None
    pick(row.image, "new")
    assert view.data.pairs_error.text() == ""


def test_a_run_makes_a_guess_a_choice(controller, view, viewer):
    controller.start()
    viewer.layers.remove("a")
    assert view.data.rows[0].image.choice() is None
    assert "'a' is gone" in view.data.pairs_error.text()


def test_labels_that_were_open_before_are_counted_again_when_painted(controller, view, viewer):
    sheet = viewer.layers["sheet"]
    sheet.data_setitem((np.array([0, 0]), np.array([0, 1]), np.array([0, 0])), 2)
    assert controller.form._recount.isActive()
    controller.form._recount.timeout.emit()
    assert set(view.data.labels.values.rows) == {0, 1, 2}
    sheet.data = np.where(sheet.data == 1, 5, 0).astype(np.uint8)
    assert controller.form._recount.isActive()
    controller.form._recount.timeout.emit()
    assert set(view.data.labels.meanings()) == {0, 5}


def test_painting_elsewhere_does_not_count_again(controller, viewer):
    other = viewer.add_labels(np.zeros((4, 4, 4), np.uint8), name="other")
    other.data_setitem((np.array([0]),) * 3, 1)
    assert not controller.form._recount.isActive()


def test_guessed_labels_follow_the_image(controller, view, viewer):
    viewer.add_image(np.zeros((8, 9, 10), np.uint8), name="small")
    viewer.add_labels(np.zeros((8, 9, 10), np.uint8), name="small sheet")
    row = view.data.rows[0]
    assert row.labels.currentText() == "sheet"
    pick(row.image, "small")
    assert row.labels.currentText() == "small sheet"
