"""The terms that look at one voxel at a time: cross entropy and Dice."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch.nn import functional

from napari_surfseg.losses.prediction import Prediction, in_float32, sum_of_products

if TYPE_CHECKING:
    from torch import Tensor

__all__ = ["soft_dice", "weighted_bce"]


@in_float32
def weighted_bce(
    logits: Tensor | Prediction,
    y: Tensor,
    mask: Tensor | None = None,
    *,
    pos_weight: float = 2.8,
) -> Tensor:
    """Binary cross entropy with heavier surface voxels, averaged over supervised voxels.

    Parameters
    ----------
    logits : Tensor or Prediction
        Shape ``(B, 1, Z, Y, X)``.
    y : Tensor
        1 on the surface, 0 elsewhere, 0 where ignored; same shape.
    mask : Tensor of bool, optional
        True where supervised.
    pos_weight : float
        Weight of a surface voxel against a background voxel.

    Returns
    -------
    Tensor
        Scalar, 0 or more; tends to 0 as the logits grow in the right direction.
    """
    prediction = Prediction.of(logits, mask)
    target = y.to(prediction.logits.dtype)
    weight = torch.full((), pos_weight, dtype=target.dtype, device=target.device)
    # An ignored voxel (logit -1e4, target 0) adds exactly nothing to the sum.
    total = functional.binary_cross_entropy_with_logits(
        prediction.logits, target, pos_weight=weight, reduction="sum"
    )
    count = target.numel() if mask is None else mask.sum().clamp(min=1)
    return total / count


@in_float32
def soft_dice(
    logits: Tensor | Prediction,
    y: Tensor,
    mask: Tensor | None = None,
    *,
    smooth: float = 1.0,
) -> Tensor:
    """Soft Dice loss of each sample, averaged over the batch.

    ``1 - (2 sum(py) + s) / (sum(p) + sum(y) + s)``, computed as
    ``(sum(p(1-y)) + sum((1-p)y)) / (sum(p) + sum(y) + s)``: the same for a 0/1
    target, and never negative by rounding.

    Parameters
    ----------
    logits : Tensor or Prediction
        Shape ``(B, 1, Z, Y, X)``.
    y : Tensor
        1 on the surface, 0 elsewhere, 0 where ignored; same shape.
    mask : Tensor of bool, optional
        True where supervised.
    smooth : float
        ``s``, in voxels; makes two empty volumes a perfect match.

    Returns
    -------
    Tensor
        Scalar in [0, 1].
    """
    probs = Prediction.of(logits, mask).probs
    target = y.to(probs.dtype)
    overlap = sum_of_products(probs, target)
    predicted = probs.flatten(1).sum(1)
    present = target.flatten(1).sum(1)
    missed = (predicted - overlap).clamp(min=0) + (present - overlap).clamp(min=0)
    return (missed / (predicted + present + smooth)).mean()
