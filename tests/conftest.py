"""What all tests share: one OpenMP thread, Ctrl-C that is heard, and a look at the screen.

Nothing here imports Qt or napari before a test asks for it.
"""

import atexit
import contextlib
import gc
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path
from unittest.mock import patch

import numpy as np
import pytest

# Set before anything imports torch: tests run beside other work, and two OpenMP threads on two
# busy cores are many times slower than one.
os.environ.setdefault("OMP_NUM_THREADS", "1")
# A command that trains has its process keep what it freed, and here all of them are one process,
# which would never give back what the largest network took. Set, they are left as they are; what
# the tests start has them, as a worker does.
os.environ.setdefault("MALLOC_MMAP_THRESHOLD_", str(1 << 30))
os.environ.setdefault("MALLOC_TRIM_THRESHOLD_", str((1 << 31) - 1))

# A runner started in the background ignores Ctrl-C and hands that on to its children; the tests
# that press it need it heard.
if signal.getsignal(signal.SIGINT) == signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

#: Tests with one of these fixtures, or in this folder, open windows.
WINDOWED, WINDOW_STORIES = {"qapp", "qtbot"}, Path(__file__).parent / "stories"


def open_own_screen():
    """Begin a virtual display for this process: a window of another would cover what it looks at.

    Programs that tests start, in whichever process, open windows as well.
    """
    xvfb = shutil.which("Xvfb")
    if sys.platform != "linux" or xvfb is None or not os.environ.get("DISPLAY"):
        return
    reader, writer = os.pipe()
    server = subprocess.Popen(
        [xvfb, "-displayfd", str(writer), "-screen", "0", "1280x800x24", "-nolisten", "tcp"],
        pass_fds=[writer],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    os.close(writer)
    atexit.register(server.terminate)
    with os.fdopen(reader) as answer:
        number = answer.readline().strip()
    if number:
        os.environ["DISPLAY"] = f":{number}"
        os.environ.pop("XAUTHORITY", None)


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items):
    """Leave all windows to one process of several: on a display only one has the keyboard."""
    for item in items:
        if WINDOWED & set(item.fixturenames) or WINDOW_STORIES in item.path.parents:
            item.add_marker(pytest.mark.xdist_group("windows"))


def pytest_configure():
    """Give each process of several a screen of its own, and let waits be long."""
    if os.environ.get("PYTEST_XDIST_WORKER", "gw0") != "gw0":
        open_own_screen()
    # A machine on which others work too may take that long for what a window is to do.
    with contextlib.suppress(ImportError):
        from pytestqt.qtbot import QtBot

        for wait in (QtBot.waitUntil, QtBot.waitSignal, QtBot.waitSignals, QtBot.waitExposed):
            wait.__kwdefaults__["timeout"] = 30_000


@pytest.fixture(autouse=True, scope="module")
def known_objects():
    """Leave what is alive between two files out of Python's search for unreachable objects.

    Those are the libraries, millions of objects. The search through them takes a second each time,
    and whatever runs out of memory, as many tests let it, has it done.
    """
    gc.collect()
    gc.freeze()


@pytest.fixture
def as_installed(monkeypatch):
    """No preference set on this machine counts, and opening the widget starts no process."""
    from napari_surfseg.gui.window import preferences

    monkeypatch.setattr(preferences, "read_preferences", preferences.Preferences)
    monkeypatch.setattr("napari_surfseg.gui.training.widget.prepare_standby", lambda: None)


class Screen:
    """Looks at the screen as a person does, while Qt's own event loop runs.

    ``QWidget.grab`` and ``viewer.screenshot`` draw again for the picture, and so show what a
    person may never see.
    """

    def run(self, seconds, until=None):
        """Run Qt's own event loop, with nothing in between, at most so long.

        Returns whether ``until`` came true (always True without one).
        """
        from napari_surfseg.gui.window.screen import live

        return live(seconds, until)

    def grab(self, widget=None):
        """Return what the screen shows, (height, width, 3) uint8; of a widget's place, if given."""
        from qtpy.QtGui import QImage

        from napari_surfseg.gui.window.screen import grab_screen

        picture = grab_screen(widget).toImage()
        if picture.isNull():
            pytest.skip("this platform draws on no screen")
        picture = picture.convertToFormat(QImage.Format.Format_RGB888)
        bits = picture.constBits()
        if hasattr(bits, "setsize"):  # PyQt gives a pointer, PySide a buffer
            bits.setsize(picture.sizeInBytes())
        rows = np.frombuffer(bits, np.uint8).reshape(picture.height(), picture.bytesPerLine())
        return rows[:, : 3 * picture.width()].reshape(picture.height(), -1, 3).copy()

    def count(self, widget, color, tolerance=40):
        """Count the pixels of a widget's place on the screen that have about this colour."""
        from qtpy.QtGui import QColor

        wanted = np.array(QColor(color).getRgb()[:3], int)
        return int((np.abs(self.grab(widget).astype(int) - wanted).max(axis=-1) < tolerance).sum())


@pytest.fixture
def screen(qapp):
    """The real screen; the test is skipped where there is none."""
    return Screen()


@pytest.fixture
def make_napari_viewer(make_napari_viewer):
    """napari's fixture, with a turn of Qt's event loop between closing a viewer and counting it.

    With PySide6 a closed viewer is gone only when Qt has carried out the deletions it put off,
    which napari's own fixture does not wait for.
    """
    made = []

    def make(*arguments, **options):
        made.append(make_napari_viewer(*arguments, **options))
        return made[-1]

    yield make
    from qtpy.QtCore import QEvent
    from qtpy.QtWidgets import QApplication

    while made:
        viewer = made.pop()
        window = getattr(viewer.window, "_qt_window", None)
        if window is not None:
            with patch.object(window, "_save_current_window_settings"):
                viewer.close()
        del viewer, window
    for _ in range(3):
        QApplication.processEvents()
        QApplication.sendPostedEvents(None, QEvent.Type.DeferredDelete.value)


@pytest.fixture
def tiny_checkpoint():
    """A network that was not trained, with all that a checkpoint says of one."""
    import torch

    from napari_surfseg.config import Experiment
    from napari_surfseg.model.checkpoint import Checkpoint
    from napari_surfseg.model.grey_values import GreyValues
    from napari_surfseg.model.intensity import Intensity
    from napari_surfseg.model.network import build_unet

    experiment = Experiment(
        experiment={"name": "cell walls"},
        model={"preset": "tiny", "base_channels": 4, "multipliers": (1, 2)},
    )
    torch.manual_seed(1)
    percentiles = (110.0, 150.0, 250.0, 300.0, 400.0, 700.0, 900.0)
    return Checkpoint(
        experiment=experiment,
        weights=build_unet(experiment.model).state_dict(),
        intensity=Intensity(
            100.0, 1000.0, 0.4, 0.2, values=GreyValues("uint16", 90.0, 1010.0, percentiles)
        ),
        patch_size=(16, 32, 32),
        spacing=(8.0, 4.0, 4.0),
        units="nanometer",
        threshold=0.37,
        postprocess={"threshold": 0.37, "closing_radius": 1},
        epoch=3,
        step=30,
        surface_fraction=0.1,
        metrics={"surface_dice": 0.9, "dice": 0.8},
    )


class Registry:
    """A registry of networks in a folder of its own, in the place of the package's."""

    def __init__(self, folder):
        self.folder = folder
        self.entries = []
        self._write()

    def add(self, name="sheets-tiny", *, weights=None, **changes):
        """Add a network of random weights, or of others, and return the file of its weights."""
        import hashlib

        import torch
        from safetensors.torch import save_file

        from napari_surfseg.config import Model
        from napari_surfseg.model.network import build_unet

        model = changes.pop("model", {"preset": "tiny"})
        path = self.folder / f"{name}.safetensors"
        if weights is None:
            torch.manual_seed(len(self.entries))
            weights = build_unet(Model(**model)).state_dict()
        save_file({key: tensor.half() for key, tensor in weights.items()}, path)
        entry = {
            "name": name,
            "title": "Sheets",
            "description": "Sheets in tests.",
            "finds": ["sheets"],
            "thickness": [1.5, 5],
            "anisotropy": 2,
            "licence": "CC0",
            "attribution": "none",
            "file": path.name,
            "sha256": hashlib.sha256(path.read_bytes()).hexdigest(),
            "model": model,
            "patch_size": [16, 32, 32],
            "threshold": 0.4,
        }
        self.entries.append(entry | changes)
        self._write()
        return path

    def _write(self):
        import yaml

        from napari_surfseg.networks import registry

        text = yaml.safe_dump({"networks": self.entries})
        (self.folder / "registry.yaml").write_text(text, encoding="utf-8")
        registry.forget()


@pytest.fixture
def registry(tmp_path, monkeypatch):
    """Let no network come with the package but those that the test adds."""
    from napari_surfseg.networks import registry as module

    folder = tmp_path / "networks"
    folder.mkdir()
    monkeypatch.setattr(module, "FOLDER", folder)
    monkeypatch.setattr(module, "_cached", lambda network: tmp_path / "cache" / network.file)
    return Registry(folder)


@pytest.fixture
def tiny_monai():
    """Return arguments that make each network of MONAI small enough for a test, by its name."""
    stages = {"channels": [4, 8, 8], "strides": [2, 2]}
    features = {"features": [4, 4, 8, 8, 8, 4]}
    return {
        "AttentionUnet": stages,
        "BasicUNet": features,
        "BasicUNetPlusPlus": features,
        "DynUNet": {"strides": [1, 2, 2, 2], "filters": [4, 8, 8, 8]},
        "FlexibleUNet": {"decoder_channels": [8, 8, 8, 8, 4]},
        "MedNeXt": {
            "init_filters": 4,
            "kernel_size": 3,
            "blocks_down": [1, 1, 1, 1],
            "blocks_bottleneck": 1,
            "blocks_up": [1, 1, 1, 1],
        },
        "SegResNet": {"blocks_down": [1, 1, 1], "blocks_up": [1, 1]},
        "SegResNetDS": {"init_filters": 4, "blocks_down": [1, 1, 1]},
        "SwinUNETR": {
            "feature_size": 12,
            "depths": [1, 1, 1, 1],
            "num_heads": [1, 1, 1, 1],
            "window_size": 4,
        },
        "UNETR": {"feature_size": 4, "hidden_size": 24, "mlp_dim": 24, "num_heads": 2},
        "UNet": stages,
        "VNet": {},
    }
