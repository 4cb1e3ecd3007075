"""What tuned post-processing is worth on data that neither the network nor the search has seen.

    python benchmarks/postprocess.py [--datasets fibsem_gala phantom] [--seeds 3] [--record]
    python benchmarks/postprocess.py --work-dir DIR    # keep the runs, and use those there again

For each dataset and seed a network is trained for a fixed number of steps, so that
the result does not depend on how busy the machine is; at its end the run chooses
its post-processing on its validation slab. The test volume is then predicted
once, as ``surfseg predict`` does, and scored at a plain threshold of 0.5, at the
run's threshold (the best Dice on the slab) and with the tuned settings. It is
another volume: the second EM volume, the scroll of another seed.
"""

from __future__ import annotations

import argparse
import tempfile
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from napari_surfseg.config import Experiment
from napari_surfseg.config_files import apply_overrides
from napari_surfseg.data.open import open_volume
from napari_surfseg.inference.predict_volume import predict_volume
from napari_surfseg.inference.settings import OutputSettings, PredictionSettings
from napari_surfseg.metrics.score import compute_metrics
from napari_surfseg.model.checkpoint import load_checkpoint
from napari_surfseg.runs.folder import RunFolder
from napari_surfseg.runs.worker.worker import run_training
from napari_surfseg.surfaces.postprocess import PostProcess
from napari_surfseg.surfaces.postprocess_blocks import apply_postprocess
from quality import SHARED_DATA, Volumes, prepare_dataset

RESULTS = Path(__file__).parent / "results" / "postprocess.md"
#: Epochs of a hundred steps. The scroll needs more: one face of each sheet, not both.
EPOCHS = {"fibsem_gala": 6, "phantom": 8}
COLUMNS = ("score", "topo_score", "surface_dice", "voi_score", "dice")
HEADER = f"| test volume | seed | surface | {' | '.join(COLUMNS)} |"


@dataclass(frozen=True)
class Outcome:
    """One network on the test volume."""

    plain: dict[str, float]
    of_run: dict[str, float]
    tuned: dict[str, float]
    threshold: float
    settings: PostProcess

    @property
    def gain(self) -> float:
        """What tuning adds to the score."""
        return self.tuned["score"] - self.plain["score"]


def train(volumes: Volumes, seed: int, epochs: int, path: Path) -> RunFolder:
    """Train a network, unless the folder holds a finished run."""
    folder = RunFolder(path)
    if folder.best_checkpoint.exists() and load_checkpoint(folder.best_checkpoint).postprocess:
        return folder
    pair = f"{{image: {volumes.train_image}, labels: {volumes.train_labels}}}"
    settings = [
        f"experiment.seed={seed}",
        f"data.train=[{pair}]",
        f"training.max_epochs={epochs}",
        "training.train_iterations_per_epoch=100",
        "training.tuning_share=1",  # all of the search, however slow the machine
    ]
    folder.create(apply_overrides(Experiment(), settings))
    run_training(folder.path, device="cpu", with_report=False)
    return folder


def score(volumes: Volumes, folder: RunFolder) -> Outcome:
    """Predict the test volume once and score it in three ways."""
    checkpoint = load_checkpoint(folder.best_checkpoint)
    image = open_volume(str(volumes.test_image))
    with tempfile.TemporaryDirectory() as temporary:
        output = Path(temporary) / "probabilities.tif"
        predict_volume(
            image,
            checkpoint,
            output,
            replace(PredictionSettings.from_checkpoint(checkpoint), flips="auto"),
            output_settings=OutputSettings(probabilities=True),
        )
        probs = open_volume(str(output)).read((0, 0, 0), image.shape)
    labels = open_volume(str(volumes.test_labels)).read((0, 0, 0), image.shape)
    tuned = PostProcess.from_dict(checkpoint.postprocess or {})
    ways = (PostProcess(), PostProcess(checkpoint.threshold), tuned)
    plain, of_run, best = (compute_metrics(apply_postprocess(probs, way), labels) for way in ways)
    return Outcome(plain, of_run, best, checkpoint.threshold, tuned)


def tabulate(name: str, seed: int, outcome: Outcome) -> list[str]:
    """Lay one network out as rows of the table."""
    changed = ", ".join(
        f"{key} {value:.3g}"
        for key, value in outcome.settings.as_dict().items()
        if value != getattr(PostProcess, key)
    )
    ways = (
        ("above 0.5", outcome.plain),
        (f"above the run's threshold, {outcome.threshold:.2f}", outcome.of_run),
        (f"**tuned**: {changed or 'nothing kept'}", outcome.tuned),
    )
    return [
        f"| {name} | {seed} | {way} | " + " | ".join(f"{m[key]:.4f}" for key in COLUMNS) + " |"
        for way, m in ways
    ]


def conclude(gains: dict[str, list[float]]) -> list[str]:
    """Say what tuning is worth in a sentence a dataset."""
    return [
        f"- {name}: tuned post-processing adds {np.mean(values):+.4f} to the score of 0.5 on "
        f"average over {len(values)} seeds ({', '.join(f'{value:+.4f}' for value in values)})."
        for name, values in gains.items()
    ]


def main() -> None:
    """Train, predict, score and print the table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--datasets", nargs="+", choices=tuple(EPOCHS), default=list(EPOCHS))
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--data", type=Path, default=SHARED_DATA, help="folder of real volumes")
    parser.add_argument("--work-dir", type=Path, help="keep the runs here")
    parser.add_argument("--quick", action="store_true", help="one epoch, one seed")
    parser.add_argument("--record", action="store_true", help=f"write results/{RESULTS.name}")
    options = parser.parse_args()
    lines = [HEADER, "| --- | ---: | --- |" + " ---: |" * len(COLUMNS)]
    print("\n".join(lines), flush=True)
    gains: dict[str, list[float]] = {}
    with tempfile.TemporaryDirectory() as temporary:
        work = options.work_dir or Path(temporary)
        for name in options.datasets:
            volumes = prepare_dataset(name, options.data, work / name)
            epochs = 1 if options.quick else EPOCHS[name]
            for seed in range(1 if options.quick else options.seeds):
                folder = train(volumes, seed, epochs, work / name / f"{epochs}_epochs_{seed}")
                outcome = score(volumes, folder)
                rows = tabulate(name, seed, outcome)
                print("\n".join(rows), flush=True)
                lines += rows
                gains.setdefault(name, []).append(outcome.gain)
    summary = conclude(gains)
    print("\n" + "\n".join(summary))
    if options.record:
        steps = ", ".join(f"{100 * EPOCHS[name]} steps on {name}" for name in options.datasets)
        text = "\n".join(
            ["# Tuned post-processing on unseen data", "", *summary, "", f"{steps}.", "", *lines]
        )
        RESULTS.parent.mkdir(exist_ok=True)
        RESULTS.write_text(text + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
