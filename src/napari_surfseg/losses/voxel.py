"""The terms that look at one voxel at a time: cross entropy and Dice."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch
from torch.nn import functional

from napari_surfseg.losses.prediction import Prediction, in_float32, sum_of_products
from napari_surfseg.losses.whole_batch import is_batch_divided, mean_over_batch, of_whole_batch

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
        True where supervised; a Prediction brings its own.
    pos_weight : float
        Weight of a surface voxel against a background voxel.

    Returns
    -------
    Tensor
        Scalar, 0 or more; tends to 0 as the logits grow in the right direction.
    """
    prediction = Prediction.of(logits, mask)
    target = y.to(prediction.logits.dtype)
    total: Tensor = _CrossEntropy.apply(  # type: ignore[no-untyped-call]
        prediction.logits, prediction.probs.detach(), target, pos_weight
    )
    mask = prediction.mask
    if is_batch_divided():
        present = total.new_tensor(float(target.numel())) if mask is None else mask.sum().to(total)
        total, present = of_whole_batch(total, present)
        return total / present.clamp(min=1)
    count = target.numel() if mask is None else mask.sum().clamp(min=1)
    return total / count


class _CrossEntropy(torch.autograd.Function):
    """Sum of the weighted cross entropy; its gradient needs only the probabilities.

    Those exist already for the other terms. Autograd would take a logarithm's
    derivative instead, at twice the cost of the rest of this term.
    """

    @staticmethod
    def forward(ctx: Any, logits: Tensor, probs: Tensor, y: Tensor, pos_weight: float) -> Tensor:
        """Sum softplus of the logits, signed so that right is negative."""
        signed = torch.addcmul(logits, logits, y, value=-2)
        # An ignored voxel (logit -1e4, target 0) adds exactly nothing.
        losses = functional.softplus(signed)
        ctx.save_for_backward(probs, y)
        ctx.pos_weight = pos_weight
        return losses.sum() + (pos_weight - 1) * sum_of_products(losses, y).sum()

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None, None, None]:
        """Give ``p - y`` off the surface and ``pos_weight`` times that on it."""
        probs, y = ctx.saved_tensors
        slope = torch.addcmul(probs, probs, y, value=ctx.pos_weight - 1)
        slope.add_(y, alpha=-ctx.pos_weight)
        return slope.mul_(gradients[0]), None, None, None


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
        True where supervised; a Prediction brings its own.
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
    return mean_over_batch(missed / (predicted + present + smooth))
