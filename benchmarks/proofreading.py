"""Does a list of doubtful places save work? A scripted annotator with it against one without.

A network that is not yet right predicts a volume that is new to it, ``fibsem_gala/test``. Each
round the annotator looks at 20 places and mends them from the truth: in a box of 12 voxels around
each the result is set right, and the truth there becomes a label. Then the network trains on with
all labels for a fixed number of steps, and predicts again. One annotator takes the first 20 of the
list; the other takes 20 at random on the predicted surface, as far apart as those of the list.

Two results are scored against the truth: the *edited* one (the newest prediction, all boxes set
right so far), and the network's *own*, where neither annotator has mended anything.

    python benchmarks/proofreading.py --record               # three seeds, both starts
    python benchmarks/proofreading.py --seeds 1 --rounds 2   # does it run at all?

Two starts: ``young`` has learned 150 steps from fresh weights, on a fifth of the other volume,
``fibsem_gala/train``; ``shipped`` is the package's network, which knows that volume.
"""

from __future__ import annotations

import argparse
import copy
import itertools
import json
import time
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import tifffile
import torch

from napari_surfseg.config import Loss, Model
from napari_surfseg.inference.predict_region import predict_region
from napari_surfseg.inference.settings import PredictionSettings
from napari_surfseg.losses.combined import compute_combined_loss, compute_loss_targets
from napari_surfseg.metrics.score import compute_metrics
from napari_surfseg.model.intensity import Intensity
from napari_surfseg.model.network import build_unet
from napari_surfseg.model.open_network import open_network
from napari_surfseg.proofreading.find import find_doubtful_places
from napari_surfseg.proofreading.ranking import MIN_DISTANCE

HERE = Path(__file__).parent
RESULTS = HERE / "results" / "proofreading.md"
PICTURE = HERE / "results" / "proofreading.png"
SHARED_DATA = HERE.parents[1] / "shared" / "data"
BEGIN, END = "<!-- figures -->", "<!-- end of figures -->"
HEADER = f"# Mends by the list of doubtful places, and at random\n\n{BEGIN}{END}\n"
NETWORK = "surfaces-tiny"
IGNORE = 2
PLACES, EDGE = 20, 12
PATCH = (32, 48, 48)
YOUNG_STEPS = 150
SCORES = ("surface_dice", "score", "dice", "topo_score", "voi_score")
ANNOTATORS = ("list", "random")


def find_random_places(
    probs: np.ndarray, annotated: np.ndarray, rng: np.random.Generator
) -> list[tuple[int, ...]]:
    """Choose places on the predicted surface, none annotated, none near another."""
    surface = np.argwhere((probs > 127) & ~annotated)
    chosen: list[np.ndarray] = []
    for at in rng.permutation(surface):
        if all(((at - other) ** 2).sum() >= MIN_DISTANCE**2 for other in chosen):
            chosen.append(at)
        if len(chosen) == PLACES:
            break
    return [tuple(map(int, at)) for at in chosen]


def box_around(at: tuple[int, ...], shape: tuple[int, ...]) -> tuple[slice, ...]:
    """Return the box that is mended around a place, moved into the volume."""
    starts = [min(max(0, p - EDGE // 2), n - EDGE) for p, n in zip(at, shape, strict=True)]
    return tuple(slice(a, a + EDGE) for a in starts)


def normalise(image: np.ndarray) -> Intensity:
    """Grey values by the volume's own mean and deviation."""
    scaled = image / 255
    return Intensity(0, 255, float(scaled.mean()), float(scaled.std()))


def predict(network: torch.nn.Module, image: np.ndarray) -> np.ndarray:
    """Probabilities 0 to 255 of the whole volume."""
    network.eval()

    def read(start: tuple[int, ...], stop: tuple[int, ...]) -> np.ndarray:
        return image[tuple(slice(a, b) for a, b in zip(start, stop, strict=True))]

    settings = PredictionSettings(normalise(image), (48, 64, 64), overlap=0.25)
    return predict_region(network, read, ((0, 0, 0), image.shape), settings)


def train(
    network: torch.nn.Module,
    volumes: list[tuple[np.ndarray, np.ndarray]],
    steps: int,
    *,
    seed: int,
    rate: float = 1e-3,
) -> None:
    """Train on patches around annotated voxels, each turned at random; the rest is ignored.

    Volumes (image and labels) take turns. The weights are averaged over the second half.
    """
    network.train()
    rng = np.random.default_rng(seed)
    optimizer = torch.optim.AdamW(network.parameters(), lr=rate, weight_decay=1e-4)
    known = [np.argwhere(labels != IGNORE) for _, labels in volumes]
    greys = [normalise(image) for image, _ in volumes]
    weights = Loss().weights
    average = torch.optim.swa_utils.AveragedModel(network)
    for step in range(steps):
        for group in optimizer.param_groups:
            group["lr"] = rate * min(1.0, (step + 1) / 10, (steps - step) / (0.5 * steps))
        which = step % len(volumes)
        (image, labels), grey = volumes[which], greys[which]
        at = known[which][rng.integers(len(known[which]))] - rng.integers(0, PATCH)
        start = np.clip(at, 0, np.array(image.shape) - PATCH)
        box = tuple(slice(a, a + n) for a, n in zip(start, PATCH, strict=True))
        axes, flips = rng.permutation(3), np.flatnonzero(rng.integers(0, 2, 3))
        x, y = (
            np.ascontiguousarray(np.flip(np.transpose(a[box], axes), flips))[None, None]
            for a in (image, labels)
        )
        heads = network(torch.from_numpy((x / 255 - grey.mean) / grey.std).float())
        targets = compute_loss_targets(
            torch.from_numpy(y), head_shapes=[tuple(head.shape[2:]) for head in heads]
        )
        loss = compute_combined_loss(heads, targets, weights).total
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(network.parameters(), 1.0)
        optimizer.step()
        if step >= steps // 2:
            average.update_parameters(network)
    network.load_state_dict(average.module.state_dict())


@dataclass
class Annotator:
    """One of the two, with the network it teaches."""

    name: str
    network: torch.nn.Module
    probs: np.ndarray
    rng: np.random.Generator
    labels: np.ndarray
    is_taught: bool
    earlier: np.ndarray | None = None
    own: list[dict[str, float]] = field(default_factory=list)
    edited: list[dict[str, float]] = field(default_factory=list)

    @property
    def annotated(self) -> np.ndarray:
        """Where it has mended."""
        return self.labels != IGNORE

    def mend(self, truth: np.ndarray) -> None:
        """Look at 20 places and set them right."""
        if self.name == "random":
            places = find_random_places(self.probs, self.annotated, self.rng)
        else:
            found = find_doubtful_places(
                self.probs, annotated=self.annotated, earlier=self.earlier, max_places=PLACES
            )
            places = [place.location for place in found]
        for at in places:
            box = box_around(at, truth.shape)
            self.labels[box] = truth[box]

    def teach(self, image: np.ndarray, before: list, steps: int, seed: int) -> None:
        """Train on, and predict again."""
        train(self.network, [*before, (image, self.labels)], steps, seed=seed, rate=5e-4)
        self.earlier, self.probs = self.probs, predict(self.network, image)

    def score(self, truth: np.ndarray, seen: np.ndarray) -> None:
        """Score the edited result, and the network's own where nobody has mended."""
        mask = (self.probs > 127).astype(np.uint8)
        edited = np.where(self.annotated, self.labels, mask)
        self.edited.append(_chosen(compute_metrics(edited, truth)))
        if self.is_taught:
            rest = np.where(seen, np.uint8(IGNORE), truth)
            self.own.append(_chosen(compute_metrics(mask, rest)))


def _chosen(scores: dict[str, float]) -> dict[str, float]:
    return {name: float(scores[name]) for name in SCORES}


def start_network(name: str, seed: int, other: tuple[np.ndarray, np.ndarray]) -> torch.nn.Module:
    """Return a network that is not yet right, and train it where it is to be young."""
    if name == "shipped":
        return open_network(NETWORK).build_model("cpu")
    torch.manual_seed(seed)
    network = build_unet(Model(preset="tiny"))
    train(network, [other], YOUNG_STEPS, seed=seed)
    return network


def run(start: str, seed: int, rounds: int, steps: int, data: Path) -> list[dict[str, object]]:
    """Let both annotators work; return a row for each of them, result and round."""
    image, other_image = (tifffile.imread(data / f"{part}_image.tif") for part in ("test", "train"))
    truth, labels = (tifffile.imread(data / f"{part}_membrane.tif") for part in ("test", "train"))
    known = np.full(labels.shape, np.uint8(IGNORE))
    known[:, :60, :60] = labels[:, :60, :60]
    first = start_network(start, seed, (other_image, known))
    probs = predict(first, image)
    both = [
        Annotator(
            name,
            copy.deepcopy(first),
            probs,
            np.random.default_rng([seed, 7]),
            np.full(truth.shape, np.uint8(IGNORE)),
            steps > 0,
        )
        for name in ANNOTATORS
    ]
    for number in range(rounds + 1):
        seen = both[0].annotated | both[1].annotated
        for annotator in both:
            annotator.score(truth, seen)
            if number < rounds:
                annotator.mend(truth)
                if steps:
                    annotator.teach(image, [(other_image, known)], steps, seed + 100 * number)
    rows = []
    for annotator, result in itertools.product(both, ("own", "edited")):
        for number, scores in enumerate(getattr(annotator, result)):
            row = {"start": start, "seed": seed, "annotator": annotator.name, "result": result}
            rows.append({**row, "mends": PLACES * number, "steps": steps, **scores})
    return rows


def mean_curve(rows: list[dict], annotator: str, result: str, score: str) -> tuple[list, list]:
    """Average a score over seeds, at each number of mends."""
    chosen = [row for row in rows if (row["annotator"], row["result"]) == (annotator, result)]
    mends = sorted({row["mends"] for row in chosen})
    values = [float(np.mean([r[score] for r in chosen if r["mends"] == m])) for m in mends]
    return mends, values


def count_mends(mends: list[int], values: list[float], level: float) -> float:
    """Return the mends after which a curve first reaches a level, between two rounds in a line."""
    for (m0, v0), (m1, v1) in itertools.pairwise(zip(mends, values, strict=True)):
        if v0 >= level:
            return float(m0)
        if v1 >= level:
            return m0 + (m1 - m0) * (level - v0) / (v1 - v0)
    return float("nan")


def tabulate(rows: list[dict]) -> list[str]:
    """Say how many mends of the list reach what random ones reach halfway and at the end."""
    lines = [
        "| start | training | seeds | result | score | before | random | list | "
        "mends of the list for random's halfway | and for its end |",
        "| --- | --- | ---: | --- | --- | ---: | ---: | ---: | ---: | ---: |",
    ]
    cases = sorted({(row["start"], row["steps"]) for row in rows}, reverse=True)
    for (start, steps), result, score in itertools.product(cases, ("own", "edited"), SCORES[:3]):
        chosen = [row for row in rows if (row["start"], row["steps"]) == (start, steps)]
        if result == "own" and not steps:
            continue
        seeds = len({row["seed"] for row in chosen})
        mends, values = mean_curve(chosen, "list", result, score)
        _, others = mean_curve(chosen, "random", result, score)
        reached = []
        for index in (len(mends) // 2, -1):
            needed = count_mends(mends, values, others[index])
            reached.append("not reached" if np.isnan(needed) else f"{needed:.0f} / {mends[index]}")
        training = f"{steps} steps a round" if steps else "none"
        lines.append(
            f"| {start} | {training} | {seeds} | {result} | {score} | {others[0]:.4f} | "
            f"{others[-1]:.4f} | {values[-1]:.4f} | {' | '.join(reached)} |"
        )
    return lines


def draw(rows: list[dict], path: Path) -> None:
    """Draw the curves of surface Dice and score."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    taught = [row for row in rows if row["steps"]]
    starts = sorted({row["start"] for row in taught}, reverse=True)
    figure = Figure(figsize=(9, 3.1 * len(starts)), layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.subplots(len(starts), 2, squeeze=False)
    looks = {"list": "#0072B2", "random": "#D55E00"}
    for (i, start), (j, score) in itertools.product(
        enumerate(starts), enumerate(("surface_dice", "score"))
    ):
        panel = axes[i][j]
        chosen = [row for row in taught if row["start"] == start]
        for annotator, result in itertools.product(ANNOTATORS, ("edited", "own")):
            mends, values = mean_curve(chosen, annotator, result, score)
            style = "-" if result == "edited" else "--"
            label = f"{'first of the list' if annotator == 'list' else 'at random'}, {result}"
            panel.plot(mends, values, style, color=looks[annotator], label=label, marker=".")
        panel.set_title(f"{start}: {score.replace('_', ' ')}", fontsize=10)
        panel.set_xlabel("mends")
        panel.grid(alpha=0.3)
    axes[0][0].legend(fontsize=8)
    path.parent.mkdir(exist_ok=True)
    figure.savefig(path, dpi=90)


def main() -> None:
    """Run what is asked for, print the table, and record it."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, default=SHARED_DATA / "fibsem_gala")
    parser.add_argument("--starts", nargs="+", default=["young", "shipped"])
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--rounds", type=int, default=6)
    parser.add_argument("--steps", type=int, nargs="+", default=[40, 0])
    parser.add_argument("--rows", type=Path, help="JSON lines; what is there is not run again")
    parser.add_argument("--record", action="store_true", help=f"write {RESULTS.name}")
    options = parser.parse_args()
    torch.set_num_threads(1)
    rows: list[dict] = []
    if options.rows is not None and options.rows.exists():
        rows = [json.loads(line) for line in options.rows.read_text("utf-8").splitlines()]
    for seed, start, steps in itertools.product(
        range(1, options.seeds + 1), options.starts, options.steps
    ):
        if any((r["start"], r["seed"], r["steps"]) == (start, seed, steps) for r in rows):
            continue
        begun = time.process_time()
        new = run(start, seed, options.rounds, steps, options.data)
        rows += new
        print(f"{start}, seed {seed}, {steps} steps: {time.process_time() - begun:.0f} s")
        if options.rows is not None:
            with options.rows.open("a", encoding="utf-8") as file:
                file.writelines(json.dumps(row) + "\n" for row in new)
    lines = tabulate(rows)
    print("\n".join(lines))
    if options.record:
        draw(rows, PICTURE)
        text = RESULTS.read_text("utf-8") if RESULTS.exists() else HEADER
        head, _, tail = text.partition(BEGIN)
        notes = tail.partition(END)[2]
        RESULTS.write_text(
            head + BEGIN + "\n\n" + "\n".join(lines) + "\n\n" + END + notes, encoding="utf-8"
        )


if __name__ == "__main__":
    main()
