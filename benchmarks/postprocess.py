"""What post-processing is worth on data that neither the network nor the search has seen.

    python benchmarks/postprocess.py --work-dir DIR [--datasets fibsem_gala] [--seeds 3] [--record]

For each dataset and seed a network is trained as a user gets it, from the network of the package,
for a fixed number of steps, so that the result does not depend on how busy the machine is. What the
search for the post-processing is given at the end of the run is kept, and the test volume, which is
another one, is predicted once: to try steps on both then takes seconds. With ``--work-dir``
the runs are kept and used again.

The test volume is scored above 0.5, above the run's threshold (the best Dice on the validation
slab), above the threshold that scores best *on the test volume*, which nobody could know, and with
the settings that the search chose. The second table has what each step alone adds to the
run's threshold on the test volumes, and of how many searches it was part.
"""

from __future__ import annotations

import argparse
import tempfile
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_surfseg.config import Experiment
from napari_surfseg.config_files import apply_overrides
from napari_surfseg.data.open import open_volume
from napari_surfseg.inference.postprocess_tuning import (
    TuningData,
    TuningStep,
    list_steps,
    tune_postprocess,
)
from napari_surfseg.inference.predict_volume import predict_volume
from napari_surfseg.inference.settings import OutputSettings, PredictionSettings
from napari_surfseg.metrics.score import compute_metrics
from napari_surfseg.model.checkpoint import load_checkpoint
from napari_surfseg.runs.folder import RunFolder
from napari_surfseg.runs.worker.worker import run_training
from napari_surfseg.surfaces.postprocess import PostProcess
from napari_surfseg.surfaces.postprocess_blocks import apply_postprocess
from napari_surfseg.training import tuning
from quality import DATASETS, SHARED_DATA, Volumes, prepare_dataset

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

RESULTS = Path(__file__).parent / "results" / "postprocess.md"
#: Epochs, and optimizer steps of each: what half a minute of one thread is worth.
EPOCHS, STEPS = 4, 25
COLUMNS = ("score", "topo_score", "surface_dice", "voi_score", "dice")
HEADER = f"| test volume | seed | surface | {' | '.join(COLUMNS)} |"
THRESHOLDS = tuple(round(0.2 + 0.05 * i, 2) for i in range(14))
#: Each step alone, at what the search tries first; the threshold is the run's.
ALONE: dict[str, Callable[[PostProcess], PostProcess]] = {
    "pieces of less than 50 faces": lambda p: replace(p, min_area=50.0, connectivity=6),
    "the same of 100 voxels": lambda p: replace(p, min_voxels=100, connectivity=6),
    "the same, over corners": lambda p: replace(p, min_area=50.0),
    "tears of 2 voxels": lambda p: replace(p, tear_layers=1, tear_floor=p.threshold / 2),
    "tears of 4 voxels": lambda p: replace(p, tear_layers=2, tear_floor=p.threshold / 2),
    "smoothing along sheets, 1": lambda p: replace(p, sheet_smoothing=1.0),
    "smoothing along sheets, 2": lambda p: replace(p, sheet_smoothing=2.0),
    "smoothing in the ball, 0.75": lambda p: replace(
        p, smoothing=0.75, threshold=round(p.threshold - 0.05, 3)
    ),
    "closing in the ball, 1": lambda p: replace(p, closing_radius=1, closing_floor=p.threshold / 2),
    "cavities of 64 voxels": lambda p: replace(p, fill_holes=64),
    "area, tears and along, 1": lambda p: replace(
        p,
        min_area=50.0,
        connectivity=6,
        tear_layers=2,
        tear_floor=p.threshold / 2,
        sheet_smoothing=1.0,
    ),
}


@dataclass(frozen=True)
class Trained:
    """What is kept of a run: the search's data, and the test volume's probabilities."""

    start: float
    data: TuningData
    sample: TuningData
    probs: NDArray[np.uint8]


@dataclass(frozen=True)
class Outcome:
    """One network on the test volume, and what the search did."""

    ways: dict[str, dict[str, float]]
    alone: dict[str, dict[str, float]]
    settings: PostProcess
    history: list[TuningStep]


def train(volumes: Volumes, seed: int, place: Path, steps: int) -> Trained:
    """Train a network and predict, unless the folder holds what that gave."""
    kept, predicted = place / f"tuning_{seed}.npz", place / f"test_{seed}.tif"
    folder = RunFolder(place / f"run_{seed}")
    if not kept.exists():

        def keep(
            data: TuningData,
            *,
            start: PostProcess,
            training_sample: TuningData,
            **_: object,
        ) -> tuple[PostProcess, list[TuningStep]]:
            """Keep what the search is given, and search nothing."""
            arrays = {
                f"{name}_{kind}_{number}": array
                for name, each in (("val", data), ("train", training_sample))
                for kind, several in (("probs", each.probs), ("labels", each.labels))
                for number, array in enumerate(several)
            }
            np.savez_compressed(kept, start=start.threshold, **arrays)
            return start, [TuningStep("start", start, 0.0, 0.0, kept=True, num_tried=1)]

        pair = f"{{image: {volumes.train_image}, labels: {volumes.train_labels}}}"
        settings = [
            f"experiment.seed={seed}",
            f"data.train=[{pair}]",
            f"data.spacing=[{', '.join(map(str, volumes.spacing))}]",
            f"training.max_epochs={EPOCHS}",
            f"training.train_iterations_per_epoch={steps}",
            "training.workers=0",
        ]
        folder.create(apply_overrides(Experiment(), settings))
        searching, tuning.tune_postprocess = tuning.tune_postprocess, keep  # type: ignore[assignment]
        try:
            run_training(folder.path, device="cpu", with_report=False)
        finally:
            tuning.tune_postprocess = searching
    if not predicted.exists():
        checkpoint = load_checkpoint(folder.best_checkpoint)
        predict_volume(
            open_volume(str(volumes.test_image)),
            checkpoint,
            predicted,
            replace(PredictionSettings.from_checkpoint(checkpoint), flips="auto"),
            output_settings=OutputSettings(probabilities=True),
        )
    stored = np.load(kept)
    parts = [
        TuningData(
            *(
                [stored[key] for key in stored.files if key.startswith(f"{name}_{kind}")]
                for kind in ("probs", "labels")
            )
        )
        for name in ("val", "train")
    ]
    return Trained(float(stored["start"]), parts[0], parts[1], _read(predicted))


def _read(path: Path) -> NDArray[Any]:
    volume = open_volume(str(path))
    return volume.read((0, 0, 0), volume.shape)


def score(trained: Trained, volumes: Volumes) -> Outcome:
    """Search on what the run kept, and score the test volume in all ways."""
    finest = min(volumes.spacing)
    z, y, x = (edge / finest for edge in volumes.spacing)
    labels = _read(volumes.test_labels)

    def measure(pred: NDArray[Any], truth: NDArray[Any]) -> dict[str, float]:
        return compute_metrics(pred, truth, spacing=(z, y, x))

    def on_test(settings: PostProcess) -> dict[str, float]:
        return measure(apply_postprocess(trained.probs, settings), labels)

    start = PostProcess(trained.start)
    settings, history = tune_postprocess(
        trained.data, start=start, measure=measure, training_sample=trained.sample
    )
    plain = {level: on_test(PostProcess(level)) for level in {*THRESHOLDS, trained.start}}
    best = max(plain, key=lambda level: plain[level]["score"])
    changed = ", ".join(
        f"{key} {value:.3g}"
        for key, value in settings.as_dict().items()
        if value != getattr(PostProcess, key)
    )
    ways = {
        "above 0.5": plain[0.5],
        f"above the run's threshold, {trained.start:.2f}": plain[trained.start],
        f"above the best threshold for this test volume, {best:.2f}": plain[best],
        f"**chosen by the search**: {changed}": on_test(settings),
    }
    alone = {name: on_test(step(start)) for name, step in ALONE.items()}
    return Outcome(ways, alone, settings, history)


def tabulate(name: str, seed: int, outcome: Outcome) -> list[str]:
    """Lay one network out as rows of the first table."""
    return [
        f"| {name} | {seed} | {way} | " + " | ".join(f"{m[key]:.4f}" for key in COLUMNS) + " |"
        for way, m in outcome.ways.items()
    ]


def conclude(outcomes: dict[str, list[Outcome]]) -> list[str]:
    """Say what post-processing is worth in a sentence a dataset."""
    lines = []
    for name, several in outcomes.items():
        parts = []
        for position, what in ((0, "0.5"), (1, "the run's threshold"), (2, "the best threshold")):
            gains = []
            for outcome in several:
                rows = list(outcome.ways.values())
                gains.append([rows[-1][key] - rows[position][key] for key in COLUMNS])
            mean = dict(zip(COLUMNS, np.mean(gains, axis=0), strict=True))
            parts.append(
                f"against {what} {mean['score']:+.4f} "
                f"({', '.join(f'{row[0]:+.4f}' for row in gains)}; "
                f"surface Dice {mean['surface_dice']:+.4f}, Dice {mean['dice']:+.4f})"
            )
        lines.append(f"- {name}: score {'; '.join(parts)}.")
    return lines


def tabulate_alone(outcomes: dict[str, list[Outcome]]) -> list[str]:
    """Lay out what each step alone adds to the score, and to surface Dice and Dice."""
    lines = [
        f"| step alone, at the run's threshold | {' | '.join(outcomes)} |",
        "| --- |" + " --- |" * len(outcomes),
    ]
    for name in ALONE:
        cells = []
        for several in outcomes.values():
            plain = [list(outcome.ways.values())[1] for outcome in several]
            gains = [
                np.mean([o.alone[name][key] - p[key] for o, p in zip(several, plain, strict=True)])
                for key in ("score", "surface_dice", "dice")
            ]
            cells.append(", ".join(f"{gain:+.4f}" for gain in gains))
        lines.append(f"| {name} | {' | '.join(cells)} |")
    return lines


def tabulate_kept(outcomes: dict[str, list[Outcome]]) -> list[str]:
    """Count how often the search kept each step."""
    lines = [
        f"| step of the search | {' | '.join(f'{name}, kept' for name in outcomes)} |",
        "| --- |" + " --- |" * len(outcomes),
    ]
    for name in list_steps():
        cells = [
            f"{sum(s.kept for o in several for s in o.history if s.name == name)} of {len(several)}"
            for several in outcomes.values()
        ]
        lines.append(f"| {name} | {' | '.join(cells)} |")
    return lines


def main() -> None:
    """Train, predict, score and print the tables."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--datasets", nargs="+", choices=DATASETS, default=list(DATASETS))
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--data", type=Path, default=SHARED_DATA, help="folder of real volumes")
    parser.add_argument("--work-dir", type=Path, help="keep the runs here")
    parser.add_argument("--quick", action="store_true", help="a few steps, one seed")
    parser.add_argument("--record", action="store_true", help=f"write results/{RESULTS.name}")
    options = parser.parse_args()
    lines = [HEADER, "| --- | ---: | --- |" + " ---: |" * len(COLUMNS)]
    print("\n".join(lines), flush=True)
    outcomes: dict[str, list[Outcome]] = {}
    with tempfile.TemporaryDirectory() as temporary:
        work = options.work_dir or Path(temporary)
        for name in options.datasets:
            volumes = prepare_dataset(name, options.data, work / name)
            (work / name).mkdir(parents=True, exist_ok=True)
            for seed in range(1, 1 + (1 if options.quick else options.seeds)):
                trained = train(volumes, seed, work / name, 2 if options.quick else STEPS)
                outcome = score(trained, volumes)
                rows = tabulate(name, seed, outcome)
                print("\n".join(rows), flush=True)
                lines += rows
                outcomes.setdefault(name, []).append(outcome)
    summary, alone, kept = (make(outcomes) for make in (conclude, tabulate_alone, tabulate_kept))
    print("\n".join(["", *summary, "", *alone, "", *kept]))
    if options.record:
        parts = [
            ["# Post-processing on unseen data"],
            summary,
            [f"{EPOCHS * STEPS} steps from the network of the package."],
            ["Score, surface Dice, Dice:"],
            alone,
            kept,
            lines,
        ]
        RESULTS.parent.mkdir(exist_ok=True)
        RESULTS.write_text("\n\n".join("\n".join(part) for part in parts) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
