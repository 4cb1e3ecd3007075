"""The real window with a real worker: pick, start, watch, steer, stop, predict."""

import os
import signal
import subprocess
import sys

import numpy as np
import psutil
import pytest
from qtpy.QtGui import QCloseEvent

from napari_surfseg.data.open import open_volume
from napari_surfseg.events import LabelsUpdated, Stop, append_command
from napari_surfseg.gui.curves.widget import LossCurvesWidget
from napari_surfseg.gui.predict.widget import PredictWidget
from napari_surfseg.gui.run_session.close_guard import CloseGuard
from napari_surfseg.gui.training.widget import SurfaceTrainingWidget
from napari_surfseg.gui.window.main_window import find_main_window
from napari_surfseg.runs.folder import RunFolder, RunState
from napari_surfseg.runs.follow import RunFollower, RunSnapshot
from napari_surfseg.runs.lock import is_alive


def is_in(session, state):
    """Whether the run is in a state; the first word of a run just attached may be to come."""
    return session.snapshot is not None and session.snapshot.state is state


def make_sheet():
    """Make a wavy sheet, bright on dark, that a tiny net learns in seconds, and its labels."""
    z, y, x = np.mgrid[:48, :64, :64]
    height = 24 + 6 * np.sin(y / 10) + 4 * np.cos(x / 13)
    sheet = np.abs(z - height) < 1.5
    noise = np.random.default_rng(0).normal(0, 20, sheet.shape)
    return (80 + 90 * sheet + noise).clip(0, 255).astype(np.uint8), sheet.astype(np.uint8)


@pytest.fixture
def volume(viewer):
    image, labels = make_sheet()
    layer = viewer.add_image(image, name="scan", scale=(2, 1, 1))
    viewer.add_labels(labels, name="sheet", scale=(2, 1, 1))
    return layer


@pytest.fixture
def dock(viewer, tmp_path):
    widget = SurfaceTrainingWidget(viewer)
    viewer.window.add_dock_widget(widget, name="Surface training")
    widget.view.set_folder(tmp_path)
    return widget


def test_the_docks_open_and_close(viewer, volume, dock):
    dock.show_curves()
    window = find_main_window(dock)
    curves = window.findChild(LossCurvesWidget)
    dock.show_curves()
    assert len(window.findChildren(LossCurvesWidget)) == 1
    assert curves.panel.canvas.qt_viewer.isVisibleTo(curves)
    assert dock.session is curves.session
    assert dock.view.data.rows[0].image.currentText() == "scan"


@pytest.mark.parametrize("answer", ["keep", "stop", "cancel"])
def test_closing_while_it_trains_asks(viewer, dock, answer):
    window = find_main_window(dock)
    guard = CloseGuard(window, dock.session)
    sent = []
    # Set, not monkeypatched: what monkeypatch remembers would keep the window alive.
    guard.ask = lambda: answer
    dock.session.send = lambda command: sent.append(type(command).__name__)
    dock.session.snapshot = RunSnapshot(state=RunState.RUNNING)
    dock.session.is_own = True
    event = QCloseEvent()
    assert guard.eventFilter(window, event) == (answer == "cancel")
    assert event.isAccepted() == (answer != "cancel")
    assert sent == (["Stop"] if answer == "stop" else [])
    # Whoever only looks at a run is not asked about it.
    sent.clear()
    dock.session.is_own = False
    assert not guard.eventFilter(window, QCloseEvent())
    assert not sent
    window.removeEventFilter(guard)


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_pick_start_watch_steer_stop_and_predict(viewer, volume, dock, tmp_path, wait_for):
    view, session = dock.view, dock.session
    before = volume.data.copy()
    for spin in view.network.patch:
        spin.setValue(32)
    view.training.name.setText("sheets")
    view.training.steps.setValue(20)
    view.control("preview.seconds").setValue(1.0)
    view.loss.rows["toploss_simple"].switch.setChecked(False)
    view.run.start.click()
    wait_for(lambda: session.run_dir is not None, "the run folder")
    run = RunFolder(session.run_dir)
    assert run.read_experiment().loss.toploss_simple == 0

    wait_for(lambda: dock.live.layers.prediction is not None, "the first live prediction")
    first = dock.live.layers.prediction.data.copy()
    index = dock.live.layers.shown.index
    wait_for(
        lambda: (
            dock.live.layers.shown.index > index
            and not np.array_equal(dock.live.layers.prediction.data, first)
        ),
        "a live prediction that differs",
    )
    assert dock.live.layers.skeleton is not None
    assert dock.live.layers.prediction.scale.tolist() == [2, 1, 1]
    np.testing.assert_array_equal(volume.data, before)

    curves = find_main_window(dock).findChild(LossCurvesWidget)
    wait_for(lambda: len(curves.panel.stores[0].curves.get("total", ())) > 5, "points")
    wait_for(lambda: curves.panel.canvas.layer_of("0:total") is not None, "a drawn curve")
    steps = curves.panel.stores[0].curves["total"].points()[0]
    assert (np.diff(steps) > 0).all()

    view.run.pause.click()
    wait_for(lambda: is_in(session, RunState.PAUSED), "the pause")
    view.run.resume.click()
    wait_for(lambda: is_in(session, RunState.RUNNING), "training to go on")
    view.loss.rows["cldice"].spin.setValue(0.4)
    wait_for(lambda: session.snapshot.loss_weights.get("cldice") == 0.4, "the new weight")
    viewer.layers.remove("live skeleton")
    wait_for(lambda: session.snapshot.metrics, "the first scores")
    view.run.stop.click()
    wait_for(lambda: is_in(session, RunState.STOPPED), "the end")
    assert run.last_checkpoint.exists()
    assert "live skeleton" not in viewer.layers

    predict = PredictWidget(viewer)
    viewer.window.add_dock_widget(predict, name="Predict surfaces")
    predict.view.set_folder(tmp_path / "predictions")
    predict.view.set_checkpoint(str(run.last_checkpoint))
    predict.view.options.min_voxels_row.tuned.setChecked(False)
    predict.view.options.min_voxels.setValue(0)
    predict.view.options.threshold_row.tuned.setChecked(False)
    predict.view.options.threshold.setValue(0.2)
    predict.view.job.start.click()
    wait_for(lambda: not predict.controller.is_busy, "the prediction")
    assert predict.view.error.text() == ""
    assert viewer.layers["scan probability"].scale.tolist() == [2, 1, 1]
    assert len(viewer.layers["scan mesh"].data[1]) > 100


@pytest.mark.slow
@pytest.mark.skipif(os.name == "nt", reason="there is no kill -9 on Windows")
def test_a_killed_worker_is_noticed_and_resumed(viewer, volume, dock, wait_for):
    view, session = dock.view, dock.session
    for spin in view.network.patch:
        spin.setValue(32)
    view.training.steps.setValue(5)
    view.run.start.click()
    wait_for(
        lambda: (
            session.snapshot is not None
            and session.snapshot.worker is not None
            and RunFolder(session.run_dir).last_checkpoint.exists()
        ),
        "a first checkpoint",
    )
    os.kill(session.snapshot.worker.pid, signal.SIGKILL)
    wait_for(lambda: is_in(session, RunState.VANISHED), "the death to be noticed")
    assert view.run.resume.isVisible()
    said = view.run.state.text()
    assert "is gone without having ended the run" in said
    assert said.count("\n") == 0
    step = session.snapshot.step
    view.run.resume.click()
    wait_for(lambda: is_in(session, RunState.RUNNING), "the run to go on")
    wait_for(lambda: session.snapshot.step > step, "a step beyond the last one reported")
    view.run.stop.click()
    wait_for(lambda: is_in(session, RunState.STOPPED), "the end")


@pytest.mark.slow
def test_strokes_painted_while_it_trains_are_learned_from(viewer, volume, dock, wait_for):
    view, session = dock.view, dock.session
    for spin in view.network.patch:
        spin.setValue(32)
    view.training.steps.setValue(20)
    view.run.start.click()
    wait_for(lambda: is_in(session, RunState.RUNNING), "training")
    wait_for(lambda: session.volumes, "the counts at the start")
    before = sum(row["num_surface"] for row in session.volumes)
    sheet = viewer.layers["sheet"]
    sheet.brush_size, sheet.n_edit_dimensions = 9, 2
    viewer.dims.set_point(0, 2 * 5)
    assert not sheet.data[5].any()
    sheet.paint((5, 20, 20), 1)
    painted = int(sheet.data[5].sum())
    assert painted > 20
    updates = []
    session.polled.connect(
        lambda snapshot: updates.extend(
            event for event in snapshot.new_events if isinstance(event, LabelsUpdated)
        )
    )
    wait_for(lambda: updates, "the stroke to be taken")
    assert updates[0].num_changed == painted
    assert sum(row["num_surface"] for row in updates[0].volumes) == before + painted
    assert f"{before + painted:,} are surface" in view.strokes.state.whole_text()
    copy = open_volume(RunFolder(session.run_dir).read_experiment().data.train[0].labels)
    np.testing.assert_array_equal(copy.read((0, 0, 0), copy.shape), sheet.data)

    # A value without a meaning is refused in a sentence, and the run goes on.
    sheet.paint((5, 40, 40), 7)
    view.strokes.send.click()
    wait_for(lambda: view.strokes.error.text(), "the refusal")
    assert "holds the value 7" in view.strokes.error.text()
    step = session.snapshot.step
    wait_for(lambda: session.snapshot.step > step, "a further step")
    assert not (copy.read((0, 0, 0), copy.shape) == 7).any()
    view.run.stop.click()
    wait_for(lambda: is_in(session, RunState.STOPPED), "the end")


#: A napari of its own, started, answered and closed as a person would.
CLOSE_WHILE_TRAINING = """
import sys
from pathlib import Path
import napari
from qtpy.QtCore import QTimer
from qtpy.QtWidgets import QApplication, QPushButton
from napari_surfseg.gui.window.main_window import find_main_window
from napari_surfseg.gui.training.widget import SurfaceTrainingWidget
from napari_surfseg.runs.folder import RunState

image, labels, folder, answer = sys.argv[1:]
viewer = napari.Viewer()
viewer.open(image, plugin="napari", layer_type="image", name="scan")
viewer.open(labels, plugin="napari", layer_type="labels", name="sheet")
dock = SurfaceTrainingWidget(viewer)
viewer.window.add_dock_widget(dock)
dock.view.set_folder(Path(folder))
for spin in dock.view.network.patch:
    spin.setValue(32)
dock.view.training.steps.setValue(5)

def press():
    box = QApplication.activeModalWidget()
    if box is None:
        QTimer.singleShot(50, press)
        return
    print("asked", box.objectName(), flush=True)
    box.findChild(QPushButton, answer).click()

def close(snapshot):
    if snapshot.state is RunState.RUNNING:
        dock.session.polled.disconnect(close)
        QTimer.singleShot(0, press)
        QTimer.singleShot(0, find_main_window(dock).close)

dock.session.polled.connect(close)
QTimer.singleShot(0, dock.view.run.start.click)
napari.run()
print("closed", flush=True)
"""


@pytest.mark.slow
@pytest.mark.parametrize("answer", ["keep_training", "stop_training"])
def test_a_napari_that_closes_leaves_the_run_as_it_was_told(tmp_path, answer, wait_for):
    image, labels = make_sheet()
    np.save(tmp_path / "image.npy", image)
    np.save(tmp_path / "labels.npy", labels)
    arguments = [tmp_path / "image.npy", tmp_path / "labels.npy", tmp_path, answer]
    napari = subprocess.run(
        [sys.executable, "-c", CLOSE_WHILE_TRAINING, *map(str, arguments)],
        env={**os.environ, "NAPARI_CONFIG": ""},
        capture_output=True,
        text=True,
        timeout=150,
        check=False,
    )
    assert napari.returncode == 0, napari.stderr
    assert napari.stdout.splitlines() == ["asked close_while_training", "closed"]
    run = RunFolder(tmp_path / "surfaces")
    follower = RunFollower(run.path)
    worker = follower.poll().worker
    try:
        if answer == "keep_training":
            step = follower.poll().step
            wait_for(lambda: follower.poll().step > step + 20, "steps without a window")
            assert follower.poll().state is RunState.RUNNING
            append_command(run.commands_path, Stop())
        wait_for(lambda: follower.poll().state is RunState.STOPPED, "the end")
        assert run.last_checkpoint.exists()
    finally:
        if worker is not None and is_alive(worker):
            psutil.Process(worker.pid).kill()
