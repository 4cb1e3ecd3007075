"""The terms that compare skeletons: clDice, the morphological skeleton, skeleton recall.

The skeleton is Lantuejoul's with 3x3x3 erosion: what the opening of the
``i``-times eroded volume loses, collected over ``i``. On a sheet it is the
medial surface, in any orientation; the cross-shaped erosion of the original
clDice keeps a fifth of a tilted sheet two voxels thick, this one all of it.

Both terms share one skeleton of the prediction. Near an ignored region no
skeleton can be known, so the terms leave out a margin of ``iterations`` voxels
around it: skeletonised first, masked second.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch

from napari_surfseg.losses.pools import dilate, soft_skeleton
from napari_surfseg.losses.prediction import (
    Prediction,
    fill_ignored,
    in_float32,
    sum_of_products,
)
from napari_surfseg.losses.whole_batch import of_whole_batch
from napari_surfseg.surfaces.medial import compute_medial_surface

if TYPE_CHECKING:
    from torch import Tensor

    from napari_surfseg.geometry import Spacing3

__all__ = [
    "SkeletonTarget",
    "cldice",
    "compute_recall_target",
    "compute_skeleton_target",
    "morph_skeleton",
    "skeleton_recall",
]


@dataclass(frozen=True)
class SkeletonTarget:
    """The label's side of the skeleton terms; float tensors of ``(B, 1, Z, Y, X)``, no gradient.

    Attributes
    ----------
    skeleton : Tensor
        Skeleton of the label, 0 or 1, within ``core``.
    inside : Tensor
        The label within ``core``.
    core : Tensor
        1 where a skeleton can be known: supervised and farther than
        ``iterations`` voxels from anything ignored.
    iterations : int
        Erosions the skeleton was made with.
    """

    skeleton: Tensor
    inside: Tensor
    core: Tensor
    iterations: int


@torch.no_grad()
def compute_skeleton_target(
    y: Tensor, mask: Tensor | None = None, *, iterations: int = 3
) -> SkeletonTarget:
    """Compute what the skeleton terms need of a label, once per patch.

    Parameters
    ----------
    y : Tensor
        1 on the surface, 0 elsewhere; shape ``(B, 1, Z, Y, X)``.
    mask : Tensor of bool, optional
        True where supervised.
    iterations : int
        Erosions: half the greatest sheet thickness in voxels.
    """
    target = y.float()
    skeleton = soft_skeleton(fill_ignored(target, mask), iterations)
    if mask is None:
        return SkeletonTarget(skeleton, target, torch.ones_like(target), iterations)
    ignored = (~mask).float()
    for _ in range(iterations):
        ignored = dilate(ignored)
    core = 1 - ignored
    return SkeletonTarget(skeleton * core, target * core, core, iterations)


@in_float32
def cldice(
    logits: Tensor | Prediction,
    y: Tensor,
    mask: Tensor | None = None,
    *,
    iterations: int = 3,
    smooth: float = 1.0,
    target: SkeletonTarget | None = None,
) -> Tensor:
    """Centreline Dice, here of medial surfaces: a hole or a bridge costs as much as its skeleton.

    ``1 - 2 Tp Ts / (Tp + Ts)`` with the precision ``Tp``, the share of the
    prediction's skeleton inside the label, and the recall ``Ts``, the share of
    the label's skeleton covered by the prediction.

    Parameters
    ----------
    logits : Tensor or Prediction
        Shape ``(B, 1, Z, Y, X)``.
    y : Tensor
        1 on the surface, 0 elsewhere, 0 where ignored; same shape.
    mask : Tensor of bool, optional
        True where supervised; a Prediction brings its own.
    iterations : int
        Erosions of the soft skeleton.
    smooth : float
        Added to both parts of both shares, in voxels; two empty volumes match.
    target : SkeletonTarget, optional
        The label's side where it is known already.

    Returns
    -------
    Tensor
        Scalar in [0, 1].

    References
    ----------
    Shit et al., clDice: a novel topology-preserving loss function for tubular
    structure segmentation, CVPR 2021.
    """
    prediction = Prediction.of(logits, mask)
    target = target or compute_skeleton_target(y, prediction.mask, iterations=iterations)
    skeleton = prediction.skeleton(target.iterations)
    predicted = sum_of_products(skeleton, target.core).sum()
    hit = sum_of_products(skeleton, target.inside).sum()
    present = target.skeleton.sum()
    covered = sum_of_products(prediction.probs, target.skeleton).sum()
    predicted, hit, present, covered = of_whole_batch(predicted, hit, present, covered)
    # The two shares' complements, so that a perfect prediction is exactly 0.
    imprecision = (predicted - hit).clamp(min=0) / (predicted + smooth)
    miss = (present - covered).clamp(min=0) / (present + smooth)
    precision, recall = 1 - imprecision, 1 - miss
    return (precision * miss + recall * imprecision) / (precision + recall)


@in_float32
def morph_skeleton(
    logits: Tensor | Prediction,
    y: Tensor,
    mask: Tensor | None = None,
    *,
    iterations: int = 3,
    smooth: float = 1.0,
    target: SkeletonTarget | None = None,
) -> Tensor:
    """Difference of the two skeletons, voxel by voxel, as a share of both.

    ``sum abs(S(p) - S(y)) / (sum S(p) + sum S(y) + eps)``.

    Parameters
    ----------
    logits : Tensor or Prediction
        Shape ``(B, 1, Z, Y, X)``.
    y : Tensor
        1 on the surface, 0 elsewhere, 0 where ignored; same shape.
    mask : Tensor of bool, optional
        True where supervised; a Prediction brings its own.
    iterations : int
        Erosions of the soft skeleton.
    smooth : float
        ``eps``, in voxels.
    target : SkeletonTarget, optional
        The label's side where it is known already.

    Returns
    -------
    Tensor
        Scalar in [0, 1].

    References
    ----------
    Lantuejoul, La squelettisation et son application aux mesures topologiques
    des mosaiques polycristallines, 1978.
    """
    prediction = Prediction.of(logits, mask)
    target = target or compute_skeleton_target(y, prediction.mask, iterations=iterations)
    skeleton = prediction.skeleton(target.iterations)
    predicted = sum_of_products(skeleton, target.core).sum()
    both = sum_of_products(skeleton, target.skeleton).sum()
    present = target.skeleton.sum()
    predicted, both, present = of_whole_batch(predicted, both, present)
    # The label's skeleton is 0 or 1, so the absolute difference is linear in the prediction's.
    difference = (predicted - both).clamp(min=0) + (present - both).clamp(min=0)
    return difference / (predicted + present + smooth)


@torch.no_grad()
def compute_recall_target(
    y: Tensor, mask: Tensor | None = None, *, spacing: Spacing3 = (1.0, 1.0, 1.0)
) -> Tensor:
    """Medial surface of the label, dilated by one voxel within it, once per patch.

    Returns
    -------
    Tensor
        Float, 0 or 1, shape of ``y``; 0 where ignored.
    """
    volumes = (y > 0.5).cpu().numpy()
    medial = torch.stack(
        [torch.from_numpy(compute_medial_surface(volume[0], spacing))[None] for volume in volumes]
    )
    target = dilate(medial.to(device=y.device, dtype=torch.float32)) * (y > 0.5)
    # Dilated within the label only, so that a perfect prediction covers all of it.
    return target if mask is None else target * mask


@in_float32
def skeleton_recall(
    logits: Tensor | Prediction,
    y: Tensor,
    mask: Tensor | None = None,
    *,
    spacing: Spacing3 = (1.0, 1.0, 1.0),
    smooth: float = 1.0,
    target: Tensor | None = None,
) -> Tensor:
    """Share of the label's medial surface that the prediction misses.

    ``1 - sum(p S) / sum(S)`` with ``S`` the medial surface of the label,
    dilated by one voxel within the label.

    Parameters
    ----------
    logits : Tensor or Prediction
        Shape ``(B, 1, Z, Y, X)``.
    y : Tensor
        1 on the surface, 0 elsewhere, 0 where ignored; same shape.
    mask : Tensor of bool, optional
        True where supervised; a Prediction brings its own.
    spacing : tuple of float
        Z, Y, X voxel size.
    smooth : float
        Added to the denominator, in voxels; no surface, no loss.
    target : Tensor, optional
        ``S`` where it is known already.

    Returns
    -------
    Tensor
        Scalar in [0, 1].

    References
    ----------
    Kirchhoff et al., Skeleton recall loss for connectivity conserving and
    resource efficient segmentation of thin tubular structures, ECCV 2024.
    """
    prediction = Prediction.of(logits, mask)
    if target is None:
        target = compute_recall_target(y, prediction.mask, spacing=spacing)
    present = target.sum()
    present, covered = of_whole_batch(present, sum_of_products(prediction.probs, target).sum())
    return (present - covered).clamp(min=0) / (present + smooth)
