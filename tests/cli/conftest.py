"""The command line with a trainer that needs no torch, small volumes and a real checkpoint."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import tifffile

from napari_surfseg.cli import console
from napari_surfseg.cli.main import main
from napari_surfseg.data.open import open_volume

# Test folders are no packages; the runs' trainer is fetched by its path.
_spec = importlib.util.spec_from_file_location(
    "runs_conftest", Path(__file__).parents[1] / "runs" / "conftest.py"
)
_runs = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(_runs)


@pytest.fixture
def surfseg(capsys, monkeypatch):
    """Return a function that runs a command and returns (exit code, stdout, stderr)."""
    # On a busy machine a command takes long enough for a line of progress.
    monkeypatch.setattr(console, "PLAIN_SECONDS", float("inf"))

    def run(*arguments):
        code = main([str(argument) for argument in arguments])
        captured = capsys.readouterr()
        return code, captured.out, captured.err

    return run


@pytest.fixture
def read():
    """Return a function that reads a whole volume from a file."""

    def read_all(path):
        volume = open_volume(path)
        return volume.read((0, 0, 0), volume.shape)

    return read_all


@pytest.fixture
def quick_trainer(monkeypatch):
    """Put the fake in the place of the real trainer; returns its options, to be changed."""
    options = {}

    def build(experiment, **given):
        return _runs.FakeTrainer(experiment, **given, **options)

    monkeypatch.setitem(
        sys.modules, "napari_surfseg.training.trainer", SimpleNamespace(Trainer=build)
    )
    # Drawing takes seconds; the report has its own tests.
    from napari_surfseg.runs.report import page as report

    monkeypatch.setattr(report, "write_report", lambda run_dir: Path(run_dir) / "report.md")
    return options


def make_sheets(shape=(24, 40, 48), seed=0):
    """Return an image of tilted sheets in noise, and their labels."""
    z, y, x = np.mgrid[: shape[0], : shape[1], : shape[2]]
    sheet = np.abs((y + 0.3 * x + 0.5 * z) % 14 - 7) < 1.2
    noise = np.random.default_rng(seed).normal(0, 10, shape)
    image = (80 + 70 * sheet + noise).clip(0, 255).astype(np.uint8)
    return image, sheet.astype(np.uint8)


@pytest.fixture
def volumes(tmp_path, monkeypatch):
    """Return a folder, which becomes the current one, with image.tif and labels.tif."""
    folder = tmp_path / "data"
    folder.mkdir()
    image, labels = make_sheets()
    tifffile.imwrite(folder / "image.tif", image, compression="zlib")
    tifffile.imwrite(folder / "labels.tif", labels, compression="zlib")
    monkeypatch.chdir(folder)
    return folder


@pytest.fixture
def config(volumes):
    """Return a configuration of the volumes, in their folder."""
    path = volumes / "experiment.yaml"
    path.write_text(
        "experiment: {name: sheets}\n"
        "data:\n"
        "  train: [{image: image.tif, labels: labels.tif}]\n"
        "  patch_size: [16, 32, 32]\n"
        "model: {preset: tiny}\n"
        "training: {max_epochs: 2, train_iterations_per_epoch: 3}\n",
        encoding="utf-8",
    )
    return path


@pytest.fixture(scope="session")
def checkpoint(tmp_path_factory):
    """Return a real checkpoint of an untrained tiny network."""
    import torch

    from napari_surfseg.config import Data, Experiment, Model
    from napari_surfseg.model.checkpoint import Checkpoint, save_checkpoint
    from napari_surfseg.model.intensity import Intensity
    from napari_surfseg.model.network import build_unet

    torch.manual_seed(0)
    experiment = Experiment(model=Model(preset="tiny"), data=Data(patch_size=(16, 32, 32)))
    network = build_unet(experiment.model, device="cpu")
    path = tmp_path_factory.mktemp("checkpoint") / "best.pt"
    save_checkpoint(
        path,
        Checkpoint(
            experiment=experiment,
            weights=network.state_dict(),
            intensity=Intensity(0.0, 255.0, 0.4, 0.1),
            patch_size=(16, 32, 32),
            spacing=(1.0, 1.0, 1.0),
            threshold=0.5,
        ),
    )
    return path
