"""Batches from a pool of volumes: cut out, turned, their grey values changed, normalised.

The network sees a patch as it will see one of a volume that is predicted: grey values are
normalised by the mean and the deviation of the whole volume (``data/intensity.py``).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch.nn import functional

if TYPE_CHECKING:
    from stream import VolumePair

    from napari_surfseg.geometry import Size3

__all__ = ["DrawSettings", "draw_batch"]


@dataclass(frozen=True)
class DrawSettings:
    """How patches are varied.

    Attributes
    ----------
    patches : tuple of (count, Z, Y, X)
        Batches of these sizes come in turn, at random.
    inverted : float
        Probability that dark and bright are exchanged.
    grey : float
        Strength of changes of gamma, contrast and brightness.
    noise : float
        Greatest deviation of added noise, as a share of the range.
    blurred : float
        Probability of a slight blur.
    misjudged : float
        Deviation of errors in the mean and (as a logarithm) the deviation that normalise.
    """

    patches: tuple[tuple[int, int, int, int], ...] = ((2, 48, 48, 48), (1, 64, 64, 64))
    inverted: float = 0.25
    grey: float = 1.0
    noise: float = 0.12
    blurred: float = 0.2
    misjudged: float = 0.1


def draw_batch(
    rng: np.random.Generator, pool: list[VolumePair], settings: DrawSettings
) -> tuple[torch.Tensor, torch.Tensor]:
    """Draw images and labels of one optimizer step: float32 and uint8, (B, 1, Z, Y, X)."""
    count, *size = settings.patches[int(rng.integers(len(settings.patches)))]
    images, labels = [], []
    for _ in range(count):
        pair = pool[int(rng.integers(len(pool)))]
        image, known = _cut(rng, pair, (size[0], size[1], size[2]))
        images.append(_vary(rng, image, pair, settings))
        labels.append(torch.from_numpy(known))
    return torch.stack(images)[:, None], torch.stack(labels)[:, None]


def _cut(rng: np.random.Generator, pair: VolumePair, size: Size3) -> tuple[Any, Any]:
    """Cut out a patch and turn or mirror it; of two places often the one with more surface."""
    best: tuple[float, Any] = (-1.0, None)
    order = rng.permutation(3)
    for _ in range(1 + int(rng.random() < 0.5)):
        box = []
        for axis in range(3):
            edge = size[int(np.argwhere(order == axis)[0, 0])]
            start = int(rng.integers(pair.image.shape[axis] - edge + 1))
            box.append(slice(start, start + edge))
        share = float((pair.labels[tuple(box)] == 1).mean())
        if share > best[0]:
            best = share, tuple(box)
    flips = tuple(slice(None, None, int(rng.choice([-1, 1]))) for _ in range(3))
    image, labels = (
        np.ascontiguousarray(volume[best[1]].transpose(order)[flips])
        for volume in (pair.image, pair.labels)
    )
    return image, labels


def _vary(
    rng: np.random.Generator, image: Any, pair: VolumePair, settings: DrawSettings
) -> torch.Tensor:
    levels = np.arange(256, dtype=np.float32)
    if rng.random() < 0.7:
        gamma = np.exp(0.25 * settings.grey * rng.standard_normal())
        contrast = np.exp(0.25 * settings.grey * rng.standard_normal())
        levels = 255 * (levels / 255) ** gamma
        levels = (levels - 127) * contrast + 127 + 25 * settings.grey * rng.standard_normal()
        levels = np.clip(levels, 0, 255)
    if rng.random() < settings.inverted:
        levels = 255 - levels
    # Of the whole volume, after the change: from its histogram.
    weights = pair.histogram
    mean = float((levels * weights).sum())
    deviation = float(np.sqrt(((levels - mean) ** 2 * weights).sum()))
    values = torch.from_numpy(levels.astype(np.float32)[image])
    if rng.random() < 0.5:
        strength = settings.noise * 255 * float(rng.random()) ** 2
        values += strength * torch.from_numpy(rng.standard_normal(image.shape, np.float32))
        deviation = float(np.hypot(deviation, strength))
    if rng.random() < settings.blurred:
        values = _blur(values, float(rng.uniform(0.05, 0.25)))
    mean += settings.misjudged * deviation * float(rng.standard_normal())
    deviation *= float(np.exp(settings.misjudged * rng.standard_normal()))
    return (values - mean) / max(deviation, 1.0)


def _blur(values: torch.Tensor, share: float) -> torch.Tensor:
    padded = functional.pad(values[None, None], (1,) * 6, mode="replicate")[0, 0]
    for axis in range(3):
        n = padded.shape[axis] - 2
        middle = padded.narrow(axis, 1, n)
        beside = padded.narrow(axis, 0, n) + padded.narrow(axis, 2, n)
        padded = (1 - 2 * share) * middle + share * beside
    return padded
