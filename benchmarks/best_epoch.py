"""By which validation score the best epoch is found: what each choice costs on unseen data.

A network is trained with a fixed number of optimizer steps, so that the machine does not matter.
After every epoch the averaged weights are scored twice: on the part of the training volume that
the run keeps for validation, and on a volume that the run never sees. A criterion sees the first
only, and chooses an epoch. Its regret is how much better another epoch does on the unseen volume,
at that epoch's own threshold.

    python benchmarks/best_epoch.py --quick                    # does it run at all?
    python benchmarks/best_epoch.py --work-dir epochs --record
    python benchmarks/best_epoch.py --dataset ovule --seeds 0
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import tifffile
import torch

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE))

from napari_surfseg.config_files import build_experiment  # noqa: E402
from napari_surfseg.data.checks import check_pair  # noqa: E402
from napari_surfseg.data.phantom.scroll import ScrollPhantom  # noqa: E402
from napari_surfseg.data.phantom.settings import PhantomSettings  # noqa: E402
from napari_surfseg.events import EpochFinished, ValidationFinished  # noqa: E402
from napari_surfseg.training import trainer as trainer_module  # noqa: E402
from napari_surfseg.training.schedule import WARMUP_SHARE  # noqa: E402
from napari_surfseg.training.scoring import STROKES_TOLERANCE  # noqa: E402
from napari_surfseg.training.state import TrainingState  # noqa: E402
from napari_surfseg.training.trainer import Trainer  # noqa: E402
from quality import SHARED_DATA, Volumes, describe_machine, prepare_dataset  # noqa: E402
from strokes import paint_slice  # noqa: E402

if TYPE_CHECKING:
    from collections.abc import Sequence

    from napari_surfseg.events import Event
    from napari_surfseg.training.assembly import RunParts

RESULTS = HERE / "results" / "best_epoch.md"
DATASETS = ("sample", "fibsem_gala", "ovule", "sample_strokes", "fibsem_strokes")
#: The scroll that the window offers as sample data.
SAMPLE_SHAPE, SAMPLE_SEED = (80, 160, 160), 7
#: What makes a prediction useful; all of them are wanted.
MEASURES = ("surface_dice", "dice", "voi_score")
WANTED = 0.01


@dataclass(frozen=True)
class Epoch:
    """One scored epoch: the share of the run that was over, and its scores on both volumes."""

    epoch: int
    progress: float
    threshold: float
    validation: dict[str, float]
    unseen: dict[str, float]
    step_seconds: float
    predict_seconds: float
    score_seconds: float


@dataclass(frozen=True)
class Criterion:
    """A way to choose an epoch: by a score, as :meth:`TrainingState.record_scores` does.

    Attributes
    ----------
    scores : tuple of str
        Validation scores of which the mean is taken; none for the newest epoch.
    with_warm_up : bool
        Whether an epoch may stay the best that was made while the learning rate rose.
    over : int
        Epochs over which it is averaged.
    tolerance : float
        Of scores that differ by no more the newest is chosen.
    """

    scores: tuple[str, ...] = ()
    with_warm_up: bool = False
    over: int = 1
    tolerance: float = 0.0


#: The first is what a run uses where labels are dense.
CRITERIA = {
    "mean_dice, no warm-up": Criterion(("surface_dice", "dice")),
    "mean_dice": Criterion(("surface_dice", "dice"), with_warm_up=True),
    "surface_dice (before)": Criterion(("surface_dice",), with_warm_up=True),
    "surface_dice, no warm-up": Criterion(("surface_dice",)),
    "dice, no warm-up": Criterion(("dice",)),
    "voi_score, no warm-up": Criterion(("voi_score",)),
    "score": Criterion(("score",), with_warm_up=True),
    "score, no warm-up": Criterion(("score",)),
    "surface_dice, dice, voi_score": Criterion(MEASURES, with_warm_up=True),
    "the three, no warm-up": Criterion(MEASURES),
    "the three, no warm-up, over 2": Criterion(MEASURES, over=2),
    "the three, no warm-up, over 3": Criterion(MEASURES, over=3),
    "the last epoch": Criterion(),
}
#: The first is what a run uses on strokes, where the rate rises within the first epoch.
STROKE_CRITERIA = {
    "dice within 0.05": Criterion(("dice",), with_warm_up=True, tolerance=STROKES_TOLERANCE),
    "dice within 0.02": Criterion(("dice",), with_warm_up=True, tolerance=0.02),
    "dice (before)": Criterion(("dice",), with_warm_up=True),
    "dice, no warm-up": Criterion(("dice",)),
    "the last epoch": Criterion(),
}
#: Whose choices are listed run by run.
LISTED = 5


def prepare(name: str, data: Path, folder: Path, seed: int) -> Volumes:
    """Name the volume to learn from and the unseen one, making what is not there yet."""
    if name in {"fibsem_gala", "ovule"}:
        return prepare_dataset(name, data, folder)
    folder.mkdir(parents=True, exist_ok=True)
    kinds = [f"{part}_{kind}" for part in ("train", "test") for kind in ("image", "labels")]
    paths = [folder / f"{kind}.tif" for kind in kinds]
    if name == "fibsem_strokes":
        whole = prepare_dataset("fibsem_gala", data, folder)
        tifffile.imwrite(paths[1], _paint(tifffile.imread(whole.train_labels), seed))
        return Volumes(name, whole.train_image, paths[1], whole.test_image, whole.test_labels)
    annotated = "strokes" if name == "sample_strokes" else "dense"
    for number, how in ((0, annotated), (1, "dense")):
        settings = PhantomSettings(shape=SAMPLE_SHAPE, seed=SAMPLE_SEED + number, annotated=how)
        box = ScrollPhantom(settings).compute_box((0, 0, 0), SAMPLE_SHAPE)
        tifffile.imwrite(paths[2 * number], box.image)
        tifffile.imwrite(paths[2 * number + 1], box.labels)
    return Volumes(name, *paths)


def _paint(truth: np.ndarray, seed: int) -> np.ndarray:
    """Paint strokes on five slices, as a person would, in dense labels' values: 2 is unknown."""
    strokes = np.zeros(truth.shape, np.uint8)
    for number, z in enumerate(np.linspace(5, len(truth) - 6, 5).astype(int)):
        paint_slice(strokes[z], truth[z], 8, 8, np.random.default_rng([seed, number]))
    return np.choose(strokes, [2, 1, 0]).astype(np.uint8)


def train(
    volumes: Volumes, seed: int, folder: Path, *, epochs: int, steps: int, patch: Sequence[int]
) -> list[Epoch]:
    """Train, and score every epoch on both volumes."""
    pair = {"image": str(volumes.train_image), "labels": str(volumes.train_labels)}
    experiment = build_experiment(
        {
            "experiment": {"seed": seed},
            "data": {
                "train": [pair],
                "spacing": list(volumes.spacing),
                "patch_size": list(patch),
            },
            "model": {"preset": "tiny"},
            "preview": {"seconds": 0},
            "training": {
                "max_epochs": epochs,
                "train_iterations_per_epoch": steps,
                "workers": 0,
                "validation_share": 1,
                "tuning_share": 0,
            },
        }
    )
    watch = _Watch(volumes, total=epochs * steps)
    trainer = Trainer(
        experiment,
        emit=watch.see,
        poll_commands=list,
        checkpoints=folder / "checkpoints",
        previews=folder / "previews",
        samples=folder / "samples",
        device="cpu",
    )
    assemble = trainer_module.assemble_run

    def assemble_watched(*args: object) -> RunParts:
        watch.begin(assemble(*args))
        return watch.parts

    trainer_module.assemble_run = assemble_watched
    try:
        trainer.run()
    finally:
        trainer_module.assemble_run = assemble
    return watch.rows


class _Watch:
    """Scores a network on the unseen volume whenever its run has scored it."""

    def __init__(self, volumes: Volumes, *, total: int) -> None:
        self.rows: list[Epoch] = []
        self.parts: RunParts
        self._volumes = volumes
        self._total = total
        self._since = 0.0
        self._steps = 0.0
        self._scores = 0.0

    def begin(self, parts: RunParts) -> None:
        """Take the parts of the run that is watched."""
        self.parts = parts
        data = parts.experiment.data
        pair = data.train[0].model_copy(
            update={
                "image": str(self._volumes.test_image),
                "labels": str(self._volumes.test_labels),
            }
        )
        test = check_pair(pair, data, role="validation", field="test")
        validator = parts.scoring.validator
        self._unseen = validator.over([test], max_voxels=2**22)
        measure = validator.measure

        def timed(*args: object, **options: object) -> dict[str, float]:
            start = time.process_time()
            metrics = measure(*args, **options)
            self._scores += time.process_time() - start
            return metrics

        validator.measure = timed
        self._since = time.process_time()

    def see(self, event: Event) -> None:
        """Take an event of the run."""
        now = time.process_time()
        if isinstance(event, EpochFinished):
            self._steps, self._since, self._scores = now - self._since, now, 0.0
        if not isinstance(event, ValidationFinished):
            return
        spent = now - self._since
        self._unseen.fixed_threshold = event.threshold
        result = self._unseen.run(self.parts.learner.average.network)
        row = Epoch(
            event.epoch,
            event.step / self._total,
            event.threshold,
            event.metrics,
            result.metrics,
            self._steps,
            spent - self._scores,
            self._scores,
        )
        self.rows.append(row)
        shown = [f"{row.unseen[name]:.3f}" for name in MEASURES]
        kept = [f"{row.validation[name]:.3f}" for name in MEASURES if name in row.validation]
        print(f"  epoch {row.epoch:2}: {' '.join(kept)} unseen {' '.join(shown)}", flush=True)
        self._since = time.process_time()


def choose(rows: Sequence[Epoch], criterion: Criterion) -> Epoch:
    """Return the epoch that a criterion chooses."""
    state = TrainingState()
    values: list[float] = []
    for state.epoch, row in enumerate(rows):
        scores = [row.validation[name] for name in criterion.scores]
        values.append(float(np.mean(scores)) if scores else row.progress)
        is_warming_up = row.progress < WARMUP_SHARE and not criterion.with_warm_up
        state.record_scores(
            {"value": float(np.mean(values[-criterion.over :]))},
            "value",
            tolerance=criterion.tolerance,
            is_warming_up=is_warming_up,
        )
    return rows[int(state.best["epoch"])]


def usefulness(row: Epoch) -> float:
    """Return the mean of the measures on the unseen volume."""
    return float(np.mean([row.unseen[name] for name in MEASURES]))


def summarise(runs: dict[str, list[Epoch]], criteria: dict[str, Criterion]) -> list[str]:
    """Make a table of what each criterion costs."""
    lines = [
        "| criterion | worst regret | of surface Dice | of Dice | of VOI score | mean regret | "
        f"regret over {WANTED} | chosen in the warm-up |",
        "| --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: |",
    ]
    for name, criterion in criteria.items():
        regrets, num_early = [], 0
        for rows in runs.values():
            chosen = choose(rows, criterion)
            num_early += chosen.progress < WARMUP_SHARE
            regrets.append(
                [max(map(usefulness, rows)) - usefulness(chosen)]
                + [max(row.unseen[m] for row in rows) - chosen.unseen[m] for m in MEASURES]
            )
        worst = " | ".join(f"{value:.3f}" for value in np.max(regrets, axis=0))
        num_over = int(np.count_nonzero(np.array(regrets)[:, 0] > WANTED))
        lines.append(
            f"| {name} | {worst} | {np.mean(regrets, axis=0)[0]:.4f} | {num_over} of "
            f"{len(regrets)} | {num_early} |"
        )
    return lines


def list_choices(runs: dict[str, list[Epoch]], criteria: dict[str, Criterion]) -> list[str]:
    """Make a table of the chosen epochs, one row a run, with the regret of each."""
    listed = dict(list(criteria.items())[:LISTED])
    lines = [
        f"| run | best epoch unseen | {' | '.join(listed)} |",
        "| --- | ---: |" + " ---: |" * len(listed),
    ]
    for name, rows in runs.items():
        best = max(rows, key=usefulness)
        chosen = [choose(rows, criterion) for criterion in listed.values()]
        cells = [f"{row.epoch} ({usefulness(best) - usefulness(row):.3f})" for row in chosen]
        lines.append(f"| {name} | {best.epoch} of {len(rows)} | {' | '.join(cells)} |")
    return lines


def describe_cost(runs: dict[str, list[Epoch]], steps: int) -> list[str]:
    """Make a table of the processor time that a validation takes, a row a data set."""
    lines = [
        "| data | a step | predicting the validation part | all scores of it |",
        "| --- | ---: | ---: | ---: |",
    ]
    for name in dict.fromkeys(case.split(",")[0] for case in runs):
        rows = [row for case, some in runs.items() if case.startswith(f"{name},") for row in some]
        step = np.median([row.step_seconds for row in rows]) / steps
        predict = np.median([row.predict_seconds for row in rows])
        score = np.median([row.score_seconds for row in rows])
        lines.append(f"| {name} | {step:.3f} s | {predict:.3f} s | {score:.3f} s |")
    return lines


def main() -> None:
    """Run the benchmark."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--dataset", nargs="+", choices=DATASETS, default=list(DATASETS))
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--epochs", type=int, default=14)
    parser.add_argument("--steps", type=int, default=30, help="optimizer steps an epoch")
    parser.add_argument("--patch", type=int, nargs=3, default=[32, 48, 48])
    parser.add_argument("--data", type=Path, default=SHARED_DATA, help="folder of real volumes")
    parser.add_argument("--work-dir", type=Path, help="keep the scores here; what is there is used")
    parser.add_argument("--quick", action="store_true", help="three epochs of two steps")
    parser.add_argument("--record", action="store_true", help=f"write results/{RESULTS.name}")
    options = parser.parse_args()
    torch.set_num_threads(1)
    if options.quick:
        options.epochs, options.steps, options.seeds = 3, 2, [0]
    runs: dict[str, list[Epoch]] = {}
    with tempfile.TemporaryDirectory() as temporary:
        work = options.work_dir or Path(temporary)
        for name in options.dataset:
            for seed in options.seeds:
                case = f"{name}, seed {seed}"
                kept = work / f"{name}_{seed}_{options.epochs}x{options.steps}.json"
                if not kept.exists():
                    print(case, flush=True)
                    volumes = prepare(name, options.data, work / f"{name}_{seed}", seed)
                    rows = train(
                        volumes,
                        seed,
                        work / f"run_{name}_{seed}",
                        epochs=options.epochs,
                        steps=options.steps,
                        patch=options.patch,
                    )
                    kept.write_text(json.dumps([asdict(row) for row in rows]), encoding="utf-8")
                runs[case] = [Epoch(**row) for row in json.loads(kept.read_text(encoding="utf-8"))]
    dense = {case: rows for case, rows in runs.items() if "strokes" not in case}
    strokes = {case: rows for case, rows in runs.items() if "strokes" in case}
    lines = ["# The best epoch", "", describe_machine(), ""]
    for title, some, criteria in (
        ("Dense labels", dense, CRITERIA),
        ("Strokes", strokes, STROKE_CRITERIA),
    ):
        if some:
            lines += [f"## {title}", "", *summarise(some, criteria), ""]
            lines += [*list_choices(some, criteria), ""]
    lines += ["## Processor time", "", *describe_cost(runs, options.steps), ""]
    print("\n".join(lines))
    if options.record:
        RESULTS.parent.mkdir(exist_ok=True)
        RESULTS.write_text("\n".join(lines), encoding="utf-8")


if __name__ == "__main__":
    main()
