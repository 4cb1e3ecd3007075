"""Skeleton losses beside MONAI's, and the truncated distance beside SciPy's.

Skeletons: ``cldice`` and ``morph_skeleton`` together, value and gradient, the
label's side included, on wavy sheets predicted with noise. Against MONAI's
``SoftclDiceLoss`` at 10 iterations plus a second skeleton term written with its
``soft_skel``, as one would without sharing. The gradient is compared with the
exact one: the same definition in double precision, autograd through every
pooling.

Distance: ``truncated_edt`` against ``scipy.ndimage.distance_transform_edt``, and
the greatest difference within the radius.

    python benchmarks/losses.py [--quick] [--record] [--size 128]
"""

from __future__ import annotations

import argparse
import ctypes
import inspect
import os
import platform
import sys
import time
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np
import torch
from monai.losses.cldice import SoftclDiceLoss, soft_skel
from scipy import ndimage

from napari_surfseg.losses.prediction import Prediction
from napari_surfseg.losses.skeleton import cldice, compute_skeleton_target, morph_skeleton
from napari_surfseg.surfaces.distance import truncated_edt

RESULTS = Path(__file__).parent / "results" / "losses.md"


def make_sheets(edge: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Make wavy sheets three voxels thick, and logits that find them with mistakes."""
    z, y, x = np.mgrid[:edge, :edge, :edge].astype(np.float32)
    wave = z + 5 * np.sin(y / 17) + 4 * np.cos(x / 23) + 0.3 * x
    labels = torch.from_numpy((np.mod(wave, 14) < 3).astype(np.float32))[None, None]
    generator = torch.Generator().manual_seed(0)
    noise = torch.randn(labels.shape, generator=generator)
    smooth = torch.nn.functional.avg_pool3d(noise, 3, 1, 1) * 5
    return labels, 2.5 * (2 * labels - 1) + smooth + 0.7 * noise


def compute_ours(logits: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
    """Both terms from one skeleton of the prediction and one of the label."""
    target = compute_skeleton_target(y, iterations=3)
    prediction = Prediction(logits)
    return cldice(prediction, y, target=target) + morph_skeleton(prediction, y, target=target)


def compute_exact(logits: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
    """Do the same in double precision, where every pooling is left to autograd."""
    target = compute_skeleton_target(y, iterations=3)
    parts = (target.skeleton, target.inside, target.core)
    target = type(target)(*(part.double() for part in parts), target.iterations)
    prediction = Prediction(logits)
    return cldice(prediction, y, target=target) + morph_skeleton(prediction, y, target=target)


def compute_monai(logits: torch.Tensor, y: torch.Tensor, iterations: int) -> torch.Tensor:
    """Use MONAI's loss as it is, and its skeleton again for the second term."""
    probs = torch.sigmoid(logits)
    if "include_background" in inspect.signature(SoftclDiceLoss).parameters:
        value = SoftclDiceLoss(iter_=iterations)(probs, y)
    else:
        # Before MONAI 1.6 it took the label first and dropped channel 0, so that a
        # one-channel prediction needs its background beside it.
        both = [torch.cat([1 - volume, volume], dim=1) for volume in (y, probs)]
        value = SoftclDiceLoss(iter_=iterations)(*both)
    predicted, present = soft_skel(probs, iterations), soft_skel(y, iterations)
    return value + (predicted - present).abs().sum() / (predicted.sum() + present.sum() + 1)


def differentiate(loss, logits: torch.Tensor) -> torch.Tensor:
    """Gradient of a loss."""
    logits = logits.detach().requires_grad_()
    (gradient,) = torch.autograd.grad(loss(logits), logits)
    return gradient


def time_interleaved(alternatives: dict, rounds: int) -> dict[str, list[float]]:
    """Processor seconds of each alternative, round after round.

    With one thread that is the clock's time, less what other work on the machine takes.
    """
    seconds: dict[str, list[float]] = {name: [] for name in alternatives}
    for function in alternatives.values():
        function()
    for _ in range(rounds):
        for name, function in alternatives.items():
            start = time.process_time()
            function()
            seconds[name].append(time.process_time() - start)
    return seconds


def keep_memory() -> None:
    """Let glibc keep freed blocks, as the worker's environment does, for all alternatives."""
    if sys.platform == "linux":
        libc = ctypes.CDLL("libc.so.6")
        libc.mallopt(-3, 1 << 30)  # M_MMAP_THRESHOLD
        libc.mallopt(-1, 2**31 - 1)  # M_TRIM_THRESHOLD


def measure_skeletons(edge: int, rounds: int) -> list[str]:
    """Time the skeleton terms and compare gradients."""
    y, logits = make_sheets(edge)
    alternatives = {
        "ours, 3 iterations, one shared skeleton": lambda: differentiate(
            lambda x: compute_ours(x, y), logits
        ),
        "MONAI SoftclDiceLoss + skeleton, 10 iterations": lambda: differentiate(
            lambda x: compute_monai(x, y, 10), logits
        ),
        "MONAI SoftclDiceLoss + skeleton, 3 iterations": lambda: differentiate(
            lambda x: compute_monai(x, y, 3), logits
        ),
    }
    seconds = time_interleaved(alternatives, rounds)
    ours = min(next(iter(seconds.values())))
    lines = [
        f"## clDice and skeleton terms, {edge}^3, forward and backward",
        "",
        "| | seconds, least | median | times ours |",
        "| --- | ---: | ---: | ---: |",
    ]
    for name, values in seconds.items():
        least, median = min(values), float(np.median(values))
        lines.append(f"| {name} | {least:.3f} | {median:.3f} | {least / ours:.1f} |")
    gradient = differentiate(lambda x: compute_ours(x, y), logits).double().flatten()
    exact = differentiate(lambda x: compute_exact(x, y.double()), logits.double()).flatten()
    cosine = torch.dot(gradient, exact) / (gradient.norm() * exact.norm())
    return [*lines, "", f"Cosine of our gradient to the exact one: {cosine.item():.6f}."]


def measure_distances(edge: int, rounds: int) -> list[str]:
    """Time the truncated distance and find its greatest error."""
    labels, _ = make_sheets(edge)
    mask = labels > 0
    outside = ~mask[0, 0].numpy()
    lines = [
        f"## Distance to the nearest surface voxel, {edge}^3",
        "",
        "| spacing | radius | SciPy, s | ours, s | times | greatest error within the radius |",
        "| --- | ---: | ---: | ---: | ---: | ---: |",
    ]
    for spacing in ((1.0, 1.0, 1.0), (2.0, 1.0, 0.7)):
        full = ndimage.distance_transform_edt(outside, sampling=spacing)
        for radius in (2.0, 4.0, 8.0):
            seconds = time_interleaved(
                {
                    "scipy": lambda spacing=spacing: ndimage.distance_transform_edt(
                        outside, sampling=spacing
                    ),
                    "ours": lambda radius=radius, spacing=spacing: truncated_edt(
                        mask, radius, spacing
                    ),
                },
                rounds,
            )
            theirs, ours = min(seconds["scipy"]), min(seconds["ours"])
            distance = truncated_edt(mask, radius, spacing)[0, 0].numpy()
            within = full < radius
            error = float(np.abs(distance - full)[within].max())
            lines.append(
                f"| {spacing[0]:g}, {spacing[1]:g}, {spacing[2]:g} | {radius:g} | {theirs:.3f} "
                f"| {ours:.3f} | {theirs / ours:.1f} | {error:.1e} |"
            )
    return lines


def main() -> None:
    """Run both parts and print the tables."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--size", type=int, default=128, help="edge of the volume")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--quick", action="store_true", help="a small volume, two rounds")
    parser.add_argument("--record", action="store_true", help=f"write {RESULTS.name}")
    arguments = parser.parse_args()
    edge, rounds = (48, 2) if arguments.quick else (arguments.size, arguments.rounds)
    torch.set_num_threads(1)
    keep_memory()
    lines = [
        "# Loss terms beside their alternatives",
        "",
        f"{platform.machine()}, Python {platform.python_version()}, torch {torch.__version__}, "
        f"one thread, {rounds} rounds alternating, processor seconds.",
        "",
        *measure_skeletons(edge, rounds),
        "",
        *measure_distances(edge, rounds),
    ]
    text = "\n".join(lines) + "\n"
    print(text)
    if arguments.record:
        RESULTS.parent.mkdir(exist_ok=True)
        RESULTS.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
