"""A plain MONAI training script, for the two MONAI baselines.

What a careful person writes from MONAI's own tutorials: whole volume in
memory, ``RandCropByPosNegLabeld``, flips, quarter turns and intensity jitter,
``DiceCELoss``, AdamW with a cosine schedule that spans the time budget, and
``sliding_window_inference`` with Gaussian blending. Nothing from
napari_surfseg is used.
"""

from __future__ import annotations

import math
import time
from typing import TYPE_CHECKING

import numpy as np
import tifffile
import torch
from baseline_io import write_result
from monai.inferers import sliding_window_inference
from monai.losses import DiceCELoss
from monai.transforms import (
    Compose,
    FgBgToIndicesd,
    RandCropByPosNegLabeld,
    RandFlipd,
    RandRotate90d,
    RandScaleIntensityd,
    RandShiftIntensityd,
    SpatialPadd,
)
from monai.utils import set_determinism

if TYPE_CHECKING:
    import argparse
    from collections.abc import Callable

BATCH_SIZE = 2
LONGEST_PATCH = 64
WARM_UP_STEPS = 10


def run_monai_baseline(
    build_network: Callable[[], torch.nn.Module],
    arguments: argparse.Namespace,
    *,
    learning_rate: float,
) -> None:
    """Train for the budget, then predict the test volume (which is not timed)."""
    torch.set_num_threads(arguments.threads)
    set_determinism(arguments.seed)
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    image = tifffile.imread(arguments.train_image).astype(np.float32)
    labels = tifffile.imread(arguments.train_labels)
    mean, std = float(image.mean()), float(image.std())
    patch = tuple(min(LONGEST_PATCH, max(16, size // 16 * 16)) for size in image.shape)

    start = time.perf_counter()
    network = build_network().to(device)
    steps = _train(
        network,
        (image - mean) / std,
        labels,
        patch=patch,
        learning_rate=learning_rate,
        deadline=start + arguments.seconds,
        device=device,
    )
    train_seconds = time.perf_counter() - start

    test = (tifffile.imread(arguments.test_image).astype(np.float32) - mean) / std
    network.eval()
    with torch.inference_mode():
        logits = sliding_window_inference(
            torch.from_numpy(test)[None, None].to(device),
            roi_size=patch,
            sw_batch_size=1,
            predictor=network,
            overlap=0.25,
            mode="gaussian",
        )
    probs = torch.sigmoid(logits)[0, 0].cpu().numpy()
    write_result(arguments.output, probs, train_seconds=train_seconds, steps=steps)


def _train(
    network: torch.nn.Module,
    image: np.ndarray,
    labels: np.ndarray,
    *,
    patch: tuple[int, ...],
    learning_rate: float,
    deadline: float,
    device: torch.device,
) -> int:
    begin = time.perf_counter()
    keys = ["image", "label", "mask"]
    volume = FgBgToIndicesd(keys="label")(
        SpatialPadd(keys=keys, spatial_size=patch)(
            {
                "image": image[None],
                "label": (labels == 1).astype(np.float32)[None],
                "mask": (labels != 2).astype(np.float32)[None],
            }
        )
    )
    augment = Compose(
        [
            RandCropByPosNegLabeld(
                keys=keys,
                label_key="label",
                fg_indices_key="label_fg_indices",
                bg_indices_key="label_bg_indices",
                spatial_size=patch,
                num_samples=BATCH_SIZE,
            ),
            *(RandFlipd(keys=keys, prob=0.5, spatial_axis=axis) for axis in range(3)),
            RandRotate90d(keys=keys, prob=0.5, spatial_axes=(1, 2)),
            RandScaleIntensityd(keys="image", factors=0.1, prob=0.5),
            RandShiftIntensityd(keys="image", offsets=0.1, prob=0.5),
        ]
    )
    loss_function = DiceCELoss(sigmoid=True)
    optimizer = torch.optim.AdamW(network.parameters(), lr=learning_rate, weight_decay=1e-5)
    network.train()
    steps = 0
    while (now := time.perf_counter()) < deadline:
        warm_up = min(1.0, (steps + 1) / WARM_UP_STEPS)
        cosine = 0.5 * (1 + math.cos(math.pi * (now - begin) / (deadline - begin)))
        for group in optimizer.param_groups:
            group["lr"] = learning_rate * warm_up * cosine
        crops = augment(volume)
        batch = {key: torch.stack([crop[key] for crop in crops]).to(device) for key in keys}
        supervised = batch["mask"] > 0
        # DiceCELoss knows no ignore: a confident, right answer there adds nothing to it.
        logits = torch.where(supervised, network(batch["image"]), -30.0)
        loss = loss_function(logits, batch["label"] * supervised)
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        optimizer.step()
        steps += 1
    return steps
