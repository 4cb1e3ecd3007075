"""A training step with six loss terms beside one with cross entropy and Dice only.

The same network (``base``, batch of one 64^3 patch, deep supervision), optimizer
and patch; only the loss differs. A step is: label targets, forward, loss,
backward, AdamW. The naive six are what a first implementation does: two soft
skeletons of 10 iterations for the prediction and two for the label, SciPy's
distance transform of the label in the step, the distance to the prediction by a
large max-pooling, cells by tensor slices, autograd through all of it.

    python benchmarks/step.py [--quick] [--record] [--preset base] [--size 64]
"""

from __future__ import annotations

import argparse
import ctypes
import os
import platform
import sys
import time
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np
import torch
from monai.losses.cldice import soft_skel
from scipy import ndimage
from torch.nn import functional

from napari_surfseg.config import Loss, Model
from napari_surfseg.losses.combined import compute_combined_loss, compute_loss_targets
from napari_surfseg.losses.topology import soft_euler_reference
from napari_surfseg.model.network import build_unet

RESULTS = Path(__file__).parent / "results" / "step.md"
SIX = Loss().weights
TWO = {"weighted_bce": 0.5, "soft_dice": 0.5}


def make_patch(edge: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Make a noisy image of wavy sheets and its labels."""
    z, y, x = np.mgrid[:edge, :edge, :edge].astype(np.float32)
    wave = z + 5 * np.sin(y / 17) + 4 * np.cos(x / 23) + 0.3 * x
    labels = torch.from_numpy((np.mod(wave, 14) < 3).astype(np.uint8))[None, None]
    noise = torch.randn(labels.shape, generator=torch.Generator().manual_seed(0))
    return labels.float() + 0.5 * noise, labels


def compute_shipped(heads: list[torch.Tensor], labels: torch.Tensor, weights: dict) -> torch.Tensor:
    """Score the heads as the trainer does."""
    shapes = [tuple(head.shape[2:]) for head in heads]
    targets = compute_loss_targets(labels, head_shapes=shapes)
    return compute_combined_loss(heads, targets, weights).total


def compute_naive(heads: list[torch.Tensor], labels: torch.Tensor) -> torch.Tensor:
    """Score the heads with two terms, and the first with the other four written plainly."""
    total = compute_shipped(heads, labels, TWO)
    y, probs = labels.float(), torch.sigmoid(heads[0])
    predicted, present = soft_skel(probs, 10), soft_skel(y, 10)
    precision = ((predicted * y).sum() + 1) / (predicted.sum() + 1)
    recall = ((present * probs).sum() + 1) / (present.sum() + 1)
    cldice = 1 - 2 * precision * recall / (precision + recall)
    predicted, present = soft_skel(probs, 10), soft_skel(y, 10)
    skeleton = (predicted - present).abs().sum() / (predicted.sum() + present.sum() + 1)
    full = ndimage.distance_transform_edt(labels[0, 0].numpy() == 0)
    weight = torch.from_numpy(full).float()[None, None].div(2).clamp(max=1)
    near = functional.max_pool3d(probs, 5, 1, 2)
    distance = (weight * probs).sum() / (probs.sum() + 1) + ((1 - near) * y).sum() / (y.sum() + 1)
    euler = soft_euler_reference(torch.sigmoid(4 * heads[0]), 16)
    expected = soft_euler_reference(y, 16)
    topology = ((euler - expected).abs() / (euler.abs() + expected.abs() + 1)).mean()
    return total + 0.1 * cldice + 0.08 * skeleton + 0.035 * distance + 0.05 * topology


def keep_memory() -> None:
    """Let glibc keep freed blocks, as the worker's environment does, for all alternatives."""
    if sys.platform == "linux":
        libc = ctypes.CDLL("libc.so.6")
        libc.mallopt(-3, 1 << 30)  # M_MMAP_THRESHOLD
        libc.mallopt(-1, 2**31 - 1)  # M_TRIM_THRESHOLD


def main() -> None:
    """Interleave the three steps and print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--preset", default="base", help="network")
    parser.add_argument("--size", type=int, default=64, help="edge of the patch")
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--quick", action="store_true", help="the tiny network, two rounds")
    parser.add_argument("--record", action="store_true", help=f"write {RESULTS.name}")
    arguments = parser.parse_args()
    preset, rounds = ("tiny", 2) if arguments.quick else (arguments.preset, arguments.rounds)
    torch.set_num_threads(1)
    torch.manual_seed(0)
    keep_memory()
    image, labels = make_patch(arguments.size)
    network = build_unet(Model(preset=preset), device="cpu").train()
    optimizer = torch.optim.AdamW(network.parameters(), lr=1e-4)
    losses = {
        "cross entropy and Dice": lambda heads: compute_shipped(heads, labels, TWO),
        "six terms": lambda heads: compute_shipped(heads, labels, SIX),
        "six terms, naive": lambda heads: compute_naive(heads, labels),
    }

    def step(loss) -> tuple[float, float]:
        wall, processor = time.perf_counter(), time.process_time()
        optimizer.zero_grad(set_to_none=True)
        loss(network(image)).backward()
        optimizer.step()
        return time.perf_counter() - wall, time.process_time() - processor

    seconds: dict[str, list[tuple[float, float]]] = {name: [] for name in losses}
    step(losses["six terms"])  # compiles the loops, makes the optimizer's moments
    for _ in range(rounds):
        for name, loss in losses.items():
            seconds[name].append(step(loss))

    count = sum(parameter.numel() for parameter in network.parameters())
    lines = [
        f"# A training step of `{preset}` ({count / 1e6:.1f} M parameters) at {arguments.size}^3",
        "",
        f"{platform.machine()}, Python {platform.python_version()}, torch {torch.__version__}, "
        f"one thread, {rounds} rounds alternating. Least seconds by the clock, and of the "
        "processor, which other work on the machine disturbs less.",
        "",
        "| loss | clock, s | times two terms | processor, s | times two terms |",
        "| --- | ---: | ---: | ---: | ---: |",
    ]
    least = {name: np.min(values, axis=0) for name, values in seconds.items()}
    base = next(iter(least.values()))
    for name, (wall, processor) in least.items():
        lines.append(
            f"| {name} | {wall:.3f} | {wall / base[0]:.2f} "
            f"| {processor:.3f} | {processor / base[1]:.2f} |"
        )
    text = "\n".join(lines) + "\n"
    print(text)
    if arguments.record:
        RESULTS.parent.mkdir(exist_ok=True)
        RESULTS.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
