"""Labels in a few places of a volume of terabytes: when the first step begins, what is found."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from typing import TYPE_CHECKING

import psutil

from napari_surfseg.config import Labels
from napari_surfseg.data.census import take_census
from napari_surfseg.data.open import open_volume
from napari_surfseg.data.phantom.sparse import spread_corners, write_sparse_pair
from napari_surfseg.wording import format_bytes

if TYPE_CHECKING:
    from pathlib import Path

    from napari_surfseg.geometry import Size3

STROKES = Labels(foreground=(1,), background=(2,), ignore=(0,))
HUGE: Size3 = (20000, 20000, 20000)
CONFIG = """
experiment: {{name: sparse, seed: 1}}
data:
  train: [{{image: {folder}/image.zarr, labels: {folder}/labels.zarr}}]
  labels: {{foreground: [1], background: [2], ignore: [0]}}
  patch_size: [32, 32, 32]
training: {{max_epochs: 1, train_iterations_per_epoch: 1, workers: 0}}
"""


def make(folder: Path, shape: Size3, count: int, edge: int, **options: int) -> None:
    """Write a pair with cubes of labels in some places."""
    folder.mkdir()
    align = options.pop("align", 1)
    corners = spread_corners(shape, edge, count, align=align)
    write_sparse_pair(folder, shape=shape, corners=corners, edge=edge, **options)


def start(folder: Path) -> tuple[float, float, int]:
    """Train one step: seconds until it is done, those of the processor, and the most memory."""
    config, run = folder / "sparse.yaml", folder / "run"
    config.write_text(CONFIG.format(folder=folder), encoding="utf-8")
    began = time.time()
    spent = 0.0
    command = [sys.executable, "-m", "napari_surfseg", "train", str(config)]
    worker = subprocess.Popen(
        [*command, "--run-dir", str(run), "--device", "cpu"], stdout=subprocess.DEVNULL
    )
    process, most = psutil.Process(worker.pid), 0
    while worker.poll() is None:
        try:
            family = [process, *process.children(recursive=True)]
            most = max(most, sum(each.memory_info().rss for each in family))
            if "StepFinished" not in _read(run / "events.jsonl"):
                spent = sum(sum(each.cpu_times()[:2]) for each in family)
        except psutil.NoSuchProcess:
            pass
        time.sleep(0.2)
    rows = map(json.loads, _read(run / "events.jsonl").splitlines())
    first = next(row["time"] for row in rows if row["kind"] == "StepFinished")
    return first - began, spent, most


def _read(path: Path) -> str:
    return path.read_text(encoding="utf-8") if path.exists() else ""


def count(folder: Path) -> tuple[float, int, int]:
    """Take the census: processor seconds, parts in which labels were found, and voxels."""
    began = time.process_time()
    census = take_census(open_volume(folder / "labels.zarr"), STROKES)
    return time.process_time() - began, census.num_parts, census.num_supervised


def measure(quick: bool, folder: Path) -> list[str]:
    """Measure the start of a run, and the census."""
    lines = [
        "| store | first step after | processor time until then | most memory |",
        "|---|---:|---:|---:|",
    ]
    places = 20 if quick else 200
    kinds = {"chunks of 128": {}, "shards of 1024, chunks of 128": {"shard": 1024}}
    for number, (name, options) in enumerate(kinds.items()):
        place = folder / f"start_{number}"
        make(place, HUGE, places, 64, **options)
        seconds, spent, most = start(place)
        lines.append(
            f"| 20000³, labels in {places} places, {name} | {seconds:.1f} s | {spent:.1f} s | "
            f"{format_bytes(most)} |"
        )
    lines += ["", "| labels | census (processor time) | parts found | voxels annotated |"]
    lines.append("|---|---:|---:|---:|")
    scattered = 200 if quick else 10_000
    for number, (name, shape, num_cubes, edge, options) in enumerate(
        (
            ("8192³, three cubes of 150³", (8192,) * 3, 3, 150, {}),
            (f"20000³, {scattered:,} chunks of 64³", HUGE, scattered, 64,
             {"chunk": 64, "align": 64}),
        )
    ):  # fmt: skip
        place = folder / f"count_{number}"
        make(place, shape, num_cubes, edge, **options)
        spent, num_parts, num_voxels = count(place)
        lines.append(f"| {name} | {spent:.1f} s | {num_parts:,} | {num_voxels:,} |")
    return lines
