"""The memory that a run takes, beside what is estimated before its start.

Each run is a process of its own, trained on a synthetic sheet as ``surfseg train`` does: network,
six loss terms, optimizer, the copies for recovery and saving, loader and chunk cache. Measured is
the most that lay in memory at once, less what the process took when everything was imported and
the compiled loops had run once. One thread, float32, on the CPU.

    python benchmarks/memory.py [--quick] [--record]
"""

from __future__ import annotations

import argparse
import ctypes
import json
import platform
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np

from napari_surfseg.config import Experiment
from napari_surfseg.config_files import apply_overrides
from napari_surfseg.process_memory import measure_memory, measure_peak
from napari_surfseg.runs.launch import build_environment
from napari_surfseg.wording import format_bytes, format_size

RESULTS = Path(__file__).parent / "results" / "memory.md"
STEPS = 3
#: Preset, patch, patches a step, and steps before a gradient is used.
QUICK = [("tiny", (32, 32, 32), 1), ("tiny", (64, 64, 64), 1), ("small", (32, 64, 64), 2)]
CASES = [
    *QUICK,
    ("tiny", (64, 64, 64), 4),
    ("tiny", (64, 128, 128), 1),
    ("small", (64, 64, 64), 1),
    ("small", (96, 96, 96), 1),
    ("base", (32, 32, 32), 1),
    ("base", (48, 48, 48), 1),
    ("base", (32, 32, 32), 2),
]


def train(preset: str, patch: list[int], batch: int, folder: Path) -> dict[str, Any]:
    """Train a few steps in this process; return the bytes measured and estimated."""
    import torch

    from napari_surfseg.training.trainer import Trainer
    from napari_surfseg.training.warm_up import warm_up

    torch.set_num_threads(1)
    warm_up()
    shape = tuple(max(edge, 64) + 32 for edge in patch)
    labels = np.zeros(shape, np.uint8)
    labels[14:17] = labels[40:43] = 1
    noise = np.random.default_rng(0).normal(0, 12, shape)
    np.save(folder / "image.npy", (np.where(labels == 1, 140, 90) + noise).astype(np.uint8))
    np.save(folder / "labels.npy", labels)
    del noise, labels
    pair = f"[{{image: '{folder}/image.npy', labels: '{folder}/labels.npy'}}]"
    experiment = apply_overrides(
        Experiment(),
        [
            f"data.train={pair}",
            f"data.patch_size={patch}",
            "data.validation.fraction=0",
            f"model.preset={preset}",
            "model.start_from=none",
            "preview.seconds=0",
            f"training.train_batch_size={batch}",
            "training.max_epochs=1",
            f"training.train_iterations_per_epoch={STEPS}",
            "training.save_minutes=0.0001",  # so that a copy is being written during the steps
        ],
    )
    found: list[Any] = []
    if sys.platform == "linux":
        ctypes.CDLL(None).malloc_trim(0)  # what was freed would be used again, and not be counted
    before = measure_memory()
    Trainer(
        experiment,
        emit=found.append,
        poll_commands=list,
        checkpoints=folder / "checkpoints",
        previews=folder / "previews",
        samples=folder / "samples",
        device="cpu",
    ).run()
    measured = measure_peak() - before
    (told,) = [event for event in found if type(event).__name__ == "MemoryMeasured"] or [None]
    return {"measured": measured, "estimated": told and told.estimated_bytes, "base": before}


def measure(case: tuple[str, tuple[int, ...], int]) -> dict[str, Any]:
    """Train in a process of its own, in the environment of a worker."""
    done = subprocess.run(
        [sys.executable, __file__, "--child", json.dumps(case)],
        check=True,
        capture_output=True,
        text=True,
        env=build_environment() | {"OMP_NUM_THREADS": "1"},
    )
    return json.loads(done.stdout.splitlines()[-1])


def main() -> None:
    """Measure each case and print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="three small cases")
    parser.add_argument("--record", action="store_true", help=f"write {RESULTS.name}")
    parser.add_argument("--child", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.child:
        preset, patch, batch = json.loads(arguments.child)
        with tempfile.TemporaryDirectory() as folder:
            print(json.dumps(train(preset, patch, batch, Path(folder))))
        return
    lines = [
        "# Memory of a run, measured and estimated",
        "",
        f"{platform.machine()}, Python {platform.python_version()}, on the CPU, float32, one "
        f"thread, {STEPS} steps; above what the process took before.",
        "",
        "| network | patch | patches a step | measured | estimated | estimated / measured |",
        "| --- | --- | ---: | ---: | ---: | ---: |",
    ]
    print("\n".join(lines), flush=True)
    for case in QUICK if arguments.quick else CASES:
        preset, patch, batch = case
        row = measure(case)
        measured, estimated = row["measured"], row["estimated"] or 0
        lines.append(
            f"| {preset} | {format_size(patch)} | {batch} | {format_bytes(measured)} | "
            f"{format_bytes(estimated)} | {estimated / measured:.2f} |"
        )
        print(lines[-1], flush=True)
    if arguments.record:
        RESULTS.write_text("\n".join(lines) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
