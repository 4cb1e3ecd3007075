"""The prediction widget: what it shows of a checkpoint, what it asks for, and cancelling."""

import json
import threading
import time
from unittest.mock import MagicMock

import numpy as np
import psutil
import pytest
from napari.components import ViewerModel
from qtpy.QtWidgets import QApplication

from napari_surfseg.errors import CancelledError
from napari_surfseg.events import CheckpointSaved, PostprocessTuned
from napari_surfseg.gui.background.processes import JobProcess, Waiting
from napari_surfseg.gui.controls.source_choice import SourceChoice
from napari_surfseg.gui.layers.layer_volume import take_layer
from napari_surfseg.gui.predict.checkpoint_note import read_weights_note
from napari_surfseg.gui.predict.controller import PredictController
from napari_surfseg.gui.predict.prediction import run_prediction
from napari_surfseg.gui.predict.view import PredictView
from napari_surfseg.runs.folder import RunFolder, RunState
from napari_surfseg.runs.follow import RunSnapshot
from napari_surfseg.time_left import TimeLeft


def write_summary(run_dir, **values):
    run = RunFolder(run_dir)
    run.checkpoints.mkdir(parents=True, exist_ok=True)
    run.best_checkpoint.write_bytes(b"not read")
    summary = {"name": "first", "model": "tiny", "epoch": 3, "threshold": 0.5, **values}
    run.best_checkpoint.with_suffix(".json").write_text(json.dumps(summary))
    return run


@pytest.fixture
def view(qtbot):
    view = PredictView()
    qtbot.addWidget(view)
    return view


@pytest.fixture
def viewer():
    viewer = ViewerModel()
    viewer.add_image(np.zeros((40, 40, 40), np.uint8), name="scan")
    return viewer


@pytest.fixture
def controller(viewer, view, session, jobs):
    controller = PredictController(viewer, view, session, jobs=jobs)
    yield controller
    controller.close()


def test_by_default_everything_comes_from_the_checkpoint(view):
    form = view.form()
    assert form.threshold is None
    assert form.min_voxels is None
    assert form.flips == "auto"
    assert view.threshold.text() == view.min_voxels.text() == "–"
    assert not view.threshold.isEnabled()


def test_what_was_tuned_is_shown_until_a_person_sets_another(view):
    view.set_tuned(0.34, 30)
    assert view.threshold.text() == "0.34"
    assert view.min_voxels.text() == "30 vox"
    view.threshold_row.tuned.setChecked(False)
    view.threshold.setValue(0.6)
    view.set_tuned(0.41, 0)
    assert view.threshold.text() == "0.60"
    assert view.min_voxels.text() == "0 vox"
    assert view.form().threshold == 0.6
    assert view.form().min_voxels is None
    view.threshold_row.tuned.setChecked(True)
    assert view.threshold.text() == "0.41"
    assert view.form().threshold is None


def test_flips_are_automatic_on_or_off(view):
    found = []
    for index in range(view.flips.count()):
        view.flips.setCurrentIndex(index)
        found.append(view.form().flips)
    assert found == ["auto", True, False]


@pytest.mark.parametrize(
    ("values", "threshold", "min_voxels", "said"),
    [
        ({}, 0.5, 0, "epoch 3, not scored."),
        ({"metrics": {"surface_dice": 0.97}}, 0.5, 0, "epoch 3, surface Dice 0.970."),
        ({"postprocess": {"threshold": 0.3, "min_voxels": 60, "smoothing": 0.7}}, 0.3, 60,
         "tuned with smoothing."),
        ({"threshold": "?"}, None, None, "epoch 3, not scored."),
        ({"postprocess": []}, 0.5, 0, "epoch 3, not scored."),
    ],
)  # fmt: skip
def test_a_checkpoint_says_what_it_was_tuned_to(tmp_path, values, threshold, min_voxels, said):
    run = write_summary(tmp_path, **values)
    note = read_weights_note(str(run.best_checkpoint)).notes["best"]
    assert (note.threshold, note.min_voxels) == (threshold, min_voxels)
    assert note.text.endswith(said)


def test_a_checkpoint_without_a_summary_is_named(tmp_path):
    (tmp_path / "mine.pt").write_bytes(b"")
    note = read_weights_note(str(tmp_path / "mine.pt")).notes["best"]
    assert (note.text, note.threshold, note.min_voxels) == ("mine.pt", None, None)


def write_run(run_dir, best_epoch=1, newest_epoch=14):
    run = write_summary(
        run_dir, epoch=best_epoch, step=100 * best_epoch, metrics={"surface_dice": 0.9},
        postprocess={"threshold": 0.3, "min_voxels": 25},
    )  # fmt: skip
    run.last_checkpoint.write_bytes(b"not read")
    summary = {"name": "first", "model": "tiny", "epoch": newest_epoch, "step": 1400}
    run.last_checkpoint.with_suffix(".json").write_text(json.dumps({**summary, "threshold": 0.6}))
    return run


def test_best_or_newest_can_be_chosen_and_a_doubtful_best_is_said(controller, view, tmp_path):
    run = write_run(tmp_path / "run")
    view.set_checkpoint(str(run.path))
    view.checkpoint_changed.emit(str(run.path))
    titles = [view.weights.itemText(index) for index in range(view.weights.count())]
    assert titles == [
        "best: step 100, surface Dice 0.900",
        "newest: step 1,400, not scored",
    ]
    assert "The best weights are of epoch 1 of 14" in view.summary.text()
    assert view.threshold.text() == "0.30"
    assert not view.form().newest
    view.weights.setCurrentIndex(1)
    assert view.form().newest
    assert view.threshold.text() == "0.60"
    assert view.summary.text().startswith("last.pt of first, network tiny, epoch 14, not scored.")
    # Another run begins with its best again only where there is no newest.
    run.last_checkpoint.unlink()
    view.checkpoint_changed.emit(str(run.path))
    assert not view.form().newest
    assert not view.weights.isEnabled()


def test_a_run_that_trains_brings_its_values_up_to_date(controller, view, session, feeds, tmp_path):
    write_summary(tmp_path / "run", threshold=0.4)
    session.attach(tmp_path / "run")
    controller.use_current()
    assert view.threshold.text() == "0.40"
    write_summary(tmp_path / "run", postprocess={"threshold": 0.3, "min_voxels": 25})
    feeds[-1].polled.emit(RunSnapshot(state=RunState.RUNNING))
    assert view.threshold.text() == "0.40"
    tuned = PostprocessTuned(settings={}, score_before=0, score_after=1, steps=[], seconds=1)
    feeds[-1].polled.emit(RunSnapshot(state=RunState.RUNNING, new_events=(tuned,)))
    assert view.threshold.text() == "0.30"
    write_summary(tmp_path / "run", threshold=0.7)
    saved = CheckpointSaved(path="checkpoints/last.pt", epoch=2)
    feeds[-1].polled.emit(RunSnapshot(state=RunState.RUNNING, new_events=(saved,)))
    assert view.threshold.text() == "0.70"
    write_summary(tmp_path / "run", postprocess={"threshold": 0.3, "min_voxels": 25})
    feeds[-1].polled.emit(RunSnapshot(state=RunState.RUNNING, new_events=(tuned,)))
    assert view.min_voxels.text() == "25 vox"


def test_cancelling_while_a_layer_is_copied_leaves_nothing(viewer, view, tmp_path, monkeypatch):
    (tmp_path / "best.pt").write_bytes(b"")
    view.set_checkpoint(str(tmp_path / "best.pt"))
    view.set_folder(tmp_path / "predictions")
    process = JobProcess("napari_surfseg.inference.prediction_process", "prediction")
    told = []

    def tell(stage, share):
        told.append(stage)
        process.cancel()

    viewer.add_image(np.zeros((200, 64, 64), np.uint8), name="long")
    with pytest.raises(CancelledError, match="was cancelled"):
        run_prediction(view.form(), take_layer(viewer.layers["long"]), process, tell)
    assert told == ["copying the layer"]
    assert list((tmp_path / "predictions").iterdir()) == []


def test_the_time_left_is_said_once_it_is_known(qapp, view):
    waiting = Waiting(view, "Predicting surfaces")
    process = JobProcess("napari_surfseg.inference.prediction_process", "prediction")
    waiting.begin(process)
    clock = iter([0.0, 1.0, 4.0])
    waiting._time_left = TimeLeft(lambda: next(clock))
    waiting.tell("predicting", 0.1)
    waiting.tell("predicting", 0.2)
    assert view.state.text() == "Predicting…"
    waiting.tell("predicting", 0.5)
    assert view.state.text() == "Predicting… 5.0 s left."
    waiting.end()


def test_a_job_that_ends_while_its_bar_is_made_leaves_no_error(qapp, view, monkeypatch):
    waiting = Waiting(view, "Predicting surfaces")
    made = []

    def make_bar(**_options):
        made.append(MagicMock())
        waiting.end()  # napari lets the event loop turn as it shows the bar
        return made[-1]

    monkeypatch.setattr("napari_surfseg.gui.background.processes.progress", make_bar)
    waiting.begin(JobProcess("napari_surfseg.inference.prediction_process", "prediction"))
    made[0].close.assert_called_once()
    made[0].reset.assert_not_called()


def test_cancelling_is_one_sentence_and_no_fault(controller, view):
    controller._on_failed(CancelledError("The prediction was cancelled."))
    assert view.state.text() == "The prediction was cancelled; nothing of it is left."
    assert view.error.text() == ""


@pytest.mark.slow
def test_a_cancelled_prediction_ends_its_process_and_leaves_nothing(
    viewer, view, session, tmp_path
):
    import torch

    from napari_surfseg.config import Experiment
    from napari_surfseg.config_files import apply_overrides
    from napari_surfseg.model.checkpoint import Checkpoint, save_checkpoint
    from napari_surfseg.model.network import build_unet

    torch.manual_seed(0)
    experiment = apply_overrides(Experiment(), ["model={preset: tiny}"])
    save_checkpoint(
        tmp_path / "best.pt",
        Checkpoint(
            experiment=experiment,
            weights=build_unet(experiment.model, device="cpu").state_dict(),
            intensity_values={"low": 0.0, "high": 255.0, "mean": 0.5, "std": 0.3},
            patch_size=(32, 32, 32),
            spacing=(1.0, 1.0, 1.0),
        ),
    )
    rng = np.random.default_rng(0)
    viewer.add_image(rng.integers(0, 255, (160, 160, 160)).astype(np.uint8), name="large")
    controller = PredictController(viewer, view, session)
    view.set_folder(tmp_path / "predictions")
    view.source.set_choice(SourceChoice.of_layer(viewer.layers["large"]))
    view.set_checkpoint(str(tmp_path / "best.pt"))
    view.flips.setCurrentIndex(view.flips.findData(True))
    before = {child.pid for child in psutil.Process().children(recursive=True)}

    def wait_for(condition):
        end = time.monotonic() + 120
        while not condition() and time.monotonic() < end:
            QApplication.processEvents()
            time.sleep(0.01)
        assert condition(), view.state.text() + view.error.text()

    view.predict.click()
    wait_for(lambda: view.state.text().startswith("Predicting"))
    (mine,) = [p for p in psutil.Process().children() if p.pid not in before]
    assert list((tmp_path / "predictions" / "large").iterdir())
    view.cancel.click()
    wait_for(lambda: not controller.is_busy)
    assert view.state.text() == "The prediction was cancelled; nothing of it is left."
    assert view.error.text() == ""
    assert list((tmp_path / "predictions").iterdir()) == []
    assert not mine.is_running() or mine.status() == psutil.STATUS_ZOMBIE
    assert set(viewer.layers) == {viewer.layers["scan"], viewer.layers["large"]}
    assert view.predict.isEnabled()
    assert not [t for t in threading.enumerate() if t.name == "surfseg-predict" and t.is_alive()]
    controller.close()
