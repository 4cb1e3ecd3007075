"""Why there is no loss term on matched topological errors: train with and without one.

    python benchmarks/topological_loss.py [--steps 250] [--seeds 3] [--record]

It was not worth its time: over three seeds the score changed by +0.0070, -0.0046
and +0.0003, no more than the seeds differ, for 5 to 32 % more time a step.
Matching the grey probabilities themselves, as the Betti matching loss does, takes
2 s a patch, several times a whole step. The term stays out of the losses; this is
the record of that decision, and the place to try another.

The `tiny` network learns fibsem_gala with the six terms, and once more with a
cross entropy on the critical voxels from a third of the steps on: those of the
components that are extra or missing, and of the patches that open or close a
tunnel (`metrics.topology_errors`). Both score the test volume at the best of five
thresholds. Beside it, what one Betti matching of a patch costs: of masks with
this package, of grey probabilities with the C++ library where it is installed.
"""

from __future__ import annotations

import argparse
import importlib
import itertools
import time
from pathlib import Path

import numpy as np
import tifffile
import torch
from scipy import ndimage
from torch.nn import functional

from napari_surfseg.config import Loss, Model
from napari_surfseg.losses.combined import compute_combined_loss, compute_loss_targets
from napari_surfseg.metrics.score import compute_metrics
from napari_surfseg.metrics.topology_errors import find_topology_errors
from napari_surfseg.model.network import SurfaceUNet, build_unet

RESULTS = Path(__file__).parent / "results" / "topological_loss.md"
DATA = Path(__file__).parents[2] / "shared" / "data" / "fibsem_gala"
PATCH = (48, 64, 64)
WEIGHTS = Loss().weights
CRITICAL_WEIGHT = 0.2
COLUMNS = ("score", "topo_score", "surface_dice", "voi_score", "dice")
FULL = np.ones((3, 3, 3))


def find_critical_voxels(pred: np.ndarray, label: np.ndarray) -> np.ndarray:
    """Mark the voxels that would have to change to mend the topology."""
    differ = [ndimage.label((pred > label), FULL)[0], ndimage.label((label > pred), FULL)[0]]
    whole = [ndimage.label(pred)[0], ndimage.label(label)[0]]
    out = np.zeros(pred.shape, bool)
    for error in find_topology_errors(pred, label):
        if error.kind.endswith("component") and error.size < 2000:
            parts = whole[0 if error.kind.startswith("extra") else 1]
            out |= (parts == parts[error.location]) & (pred != label)
        elif error.kind.endswith("tunnel"):
            for parts in differ:
                if parts[error.location]:
                    out |= parts == parts[error.location]
    return out


def read(name: str) -> np.ndarray:
    """Read one of the volumes."""
    return tifffile.imread(DATA / f"{name}.tif")


def draw_patch(
    image: np.ndarray, label: np.ndarray, rng: np.random.Generator
) -> tuple[torch.Tensor, torch.Tensor]:
    """Cut a patch at random and mirror it."""
    start = [rng.integers(0, n - p + 1) for n, p in zip(image.shape, PATCH, strict=True)]
    box = tuple(slice(s, s + p) for s, p in zip(start, PATCH, strict=True))
    axes = tuple(a for a in range(3) if rng.random() < 0.5)
    x, y = np.flip(image[box], axes), np.flip(label[box], axes)
    return (
        torch.from_numpy(x.copy())[None, None],
        torch.from_numpy(y.copy())[None, None],
    )


def train(seed: int, steps: int, *, critical: bool) -> tuple[SurfaceUNet, float, float]:
    """Train; return the network, processor seconds a step and those of the term."""
    image, label = read("train_image"), read("train_membrane")
    image = ((image - image.mean()) / image.std()).astype(np.float32)
    torch.manual_seed(seed)
    rng = np.random.default_rng(seed)
    net = build_unet(Model(preset="tiny"), device="cpu").train()
    optimizer = torch.optim.AdamW(net.parameters(), lr=1e-3, weight_decay=0.01)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, 2e-3, total_steps=steps)
    begun, spent, used = time.process_time(), 0.0, 0
    for step in range(steps):
        x, y = draw_patch(image, label, rng)
        heads = net(x)
        shapes = [tuple(head.shape[2:]) for head in heads]
        targets = compute_loss_targets(y, head_shapes=shapes)
        loss = compute_combined_loss(heads, targets, WEIGHTS).total
        if critical and step > steps // 3:
            start = time.process_time()
            mask = find_critical_voxels(
                (heads[0].detach()[0, 0] > 0).numpy().astype(np.uint8), y[0, 0].numpy()
            )
            chosen = torch.from_numpy(mask)[None, None].float()
            term = functional.binary_cross_entropy_with_logits(
                heads[0], y.float(), weight=chosen, reduction="sum"
            ) / (chosen.sum() + 100)
            loss = loss + CRITICAL_WEIGHT * term
            spent += time.process_time() - start
            used += 1
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(net.parameters(), 0.8)
        optimizer.step()
        schedule.step()
    return net, (time.process_time() - begun) / steps, spent / max(1, used)


def score(net: SurfaceUNet) -> tuple[dict[str, float], np.ndarray]:
    """Score the test volume at the best of five thresholds."""
    image, label = read("test_image"), read("test_membrane")
    train_image = read("train_image")
    x = torch.from_numpy(((image - train_image.mean()) / train_image.std()).astype(np.float32))
    total, weight = np.zeros(image.shape), np.zeros(image.shape)
    net.eval()
    with torch.no_grad():
        counts = [int(np.ceil(1.5 * n / p)) for n, p in zip(x.shape, PATCH, strict=True)]
        starts = [
            np.linspace(0, n - p, c).astype(int)
            for n, p, c in zip(x.shape, PATCH, counts, strict=True)
        ]
        for start in itertools.product(*starts):
            box = tuple(slice(s, s + p) for s, p in zip(start, PATCH, strict=True))
            total[box] += torch.sigmoid(net(x[box][None, None]))[0, 0].numpy()
            weight[box] += 1
    probs = total / weight
    scores = [compute_metrics(probs > t, label) for t in (0.3, 0.4, 0.5, 0.6, 0.7)]
    return max(scores, key=lambda m: m["score"]), probs


def time_matching(probs: np.ndarray) -> list[str]:
    """Say what matching one patch costs."""
    box = tuple(slice(0, p) for p in PATCH)
    grey, label = probs[box], read("test_membrane")[box]
    mask = (grey > 0.5).astype(np.uint8)
    find_critical_voxels(mask, label)
    start = time.process_time()
    find_critical_voxels(mask, label)
    lines = [f"Critical voxels of one patch: {time.process_time() - start:.2f} s."]
    try:
        library = importlib.import_module("betti_matching")
    except ImportError:
        return lines
    start = time.process_time()
    library.compute_matching(1.0 - grey, 1.0 - label)
    seconds = time.process_time() - start
    return [*lines, f"Betti matching of its probabilities in the C++ library: {seconds:.2f} s."]


def conclude(gains: list[float], costs: list[float]) -> str:
    """Say what the term brings and what it costs."""
    return (
        f"The term changes the score by {', '.join(f'{gain:+.4f}' for gain in gains)}, for "
        f"{min(costs):.0f} to {max(costs):.0f} % more time a step."
    )


def main() -> None:
    """Train with and without the term and print a table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--steps", type=int, default=250)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--quick", action="store_true", help="12 steps, one seed")
    parser.add_argument("--record", action="store_true", help=f"write {RESULTS.name}")
    args = parser.parse_args()
    steps, seeds = (12, 1) if args.quick else (args.steps, args.seeds)
    torch.set_num_threads(1)
    lines = [
        f"`tiny`, {steps} steps of {'x'.join(map(str, PATCH))}, one thread, processor seconds.",
        "",
        f"| seed | term | {' | '.join(COLUMNS)} | s a step | of which the term |",
        "| ---: | --- |" + " ---: |" * (len(COLUMNS) + 2),
    ]
    probs = np.zeros(PATCH)
    gains, costs = [], []
    for seed in range(seeds):
        found: list[tuple[float, float]] = []
        for critical in (False, True):
            net, seconds, spent = train(seed, steps, critical=critical)
            metrics, probs = score(net)
            found.append((metrics["score"], seconds))
            values = " | ".join(f"{metrics[key]:.4f}" for key in COLUMNS)
            name = "critical voxels" if critical else "none"
            lines.append(f"| {seed} | {name} | {values} | {seconds:.3f} | {spent:.3f} |")
            print(lines[-1], flush=True)
        gains.append(found[1][0] - found[0][0])
        costs.append(100 * (found[1][1] / found[0][1] - 1))
    lines += ["", *time_matching(probs), "", conclude(gains, costs)]
    text = "\n".join(lines)
    print(text)
    if args.record:
        RESULTS.parent.mkdir(exist_ok=True)
        RESULTS.write_text(f"# A loss on topological errors\n\n{text}\n", encoding="utf-8")


if __name__ == "__main__":
    main()
