"""Learning-rate schedules: a run made longer, and a network that starts from other weights.

``start_from``: a network that was trained on other data learns a new volume in few steps, with
several peaks and rises of its learning rate.

``longer``: a run of the ``tiny`` network is trained to its end, then for longer with each way to
go on, and beside it once as long from the start. What counts: the first scores after the end
against the last before it (they should not fall), and the final ones against the run that was so
long from the start.

Everything is bounded in optimizer steps, so that other load on the machine changes nothing.
Scores are the mean of surface Dice, Dice and VOI on
parts that are not trained on; a row is the mean over the seeds.

    python benchmarks/schedules.py longer --quick      # does it run at all?
    python benchmarks/schedules.py --record
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import tempfile
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING
from unittest import mock

os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np
import tifffile

from napari_surfseg.config_files import build_experiment
from napari_surfseg.events import Event, StepFinished, ValidationFinished
from napari_surfseg.training import schedule
from napari_surfseg.training.schedule import Bounds, RateSchedule, Turn
from napari_surfseg.training.trainer import Trainer
from quality import SHARED_DATA, Volumes, describe_machine, prepare_dataset

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from napari_surfseg.config import Experiment

HERE = Path(__file__).parent
RESULTS = HERE / "results"
SCORES = ("surface_dice", "dice", "voi_score")
PATCH = [16, 32, 32]
HEADS = {
    "longer": """# A run that is made longer

Scores are the mean of surface Dice, Dice and VOI on parts that are not trained on. The run ends
after {0} steps and is made longer to {1}, scored every 50; *first* is the first score after it was
made longer, *worst* the lowest of all, *before* the last one before. Rates in shares of the peak.
""",
    "start_from": """# The schedule of a network that starts from other weights

The network was trained for 1000 steps on `fibsem_gala`'s first volume and its negative. Scores are
those after so many steps, on parts that are not trained on.
""",
}
#: Voxels that are used of each volume; larger ones only cost time here.
BOX = (48, 96, 192)


# -- ways to go on when a run is made longer -----------------------------------------------


def jump(self: RateSchedule, bounds: Bounds, step: int, seconds: float) -> None:
    """Go where a run of the new length would be at this step."""
    progress = bounds.compute_progress(step, seconds)
    self.turn = Turn(bounds, progress, place=progress)


@contextmanager
def hold(low: float, cooldown: float) -> Iterator[None]:
    """Hold a constant share of the peak, and fall in the last part (warm-up, stable, decay)."""
    locate = RateSchedule._locate  # noqa: SLF001

    def hold_then_fall(self: RateSchedule, progress: float) -> tuple[float, float]:
        turn, cycle = self.turn, self._cycle
        if turn.rise_from is None:
            return locate(self, progress)
        share = (progress - turn.progress) / max(1e-9, 1 - turn.progress)
        rise = schedule.LONGER_RISE
        held = min(1.0, max(0.0, share - rise) / (1 - rise))
        if share < rise or held > 1 - cooldown:
            place = turn.place + (1 - turn.place) * max(0.0, 1 - (1 - held) / cooldown)
            return locate(self, progress) if share < rise else (place, cycle.rate(place))
        return turn.place, cycle.rate(turn.place)

    with rise_to(low), mock.patch.object(RateSchedule, "_locate", hold_then_fall):
        yield


@contextmanager
def rise_to(peak: float, rise: float = schedule.LONGER_RISE) -> Iterator[None]:
    """Rise to a share of the peak, and fall to the end."""
    with (
        mock.patch.object(schedule, "LONGER_PEAK", peak),
        mock.patch.object(schedule, "LONGER_RISE", rise),
    ):
        yield


WAYS: dict[str, Callable[[], AbstractContextManager[object]]] = {
    "jump to the place of the longer run": lambda: mock.patch.object(
        RateSchedule, "_go_on_by", jump
    ),
    "rise to 0.15, fall": lambda: rise_to(0.15),
    "rise to 0.3, fall": lambda: rise_to(0.3),
    "rise to 0.6, fall": lambda: rise_to(0.6),
    "rise to that of the longer run, fall": lambda: rise_to(1.0),
    "hold 0.1, fall in the last 30 %": lambda: hold(0.1, 0.3),
}


# -- runs ----------------------------------------------------------------------------------


@dataclass(frozen=True)
class Trained:
    """Scores of a run by step, and its learning rates."""

    scores: dict[int, dict[str, float]]
    rates: dict[int, float]
    folder: Path

    @property
    def first(self) -> dict[str, float]:
        """Scores of the first validation."""
        return self.scores[min(self.scores)]

    @property
    def last(self) -> dict[str, float]:
        """Scores of the last validation."""
        return self.scores[max(self.scores)]


def box_of(image: Path) -> list[list[int]]:
    """Return the part of a volume that is used."""
    shape = tifffile.imread(image).shape
    return [[0, min(size, most)] for size, most in zip(shape, BOX, strict=True)]


def make_experiment(volumes: Volumes, seed: int, **training: object) -> Experiment:
    """Describe a run that learns from both volumes and is scored on a quarter of each."""
    pairs = [
        (volumes.train_image, volumes.train_labels),
        (volumes.test_image, volumes.test_labels),
    ]
    return build_experiment(
        {
            "experiment": {"seed": seed},
            "data": {
                "train": [{"image": str(image), "labels": str(labels)} for image, labels in pairs],
                "validation": {"fraction": 0.25},
                "spacing": list(volumes.spacing),
                "patch_size": PATCH,
            },
            "model": {"preset": "tiny", "start_from": "none"},
            "loss": {"interval": 5},  # so that more steps can be measured in the same time
            "training": {
                "workers": 0,
                "validation_share": 1,
                "tuning_share": 0,
                "save_minutes": 60,
                **training,
            },
        }
    )


def train(experiment: Experiment, folder: Path, *, resume: bool = False) -> Trained:
    """Train in this process."""
    events: list[Event] = []
    Trainer(
        experiment,
        emit=events.append,
        poll_commands=list,
        checkpoints=folder / "checkpoints",
        previews=folder / "previews",
        samples=folder / "samples",
        device="cpu",
        resume=resume,
    ).run()
    return Trained(
        {
            event.step: {name: event.metrics[name] for name in SCORES}
            for event in events
            if isinstance(event, ValidationFinished)
        },
        {event.step: event.learning_rate for event in events if isinstance(event, StepFinished)},
        folder,
    )


def extend(base: Trained, experiment: Experiment, epochs: int, folder: Path) -> Trained:
    """Go on with a copy of a run up to a later end."""
    shutil.copytree(base.folder, folder)
    longer = experiment.training.model_copy(update={"max_epochs": epochs})
    found = train(experiment.model_copy(update={"training": longer}), folder, resume=True)
    shutil.rmtree(folder)
    return found


def compare_ways(volumes: Volumes, seed: int, lengths: tuple[int, int], work: Path) -> list[dict]:
    """Train one seed to its end and on; return a row for every way to go on."""
    short, long = lengths
    setting = {"train_iterations_per_epoch": 50}
    experiment = make_experiment(volumes, seed, max_epochs=short, **setting)
    base = train(experiment, work / "base")
    rows = []

    def add(way: str, found: Trained, *, whole: bool = False) -> None:
        row = {"dataset": volumes.name, "seed": seed, "way": way, "before": base.last}
        row["first"] = None if whole else found.first
        row["worst"] = None if whole else min(found.scores.values(), key=mean)
        row["final"] = found.last
        row["best_rate"] = max(found.rates.values())
        rows.append(row)
        first = "" if whole else f"{mean(row['first']) - mean(row['before']):+.4f}"
        print(volumes.name, seed, way, first, f"{mean(row['final']):.4f}", flush=True)

    whole = make_experiment(volumes, seed, max_epochs=long, **setting)
    add("so long from the start", train(whole, work / "whole"), whole=True)
    for way, patch in WAYS.items():
        with patch():
            add(way, extend(base, experiment, long, work / "longer"))
    return rows


def mean(scores: dict[str, float]) -> float:
    """Mean of the three scores."""
    return float(np.mean([scores[name] for name in SCORES]))


def tabulate_ways(rows: list[dict]) -> str:
    """Write the table of the ways to go on."""
    lines = [
        "| data | way to go on | highest rate | first - before | worst - before | final | "
        "final - so long from the start |",
        "| --- | --- | ---: | ---: | ---: | ---: | ---: |",
    ]
    for name in dict.fromkeys(row["dataset"] for row in rows):
        of_name = [row for row in rows if row["dataset"] == name]
        whole = [mean(row["final"]) for row in of_name if row["first"] is None]
        for way in dict.fromkeys(row["way"] for row in of_name):
            chosen = [row for row in of_name if row["way"] == way]
            final = np.array([mean(row["final"]) for row in chosen])
            cells = [name, way, f"{chosen[0]['best_rate']:.1e}"]
            for key in ("first", "worst"):
                if chosen[0][key] is None:
                    cells.append("")
                    continue
                change = np.array([mean(row[key]) - mean(row["before"]) for row in chosen])
                cells.append(f"{change.mean():+.4f} ± {change.std(ddof=1):.4f}")
            cells += [f"{final.mean():.4f}", f"{np.mean(final - whole):+.4f}"]
            lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines)


# -- starting from other weights -----------------------------------------------------------

#: Share of the preset's peak, and of the steps in which the rate rises; None: from noise.
STARTS: dict[str, tuple[float, float] | None] = {
    "from noise": None,
    "peak 1, rise 0.15 (as from noise)": (1.0, 0.15),
    "peak 1, rise 0.03": (1.0, 0.03),
    "peak 0.5, rise 0.03": (0.5, 0.03),
    "peak 0.25, rise 0.03": (0.25, 0.03),
    "peak 0.1, rise 0.03": (0.1, 0.03),
    "peak 0.5, rise 0.15": (0.5, 0.15),
    "peak 0.5, no rise": (0.5, 0.0),
}
LENGTHS = (60, 300)


def pretrain(volumes: Volumes, steps: int, folder: Path) -> Path:
    """Train a network on the first volume and on its negative; return its checkpoint."""
    folder.mkdir(parents=True)
    negative = folder / "negative.tif"
    tifffile.imwrite(negative, 255 - tifffile.imread(volumes.train_image))
    both = replace(volumes, test_image=negative, test_labels=volumes.train_labels)
    length = {"max_epochs": 1, "train_iterations_per_epoch": steps}
    train(make_experiment(both, 0, **length), folder / "run")
    return folder / "run" / "checkpoints" / "best.pt"


def compare_starts(volumes: Volumes, seed: int, checkpoint: Path, work: Path) -> list[dict]:
    """Train one seed from each start; return a row for every one and length."""
    rows = []
    for steps in LENGTHS:
        experiment = make_experiment(volumes, seed, max_epochs=1, train_iterations_per_epoch=steps)
        begun = experiment.model.model_copy(update={"start_from": str(checkpoint)})
        for start, share in STARTS.items():
            if share is None:
                found = train(experiment, work)
            else:
                with (
                    mock.patch.object(schedule, "START_FROM_PEAK", share[0]),
                    mock.patch.object(schedule, "START_FROM_WARMUP", share[1]),
                ):
                    found = train(experiment.model_copy(update={"model": begun}), work)
            shutil.rmtree(work)
            row = {"dataset": volumes.name, "seed": seed, "steps": steps, "start": start}
            rows.append({**row, "final": found.last})
            print(volumes.name, seed, steps, start, f"{mean(found.last):.4f}", flush=True)
    return rows


def tabulate_starts(rows: list[dict]) -> str:
    """Write the table of the schedules of a network that starts from other weights."""
    lines = ["| data | steps | schedule | surface Dice | Dice | VOI | mean |"]
    lines.append("| --- | ---: | --- | ---: | ---: | ---: | ---: |")
    for name, steps, start in dict.fromkeys(
        (row["dataset"], row["steps"], row["start"]) for row in rows
    ):
        chosen = [
            row["final"]
            for row in rows
            if (row["dataset"], row["steps"], row["start"]) == (name, steps, start)
        ]
        cells = [name, str(steps), start]
        cells += [f"{np.mean([scores[key] for scores in chosen]):.3f}" for key in SCORES]
        means = [mean(scores) for scores in chosen]
        cells.append(f"{np.mean(means):.3f} ± {np.std(means):.3f}")
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines)


# -- the whole -----------------------------------------------------------------------------


def main() -> None:
    """Train, print the tables and record them."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("what", nargs="*", default=["longer", "start_from"])
    parser.add_argument("--datasets", nargs="+", default=["fibsem_gala", "ovule", "phantom"])
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--epochs", type=int, nargs=2, default=[3, 9], metavar=("END", "LATER"))
    parser.add_argument("--pretrain-steps", type=int, default=1000)
    parser.add_argument("--data", type=Path, default=SHARED_DATA)
    parser.add_argument("--rows", type=Path, help="append each row to this file, as JSON")
    parser.add_argument("--quick", action="store_true", help="one seed, few steps")
    parser.add_argument("--record", action="store_true", help="write results/schedules_*.md")
    arguments = parser.parse_args()
    if arguments.quick:
        arguments.seeds, arguments.epochs, arguments.datasets = [0], [1, 2], ["fibsem_gala"]
        arguments.pretrain_steps = 50
    with tempfile.TemporaryDirectory() as folder:
        work = Path(folder)
        volumes = {
            name: prepare_dataset(name, arguments.data, work / "data" / name)
            for name in {*arguments.datasets, "fibsem_gala"}
        }
        start = None
        if "start_from" in arguments.what:
            start = pretrain(volumes["fibsem_gala"], arguments.pretrain_steps, work / "pretrained")
        for what in arguments.what:
            rows: list[dict] = []
            for seed in arguments.seeds:
                for name in arguments.datasets:
                    if what == "longer":
                        ends = tuple(arguments.epochs)
                        found = compare_ways(volumes[name], seed, ends, work / f"{name}_{seed}")
                    else:
                        found = compare_starts(volumes[name], seed, start, work / "run")
                    rows += found
                    if arguments.rows is not None:
                        with arguments.rows.open("a") as file:
                            file.writelines(
                                json.dumps({"what": what, **row}) + "\n" for row in found
                            )
            report(what, rows, arguments)


def report(what: str, rows: list[dict], arguments: argparse.Namespace) -> None:
    """Print a table, and record it if that is wanted."""
    table = tabulate_ways(rows) if what == "longer" else tabulate_starts(rows)
    print(table)
    if arguments.record:
        head = HEADS[what].format(*(50 * epochs for epochs in arguments.epochs))
        seeds = len({row["seed"] for row in rows})
        (RESULTS / f"schedules_{what}.md").write_text(
            f"{head}\n{seeds} seeds; {describe_machine()}.\n\n{table}\n", encoding="utf-8"
        )


if __name__ == "__main__":
    main()
