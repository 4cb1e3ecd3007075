"""The memory of a worker, and the size of its files, over a run of many steps.

A network as small as can be is trained on a synthetic sheet, in this process and with all that
a worker does: events, six loss terms, validation, previews, checkpoints. What lies in memory
is noted every so many steps; after a warm-up it has to stay within five per cent.

    python benchmarks/long_run.py [--steps 10000] [--quick] [--record]
"""

from __future__ import annotations

import argparse
import gc
import platform
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from napari_surfseg.config import Experiment
from napari_surfseg.config_files import apply_overrides
from napari_surfseg.process_memory import measure_memory
from napari_surfseg.runs.folder import RunFolder
from napari_surfseg.runs.launch import prepare_this_process
from napari_surfseg.runs.worker.worker import run_training
from napari_surfseg.wording import format_bytes

if TYPE_CHECKING:
    from napari_surfseg.events import Event

RESULTS = Path(__file__).parent / "results" / "long_run.md"
#: Of the largest number in memory after the warm-up over the smallest.
ALLOWED = 1.05


@dataclass
class Sample:
    """What there was at a step."""

    step: int
    memory: int
    objects: int
    files: dict[str, int]


class Sampler:
    """A console that shows nothing and notes what lies in memory every so many steps."""

    def __init__(self, folder: Path, every: int) -> None:
        self._folder = folder
        self._every = every
        self.samples: list[Sample] = []

    def show_line(self, text: str) -> None:
        """Leave the log alone."""

    def show_event(self, event: Event) -> None:
        """Note what there is, once as many steps are done."""
        if event.step // self._every > len(self.samples):
            gc.collect()
            files = {item: size for item, size in measure_files(self._folder).items() if size}
            self.samples.append(Sample(event.step, measure_memory(), len(gc.get_objects()), files))
            print(describe(self.samples[-1]), flush=True)


def measure_files(folder: Path) -> dict[str, int]:
    """Add up the sizes of what lies in a run folder, by its first part."""
    sizes: dict[str, int] = {}
    for path in folder.rglob("*"):
        if path.is_file():
            name = path.relative_to(folder).parts[0]
            sizes[name] = sizes.get(name, 0) + path.stat().st_size
    return sizes


def make_run(folder: Path, steps: int, every: int) -> RunFolder:
    """Make the run of the smallest network, scored and shown at every epoch."""
    labels = np.zeros((32, 32, 96), np.uint8)
    labels[14:16] = 1
    labels[:, :4] = 2
    noise = np.random.default_rng(0).normal(0, 12, labels.shape)
    np.save(folder / "image.npy", (np.where(labels == 1, 140, 90) + noise).astype(np.uint8))
    np.save(folder / "labels.npy", labels)
    pair = f"[{{image: '{folder}/image.npy', labels: '{folder}/labels.npy'}}]"
    experiment = apply_overrides(
        Experiment(),
        [
            f"data.train={pair}",
            "data.patch_size=[16,16,16]",
            "data.validation.fraction=0.3",
            "model={preset: tiny, base_channels: 4, multipliers: [1, 2]}",
            f"training.max_epochs={max(1, steps // every)}",
            f"training.train_iterations_per_epoch={min(every, steps)}",
            "training.validation_share=1",
            "training.save_minutes=0.1",
            "preview.seconds=1",
            "preview.size=[16,32,32]",
        ],
    )
    return RunFolder(folder / "run").create(experiment)


def describe(sample: Sample) -> str:
    """Return a row of the table."""
    files = ", ".join(f"{name} {format_bytes(size)}" for name, size in sorted(sample.files.items()))
    return (
        f"| {sample.step:,} | {sample.memory / 2**20:.1f} | {sample.objects:,} | "
        f"{format_bytes(sum(sample.files.values()))} | {files} |"
    )


def run_long(folder: Path, steps: int, every: int) -> list[Sample]:
    """Train and return what was noted."""
    run = make_run(folder, steps, every)
    sampler = Sampler(run.path, every)
    run_training(run.path, device="cpu", console=sampler, with_report=False)
    return sampler.samples


def compute_growth(samples: list[Sample], warm_up: int) -> float:
    """Return the most that lay in memory after the warm-up over the least."""
    counted = [sample.memory for sample in samples if sample.step >= warm_up]
    return max(counted) / min(counted)


def main() -> int:
    """Train, print the table and say whether memory was flat."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--steps", type=int, default=10_000)
    parser.add_argument("--quick", action="store_true", help="1000 steps")
    parser.add_argument("--record", action="store_true", help=f"write {RESULTS.name}")
    arguments = parser.parse_args()
    steps = 1000 if arguments.quick else arguments.steps
    every = max(steps // 20, 50)
    prepare_this_process()
    with tempfile.TemporaryDirectory() as folder:
        samples = run_long(Path(folder), steps, every)
    growth = compute_growth(samples, warm_up=steps // 5)
    is_flat = growth <= ALLOWED
    lines = [
        f"# Memory and files of a worker over {steps:,} steps",
        "",
        f"{platform.machine()}, Python {platform.python_version()}, on the CPU, one thread. After "
        f"{steps // 5:,} steps the most that lay in memory is {growth:.3f} times the least: "
        f"{'flat' if is_flat else 'NOT flat'} within {ALLOWED - 1:.0%}.",
        "",
        "| step | memory, MiB | Python objects | files | of them |",
        "| ---: | ---: | ---: | ---: | --- |",
        *map(describe, samples),
    ]
    print("\n".join(lines[:4]))
    if arguments.record:
        RESULTS.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return 0 if is_flat else 1


if __name__ == "__main__":
    sys.exit(main())
