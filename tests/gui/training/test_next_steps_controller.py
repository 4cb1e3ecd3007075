"""From a result to the next one: predict, labels, longer, from this network."""

import os

import numpy as np
import pytest
from napari.components import ViewerModel

from napari_surfseg.config import Experiment
from napari_surfseg.config_files import apply_overrides
from napari_surfseg.events import DataChecked, RunStarted
from napari_surfseg.gui.controls.source_choice import SourceChoice
from napari_surfseg.gui.layers.camera import camera_of
from napari_surfseg.gui.live.controller import LiveController
from napari_surfseg.gui.predict.layers import build_layers
from napari_surfseg.gui.predict.predicted_labels import compute_label_values
from napari_surfseg.gui.predict.prediction import Prediction
from napari_surfseg.gui.training.controller import TrainingController
from napari_surfseg.gui.training.next_steps import has_result
from napari_surfseg.gui.training.next_steps_controller import NextStepsController
from napari_surfseg.runs.checkpoints import find_checkpoint
from napari_surfseg.runs.folder import RunFolder, RunState
from napari_surfseg.runs.follow import RunSnapshot

SHAPE = (40, 64, 64)
IMAGE = "/data/scan.tif"


@pytest.fixture
def viewer():
    viewer = ViewerModel()
    viewer.add_image(np.zeros(SHAPE, np.uint8), name="scan", scale=(2, 1, 1), translate=(9, 0, 0))
    return viewer


class PredictDock:
    """Notes what is asked of it, and can be made to have predicted."""

    def __init__(self):
        self.asked = []
        self.last = self.last_source = None
        self.then = None

    def predict_run(self, run_dir, source, *, box=None, then=None):
        self.asked.append((run_dir, source.layer, source.path, box))
        self.then = then


@pytest.fixture
def dock():
    return PredictDock()


@pytest.fixture
def launched():
    return []


@pytest.fixture
def training(viewer, view, session, jobs, tmp_path, launched):
    def launch(run_dir, **options):
        launched.append((run_dir, options))
        return 1

    controller = TrainingController(
        viewer, view, session, ask=lambda *_: True, launch=launch, jobs=jobs, runs_folder=tmp_path
    )
    yield controller
    controller.close()


@pytest.fixture
def run(tmp_path):
    run = RunFolder(tmp_path / "first").create(
        apply_overrides(Experiment(), ["training.max_minutes=10", "training.early_stopping=3"])
    )
    run.checkpoints.mkdir()
    for path in (run.best_checkpoint, run.last_checkpoint):
        path.write_bytes(b"not read")
        path.with_suffix(".json").write_text('{"name": "first", "model": "small", "epoch": 4}')
    return run


def started(**changes):
    values = {
        "name": "first", "device": "cpu", "precision": "float32", "model": "small",
        "num_parameters": 1, "patch_size": (32, 32, 32), "epoch": 0, "max_epochs": None,
        "max_minutes": 10.0, "iterations_per_epoch": 100, "loss_weights": {},
    }  # fmt: skip
    return RunStarted(**{**values, **changes})


def ended(**changes):
    values = {
        "state": RunState.STOPPED,
        "started": started(),
        "epoch": 4,
        "elapsed_seconds": 300.0,
        "max_minutes": 10.0,
        "new_events": (DataChecked(volumes=[{"image": IMAGE, "role": "train"}]),),
    }
    return RunSnapshot(**{**values, **changes})


@pytest.fixture
def steps(viewer, view, session, jobs, training, dock, feeds, run):
    live = LiveController(viewer, session)
    controller = NextStepsController(viewer, view, session, live, training, lambda: dock, jobs)
    session.attach(run.path)
    session.link_layer(IMAGE, viewer.layers["scan"])
    feeds[-1].polled.emit(ended())
    yield controller
    live.close()


def make_prediction(run, box=None):
    shape = SHAPE if box is None else tuple(b - a for a, b in zip(*box, strict=True))
    surface = np.zeros(shape, np.int32)
    surface[2], surface[4] = 1, 7
    return Prediction(
        folder=run.path,
        result={"spacing": (2, 1, 1), "num_sheets": 2},
        name="scan",
        arrays={"surface": surface, "probabilities": np.zeros(shape, np.uint8)},
        checkpoint=run.best_checkpoint.resolve(),
        made=run.best_checkpoint.stat().st_mtime,
        shape=SHAPE,
        box=box,
    )


# -- when they are offered ---------------------------------------------------------


@pytest.mark.parametrize(
    ("changes", "offered"),
    [
        ({}, True),
        ({"state": RunState.COMPLETED, "epoch": 1}, True),
        ({"state": RunState.RUNNING}, False),
        ({"state": RunState.FAILED, "epoch": 1}, False),
        ({"state": RunState.VANISHED, "epoch": 2}, True),
    ],
)
def test_they_are_offered_once_there_are_weights_to_use(view, changes, offered):
    view.show()
    view.set_snapshot(ended(**changes))
    assert view.run.next_steps.isVisible() == offered
    assert has_result(ended(**changes)) == offered
    assert not has_result(None)


def test_as_long_again_is_asked_for_until_a_person_says_otherwise(view):
    steps = view.run.next_steps
    view.set_snapshot(ended())
    assert (steps.amount.value(), steps.unit.currentData()) == (10, "minutes")
    steps.amount.setValue(3)
    view.set_snapshot(ended())
    assert steps.amount.value() == 3
    other = started(max_minutes=None, max_epochs=32)
    view.set_snapshot(ended(started=other, max_minutes=None, max_epochs=32))
    assert (steps.amount.value(), steps.unit.currentData()) == (32, "epochs")


# -- predicting --------------------------------------------------------------------


def test_the_runs_volume_is_predicted(steps, view, viewer, dock, run):
    viewer.layers["scan"].name = "renamed"
    viewer.add_image(np.zeros(SHAPE, np.uint8), name="scan")
    view.run.next_steps.predict_volume.click()
    assert dock.asked == [(run.path, viewer.layers["renamed"], "", None)]


def test_a_volume_that_is_not_open_is_predicted_from_its_file(steps, view, viewer, dock, run):
    viewer.layers.clear()
    view.run.next_steps.predict_volume.click()
    assert dock.asked == [(run.path, None, IMAGE, None)]
    view.run.next_steps.predict_view.click()
    assert "is not open in this window" in view.run.next_steps.error.text()


def test_what_is_seen_is_predicted(steps, view, viewer, dock):
    viewer.canvas.size = (20, 30)
    camera_of(viewer).zoom = 1
    camera_of(viewer).center = (0, 32, 32)
    viewer.dims.set_point(0, 9 + 2 * 20)
    view.run.box.set_size((16, 128, 128))
    view.run.next_steps.predict_view.click()
    assert dock.asked[0][3] == ((12, 22, 17), (28, 43, 48))
    camera_of(viewer).center = (0, 500, 500)
    view.run.next_steps.predict_view.click()
    assert len(dock.asked) == 1
    assert "Nothing of the layer 'scan'" in view.run.next_steps.error.text()


# -- labels ------------------------------------------------------------------------


def test_every_sheet_becomes_surface_in_place(steps, view, viewer, dock, run):
    view.run.next_steps.use_as_labels.click()
    assert dock.asked[0][1] is viewer.layers["scan"]
    prediction = make_prediction(run)
    scan = viewer.layers["scan"]
    for layer in build_layers(prediction, scan):
        viewer.add_layer(layer)
    dock.then(prediction, scan)
    labels = viewer.layers["scan labels"]
    assert np.unique(labels.data).tolist() == [0, 1]
    assert labels.data[2].all()
    assert labels.data[4].all()
    assert labels.data_to_world((3, 4, 5)) == scan.data_to_world((3, 4, 5))
    assert not viewer.layers["scan surface"].visible
    pair = view.form().pairs[0]
    assert (pair.image.layer, pair.labels.layer) == (scan, labels)
    assert view.form().meanings == {0: "background", 1: "foreground"}
    assert "'scan labels' is chosen as labels" in view.run.next_steps.message.text()


def test_a_prediction_of_these_weights_is_not_made_again(steps, view, viewer, dock, run):
    dock.last, dock.last_source = make_prediction(run), viewer.layers["scan"]
    view.run.next_steps.use_as_labels.click()
    assert dock.asked == []
    assert "scan labels" in viewer.layers
    os.utime(run.best_checkpoint, (1, 1))  # trained on since
    view.run.next_steps.use_as_labels.click()
    assert len(dock.asked) == 1


def test_what_was_not_predicted_is_not_annotated(steps, view, viewer, dock, run):
    box = ((10, 20, 30), (20, 40, 60))
    prediction = make_prediction(run, box)
    values = compute_label_values(prediction)
    assert values.shape == SHAPE
    inside = values[10:20, 20:40, 30:60]
    assert np.unique(inside).tolist() == [0, 1]
    assert (np.delete(values, np.s_[10:20], axis=0) == 2).all()
    dock.last, dock.last_source = prediction, viewer.layers["scan"]
    view.run.next_steps.use_as_labels.click()
    assert view.form().meanings == {0: "background", 1: "foreground", 2: "ignore"}
    layer = next(build_layers(prediction, viewer.layers["scan"]))
    assert layer.data_to_world((0, 0, 0)) == viewer.layers["scan"].data_to_world(box[0])


def test_strokes_stay_as_they_were_painted(steps, view, viewer, dock, run):
    painted = np.zeros(SHAPE, np.uint8)
    painted[2, :5] = 2  # no surface, where the prediction says so
    painted[20, :5] = 1
    strokes = viewer.add_labels(
        painted,
        name="strokes",
        metadata={"surfseg_labels": {0: "ignore", 1: "foreground", 2: "background"}},
    )
    view.data.rows[0].labels.set_choice(SourceChoice.of_layer(strokes))
    view.data.pairs_changed.emit()
    dock.last, dock.last_source = make_prediction(run), viewer.layers["scan"]
    view.run.next_steps.use_as_labels.click()
    labels = viewer.layers["scan labels"].data
    assert not labels[2, :5].any()
    assert labels[2, 5:].all()
    assert labels[20, :5].all()
    assert not labels[20, 5:].any()
    assert "'strokes' is kept in them" in view.run.next_steps.message.text()
    assert (strokes.data[20] == painted[20]).all()


# -- going on ----------------------------------------------------------------------


def test_longer_resumes_with_as_much_more(steps, view, run, launched):
    view.run.next_steps.amount.setValue(7)
    view.run.next_steps.longer.click()
    training = run.read_experiment().training
    assert (training.max_minutes, training.max_epochs) == (12, None)
    assert training.early_stopping is None
    assert launched == [(run.path, {"device": "auto", "resume": True})]


@pytest.mark.parametrize(
    ("model", "preset"),
    [({"preset": "auto"}, "small"), ({"preset": "small", "base_channels": 8}, "auto")],
)
def test_the_next_run_starts_from_this_network(steps, view, run, model, preset):
    experiment = run.read_experiment()
    run.write_experiment(
        experiment.model_copy(update={"model": experiment.model.model_copy(update=model)})
    )
    view.run.next_steps.start_from.click()
    settings = view.form().settings
    assert settings["model.start_from"] == str(find_checkpoint(run.path))
    assert settings["model.preset"] == preset
    assert "starts from best.pt of first, epoch 4" in view.run.next_steps.message.text()
    assert view.tabs.tabText(view.tabs.currentIndex()) == "Network"


def test_what_went_wrong_is_said_beside_the_steps(steps, view, run):
    for path in (run.best_checkpoint, run.last_checkpoint):
        path.unlink()
    view.run.next_steps.start_from.click()
    assert "There is no checkpoint in the folder" in view.run.next_steps.error.text()
