"""A small sheet to train on, and a training with its events and the commands it is sent."""

import numpy as np
import pytest

from napari_surfseg.config import Experiment
from napari_surfseg.config_files import apply_overrides
from napari_surfseg.training import trainer as trainer_module
from napari_surfseg.training.assembly import assemble_run
from napari_surfseg.training.trainer import Trainer

SMALL_NETWORK = "model={preset: tiny, base_channels: 4, multipliers: [1, 2]}"


class TrainingRun:
    """A trainer with its events; ``commands`` are sent when that many steps are done."""

    def __init__(self, folder, experiment, commands=None, *, resume=False):
        self.events = []
        self.commands = dict(commands or {})
        self.folder = folder
        self.parts = None
        self.trainer = Trainer(
            experiment,
            emit=self.events.append,
            poll_commands=lambda: self.commands.pop(self.trainer.state.step, []),
            checkpoints=folder / "checkpoints",
            previews=folder / "previews",
            samples=folder / "samples",
            device="cpu",
            resume=resume,
        )

    def run(self):
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(trainer_module, "assemble_run", self._assemble)
            self.trainer.run()
        return self

    def _assemble(self, *args):
        self.parts = assemble_run(*args)
        return self.parts

    def of(self, kind):
        return [event for event in self.events if isinstance(event, kind)]


@pytest.fixture
def training_run():
    """Return the maker of a training: folder, experiment, commands by step, resume."""
    return TrainingRun


@pytest.fixture
def experiment(tmp_path):
    """Build a small experiment on one flat sheet with a strip that is not annotated."""
    rng = np.random.default_rng(0)
    labels = np.zeros((32, 32, 96), np.uint8)
    labels[14:16] = 1
    labels[:, :4] = 2
    image = np.where(labels == 1, 140, 90) + rng.normal(0, 12, labels.shape)
    np.save(tmp_path / "image.npy", image.clip(0, 255).astype(np.uint8))
    np.save(tmp_path / "labels.npy", labels)
    return apply_overrides(
        Experiment(),
        [
            f"data.train=[{{image: {tmp_path}/image.npy, labels: {tmp_path}/labels.npy}}]",
            "data.patch_size=[16,32,32]",
            "data.validation.fraction=0.3",
            SMALL_NETWORK,
            "training.max_epochs=2",
            "training.train_iterations_per_epoch=4",
            "training.workers=0",
            "training.validation_share=1",
        ],
    )


@pytest.fixture
def every_step_is_reported(monkeypatch):
    monkeypatch.setattr("napari_surfseg.training.reporting.REPORT_SECONDS", 0)
