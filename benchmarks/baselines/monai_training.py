"""A plain MONAI training script, for the two MONAI baselines.

What somebody who knows MONAI writes for minutes on a CPU: whole volume in memory,
``RandCropByPosNegLabeld``, flips, quarter turns and intensity jitter, ``DiceCELoss``, AdamW with
one cycle that spans the time budget, clipped gradients, averaged weights, patches small enough for
many steps, ``sliding_window_inference`` with Gaussian blending, and a threshold chosen on the
training volume. Nothing from napari_surfseg is used.
"""

from __future__ import annotations

import math
import time
from typing import TYPE_CHECKING

import numpy as np
import tifffile
import torch
from baseline_io import choose_threshold, write_result
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
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

if TYPE_CHECKING:
    import argparse
    from collections.abc import Callable

#: One sample alone would take PyTorch's slow path for small convolutions on a CPU.
BATCH_SIZE = 2
LONGEST_PATCH = 48
#: Of the budget.
WARM_UP_SHARE = 0.2
START_SHARE = 0.04
AVERAGE_DECAY = 0.98
#: Of the training volume, from its middle, for the threshold.
LONGEST_CHECKED = 96


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
    image = _normalise(image)
    patch = tuple(min(LONGEST_PATCH, max(16, size // 16 * 16)) for size in image.shape)

    start = time.perf_counter()
    network = build_network().to(device)
    average, steps = _train(
        network,
        image,
        labels,
        patch=patch,
        learning_rate=learning_rate,
        deadline=start + arguments.seconds,
        device=device,
    )
    train_seconds = time.perf_counter() - start

    def predict(volume: np.ndarray) -> np.ndarray:
        with torch.inference_mode():
            logits = sliding_window_inference(
                torch.from_numpy(volume)[None, None].to(device),
                # As in training: instance normalisation sees the same amount of each volume.
                roi_size=patch,
                sw_batch_size=1,
                predictor=average,
                overlap=0.5,
                mode="gaussian",
            )
        return torch.sigmoid(logits)[0, 0].cpu().numpy()

    middle = tuple(
        slice(max(0, (size - LONGEST_CHECKED) // 2), (size + LONGEST_CHECKED + 1) // 2)
        for size in labels.shape
    )
    known = labels[middle] != 2
    threshold = choose_threshold(predict(image[middle])[known], labels[middle][known] == 1)
    probs = predict(_normalise(tifffile.imread(arguments.test_image).astype(np.float32)))
    write_result(
        arguments.output, probs, train_seconds=train_seconds, steps=steps, threshold=threshold
    )


def _normalise(volume: np.ndarray) -> np.ndarray:
    """Each volume by its own grey values, as MONAI's ``NormalizeIntensity`` does."""
    return (volume - volume.mean()) / volume.std()


def _train(
    network: torch.nn.Module,
    image: np.ndarray,
    labels: np.ndarray,
    *,
    patch: tuple[int, ...],
    learning_rate: float,
    deadline: float,
    device: torch.device,
) -> tuple[torch.nn.Module, int]:
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
    optimizer = torch.optim.AdamW(network.parameters(), lr=learning_rate, weight_decay=1e-4)
    network.train()
    average = AveragedModel(
        network,
        multi_avg_fn=get_ema_multi_avg_fn(AVERAGE_DECAY),
        use_buffers=True,
    )
    steps = 0
    while (now := time.perf_counter()) < deadline:
        for group in optimizer.param_groups:
            group["lr"] = learning_rate * _one_cycle((now - begin) / (deadline - begin))
        crops = augment(volume)
        batch = {key: torch.stack([crop[key] for crop in crops]).to(device) for key in keys}
        supervised = batch["mask"] > 0
        # DiceCELoss knows no ignore: a confident, right answer there adds nothing to it.
        heads = network(batch["image"])
        # A network with deep supervision stacks its outputs, each half as important as the last.
        heads = [heads] if heads.ndim == 5 else heads.unbind(1)
        shares = [0.5**index for index in range(len(heads))]
        loss = sum(
            share
            / sum(shares)
            * loss_function(torch.where(supervised, head, -30.0), batch["label"] * supervised)
            for head, share in zip(heads, shares, strict=True)
        )
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(network.parameters(), 1.0)
        optimizer.step()
        average.update_parameters(network)
        steps += 1
    return average.eval(), steps


def _one_cycle(progress: float) -> float:
    """Share of the peak: a cosine up, then a cosine down to nothing."""
    if progress < WARM_UP_SHARE:
        rise = 0.5 * (1 - math.cos(math.pi * progress / WARM_UP_SHARE))
        return START_SHARE + (1 - START_SHARE) * rise
    return 0.5 * (1 + math.cos(math.pi * (progress - WARM_UP_SHARE) / (1 - WARM_UP_SHARE)))
