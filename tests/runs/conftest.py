"""A trainer that needs no torch, and runs to try things on."""

from __future__ import annotations

import math
import time
from typing import TYPE_CHECKING

import numpy as np
import pytest

from napari_surfseg import events
from napari_surfseg.config import Data, Experiment, ExperimentInfo, Pair, Training
from napari_surfseg.runs.folder import RunFolder

if TYPE_CHECKING:
    from pathlib import Path

TERMS = {"weighted_bce": 0.9, "soft_dice": 0.75, "cldice": 0.7, "surface_distance": 0.19}


class FakeTrainer:
    """Emits the events of a trainer without training; ``script`` is called after every step."""

    def __init__(
        self,
        experiment,
        *,
        emit,
        poll_commands,
        checkpoints,
        previews,
        samples,
        device,
        resume,
        script=None,
        steps=4,
        seconds=0.0,
    ):
        self.experiment, self.emit, self.poll = experiment, emit, poll_commands
        self.checkpoints, self.previews, self.samples = checkpoints, previews, samples
        self.device, self.resume = device, resume
        self.script, self.steps, self.seconds = script, steps, seconds

    def run(self):
        epochs = self.experiment.training.max_epochs or 3
        self.emit(
            events.RunStarted(
                name=self.experiment.experiment.name,
                device=self.device,
                precision="float32",
                model="tiny",
                num_parameters=123456,
                patch_size=(64, 64, 64),
                epoch=1,
                max_epochs=epochs,
                max_minutes=None,
                iterations_per_epoch=self.steps,
                loss_weights=self.experiment.loss.weights,
                resumed=self.resume,
            )
        )
        self.emit(
            events.DataChecked(
                volumes=[
                    {
                        "image": "a.tif",
                        "labels": "b.tif",
                        "role": "train",
                        "shape": [50, 100, 170],
                        "spacing": [1, 1, 1],
                        "foreground_fraction": 0.19,
                        "ignored_fraction": 0.0,
                    },
                    {
                        "image": "a.tif",
                        "labels": "b.tif",
                        "role": "validation",
                        "shape": [50, 100, 22],
                        "spacing": [1, 1, 1],
                        "foreground_fraction": 0.2,
                        "ignored_fraction": 0.0,
                    },
                ]
            )
        )
        step, best, elapsed = 0, None, 0.0
        for epoch in range(1, epochs + 1):
            share = epoch / epochs
            losses = {name: value * (1 - 0.3 * share) for name, value in TERMS.items()}
            losses["toploss_simple"] = 0.36 + 0.07 * share
            for _ in range(self.steps):
                step += 1
                elapsed += 0.25
                time.sleep(self.seconds)
                self.emit(
                    events.StepFinished(
                        step=step,
                        epoch=epoch,
                        losses=losses,
                        head_total=1.2,
                        total=1.8 - 0.3 * share,
                        learning_rate=3e-4,
                        gradient_norm=0.5,
                        steps_per_second=4.0,
                        elapsed_seconds=elapsed,
                        progress=step / (epochs * self.steps),
                    )
                )
                if self.script:
                    self.script(self, epoch, step)
                for command in self.poll():
                    self.emit(
                        events.CommandApplied(
                            command_id=command.id, command=type(command).__name__, step=step
                        )
                    )
                    if isinstance(command, events.Stop):
                        self.save()
                        self.emit(
                            events.RunStopped(
                                step=step, epoch=epoch, elapsed_seconds=elapsed, best=best
                            )
                        )
                        return
            self.emit(
                events.EpochFinished(
                    step=step,
                    epoch=epoch,
                    losses=losses,
                    head_total=1.2,
                    total=1.8 - 0.3 * share,
                    learning_rate=3e-4,
                    epoch_seconds=1.0,
                    steps_per_second=4.0,
                    elapsed_seconds=elapsed,
                    patches={
                        "foreground_fraction": 0.2,
                        "foreground_centred_share": 0.65,
                        "ignored_fraction": 0.0,
                        "sources": {"a.tif": 4},
                    },
                    cache={
                        "hits": 10,
                        "misses": 2,
                        "evictions": 0,
                        "num_bytes": 2**20,
                        "max_bytes": 2**31,
                    },
                    seconds_left=float(epochs - epoch),
                )
            )
            best = {"surface_dice": 0.9 * math.sqrt(share), "dice": 0.7, "voi_score": 0.5}
            self.emit(
                events.ValidationFinished(
                    step=step, epoch=epoch, metrics=best, threshold=0.5, is_best=True, seconds=0.2
                )
            )
            self.save()
            self.emit(events.CheckpointSaved(path="checkpoints/last.pt", epoch=epoch, step=step))
        self.write_samples()
        self.emit(events.RunCompleted(step=step, epoch=epochs, elapsed_seconds=elapsed, best=best))

    def save(self):
        self.checkpoints.mkdir(parents=True, exist_ok=True)
        (self.checkpoints / "last.pt").write_bytes(b"weights")

    def write_samples(self):
        self.samples.mkdir(parents=True, exist_ok=True)
        generator = np.random.default_rng(0)
        z, y, x = np.mgrid[:12, :40, :60]
        sheet = np.abs((y + 0.2 * x + z) % 16 - 8) < 1.5
        image = (90 + 60 * sheet + generator.normal(0, 12, sheet.shape)).clip(0, 255)
        labels = sheet.astype(np.uint8)
        labels[:, :, 50:] = 2
        probabilities = 255 * np.clip(sheet + generator.normal(0, 0.2, sheet.shape), 0, 1)
        for name, array in (("image", image), ("labels", labels), ("probabilities", probabilities)):
            np.save(self.samples / f"validation_0_{name}.npy", array.astype(np.uint8))


@pytest.fixture
def experiment() -> Experiment:
    return Experiment(
        experiment=ExperimentInfo(name="try"),
        data=Data(train=(Pair(image="a.tif", labels="b.tif"),)),
        training=Training(max_epochs=3),
    )


@pytest.fixture
def folder(tmp_path: Path, experiment: Experiment) -> RunFolder:
    return RunFolder(tmp_path / "run").create(experiment)


@pytest.fixture
def fake_trainer():
    """Return a maker of trainer factories; its arguments are the fake's."""

    def make(**options):
        return lambda experiment, **given: FakeTrainer(experiment, **given, **options)

    return make


class MakeEvents:
    """Makes the events of a run in which an epoch has ten steps."""

    @staticmethod
    def started(**changes):
        values = {
            "seq": 0,
            "name": "a run",
            "device": "cpu",
            "precision": "float32",
            "model": "tiny",
            "num_parameters": 1_500_000,
            "patch_size": (64, 64, 64),
            "epoch": 0,
            "max_epochs": 8,
            "max_minutes": None,
            "iterations_per_epoch": 10,
            "loss_weights": {"soft_dice": 0.5, "cldice": 0.5},
        }
        return events.RunStarted(**(values | changes))

    @staticmethod
    def epoch(number, total=1.0, *, patches=None, **losses):
        return events.EpochFinished(
            step=10 * number,
            epoch=number,
            losses=losses or {"soft_dice": total},
            head_total=total,
            total=total,
            learning_rate=1e-3,
            epoch_seconds=2.0,
            steps_per_second=5.0,
            elapsed_seconds=2.0 * number,
            patches=patches or {},
            cache={},
        )

    @staticmethod
    def scored(number, surface_dice, *, is_best=False, **metrics):
        return events.ValidationFinished(
            seq=100 + number,
            step=10 * number,
            epoch=number,
            metrics={"surface_dice": surface_dice} | metrics,
            threshold=0.4,
            is_best=is_best,
            seconds=0.5,
        )


@pytest.fixture
def make():
    return MakeEvents
