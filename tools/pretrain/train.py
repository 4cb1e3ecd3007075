"""Train a network of the package on the endless stream of synthetic volumes.

    python tools/pretrain/train.py tools/pretrain/surfaces-tiny.yaml OUT

``OUT`` holds ``state.pt``, from which the same command goes on after a kill, ``log.csv``, and
``network.pt``, a checkpoint of the project with the averaged weights, written along with the
state: ``surfseg predict --checkpoint OUT/network.pt`` and ``tools/ship_network.py`` read it.

The schedule spans ``training.minutes`` of running time or ``training.steps``, whichever is given;
with steps, the same seed gives the same weights on the same machine, with minutes as nearly as
two machines take equally many steps.
"""

from __future__ import annotations

import argparse
import time
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
import yaml
from draw import DrawSettings, draw_batch
from stream import Stream, VolumePair

from napari_surfseg.config import Experiment
from napari_surfseg.losses.combined import (
    LossSettings,
    compute_combined_loss,
    compute_loss_targets,
)
from napari_surfseg.model.checkpoint import Checkpoint, save_checkpoint
from napari_surfseg.model.network import build_unet
from napari_surfseg.model.presets import resolve_architecture
from napari_surfseg.training.average import WeightAverage
from napari_surfseg.training.optimizer import AdamW
from napari_surfseg.training.schedule import Bounds, Cycle

ROOT = Path(__file__).resolve().parents[2]

#: Longest edge of a voxel by the shortest, up to which scenes are drawn often enough.
ANISOTROPY = 3.0


@dataclass(frozen=True)
class Settings:
    """What the file of settings holds; see ``surfaces-tiny.yaml`` for the meaning."""

    name: str
    model: dict[str, Any]
    shares: dict[str, float]
    seed: int = 1
    recorded: tuple[tuple[Path, Path], ...] = ()
    volume: tuple[int, int, int] = (80, 80, 80)
    pool: int = 96
    refresh: float = 0.1
    minutes: float | None = None
    steps: int | None = None
    peak: float | None = None
    start: float | None = None
    weight_decay: float = 0.01
    ema_decay: float = 0.999
    gradient_clip: float = 1.0
    pos_weight: float = 1.5
    loss: dict[str, float] = field(default_factory=lambda: {"weighted_bce": 0.5, "soft_dice": 0.5})
    save_minutes: float = 3.0
    threads: int = 1
    begin: str | None = None
    draw: DrawSettings = field(default_factory=DrawSettings)


def read_settings(path: Path, changes: list[str]) -> Settings:
    """Read a file of settings; ``NAME=VALUE`` changes some of them."""
    values = yaml.safe_load(path.read_text(encoding="utf-8"))
    for change in changes:
        name, _, text = change.partition("=")
        values[name] = yaml.safe_load(text)
    draw = values.pop("draw", {})
    if "patches" in draw:
        draw["patches"] = tuple(tuple(patch) for patch in draw["patches"])
    recorded = tuple(
        (ROOT / pair["image"], ROOT / pair["instances"]) for pair in values.pop("recorded", [])
    )
    settings = Settings(**values, recorded=recorded, draw=DrawSettings(**draw))
    if settings.minutes is None and settings.steps is None:
        raise SystemExit(f"{path}: give minutes or steps, so that the schedule has an end.")
    return replace(settings, volume=tuple(settings.volume))


class Pretraining:
    """A training that can be killed at any time.

    Parameters
    ----------
    settings : Settings
        All that decides the result.
    folder : Path
        For the state, the log and the network.
    """

    def __init__(self, settings: Settings, folder: Path) -> None:
        self._settings, self._folder = settings, folder
        torch.manual_seed(settings.seed)
        self._experiment = Experiment.model_validate(
            {
                "experiment": {"name": settings.name, "seed": settings.seed},
                "model": settings.model,
                "loss": {"pos_weight": settings.pos_weight},
            }
        )
        architecture = resolve_architecture(self._experiment.model)
        self._architecture = architecture
        peak = settings.peak or architecture.max_learning_rate
        self._cycle = Cycle(peak=peak, start=settings.start or peak / 10)
        self._network = build_unet(self._experiment.model).train()
        self._average = WeightAverage(self._network, settings.ema_decay)
        if settings.begin:
            found = torch.load(settings.begin, map_location="cpu", weights_only=True)["weights"]
            for network in (self._network, self._average.network):
                network.load_state_dict(found)
        self._optimizer = AdamW(self._network.parameters(), weight_decay=settings.weight_decay)
        self._stream = Stream(settings.seed, settings.volume, settings.shares, settings.recorded)
        self._numbers: list[int] = []
        self._next_number = 0
        self._owed = 0.0
        self._step, self._elapsed = 0, 0.0
        if (folder / "state.pt").exists():
            self._restore()
        self._pool: list[VolumePair] = []

    def run(self) -> None:
        """Train to the end."""
        settings = self._settings
        self._fill_pool()
        bounds = Bounds(settings.steps, None if settings.minutes is None else settings.minutes * 60)
        clock, saved = time.perf_counter() - self._elapsed, self._elapsed
        totals: dict[str, float] = {}
        counted = 0
        while True:
            self._elapsed = time.perf_counter() - clock
            progress = bounds.compute_progress(self._step, self._elapsed)
            if progress >= 1:
                break
            rate = self._cycle.rate(progress)
            for name, value in self._take_step(rate).items():
                totals[name] = totals.get(name, 0.0) + value
            counted += 1
            self._step += 1
            self._refresh()
            if counted == 100:
                self._log({name: value / counted for name, value in totals.items()}, rate)
                totals, counted = {}, 0
            if self._elapsed - saved > settings.save_minutes * 60:
                saved = self._elapsed
                self._save()
        self._save()

    def _take_step(self, rate: float) -> dict[str, float]:
        settings = self._settings
        rng = np.random.default_rng([settings.seed, 0xD4A3, self._step])
        image, labels = draw_batch(rng, self._pool, settings.draw)
        shapes = self._architecture.head_shapes(tuple(image.shape[2:]))
        targets = compute_loss_targets(
            labels, LossSettings(pos_weight=settings.pos_weight), head_shapes=shapes
        )
        self._optimizer.forget_gradients()
        result = compute_combined_loss(self._network(image), targets, settings.loss)
        if not torch.isfinite(result.total):
            return {"skipped": 1.0}
        result.total.backward()
        norm = torch.nn.utils.clip_grad_norm_(self._network.parameters(), settings.gradient_clip)
        self._optimizer.step(rate)
        self._average.update(self._network)
        values = {"total": result.total, **result.terms, "gradient": norm}
        return {name: float(torch.as_tensor(value).detach()) for name, value in values.items()}

    def _fill_pool(self) -> None:
        while len(self._numbers) < self._settings.pool:
            self._numbers.append(self._next_number)
            self._next_number += 1
        self._pool = [self._stream.make(number) for number in self._numbers]

    def _refresh(self) -> None:
        """Replace the oldest volumes, so many a step as the settings say."""
        self._owed += self._settings.refresh
        while self._owed >= 1:
            self._owed -= 1
            place = self._next_number % self._settings.pool
            self._numbers[place] = self._next_number
            self._pool[place] = self._stream.make(self._next_number)
            self._next_number += 1

    def _log(self, values: dict[str, float], rate: float) -> None:
        row = {"step": self._step, "seconds": round(self._elapsed), "rate": rate, **values}
        line = " ".join(f"{name}={value:.4g}" for name, value in row.items())
        with (self._folder / "log.txt").open("a", encoding="utf-8") as file:
            file.write(line + "\n")

    def _save(self) -> None:
        averaged = self._average.network.state_dict()
        state = {
            "network": self._network.state_dict(),
            "average": averaged,
            "updates": self._average.num_updates,
            "optimizer": self._optimizer.state_dict(),
            "numbers": self._numbers,
            "next_number": self._next_number,
            "owed": self._owed,
            "step": self._step,
            "elapsed": self._elapsed,
        }
        aside = self._folder / "state.pt.aside"
        torch.save(state, aside)
        aside.replace(self._folder / "state.pt")
        size = self._experiment.data.patch_size
        checkpoint = Checkpoint(
            experiment=self._experiment,
            weights=averaged,
            intensity=None,  # each volume is normalised by its own grey values
            patch_size=size,
            spacing=(1.0, 1.0, 1.0),
            step=self._step,
            anisotropy=ANISOTROPY,
        )
        save_checkpoint(self._folder / "network.pt", checkpoint)

    def _restore(self) -> None:
        state = torch.load(self._folder / "state.pt", map_location="cpu", weights_only=True)
        self._network.load_state_dict(state["network"])
        self._average.network.load_state_dict(state["average"])
        self._average.num_updates = state["updates"]
        self._optimizer.load_state_dict(state["optimizer"])
        self._numbers, self._next_number = state["numbers"], state["next_number"]
        self._owed, self._step, self._elapsed = state["owed"], state["step"], state["elapsed"]


def main() -> None:
    """Read the settings and train."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("settings", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--set", action="append", default=[], metavar="NAME=VALUE")
    arguments = parser.parse_args()
    settings = read_settings(arguments.settings, arguments.set)
    torch.set_num_threads(settings.threads)
    arguments.out.mkdir(parents=True, exist_ok=True)
    Pretraining(settings, arguments.out).run()


if __name__ == "__main__":
    main()
