"""A napari of its own with the curves open, closed in every way there is: it ends with code 0."""

from __future__ import annotations

import os
import subprocess
import sys

import numpy as np
import psutil
import pytest

from napari_surfseg.runs.folder import RunFolder
from napari_surfseg.runs.follow import RunFollower
from napari_surfseg.runs.lock import is_alive

#: Opens the curves, fills them by a run or by hand, and closes. A dialog's button is pressed.
SCRIPT = """
import sys
import napari
import numpy as np
from pathlib import Path
from qtpy.QtCore import QTimer
from qtpy.QtWidgets import QApplication, QDialog, QMessageBox, QPushButton
from napari_surfseg.events import StepFinished
from napari_surfseg.gui.curves.widget import LossCurvesWidget
from napari_surfseg.gui.training.widget import SurfaceTrainingWidget
from napari_surfseg.gui.window.dock_layout import show_dock

way, folder = sys.argv[1:]
viewer = napari.Viewer(show_welcome_screen=False)
window = viewer.window._qt_window
if folder:
    viewer.open(str(Path(folder) / "image.npy"), plugin="napari", layer_type="image", name="scan")
    viewer.open(str(Path(folder) / "labels.npy"), plugin="napari", layer_type="labels", name="m")
else:
    viewer.add_image(np.random.default_rng(0).integers(0, 255, (8, 64, 64), np.uint8))
dock = SurfaceTrainingWidget(viewer)
viewer.window.add_dock_widget(dock)
curves = show_dock(LossCurvesWidget, viewer, dock)

def press():
    # napari asks whether the window is to close, the plugin what becomes of the run.
    for box in QApplication.topLevelWidgets():
        if box.isVisible() and isinstance(box, (QMessageBox, QDialog)):
            button = box.findChild(QPushButton, "stop_training")
            if button is not None:
                print("asked", box.objectName(), flush=True)
                button.click()
            elif hasattr(box, "close_btn"):
                box.close_btn.click()

presses = QTimer()
presses.timeout.connect(press)
presses.start(100)

def find_entry(menu, words):
    for action in menu.actions():
        if action.text().replace("&", "").startswith(words):
            return action
    raise KeyError([action.text() for action in menu.actions()])

def trigger(words):
    menu = find_entry(window.menuBar(), "File").menu()
    menu.aboutToShow.emit()
    find_entry(menu, words).trigger()

def close():
    print("closing", flush=True)
    window.activateWindow()  # without a window manager none is active, and the menu looks for it
    QApplication.processEvents()
    {
        "menu_close": lambda: trigger("Close Window"),
        "menu_exit": lambda: trigger("Exit"),
        "cross": lambda: window.windowHandle().close(),
        "close": window.close,
        "viewer": viewer.close,
    }[way]()

def close_when_drawn():
    if curves.panel.canvas.layer_of("0:total") is not None:
        watch.stop()
        QTimer.singleShot(300, close)

watch = QTimer()
watch.timeout.connect(close_when_drawn)
watch.start(100)
if folder:
    dock.view.set_folder(Path(folder))
    for spin in dock.view.network.patch:
        spin.setValue(32)
    QTimer.singleShot(0, dock.view.run.start.click)
else:
    curves.panel.set_run("a run")
    curves.panel.add_events(
        StepFinished(
            step=number, epoch=1, losses={}, head_total=1.0, total=1.0 / number,
            learning_rate=1e-3, gradient_norm=1.0, steps_per_second=1.0,
            elapsed_seconds=float(number), progress=0.1,
        )
        for number in range(1, 50)
    )
napari.run()
print("closed", flush=True)
"""

WAYS = ["menu_close", "menu_exit", "cross", "close", "viewer"]


def close_a_napari(way, folder=""):
    return subprocess.run(
        [sys.executable, "-X", "faulthandler", "-c", SCRIPT, way, str(folder)],
        env={**os.environ, "NAPARI_CONFIG": ""},
        capture_output=True,
        text=True,
        timeout=150,
        check=False,
    )


@pytest.mark.slow
@pytest.mark.parametrize("way", WAYS)
def test_a_window_with_curves_closes(way):
    napari = close_a_napari(way)
    assert napari.returncode == 0, napari.stderr
    assert napari.stdout.splitlines() == ["closing", "closed"]
    assert "Error" not in napari.stderr


@pytest.mark.slow
@pytest.mark.parametrize("way", WAYS)
def test_a_window_closes_while_its_run_trains(way, tmp_path):
    z, y, _ = np.mgrid[:32, :48, :48]
    sheet = np.abs(z - 16 - 4 * np.sin(y / 10)) < 1.5
    noise = np.random.default_rng(0).normal(0, 20, sheet.shape)
    np.save(tmp_path / "image.npy", (80 + 90 * sheet + noise).clip(0, 255).astype(np.uint8))
    np.save(tmp_path / "labels.npy", sheet.astype(np.uint8))
    try:
        napari = close_a_napari(way, tmp_path)
    finally:
        worker = RunFollower(RunFolder(tmp_path / "surfaces").path).poll().worker
        if worker is not None and is_alive(worker):
            psutil.Process(worker.pid).kill()
    assert napari.returncode == 0, napari.stderr
    # A program that closes its viewer is not asked: nobody might be there to answer.
    asked = [] if way == "viewer" else ["asked close_while_training"]
    assert napari.stdout.splitlines() == ["closing", *asked, "closed"]
    assert "Error" not in napari.stderr
