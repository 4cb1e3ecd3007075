"""A window killed with -9 at any moment: its run goes on, and another window takes it up."""

import os
import queue
import subprocess
import sys
import threading
import time

import numpy as np
import psutil
import pytest

from napari_surfseg import events
from napari_surfseg.data.open import open_volume
from napari_surfseg.data.strokes.stroke_files import read_strokes
from napari_surfseg.events import LabelsUpdated, UpdateLabels
from napari_surfseg.gui.training.widget import SurfaceTrainingWidget
from napari_surfseg.model.checkpoint import load_checkpoint
from napari_surfseg.runs.folder import RunFolder, RunState
from napari_surfseg.runs.follow import RunFollower
from napari_surfseg.runs.listing import list_runs
from napari_surfseg.runs.lock import is_alive

pytestmark = [
    pytest.mark.slow,
    pytest.mark.timeout(900),
    pytest.mark.skipif(os.name == "nt", reason="there is no kill -9 on Windows"),
]

#: A napari of its own: a run is started, strokes are painted, and what is done is said.
WINDOW = """
import sys
from pathlib import Path
import napari
import numpy as np
from qtpy.QtCore import QTimer
from napari_surfseg.gui.live.layers import LiveLayers
from napari_surfseg.gui.training.widget import SurfaceTrainingWidget
from napari_surfseg.runs.folder import RunState

folder = Path(sys.argv[1])
viewer = napari.Viewer()
viewer.add_image(np.load(folder / "image.npy"), name="scan")
sheet = viewer.add_labels(np.load(folder / "labels.npy"), name="sheet")
dock = SurfaceTrainingWidget(viewer)
viewer.window.add_dock_widget(dock)
dock.view.set_folder(folder)
for spin in dock.view.network.patch:
    spin.setValue(32)
dock.view.training.steps.setValue(5)
dock.view.control("preview.seconds").setValue(0.5)

def say(word):
    print(word, flush=True)

real_show = LiveLayers._show_one
def show(self, *args, **kwargs):
    say("showing")
    return real_show(self, *args, **kwargs)
LiveLayers._show_one = show

row = iter(range(4, 60, 4))
def paint():
    y = next(row, None)
    if y is not None:
        say("painting")
        sheet.paint((5, y, 20), 1)

painter = QTimer()
painter.timeout.connect(paint)

def look(snapshot):
    if snapshot.state is RunState.RUNNING and not painter.isActive():
        painter.start(8000)  # the brush rests in between: only then is a stroke sent

dock.session.polled.connect(look)

def start():
    say("starting")
    dock.view.run.start.click()

QTimer.singleShot(0, start)
napari.run()
"""

#: What the window says, how often it has said so, and how long after it is killed.
MOMENTS = [
    ("starting", 1, 0.0),
    ("starting", 1, 0.05),
    ("starting", 1, 0.2),
    ("starting", 1, 0.6),
    ("painting", 1, 0.0),
    ("painting", 2, 0.3),
    ("painting", 3, 0.9),
    ("showing", 1, 0.0),
    ("showing", 2, 0.01),
    ("showing", 4, 0.03),
]


def make_sheet():
    """Make a wavy sheet, bright on dark, that a tiny net learns in seconds, and its labels."""
    z, y, x = np.mgrid[:48, :64, :64]
    sheet = np.abs(z - 24 - 6 * np.sin(y / 10) - 4 * np.cos(x / 13)) < 1.5
    noise = np.random.default_rng(0).normal(0, 20, sheet.shape)
    return (80 + 90 * sheet + noise).clip(0, 255).astype(np.uint8), sheet.astype(np.uint8)


def kill_at(folder, word, times, delay):
    """Open the window and kill it so long after a word."""
    window = subprocess.Popen(
        [sys.executable, "-c", WINDOW, str(folder)],
        env={**os.environ, "NAPARI_CONFIG": ""},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    said = queue.Queue()
    # Read, so that the window never waits for a full pipe.
    errors = []
    readers = [
        threading.Thread(target=lambda: [said.put(line) for line in window.stdout], daemon=True),
        threading.Thread(target=lambda: errors.extend(window.stderr), daemon=True),
    ]
    for reader in readers:
        reader.start()
    try:
        while times:
            times -= said.get(timeout=300).strip() == word
        time.sleep(delay)
        assert window.poll() is None, errors
    finally:
        window.kill()
        window.wait()
        for reader in readers:
            reader.join(timeout=30)
        window.stdout.close()
        window.stderr.close()


def check_files(run):
    """Whatever has its final name is whole."""
    if run.config_path.exists():
        run.read_experiment()
    for path in run.path.glob("checkpoints/*.pt"):
        load_checkpoint(path)
    for path in run.path.glob("previews/[0-9]*.npy"):
        np.load(path)
    for path in run.strokes.glob("*.npz"):
        read_strokes(path)
    events.read_events(run.events_path)


def count_surface(run):
    labels = open_volume(run.read_experiment().data.train[0].labels)
    return int(np.count_nonzero(labels.read((0, 0, 0), labels.shape)))


@pytest.mark.parametrize(("word", "times", "delay"), MOMENTS)
def test_a_window_killed_at_any_moment_loses_nothing(
    tmp_path, viewer, wait_for, word, times, delay
):
    image, labels = make_sheet()
    np.save(tmp_path / "image.npy", image)
    np.save(tmp_path / "labels.npy", labels)
    kill_at(tmp_path, word, times, delay)
    list_runs(tmp_path)
    run = RunFolder(tmp_path / "surfaces")
    if not run.config_path.exists():  # nothing was started: nobody finds half a run
        assert word == "starting"
        return
    check_files(run)
    follower = RunFollower(run.path)
    launched = None
    if follower.poll().worker is None:
        launched = subprocess.Popen(
            [sys.executable, "-m", "napari_surfseg", "train", str(run.path)],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
    try:
        begun = (RunState.RUNNING, RunState.FAILED)
        wait_for(lambda: follower.poll().state in begun, "the run to go on")
        assert follower.poll().state is RunState.RUNNING, run.log_path.read_text()
        step = follower.poll().step
        wait_for(lambda: follower.poll().step > step, "steps without a window")

        # Another window takes it up.
        dock = SurfaceTrainingWidget(viewer)
        viewer.window.add_dock_widget(dock)
        dock.session.attach(run.path, own=True)
        wait_for(lambda: dock.live.layers.prediction is not None, "a live prediction")
        dock.view.run.stop.click()
        wait_for(lambda: follower.poll().state is RunState.STOPPED, "the end")
    finally:
        worker = follower.poll().worker
        if worker is not None and is_alive(worker):
            psutil.Process(worker.pid).kill()
        if launched is not None:
            launched.wait(timeout=60)

    check_files(run)
    assert load_checkpoint(run.last_checkpoint).step == follower.poll().step
    sent = [
        command
        for command in events.read_commands(run.commands_path)
        if isinstance(command, UpdateLabels)
    ]
    taken = [e for e in events.read_events(run.events_path) if isinstance(e, LabelsUpdated)]
    assert len(taken) == len(sent)  # a stroke that was sent is in the labels
    assert count_surface(run) == np.count_nonzero(labels) + sum(e.num_changed for e in taken)
    if word == "painting" and times > 1:
        assert sent
