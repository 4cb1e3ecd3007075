"""The term that measures distance: predicted surface far from the label, label left uncovered."""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch.nn import functional

from napari_surfseg.losses.prediction import Prediction, in_float32, sum_of_products
from napari_surfseg.losses.whole_batch import is_batch_divided, of_whole_batch
from napari_surfseg.surfaces.distance import truncated_edt

if TYPE_CHECKING:
    from collections.abc import Sequence

    from torch import Tensor

    from napari_surfseg.geometry import Size3, Spacing3

__all__ = ["DistanceTarget", "compute_distance_target", "surface_distance"]


@dataclass(frozen=True)
class DistanceTarget:
    """The label's side of the distance term, no gradient.

    Attributes
    ----------
    weight : Tensor
        Distance to the label over the tolerance, at most 1; float ``(B, 1, Z, Y, X)``.
    voxels : Tensor
        Label voxels as flat indices into the volume padded by ``reach``.
    reach : tuple of int
        Voxels within the tolerance along Z, Y, X.
    offsets : Tensor of int64
        Flat steps, in the padded volume, to every voxel within the tolerance.
    """

    weight: Tensor
    voxels: Tensor
    reach: Size3
    offsets: Tensor


@torch.no_grad()
def compute_distance_target(
    y: Tensor,
    *,
    tolerance: float = 2.0,
    spacing: Spacing3 = (1.0, 1.0, 1.0),
) -> DistanceTarget:
    """Compute what the distance term needs of a label, once per patch.

    Parameters
    ----------
    y : Tensor
        1 on the surface, 0 elsewhere; shape ``(B, 1, Z, Y, X)``.
    tolerance : float
        Distance, in the unit of ``spacing``, at which the weight is full.
    spacing : tuple of float
        Z, Y, X voxel size.
    """
    label = y > 0.5
    weight = truncated_edt(label, tolerance, spacing).div_(tolerance)
    reach = tuple(math.floor(tolerance / step + 1e-6) for step in spacing)
    padded = functional.pad(label, _margins(reach))
    steps = (padded.shape[3] * padded.shape[4], padded.shape[4], 1)
    offsets = [
        sum(part * step for part, step in zip(offset, steps, strict=True))
        for offset in itertools.product(*(range(-margin, margin + 1) for margin in reach))
        if math.dist((0, 0, 0), [part * step for part, step in zip(offset, spacing, strict=True)])
        <= tolerance * (1 + 1e-6)
    ]
    voxels = padded.flatten().nonzero().flatten()
    return DistanceTarget(weight, voxels, (reach[0], reach[1], reach[2]), torch.tensor(offsets))


@in_float32
def surface_distance(
    logits: Tensor | Prediction,
    y: Tensor,
    mask: Tensor | None = None,
    *,
    tolerance: float = 2.0,
    spacing: Spacing3 = (1.0, 1.0, 1.0),
    smooth: float = 1.0,
    target: DistanceTarget | None = None,
) -> Tensor:
    """Mean of how far the predicted surface lies off and how much of the label it leaves uncovered.

    The mean of ``sum(w p) / sum(p)`` with ``w = min(distance to label / tau, 1)``
    and of ``sum over y of (1 - max of p within tau) / sum(y)``. Weighting ``p``
    where there is no surface, not ``1 - p``, is what keeps a filled volume from
    being rewarded.

    Parameters
    ----------
    logits : Tensor or Prediction
        Shape ``(B, 1, Z, Y, X)``.
    y : Tensor
        1 on the surface, 0 elsewhere, 0 where ignored; same shape.
    mask : Tensor of bool, optional
        True where supervised; a Prediction brings its own.
    tolerance : float
        ``tau``, in the unit of ``spacing``.
    spacing : tuple of float
        Z, Y, X voxel size.
    smooth : float
        Added to the denominators, in voxels; two empty volumes match.
    target : DistanceTarget, optional
        The label's side where it is known already.

    Returns
    -------
    Tensor
        Scalar in [0, 1].

    References
    ----------
    Kervadec et al., Boundary loss for highly unbalanced segmentation, MIDL
    2019. Nikolov et al., Clinically applicable segmentation of head and neck
    anatomy for radiotherapy, 2021 (surface Dice).
    """
    probs = Prediction.of(logits, mask).probs
    target = target or compute_distance_target(y, tolerance=tolerance, spacing=spacing)
    if is_batch_divided():
        off, predicted, uncovered, present = of_whole_batch(
            sum_of_products(probs, target.weight).sum(),
            probs.sum(),
            (1 - _best_within(probs, target)).sum(),
            probs.new_tensor(float(target.voxels.numel())),
        )
        return 0.5 * (off / (predicted + smooth) + uncovered / (present + smooth))
    stray = sum_of_products(probs, target.weight).sum() / (probs.sum() + smooth)
    uncovered = (1 - _best_within(probs, target)).sum() / (target.voxels.numel() + smooth)
    return 0.5 * (stray + uncovered)


def _best_within(probs: Tensor, target: DistanceTarget) -> Tensor:
    """Greatest probability within the tolerance of each label voxel.

    Only label voxels are asked for and they are few, so the neighbours are
    gathered one offset at a time; the gradient goes to the greatest alone.
    """
    padded = functional.pad(probs, _margins(target.reach)).flatten()
    if _has_kernel(padded):
        # numba takes half a second to import, which only the CPU path needs.
        from napari_surfseg.losses import kernels

        where = torch.empty_like(target.voxels)
        kernels.best_within(
            padded.detach().numpy(), target.voxels.numpy(), target.offsets.numpy(), where.numpy()
        )
        return padded[where]
    with torch.no_grad():
        best = padded[target.voxels]
        where = target.voxels
        for offset in target.offsets.tolist():
            neighbour = target.voxels + offset
            values = padded[neighbour]
            where = torch.where(values > best, neighbour, where)
            best = torch.maximum(best, values)
    return padded[where]


def _margins(reach: Sequence[int]) -> list[int]:
    """Pad by ``reach`` on either side, as torch wants it: the last axis first."""
    return [margin for margin in reversed(reach) for _ in range(2)]


def _has_kernel(values: Tensor) -> bool:
    return values.device.type == "cpu"
