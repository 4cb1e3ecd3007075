"""The weighted sum of the loss terms, over one or several heads of the network."""

from __future__ import annotations

import functools
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, TypeVar

import torch
from torch.nn import functional

from napari_surfseg.losses.prediction import Prediction, in_float32
from napari_surfseg.losses.skeleton import (
    SkeletonTarget,
    cldice,
    compute_recall_target,
    compute_skeleton_target,
    morph_skeleton,
    skeleton_recall,
)
from napari_surfseg.losses.surface import (
    DistanceTarget,
    compute_distance_target,
    surface_distance,
)
from napari_surfseg.losses.topology import EulerTarget, compute_euler_target, toploss_simple
from napari_surfseg.losses.voxel import soft_dice, weighted_bce

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from torch import Tensor

__all__ = [
    "TERMS",
    "VOXEL_TERMS",
    "LossResult",
    "LossTargets",
    "compute_combined_loss",
    "compute_loss_targets",
    "weights_at_step",
]

#: Every term, in the order in which they are logged and shown.
TERMS = (
    "weighted_bce",
    "soft_dice",
    "cldice",
    "morph_skeleton",
    "surface_distance",
    "toploss_simple",
    "skeleton_recall",
)

_T = TypeVar("_T")

#: The terms that coarse heads are scored with, and that are evaluated at every step.
VOXEL_TERMS = ("weighted_bce", "soft_dice")


@dataclass(frozen=True)
class LossTargets:
    """The labels' side of the loss at one resolution; no gradient.

    Attributes
    ----------
    y : Tensor
        Float, 1 on the surface, 0 elsewhere and where ignored; ``(B, 1, Z, Y, X)``.
    mask : Tensor of bool
        True where supervised.
    complete : bool
        Nothing is ignored, so that masking can be skipped.
    skeleton, distance, euler, recall : optional
        What the wanted terms need, else None.
    """

    y: Tensor
    mask: Tensor
    complete: bool = False
    skeleton: SkeletonTarget | None = None
    distance: DistanceTarget | None = None
    euler: EulerTarget | None = None
    recall: Tensor | None = None


@dataclass(frozen=True)
class LossResult:
    """A loss and its parts.

    Attributes
    ----------
    total : Tensor
        What is differentiated: the heads' totals, weighted.
    head_total : Tensor
        The full-resolution head's: the sum of weight times term.
    terms : dict of Tensor
        Every evaluated term of the full-resolution head, raw, by name.
    """

    total: Tensor
    head_total: Tensor
    terms: dict[str, Tensor] = field(default_factory=dict)


@torch.no_grad()
def compute_loss_targets(
    labels: Tensor,
    *,
    weights: Mapping[str, float],
    skeleton_iterations: int = 3,
    tolerance: float = 2.0,
    spacing: tuple[float, float, float] = (1.0, 1.0, 1.0),
    euler_window: int = 16,
    head_shapes: Sequence[tuple[int, int, int]] = (),
    ignore_index: int = 2,
) -> list[LossTargets]:
    """Derive from labels all that the loss needs of them, once per patch.

    Parameters
    ----------
    labels : Tensor of uint8
        0 background, 1 surface, ``ignore_index`` not annotated; ``(B, 1, Z, Y, X)``.
    weights : mapping
        Weight of each term by name; what only terms of weight 0 need is not made.
    skeleton_iterations : int
        Erosions of the soft skeleton: half the greatest sheet thickness in voxels.
    tolerance : float
        Distance at which ``surface_distance`` saturates, in the unit of ``spacing``.
    spacing : tuple of float
        Z, Y, X voxel size.
    euler_window : int
        Edge of the windows of ``toploss_simple`` in voxels.
    head_shapes : sequence of (Z, Y, X)
        Shape of each head, full resolution first; empty for that one alone.
    ignore_index : int
        Label value that means "not annotated".

    Returns
    -------
    list of LossTargets
        One a head, full resolution first. A coarse voxel is surface if any of
        its voxels is; else ignored if any is ignored; else background.

    Raises
    ------
    ValueError
        If a weight names no term.
    """
    wanted = _wanted(weights)
    y = (labels == 1).float()
    mask = labels != ignore_index
    complete = not labels.is_cuda and bool(mask.all())
    known = None if complete else mask
    skeleton = distance = euler = recall = None
    if wanted & {"cldice", "morph_skeleton"}:
        skeleton = compute_skeleton_target(y, known, iterations=skeleton_iterations)
    if "surface_distance" in wanted:
        distance = compute_distance_target(y, tolerance=tolerance, spacing=spacing)
    if "toploss_simple" in wanted:
        euler = compute_euler_target(y, known, window=euler_window)
    if "skeleton_recall" in wanted:
        recall = compute_recall_target(y, known, spacing=spacing)
    targets = [LossTargets(y, mask, complete, skeleton, distance, euler, recall)]
    # Ordered by who wins in a coarse voxel: surface over ignored over background.
    rank = y if complete else torch.where(mask, y, 0.5)
    for shape in head_shapes[1:]:
        rank = _pool_to(rank, shape)
        targets.append(LossTargets((rank == 1).float(), rank != 0.5, complete))
    return targets


def _pool_to(values: Tensor, shape: tuple[int, int, int]) -> Tensor:
    """Greatest value in each coarse voxel."""
    sizes = values.shape[2:]
    if any(size % coarse for size, coarse in zip(sizes, shape, strict=True)):
        return functional.adaptive_max_pool3d(values, shape)
    for axis, (size, coarse) in enumerate(zip(sizes, shape, strict=True), start=2):
        factor = size // coarse
        blocks = (*values.shape[:axis], coarse, factor, *values.shape[axis + 1 :])
        layers = values.reshape(blocks).unbind(axis + 1)
        values = functools.reduce(torch.maximum, layers)
    return values


@in_float32
def compute_combined_loss(
    heads: Sequence[Tensor],
    targets: Sequence[LossTargets],
    weights: Mapping[str, float],
    *,
    pos_weight: float = 2.8,
) -> LossResult:
    """Score the heads of a network.

    The full-resolution head is scored with every term of positive weight. A
    coarse head is scored at its own resolution with ``weighted_bce`` and
    ``soft_dice`` only: at a half or a quarter of the resolution a sheet two
    voxels thick has no skeleton or topology worth comparing. The heads count
    1, 1/2, 1/4, ... normalised to sum 1. Without any weight on the two voxel
    terms the coarse heads are left out.

    Parameters
    ----------
    heads : sequence of Tensor
        Logits ``(B, 1, Z, Y, X)``, full resolution first.
    targets : sequence of LossTargets
        From :func:`compute_loss_targets`, one a head.
    weights : mapping
        Weight of each term by name.
    pos_weight : float
        Weight of a surface voxel in ``weighted_bce``.

    Returns
    -------
    LossResult

    Raises
    ------
    ValueError
        If a weight names no term, no term has a weight, or a target is missing.
    """
    wanted = _wanted(weights)
    if not wanted:
        raise ValueError("at least one loss weight must be above 0")
    if len(targets) < len(heads):
        raise ValueError(f"{len(heads)} heads need as many targets, not {len(targets)}")
    terms = _compute_terms(heads[0], targets[0], wanted, pos_weight)
    head_total = _weighted_sum(terms, weights)
    coarse_wanted = wanted & set(VOXEL_TERMS)
    if len(heads) == 1 or not coarse_wanted:
        return LossResult(head_total, head_total, terms)
    totals = [head_total] + [
        _weighted_sum(_compute_terms(head, target, coarse_wanted, pos_weight), weights)
        for head, target in zip(heads[1:], targets[1:], strict=False)
    ]
    shares = [0.5**level for level in range(len(totals))]
    total = sum(
        (share * value for share, value in zip(shares, totals, strict=True)),
        start=torch.zeros_like(head_total),
    )
    return LossResult(total / sum(shares), head_total, terms)


def weights_at_step(weights: Mapping[str, float], step: int, interval: int = 1) -> dict[str, float]:
    """Weights of the terms evaluated at an optimizer step.

    The voxel terms are evaluated at every step, the others at every
    ``interval``-th, counted in optimizer steps from 0; a term left out is
    neither replaced nor logged.
    """
    due = step % interval == 0
    return {
        name: weight
        for name, weight in weights.items()
        if weight > 0 and (due or name in VOXEL_TERMS)
    }


def _wanted(weights: Mapping[str, float]) -> set[str]:
    unknown = [name for name in weights if name not in TERMS]
    if unknown:
        raise ValueError(f"there is no loss term {unknown[0]!r}; there are {', '.join(TERMS)}")
    return {name for name, weight in weights.items() if weight > 0}


def _compute_terms(
    logits: Tensor, target: LossTargets, wanted: set[str], pos_weight: float
) -> dict[str, Tensor]:
    y = target.y
    shared = Prediction(logits, None if target.complete else target.mask)
    terms: dict[str, Tensor] = {}
    for name in TERMS:
        if name not in wanted:
            continue
        match name:
            case "weighted_bce":
                terms[name] = weighted_bce(shared, y, pos_weight=pos_weight)
            case "soft_dice":
                terms[name] = soft_dice(shared, y)
            case "cldice":
                terms[name] = cldice(shared, y, target=_made(target.skeleton, name))
            case "morph_skeleton":
                terms[name] = morph_skeleton(shared, y, target=_made(target.skeleton, name))
            case "surface_distance":
                terms[name] = surface_distance(shared, y, target=_made(target.distance, name))
            case "toploss_simple":
                terms[name] = toploss_simple(shared, y, target=_made(target.euler, name))
            case "skeleton_recall":
                terms[name] = skeleton_recall(shared, y, target=_made(target.recall, name))
    return terms


def _made(part: _T | None, name: str) -> _T:
    if part is None:
        raise ValueError(f"the targets were made without what {name} needs")
    return part


def _weighted_sum(terms: Mapping[str, Tensor], weights: Mapping[str, float]) -> Tensor:
    return torch.stack([weights[name] * value for name, value in terms.items()]).sum()
