"""Time to quality: this package as shipped against what people use today.

Each method gets the same seconds of training on the same volume, one method at
a time, and predicts a second volume that it never saw. ``ours`` is the command
line with its defaults (``surfseg train``, then ``surfseg predict``), which starts
from a network of the package; ``ours_scratch`` is the same from fresh weights;
the others are the plain scripts in ``baselines/``. A budget of 0 is the network of
the package, untrained. Every result is scored by ``surfseg evaluate``, at 0.5 and at
the threshold that the method chose on what it was trained on. A method is trained
again for each budget, because all learning-rate schedules span the budget; the
random forest is not, once it has all its trees.

With ``--processor`` a budget is of processor seconds with one thread, which other work on
the machine does not change: on two idle cores 30 of them are worth 15 s by the clock.

    python benchmarks/quality.py --quick                          # does it run at all?
    python benchmarks/quality.py --record                         # the real thing, hours
    python benchmarks/quality.py --record --keep rows.jsonl       # goes on where it was ended
    python benchmarks/quality.py --seconds 15 60 --dataset phantom --methods ours monai_unet
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from dataclasses import asdict, dataclass, replace
from importlib.metadata import version
from pathlib import Path

import numpy as np
import tifffile
import yaml

HERE = Path(__file__).parent
RESULTS = HERE / "results" / "quality.md"
SHARED_DATA = HERE.parents[1] / "shared" / "data"
OURS = ("ours", "ours_scratch")
BASELINES = ("monai_unet", "monai_dynunet", "random_forest")
#: What the networks of the package have seen: there they have an advantage that others have not.
SEEN = ("fibsem_gala",)
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
    """One method at one budget with one seed, at one threshold."""

    method: str
    budget: float
    seed: int
    threshold: str  #: ``chosen`` or ``0.5``
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


#: Runs a script or module by the processor's clock instead of the wall's.
BY_PROCESSOR = """
import runpy, sys, time
time.perf_counter = time.process_time
kind, name = sys.argv[1:3]
sys.argv = [name, *sys.argv[3:]]
sys.path.insert(0, name.rpartition("/")[0])
getattr(runpy, f"run_{kind}")(name, run_name="__main__")
"""


def run_baseline(
    name: str, volumes: Volumes, budget: float, seed: int, probs: Path
) -> dict[str, float]:
    """Train a baseline and predict; return its seconds, its steps or trees, and its threshold."""
    script = HERE / "baselines" / f"{name}.py"
    command: list[object] = [*_python("path", script)]
    if is_by_processor():
        command += ["--threads", 1]
    command += ["--train-image", volumes.train_image, "--train-labels", volumes.train_labels]
    command += ["--test-image", volumes.test_image, "--output", probs]
    return json.loads(_run([*command, "--seconds", budget, "--seed", seed]).splitlines()[-1])


def run_ours(
    volumes: Volumes, budget: float, seed: int, folder: Path, *, start_from: str
) -> tuple[float, dict[str, Path]]:
    """Train and predict with the command line; return the wall-clock seconds of the training.

    The seconds are those of the whole command, from its start to its end, with
    the imports, the checks of the data, the validation and the report.
    """
    network = []
    seconds = 0.0
    if budget:
        config = folder / "experiment.yaml"
        pair = {"image": str(volumes.train_image), "labels": str(volumes.train_labels)}
        settings = {
            "experiment": {"seed": seed},
            "data": {"train": [pair], "spacing": list(volumes.spacing)},
            "model": {"start_from": start_from},
            "training": {"max_minutes": budget / 60},
        }
        config.write_text(yaml.safe_dump(settings), encoding="utf-8")
        run_dir = folder / "run"
        start = _read_clock()
        _surfseg("train", config, "--run-dir", run_dir)
        seconds = _read_clock() - start
        network = ["--checkpoint", run_dir]
    masks = {"chosen": folder / "chosen.tif", "0.5": folder / "half.tif"}
    predict = ["predict", volumes.test_image, *network]
    _surfseg(*predict, "--output", masks["chosen"])
    _surfseg(*predict, "--threshold", 0.5, "--output", masks["0.5"])
    return seconds, masks


def evaluate(prediction: Path, labels: Path, *options: object) -> dict[str, float]:
    """Score a volume as ``surfseg evaluate`` does."""
    return json.loads(_surfseg("evaluate", prediction, labels, "--json", *options))


def _surfseg(*arguments: object) -> str:
    return _run([*_python("module", "napari_surfseg"), *arguments])


def is_by_processor() -> bool:
    """Whether budgets are of processor seconds (``--processor``)."""
    return os.environ.get("QUALITY_CLOCK") == "processor"


def _python(kind: str, name: object) -> list[object]:
    if is_by_processor():
        return [sys.executable, "-c", BY_PROCESSOR, kind, name]
    return [sys.executable, *(["-m"] if kind == "module" else []), name]


def _read_clock() -> float:
    """Seconds by the clock that budgets are of; the processor's are those of what was run."""
    if not is_by_processor():
        return time.perf_counter()
    times = os.times()
    return times.children_user + times.children_system


def _run(command: list[object]) -> str:
    done = subprocess.run(
        [str(part) for part in command], capture_output=True, text=True, check=False
    )
    if done.returncode:
        sys.exit(f"{done.stderr}\n{' '.join(map(str, command))} failed.")
    return done.stdout


class Kept:
    """Results in a file of JSON lines, which a benchmark that was ended goes on from.

    Parameters
    ----------
    path : Path or None
        Without one nothing is kept.
    """

    def __init__(self, path: Path | None) -> None:
        self._path = path
        lines = path.read_text("utf-8").splitlines() if path is not None and path.exists() else []
        self._rows = [json.loads(line) for line in lines]

    def find(self, wanted: dict[str, object]) -> tuple[list[Result], float] | None:
        """Return the results of a measurement, and its steps, if it was made."""
        for row in self._rows:
            if row["measured"] == wanted:
                return [Result(**result) for result in row["results"]], row["steps"]
        return None

    def add(self, measured: dict[str, object], results: list[Result], steps: float) -> None:
        """Append the results of a measurement."""
        if self._path is None:
            return
        row = {"measured": measured, "results": [asdict(each) for each in results], "steps": steps}
        with self._path.open("a", encoding="utf-8") as file:
            file.write(json.dumps(row) + "\n")


def measure(
    volumes: Volumes,
    methods: list[str],
    budgets: list[float],
    seeds: list[int],
    folder: Path,
    *,
    kept: Kept | None = None,
) -> list[Result]:
    """Run every method at every budget with every seed, one after the other."""
    results: list[Result] = []
    finished: dict[int, list[Result]] = {}
    kept = kept or Kept(None)
    for budget in budgets:
        for method in methods if budget else ("ours",):
            # Without training there is no chance in it.
            for seed in seeds if budget else seeds[:1]:
                if method == "random_forest" and seed in finished:
                    results += [replace(result, budget=budget) for result in finished[seed]]
                    continue
                wanted = {
                    "volume": volumes.name,
                    "method": method,
                    "budget": budget,
                    "seed": seed,
                    "by_processor": is_by_processor(),
                }
                found = kept.find(wanted)
                if found is None:
                    place = folder / f"{method}_{budget:g}s_{seed}"
                    place.mkdir(parents=True, exist_ok=True)
                    found = _measure_one(volumes, method, budget, seed, place)
                    kept.add(wanted, *found)
                new, steps = found
                if method == "random_forest" and steps >= FOREST_TREES:
                    finished[seed] = new
                for result in new:
                    print(_row([result]), flush=True)
                results += new
    return results


def _measure_one(
    volumes: Volumes, method: str, budget: float, seed: int, place: Path
) -> tuple[list[Result], float]:
    if method in OURS:
        start_from = "auto" if method == "ours" else "none"
        seconds, masks = run_ours(volumes, budget, seed, place, start_from=start_from)
        scores = {name: evaluate(mask, volumes.test_labels) for name, mask in masks.items()}
        steps = 0.0
    else:
        probs = place / "probs.tif"
        facts = run_baseline(method, volumes, budget, seed, probs)
        seconds, steps = facts["train_seconds"], facts["steps"]
        thresholds = {"chosen": facts["threshold"], "0.5": 0.5}
        scores = {
            name: evaluate(probs, volumes.test_labels, "--threshold", threshold)
            for name, threshold in thresholds.items()
        }
    new = [Result(method, budget, seed, name, seconds, found) for name, found in scores.items()]
    return new, steps


def _row(results: list[Result]) -> str:
    """Write one method at one budget and threshold, over its seeds."""
    first = results[0]
    seconds = statistics.mean(result.seconds for result in results)
    cells = [f"{first.budget:g}", first.method, first.threshold, f"{seconds:.0f}"]
    cells.append(str(len(results)))
    for column in COLUMNS:
        values = [result.scores[column] for result in results]
        spread = f" ± {statistics.stdev(values):.3f}" if len(values) > 1 else ""
        cells.append(f"{statistics.mean(values):.4f}{spread}")
    return "| " + " | ".join(cells) + " |"


def _header() -> str:
    names = ["budget, s", "method", "threshold", "took, s", "seeds", *COLUMNS]
    return "| " + " | ".join(names) + " |\n|" + " --- |" * len(names)


def group_results(results: list[Result]) -> list[list[Result]]:
    """Put what differs only by its seed together, in the order it came."""
    groups: dict[tuple[float, str, str], list[Result]] = {}
    for result in results:
        groups.setdefault((result.budget, result.method, result.threshold), []).append(result)
    return list(groups.values())


def summarise(results: list[Result]) -> list[str]:
    """Say for each budget who leads, and by how much, in surface Dice, Dice and VOI.

    Of ours what it would use itself, its chosen threshold; of each other method the better of its
    two thresholds, score by score.
    """
    groups = group_results(results)
    lines = []
    for budget in dict.fromkeys(result.budget for result in results):
        here = [group for group in groups if group[0].budget == budget]
        others = [group for group in here if group[0].method not in OURS]
        for ours in here:
            if ours[0].method not in OURS or ours[0].threshold != "chosen" or not others:
                continue
            parts = []
            for score in ("surface_dice", "dice", "voi_score"):
                best = max(others, key=lambda group, score=score: _mean(group, score))
                lead = _mean(ours, score) - _mean(best, score)
                word = "ahead of" if lead >= 0 else "behind"
                parts.append(f"{score} {abs(lead):.4f} {word} {best[0].method}")
            lines.append(f"- {budget:g} s: {ours[0].method} is in {' and in '.join(parts)}.")
    return lines


def _mean(group: list[Result], score: str) -> float:
    return statistics.mean(result.scores[score] for result in group)


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
    parser.add_argument("--seconds", type=float, nargs="+", default=[0, 15, 60, 120, 300])
    parser.add_argument("--seeds", type=int, nargs="+", default=[1, 2, 3])
    parser.add_argument("--dataset", nargs="+", choices=DATASETS, default=["fibsem_gala"])
    parser.add_argument(
        "--volumes",
        nargs=4,
        type=Path,
        metavar=("TRAIN_IMAGE", "TRAIN_LABELS", "TEST_IMAGE", "TEST_LABELS"),
        help="your own uint8 TIFFs instead of a dataset",
    )
    parser.add_argument("--methods", nargs="+", choices=(*OURS, *BASELINES), default=None)
    parser.add_argument("--data", type=Path, default=SHARED_DATA, help="folder of real volumes")
    parser.add_argument("--work-dir", type=Path, help="keep what is made here")
    parser.add_argument("--keep", type=Path, metavar="FILE", help="results, to go on from")
    parser.add_argument("--processor", action="store_true", help="budgets in processor seconds")
    parser.add_argument("--quick", action="store_true", help="ten seconds each")
    parser.add_argument("--record", action="store_true", help=f"write results/{RESULTS.name}")
    options = parser.parse_args()
    if options.processor:
        os.environ.update(QUALITY_CLOCK="processor", OMP_NUM_THREADS="1")
    budgets = [10] if options.quick else options.seconds
    seeds = options.seeds[:1] if options.quick else options.seeds
    methods = options.methods or [*OURS, *BASELINES]
    lines = ["# Time to quality", "", describe_machine(), ""]
    with tempfile.TemporaryDirectory() as temporary:
        work = options.work_dir or Path(temporary)
        if options.volumes:
            chosen = [Volumes(options.volumes[2].stem, *options.volumes)]
        else:
            chosen = [prepare_dataset(name, options.data, work / name) for name in options.dataset]
        for volumes in chosen:
            print(f"\n{volumes.name}\n\n{_header()}", flush=True)
            place, kept = work / volumes.name, Kept(options.keep)
            results = measure(volumes, methods, budgets, seeds, place, kept=kept)
            summary = summarise(results)
            print("\n" + "\n".join(summary))
            lines += [f"## {volumes.name}", ""]
            if volumes.name in SEEN:
                lines += ["The networks of the package were trained on this training volume.", ""]
            lines += [_header(), *map(_row, group_results(results)), "", *summary, ""]
    if options.record:
        RESULTS.parent.mkdir(exist_ok=True)
        RESULTS.write_text("\n".join(lines), encoding="utf-8")


if __name__ == "__main__":
    main()
