"""What "Predict surfaces" does; a stand-in for the view, no window."""

import json
from unittest.mock import Mock

import numpy as np
import pytest
from napari.components import ViewerModel

from napari_surfseg.errors import CancelledError, DataError
from napari_surfseg.events import CheckpointSaved, PostprocessTuned
from napari_surfseg.gui.controls.source_choice import SourceChoice
from napari_surfseg.gui.layers.metadata import part_of
from napari_surfseg.gui.predict import controller as module
from napari_surfseg.gui.predict.controller import PredictController, PredictViewProtocol
from napari_surfseg.gui.predict.prediction import PredictForm, Prediction
from napari_surfseg.runs.folder import RunFolder, RunState
from napari_surfseg.runs.follow import RunSnapshot

SHAPE = (8, 9, 10)


def write_summary(run_dir, **values):
    run = RunFolder(run_dir)
    run.checkpoints.mkdir(parents=True, exist_ok=True)
    run.best_checkpoint.write_bytes(b"not read")
    summary = {"name": "first", "model": "tiny", "epoch": 3, "threshold": 0.5, **values}
    run.best_checkpoint.with_suffix(".json").write_text(json.dumps(summary))
    return run


class Form:
    """What the view holds; a test changes it as a person would."""

    def __init__(self):
        self.values = {
            "checkpoint": "", "newest": False, "source": None, "threshold": None,
            "min_voxels": None, "overlap": 0.25, "flips": "auto", "device": "cpu",
            "sheets": True, "skeleton": True, "mesh": True, "folder": "",
        }  # fmt: skip

    def read(self):
        return PredictForm(**self.values)

    def set(self, **values):
        self.values |= values


@pytest.fixture
def form():
    return Form()


@pytest.fixture
def view(form):
    view = Mock(spec=PredictViewProtocol)
    view.form.side_effect = form.read
    view.lost_volume.return_value = ""
    view.set_checkpoint.side_effect = lambda path: form.set(checkpoint=path)
    view.suggest_volume.side_effect = lambda layer: form.set(source=SourceChoice.of_layer(layer))
    view.choose_volume.side_effect = lambda choice: form.set(source=choice)
    return view


@pytest.fixture
def viewer():
    viewer = ViewerModel()
    viewer.add_image(np.zeros(SHAPE, np.uint8), name="scan")
    return viewer


@pytest.fixture
def controller(viewer, view, session, jobs):
    controller = PredictController(viewer, view, session, jobs=jobs)
    yield controller
    controller.close()


@pytest.fixture
def outcome(monkeypatch, tmp_path):
    """What predicting leads to, instead of a process; notes what was asked for."""

    class Outcome:
        error = None
        asked = ()

        def run(self, form, volume, process, box, *, first=None):
            self.asked = form, volume, box
            if self.error is not None:
                raise self.error
            arrays = {
                "probabilities": np.zeros(SHAPE, np.uint8),
                "surface": np.zeros(SHAPE, np.uint8),
                "skeleton": np.zeros(SHAPE, np.uint8),
            }
            result = {"num_sheets": 1, "surface_fraction": 0.25, "threshold": 0.4,
                      "warnings": ["Mind this."]}  # fmt: skip
            return Prediction(tmp_path, result, "scan", arrays)

    outcome = Outcome()
    monkeypatch.setattr(module, "run_prediction", outcome.run)
    return outcome


def last(setter):
    """What the view shows, as it was set last."""
    return setter.call_args.args[0]


def test_a_prediction_becomes_layers_and_a_sentence(controller, view, viewer, outcome, tmp_path):
    finished = []
    controller.finished.connect(finished.append)
    controller.predict()
    assert controller.is_busy
    assert last(view.set_state) == "Adding the layers…"
    controller.adder.finish()
    assert not controller.is_busy
    assert [part_of(layer) for layer in viewer.layers] == [
        None, "probability", "surface", "skeleton",
    ]  # fmt: skip
    assert last(view.set_state) == (
        f"25.0 % surface above 0.40, 1 connected sheet. The files are in {tmp_path}. Mind this."
    )
    assert finished == [controller.last]
    assert controller.last_source is viewer.layers["scan"]
    assert outcome.asked[1].name == "scan"


def test_the_plugins_own_layers_are_not_offered(controller, view, viewer):
    viewer.add_image(np.zeros(SHAPE), name="live prediction", metadata={"surfseg": "live"})
    viewer.add_image(np.zeros((4, 4)), name="flat")
    assert [layer.name for layer in last(view.set_volumes)] == ["scan"]


def test_a_volume_that_is_gone_is_named(controller, view, viewer, outcome):
    view.lost_volume.return_value = "scan"
    viewer.layers.clear()
    gone = "The layer 'scan' is gone from the viewer; choose another volume."
    assert last(view.set_error) == gone
    controller.predict()
    assert last(view.set_error) == gone
    assert not controller.is_busy
    assert outcome.asked == ()


def test_nothing_is_predicted_without_a_volume(session, jobs, view, outcome):
    controller = PredictController(ViewerModel(), view, session, jobs=jobs)
    controller.predict()
    assert last(view.set_error) == "Choose a volume: a layer or a file."
    controller.close()


def test_what_goes_wrong_is_shown(controller, view, outcome):
    outcome.error = DataError("The volume is empty.")
    controller.predict()
    assert last(view.set_state) == "No prediction was made."
    assert last(view.set_error) == "The volume is empty."
    assert not controller.is_busy


def test_cancelling_is_no_error(controller, view, outcome):
    outcome.error = CancelledError("The prediction was cancelled.")
    controller.predict()
    assert last(view.set_state) == "The prediction was cancelled; nothing of it is left."
    kept = "The prediction was cancelled. 3 finished blocks of scan are kept: Predict goes on."
    outcome.error = CancelledError(kept)
    controller.predict()
    assert last(view.set_state) == kept
    assert last(view.set_error) == ""


def test_a_run_is_predicted_with_as_if_a_person_had_chosen_it(
    controller, view, viewer, outcome, form, tmp_path
):
    source = SourceChoice.of_file("scan.tif")
    box = ((0, 0, 0), (2, 2, 2))
    followed = []
    controller.predict_run(tmp_path, source, box=box, then=lambda *given: followed.append(given))
    asked, volume, asked_box = outcome.asked
    assert (asked.checkpoint, asked.source, volume, asked_box) == (
        str(tmp_path), source, "scan.tif", box,
    )  # fmt: skip
    controller.predict_run(tmp_path, source)
    assert "A prediction is under way" in last(view.set_error)
    assert followed == []
    controller.adder.finish()
    assert followed == [(controller.last, None)]


def test_the_chosen_weights_are_described(controller, view, form, tmp_path):
    run = write_summary(tmp_path / "run", postprocess={"threshold": 0.3, "min_voxels": 25}, epoch=1)
    run.last_checkpoint.write_bytes(b"not read")
    summary = {"name": "first", "model": "tiny", "epoch": 14, "threshold": 0.6}
    run.last_checkpoint.with_suffix(".json").write_text(json.dumps(summary))
    view.checkpoint_changed.connect.call_args.args[0](str(run.path))
    assert set(last(view.set_weights)) == {"best", "newest"}
    assert view.set_tuned.call_args.args == (0.3, 25)
    form.set(newest=True)
    view.weights_changed.connect.call_args.args[0]()
    assert view.set_tuned.call_args.args == (0.6, 0)
    assert last(view.set_summary).startswith("last.pt of first, network tiny, epoch 14")
    view.checkpoint_changed.connect.call_args.args[0](str(tmp_path / "nothing"))
    assert last(view.set_summary) == f"There is no checkpoint {tmp_path / 'nothing'}."


def test_a_run_that_trains_brings_its_values_up_to_date(controller, view, session, feeds, tmp_path):
    write_summary(tmp_path / "run", threshold=0.4)
    session.attach(tmp_path / "run")
    controller.use_current()

    def threshold():
        return view.set_tuned.call_args.args[0]

    assert threshold() == 0.4
    write_summary(tmp_path / "run", postprocess={"threshold": 0.3, "min_voxels": 25})
    feeds[-1].polled.emit(RunSnapshot(state=RunState.RUNNING))
    assert threshold() == 0.4
    tuned = PostprocessTuned(settings={}, score_before=0, score_after=1, steps=[], seconds=1)
    feeds[-1].polled.emit(RunSnapshot(state=RunState.RUNNING, new_events=(tuned,)))
    assert threshold() == 0.3
    write_summary(tmp_path / "run", threshold=0.7)
    saved = CheckpointSaved(path="checkpoints/last.pt", epoch=2)
    feeds[-1].polled.emit(RunSnapshot(state=RunState.RUNNING, new_events=(saved,)))
    assert threshold() == 0.7


def test_without_a_current_run_there_is_nothing_to_take(controller, view):
    view.use_current_clicked.connect.call_args.args[0]()
    assert last(view.set_error).startswith("There is no current run")


@pytest.mark.parametrize("at_hand", [True, False])
def test_without_a_run_the_network_of_the_package_is_chosen(
    viewer, view, session, jobs, form, registry, at_hand
):
    registry.add(**({} if at_hand else {"url": "https://example.org/net"}))
    controller = PredictController(viewer, view, session, jobs=jobs)
    assert form.read().checkpoint == ("sheets-tiny" if at_hand else "")
    if at_hand:
        assert "comes with the package" in last(view.set_summary)
        assert last(view.set_tuned) == 0.4
    controller.close()


def test_the_first_run_takes_the_place_of_the_network_nobody_chose(
    viewer, view, session, jobs, form, registry, tmp_path
):
    registry.add()
    controller = PredictController(viewer, view, session, jobs=jobs)
    view.checkpoint_changed.connect.call_args.args[0]("sheets-tiny")  # the line lost the focus
    for name in ("first", "second"):
        session.attached.emit(write_summary(tmp_path / name).path)
    assert form.read().checkpoint == str(tmp_path / "first")
    controller.close()
