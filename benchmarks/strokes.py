"""Strokes instead of labels: how right the live prediction is, from the first second on.

Strokes are placed as a person would, along membranes and inside cells of a few slices. A worker
is started as the window starts one, its live previews are taken as they come, and each is scored
against the true labels of the whole box, which the worker never sees. Two more rounds of strokes
are painted while it trains. Beside it, on the same strokes: a random forest on filter features,
the usual tool for this (see ``baselines/random_forest.py``), at its own threshold of one half,
and for comparison at the threshold that the truth would choose, which nobody knows.

    python benchmarks/strokes.py --record                     # both data sets, a minute a round
    python benchmarks/strokes.py --dataset ovule --seconds 30 --rounds 1
    python benchmarks/strokes.py --dataset fibsem_gala --share 0.01 --record   # and dense labels
"""

from __future__ import annotations

import argparse
import contextlib
import sys
import tempfile
import time
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import psutil
import tifffile
from scipy import ndimage
from skimage.morphology import skeletonize
from sklearn.ensemble import RandomForestClassifier

HERE = Path(__file__).parent
sys.path[:0] = [str(HERE), str(HERE / "baselines")]

from random_forest import compute_features  # noqa: E402

from napari_surfseg.config_files import build_experiment  # noqa: E402
from napari_surfseg.data.strokes.stroke_files import write_strokes  # noqa: E402
from napari_surfseg.events import (  # noqa: E402
    LabelsUpdated,
    PreviewWritten,
    Stop,
    UpdateLabels,
    append_command,
    read_events,
)
from napari_surfseg.metrics.score import compute_metrics  # noqa: E402
from napari_surfseg.runs.folder import RunFolder  # noqa: E402
from napari_surfseg.runs.launch import launch_worker  # noqa: E402
from quality import describe_machine, evaluate, prepare_dataset  # noqa: E402
from quality import run_ours as run_ours_on  # noqa: E402

RESULTS = HERE / "results" / "strokes.md"
SHARE_RESULTS = HERE / "results" / "strokes_share.md"
SHARED_DATA = HERE.parents[1] / "shared" / "data"
DATASETS = ("fibsem_gala", "ovule")
#: Label values of strokes, as the window paints them.
SURFACE, BACKGROUND = 1, 2
BOX = (32, 128, 128)
BRUSH = 3
MEMBRANE_STROKES = INSIDE_STROKES = 6


@dataclass
class Case:
    """A volume with its truth and what is painted in each round."""

    name: str
    image: np.ndarray
    truth: np.ndarray
    spacing: tuple[float, float, float]
    rounds: list[np.ndarray] = field(default_factory=list)


@dataclass(frozen=True)
class Row:
    """One live prediction, scored."""

    method: str
    seconds: float
    round_number: int
    dice: float
    surface_dice: float


def load_case(name: str, data: Path, *, rounds: int, seed: int) -> Case:
    """Open a volume and paint on it."""
    if name == "fibsem_gala":
        image = tifffile.imread(data / name / "test_image.tif")
        truth = tifffile.imread(data / name / "test_membrane.tif")
        spacing = (1.0, 1.0, 1.0)
    else:
        image = tifffile.imread(data / "confocal_ovule" / "image.tif")
        truth = tifffile.imread(data / "confocal_ovule" / "membrane.tif")
        spacing = (0.235, 0.15, 0.15)
    case = Case(name, image, truth, spacing)
    depth = image.shape[0]
    labels = np.zeros(image.shape, np.uint8)
    for number, z in enumerate([depth // 2, depth // 3, 2 * depth // 3][:rounds]):
        rng = np.random.default_rng([seed, number])
        paint_slice(labels[z], truth[z], MEMBRANE_STROKES, INSIDE_STROKES, rng)
        case.rounds.append(labels.copy())
    return case


def paint_slice(
    labels: np.ndarray, truth: np.ndarray, on_surface: int, inside: int, rng: np.random.Generator
) -> None:
    """Paint strokes of some twenty voxels along membranes, and shorter ones inside cells."""
    distance = ndimage.distance_transform_edt(truth == 0)
    deep = np.argwhere(distance > 4)
    made = 0
    for _ in range(3000):
        if made == inside or not len(deep):
            break
        begin = deep[rng.integers(len(deep))]
        angle = rng.uniform(0, np.pi)
        line = np.rint(
            begin + np.linspace(0, 14, 15)[:, None] * [np.sin(angle), np.cos(angle)]
        ).astype(int)
        within = ((line >= 0) & (line < labels.shape)).all()
        if within and (distance[tuple(line.T)] > 3).all():
            _brush(labels, line, BACKGROUND)
            made += 1
    ridge = skeletonize(truth > 0)
    points = np.argwhere(ridge)
    begins: list[np.ndarray] = []
    for _ in range(1000):
        if len(begins) == on_surface or not len(points):
            break
        begin = points[rng.integers(len(points))]
        if any(np.hypot(*(begin - other)) < 12 for other in begins):
            continue
        line = _follow(ridge, begin, 22)
        if len(line) >= 15:
            _brush(labels, line, SURFACE)
            begins.append(begin)


def _follow(ridge: np.ndarray, begin: np.ndarray, length: int) -> np.ndarray:
    path = [tuple(int(i) for i in begin)]
    seen = set(path)
    while len(path) < length:
        y, x = path[-1]
        beside = [(y + a, x + b) for a in (-1, 0, 1) for b in (-1, 0, 1) if a or b]
        free = [
            p
            for p in beside
            if 0 <= p[0] < ridge.shape[0] and 0 <= p[1] < ridge.shape[1] and ridge[p]
            if p not in seen
        ]
        if not free:
            break
        path.append(free[0])
        seen.update(free)
    return np.array(path)


def _brush(labels: np.ndarray, line: np.ndarray, value: int) -> None:
    radius = BRUSH / 2
    reach = range(-int(radius), int(radius) + 1)
    for y, x in line:
        for a in reach:
            for b in reach:
                place = (y + a, x + b)
                if a * a + b * b <= radius**2 and all(
                    0 <= p < n for p, n in zip(place, labels.shape, strict=True)
                ):
                    labels[place] = value


def middle_box(shape: tuple[int, ...]) -> tuple[slice, ...]:
    """Return the box that is shown live when nobody looks elsewhere."""
    return tuple(
        slice(max(0, n // 2 - min(b, n) // 2), max(0, n // 2 - min(b, n) // 2) + min(b, n))
        for n, b in zip(shape, BOX, strict=True)
    )


def score(probs: np.ndarray, truth: np.ndarray, threshold: float = 0.5) -> tuple[float, float]:
    """Compute the true Dice and surface Dice (tolerance 2 voxels) of a box."""
    found = compute_metrics((probs > threshold).astype(np.uint8), (truth > 0).astype(np.uint8))
    return found["dice"], found["surface_dice"]


def run_forest(case: Case, number: int) -> list[Row]:
    """Use the usual tool on the strokes of a round: a forest on filter features."""
    box = middle_box(case.image.shape)
    labels = case.rounds[number - 1].ravel()
    rows = np.flatnonzero(labels)
    begun = time.perf_counter()
    everywhere = compute_features(case.image, np.arange(case.image.size), 2)
    forest = RandomForestClassifier(100, min_samples_leaf=2, n_jobs=2, random_state=0)
    forest.fit(everywhere[rows], labels[rows] == SURFACE)
    inside = everywhere.reshape(*case.image.shape, -1)[box]
    truth = case.truth[box]
    probs = forest.predict_proba(inside.reshape(-1, inside.shape[-1]))[:, 1].reshape(truth.shape)
    seconds = time.perf_counter() - begun
    best = max(score(probs, truth, threshold) for threshold in np.arange(0.3, 0.96, 0.05))
    return [
        Row("random forest", seconds, number, *score(probs, truth)),
        Row("random forest, best threshold", seconds, number, *best),
    ]


def run_ours(case: Case, seconds_a_round: float, folder: Path) -> list[Row]:
    """Train as the window does and score every live prediction."""
    run = RunFolder(folder / "run")
    tifffile.imwrite(folder / "image.tif", case.image, compression="zlib")
    labels_path = run.inputs / "labels_0.zarr"
    values = {
        "data": {
            "train": [{"image": str(folder / "image.tif"), "labels": str(labels_path)}],
            "labels": {"foreground": [1], "background": [2], "ignore": [0]},
            "spacing": list(case.spacing),
            "patch_size": [64, 64, 64],
        },
        "preview": {"seconds": 5.0, "size": list(BOX)},
    }
    run.create(build_experiment(values))
    _write_labels(labels_path, case.rounds[0])
    begun = time.time()
    pid = launch_worker(run.path)
    rows: list[Row] = []
    taken: dict[int, int] = {}
    number = seen = 1
    try:
        while psutil.pid_exists(pid) and time.time() - begun < len(case.rounds) * seconds_a_round:
            time.sleep(0.1)
            if number < len(case.rounds) and time.time() - begun > number * seconds_a_round:
                _send_strokes(run, labels_path, case.rounds[number], number)
                number += 1
            found = list(read_events(run.events_path))
            for event in found[seen - 1 :]:
                if isinstance(event, LabelsUpdated):
                    taken[event.seq] = len(taken) + 2
                if isinstance(event, PreviewWritten):
                    probs = np.load(run.path / event.probabilities) / 255.0
                    place = tuple(
                        slice(a, a + n) for a, n in zip(event.origin, probs.shape, strict=True)
                    )
                    scores = score(probs, case.truth[place])
                    rows.append(Row("ours", event.time - begun, len(taken) + 1, *scores))
                    print(_format(rows[-1]), flush=True)
            seen = len(found) + 1
    finally:
        append_command(run.commands_path, Stop())
        with contextlib.suppress(psutil.Error):
            psutil.Process(pid).wait(120)
    if not rows:
        raise SystemExit(run.log_path.read_text(encoding="utf-8")[-2000:])
    return rows


def _send_strokes(run: RunFolder, labels: Path, painted: np.ndarray, number: int) -> None:
    path = run.strokes / f"round_{number}.npz"
    write_strokes(path, [((0, 0, 0), painted)])
    strokes = path.relative_to(run.path).as_posix()
    append_command(run.commands_path, UpdateLabels(labels=str(labels), strokes=strokes))


def _write_labels(path: Path, labels: np.ndarray) -> None:
    import zarr

    group = zarr.open_group(str(path), mode="w", zarr_format=2)
    array = group.create_array("0", shape=labels.shape, chunks=(64, 64, 64), dtype=labels.dtype)
    array[...] = labels


def paint_share(truth: np.ndarray, share: float, rng: np.random.Generator) -> np.ndarray:
    """Paint strokes on one slice after the other until a share of all voxels is annotated."""
    labels = np.zeros(truth.shape, np.uint8)
    slices = rng.permutation(truth.shape[0])
    for _ in range(5):
        for z in slices:
            if np.count_nonzero(labels) >= share * labels.size:
                return labels
            paint_slice(labels[z], truth[z], MEMBRANE_STROKES, INSIDE_STROKES, rng)
    return labels


def compare_with_dense(name: str, data: Path, share: float, minutes: float) -> list[str]:
    """Train on strokes and on dense labels for the same minutes; score on an unseen volume."""
    lines = []
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        volumes = prepare_dataset(name, data, folder / "data")
        truth = tifffile.imread(volumes.train_labels)
        painted = paint_share(truth, share, np.random.default_rng(0))
        sparse = folder / "strokes.tif"
        # As the file says: 0 background, 1 surface, 2 not annotated.
        tifffile.imwrite(sparse, np.array([2, 1, 0], np.uint8)[painted], compression="zlib")
        reached = {}
        for kind, labels in (("dense", volumes.train_labels), ("strokes", sparse)):
            place = folder / kind
            place.mkdir()
            _, masks = run_ours_on(replace(volumes, train_labels=labels), minutes, place)
            reached[kind] = evaluate(masks["ours"], volumes.test_labels)
            scores = reached[kind]
            lines.append(
                f"| {name} | {kind} | {minutes:g} | {scores['surface_dice']:.4f} | "
                f"{scores['dice']:.4f} |"
            )
            print(lines[-1], flush=True)
    part = reached["strokes"]["surface_dice"] / reached["dense"]["surface_dice"]
    annotated = np.count_nonzero(painted) / painted.size
    lines += ["", f"Strokes on {annotated:.2%} of the voxels reach {part:.1%} of the dense labels'"]
    lines[-1] += " surface Dice."
    print(lines[-1])
    return lines


def _format(row: Row) -> str:
    return (
        f"| {row.round_number} | {row.seconds:.1f} | {row.method} | {row.dice:.3f} | "
        f"{row.surface_dice:.3f} |"
    )


def main() -> None:
    """Run what was asked for and print tables."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--dataset", nargs="+", default=list(DATASETS), choices=DATASETS)
    parser.add_argument("--seconds", type=float, default=60.0, help="length of a round (seconds)")
    parser.add_argument("--rounds", type=int, default=3, choices=(1, 2, 3))
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--share", type=float, help="compare with dense labels instead")
    parser.add_argument("--minutes", type=float, default=2.0, help="for the comparison (minutes)")
    parser.add_argument("--data", type=Path, default=SHARED_DATA, help="folder of real volumes")
    parser.add_argument("--record", action="store_true", help="write it to results")
    options = parser.parse_args()
    lines = ["# Strokes", "", describe_machine(), ""]
    for name in options.dataset:
        if options.share:
            lines += [f"## {name}: {options.share:.1%} of the voxels against dense labels", ""]
            lines += ["| data | labels | minutes | surface Dice | Dice |", "|" + " --- |" * 5]
            lines += compare_with_dense(name, options.data, options.share, options.minutes)
            continue
        print(f"\n{name}\n", flush=True)
        case = load_case(name, options.data, rounds=options.rounds, seed=options.seed)
        with tempfile.TemporaryDirectory() as folder:
            rows = run_ours(case, options.seconds, Path(folder))
        for number in range(1, options.rounds + 1):
            for row in run_forest(case, number):
                print(_format(row), flush=True)
                rows.append(row)
        rows.sort(key=lambda row: row.round_number)
        lines += [f"## {name}", "", "| round | seconds | method | Dice | surface Dice |"]
        lines += ["|" + " --- |" * 5, *map(_format, rows), ""]
    if options.record:
        RESULTS.parent.mkdir(exist_ok=True)
        path = SHARE_RESULTS if options.share else RESULTS
        path.write_text("\n".join(lines) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
