"""Time to quality: this package as shipped against what people use today.

Each method gets the same minutes of training on the same volume, one method at
a time, and predicts a second volume that it never saw. ``ours`` is the command
line with its defaults (``surfseg train``, then ``surfseg predict``); the others
are the plain scripts in ``baselines/``. Every result is scored by ``surfseg
evaluate``. A method is trained again for each budget, because all learning-rate
schedules span the budget; the random forest is not, once it has all its trees.

    python benchmarks/quality.py --quick                      # does it run at all?
    python benchmarks/quality.py --minutes 1 2 5 --record     # the real thing, about 40 minutes
    python benchmarks/quality.py --dataset phantom --methods ours monai_unet
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

import numpy as np
import tifffile
import yaml

HERE = Path(__file__).parent
RESULTS = HERE / "results" / "quality.md"
SHARED_DATA = HERE.parents[1] / "shared" / "data"
BASELINES = ("monai_unet", "monai_dynunet", "random_forest")
DATASETS = ("fibsem_gala", "ovule", "phantom")
FOREST_TREES = 100
COLUMNS = ("surface_dice", "dice", "voi_score", "voi_split", "voi_merge", "precision", "recall")


@dataclass(frozen=True)
class Volumes:
    """What a method learns from and what it is scored on: uint8 TIFFs, ZYX.

    Labels are 0, 1 and, where nothing is known, 2.
    """

    name: str
    train_image: Path
    train_labels: Path
    test_image: Path
    test_labels: Path
    spacing: tuple[float, float, float] = (1.0, 1.0, 1.0)


@dataclass(frozen=True)
class Result:
    """One method at one budget."""

    method: str
    minutes: float
    seconds: float
    scores: dict[str, float]


def prepare_dataset(name: str, data: Path, folder: Path) -> Volumes:
    """Name the volumes of a dataset, making in ``folder`` those that are not files yet."""
    if name == "fibsem_gala":
        source = data / name
        paths = [
            source / f"{part}_{kind}.tif"
            for part in ("train", "test")
            for kind in ("image", "membrane")
        ]
        return Volumes(name, *paths)
    folder.mkdir(parents=True, exist_ok=True)
    paths = [
        folder / f"{part}_{kind}.tif" for part in ("train", "test") for kind in ("image", "labels")
    ]
    if name == "phantom":
        arrays = _make_phantoms((96, 192, 192))
        spacing = (1.0, 1.0, 1.0)
    else:
        source = data / "confocal_ovule"
        image, labels = (tifffile.imread(source / f"{kind}.tif") for kind in ("image", "membrane"))
        half = image.shape[2] // 2
        arrays = [image[..., :half], labels[..., :half], image[..., half:], labels[..., half:]]
        spacing = (0.235, 0.15, 0.15)
    for path, array in zip(paths, arrays, strict=True):
        tifffile.imwrite(path, np.ascontiguousarray(array), compression="zlib")
    return Volumes(name, *paths, spacing)


def _make_phantoms(shape: tuple[int, int, int]) -> list[np.ndarray]:
    from napari_surfseg.data.phantom.scroll import ScrollPhantom
    from napari_surfseg.data.phantom.settings import PhantomSettings

    boxes = [
        ScrollPhantom(PhantomSettings(shape=shape, seed=seed)).compute_box((0, 0, 0), shape)
        for seed in (1, 2)
    ]
    return [array for box in boxes for array in (box.image, box.labels)]


def run_baseline(name: str, volumes: Volumes, minutes: float, probs: Path) -> tuple[float, float]:
    """Train a baseline and predict; return its training seconds and its steps or trees."""
    command = [sys.executable, str(HERE / "baselines" / f"{name}.py")]
    command += ["--train-image", volumes.train_image, "--train-labels", volumes.train_labels]
    command += ["--test-image", volumes.test_image, "--output", probs]
    facts = json.loads(_run([*command, "--seconds", minutes * 60]).splitlines()[-1])
    return facts["train_seconds"], facts["steps"]


def run_ours(volumes: Volumes, minutes: float, folder: Path) -> tuple[float, dict[str, Path]]:
    """Train and predict with the command line; return the wall-clock seconds of the training.

    The seconds are those of the whole command, from its start to its end, with
    the imports, the checks of the data, the validation and the report.
    """
    config = folder / "experiment.yaml"
    pair = {"image": str(volumes.train_image), "labels": str(volumes.train_labels)}
    config.write_text(
        yaml.safe_dump({"data": {"train": [pair], "spacing": list(volumes.spacing)}}),
        encoding="utf-8",
    )
    run_dir = folder / "run"
    start = time.perf_counter()
    _surfseg("train", config, "--run-dir", run_dir, "--set", f"training.max_minutes={minutes}")
    seconds = time.perf_counter() - start
    masks = {"ours": folder / "ours.tif", "ours at 0.5": folder / "ours_half.tif"}
    predict = ["predict", volumes.test_image, "--checkpoint", run_dir]
    _surfseg(*predict, "--output", masks["ours"])
    _surfseg(*predict, "--threshold", 0.5, "--output", masks["ours at 0.5"])
    return seconds, masks


def evaluate(prediction: Path, labels: Path, *options: object) -> dict[str, float]:
    """Score a volume as ``surfseg evaluate`` does."""
    return json.loads(_surfseg("evaluate", prediction, labels, "--json", *options))


def _surfseg(*arguments: object) -> str:
    return _run([sys.executable, "-m", "napari_surfseg", *arguments])


def _run(command: list[object]) -> str:
    done = subprocess.run(
        [str(part) for part in command], capture_output=True, text=True, check=False
    )
    if done.returncode:
        sys.exit(f"{done.stderr}\n{' '.join(map(str, command))} failed.")
    return done.stdout


def measure(
    volumes: Volumes, methods: list[str], budgets: list[float], folder: Path
) -> list[Result]:
    """Run every method at every budget, one after the other."""
    results: list[Result] = []
    finished_forest: Result | None = None
    for minutes in budgets:
        for method in methods:
            place = folder / f"{method}_{minutes:g}min"
            place.mkdir(parents=True, exist_ok=True)
            new = []
            if method == "ours":
                seconds, masks = run_ours(volumes, minutes, place)
                for name, mask in masks.items():
                    scores = evaluate(mask, volumes.test_labels)
                    new.append(Result(name, minutes, seconds, scores))
            elif method == "random_forest" and finished_forest:
                new.append(Result(method, minutes, finished_forest.seconds, finished_forest.scores))
            else:
                probs = place / "probs.tif"
                seconds, steps = run_baseline(method, volumes, minutes, probs)
                scores = evaluate(probs, volumes.test_labels, "--threshold", 0.5)
                new.append(Result(method, minutes, seconds, scores))
                if method == "random_forest" and steps >= FOREST_TREES:
                    finished_forest = new[-1]
            for result in new:
                print(_row(result), flush=True)
            results += new
    return results


def _row(result: Result) -> str:
    cells = [f"{result.minutes:.2g}", result.method, f"{result.seconds:.0f}"]
    cells += [f"{result.scores[column]:.4f}" for column in COLUMNS]
    return "| " + " | ".join(cells) + " |"


def _header() -> str:
    names = ["minutes", "method", "seconds", *COLUMNS]
    return "| " + " | ".join(names) + " |\n|" + " --- |" * len(names)


def summarise(results: list[Result]) -> list[str]:
    """Say for each budget who leads, and by how much, in surface Dice and Dice."""
    lines = []
    for minutes in dict.fromkeys(result.minutes for result in results):
        here = [result for result in results if result.minutes == minutes]
        ours = [result for result in here if result.method == "ours"]
        others = [result for result in here if not result.method.startswith("ours")]
        if not ours or not others:
            continue
        parts = []
        for score in ("surface_dice", "dice"):
            best = max(others, key=lambda result: result.scores[score])
            lead = ours[0].scores[score] - best.scores[score]
            word = "ahead of" if lead >= 0 else "behind"
            parts.append(f"{score} {abs(lead):.4f} {word} {best.method}")
        lines.append(f"- {minutes:.2g} min: ours is in {' and in '.join(parts)}.")
    return lines


def describe_machine() -> str:
    """Name the processor and the versions that matter."""
    info = Path("/proc/cpuinfo")
    models = info.read_text(encoding="utf-8").splitlines() if info.exists() else []
    names = [line.partition(":")[2].strip() for line in models if line.startswith("model name")]
    packages = ", ".join(f"{name} {version(name)}" for name in ("torch", "monai", "scikit-learn"))
    return f"{os.cpu_count()} x {names[0] if names else platform.machine()}; {packages}"


def main() -> None:
    """Run the benchmark."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--minutes", type=float, nargs="+", default=[1, 2, 5])
    parser.add_argument("--dataset", nargs="+", choices=DATASETS, default=["fibsem_gala"])
    parser.add_argument(
        "--volumes",
        nargs=4,
        type=Path,
        metavar=("TRAIN_IMAGE", "TRAIN_LABELS", "TEST_IMAGE", "TEST_LABELS"),
        help="your own uint8 TIFFs instead of a dataset",
    )
    parser.add_argument("--methods", nargs="+", choices=("ours", *BASELINES), default=None)
    parser.add_argument("--data", type=Path, default=SHARED_DATA, help="folder of real volumes")
    parser.add_argument("--work-dir", type=Path, help="keep what is made here")
    parser.add_argument("--quick", action="store_true", help="ten seconds each")
    parser.add_argument("--record", action="store_true", help=f"write results/{RESULTS.name}")
    options = parser.parse_args()
    budgets = [1 / 6] if options.quick else options.minutes
    methods = options.methods or ["ours", *BASELINES]
    lines = ["# Time to quality", "", describe_machine(), ""]
    with tempfile.TemporaryDirectory() as temporary:
        work = options.work_dir or Path(temporary)
        if options.volumes:
            chosen = [Volumes(options.volumes[2].stem, *options.volumes)]
        else:
            chosen = [prepare_dataset(name, options.data, work / name) for name in options.dataset]
        for volumes in chosen:
            print(f"\n{volumes.name}\n\n{_header()}", flush=True)
            results = measure(volumes, methods, budgets, work / volumes.name)
            summary = summarise(results)
            print("\n" + "\n".join(summary))
            lines += [f"## {volumes.name}", "", _header(), *map(_row, results), "", *summary, ""]
    if options.record:
        RESULTS.parent.mkdir(exist_ok=True)
        RESULTS.write_text("\n".join(lines), encoding="utf-8")


if __name__ == "__main__":
    main()
