"""Training in one and in two processes that share each batch: steps, and what they exchange."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from scale_parts.child import ONE_THREAD

#: Patches a batch, however many processes share it.
BATCH = 4


def train(folder: str, edge: int, steps: int) -> dict[str, Any]:
    """Train in this process, the first of those that the environment names."""
    import numpy as np

    from napari_surfseg import events
    from napari_surfseg.config import Experiment
    from napari_surfseg.config_files import apply_overrides
    from napari_surfseg.training.trainer import Trainer
    from scale_parts.phantom import make_sheets

    place = Path(folder)
    image = make_sheets(((0, 0, 0), (48, 64, 64)))
    np.save(place / "image.npy", image)
    np.save(place / "labels.npy", (image > np.percentile(image, 80)).astype(np.uint8))
    experiment = apply_overrides(
        Experiment(),
        [
            f"data.train=[{{image: {place}/image.npy, labels: {place}/labels.npy}}]",
            f"data.patch_size={[edge] * 3}",
            "data.validation.fraction=0",
            "model={preset: tiny, start_from: none}",
            f"training.train_batch_size={BATCH}",
            f"training.train_iterations_per_epoch={steps}",
            "training.max_epochs=2",
            "training.workers=0",
        ],
    )
    happened: list[Any] = []
    trainer = Trainer(
        experiment,
        emit=happened.append,
        poll_commands=list,
        checkpoints=place / "checkpoints",
        previews=place / "previews",
        samples=place / "samples",
        device="cpu",
    )
    began = time.process_time()
    trainer.run()
    epochs = [event for event in happened if isinstance(event, events.EpochFinished)]
    return {
        "rate": epochs[-1].steps_per_second,
        "seconds": (time.process_time() - began) / (2 * steps),
        "loss": epochs[-1].total,
    }


def run(count: int, folder: Path, edge: int, steps: int) -> dict[str, Any]:
    """Train in so many processes; return what the first of them measured."""
    folder.mkdir()
    with socket.socket() as free:
        free.bind(("localhost", 0))
        port = free.getsockname()[1]
    common = os.environ | ONE_THREAD
    if count > 1:
        common |= {"MASTER_ADDR": "localhost", "MASTER_PORT": str(port), "WORLD_SIZE": str(count)}
    call = json.dumps(["ranks", "train", [str(folder), edge, steps]])
    here = Path(__file__).parents[1]
    others = [
        subprocess.Popen(
            [sys.executable, "-m", "napari_surfseg.training.follower"],
            env=common | {"RANK": str(rank)},
            cwd=here,
        )
        for rank in range(1, count)
    ]
    done = subprocess.run(
        [sys.executable, "-m", "scale_parts.child", call],
        check=False,
        capture_output=True,
        text=True,
        cwd=here,
        env=common | {"RANK": "0"},
    )
    for other in others:
        other.wait(30)
    if done.returncode:
        raise RuntimeError(done.stderr)
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])["result"]
    return found


def measure(quick: bool, folder: Path) -> list[str]:
    """Compare one process with two."""
    edge, steps = (32, 3) if quick else (48, 5)
    lines = [
        f"The `tiny` network, {BATCH} patches of {edge}^3 a batch, six loss terms, on the CPU, one "
        "thread a process, exchanged by gloo. Steps a second are by the clock and depend on what "
        "else the machine does; processor time is the first process's.",
        "",
        "| processes | steps a second | processor seconds a step | mean loss of the last epoch |",
        "| ---: | ---: | ---: | ---: |",
    ]
    for count in (1, 2):
        found = run(count, folder / f"ranks_{count}", edge, steps)
        lines.append(
            f"| {count} | {found['rate']:.2f} | {found['seconds']:.2f} | {found['loss']:.6f} |"
        )
    return lines
