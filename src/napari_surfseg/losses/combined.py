"""The weighted sum of the loss terms, over one or several heads of the network.

To add a term, write its function, give it to :data:`FUNCTIONS`, and describe it with an entry in
:data:`napari_surfseg.vocabulary.LOSS_TERMS`.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import torch
from torch.nn import functional

from napari_surfseg.cancelling import raise_if_stopped
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
from napari_surfseg.vocabulary import LOSS_TERMS

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

    from torch import Tensor

    from napari_surfseg.geometry import Size3, Spacing3

__all__ = [
    "FUNCTIONS",
    "VOXEL_TERMS",
    "LossResult",
    "LossSettings",
    "LossTargets",
    "compute_combined_loss",
    "compute_loss_targets",
    "terms_at_step",
]


@dataclass(frozen=True, kw_only=True)
class LossSettings:
    """The few numbers that the terms depend on.

    Attributes
    ----------
    pos_weight : float
        Weight of a surface voxel in ``weighted_bce``.
    skeleton_iterations : int
        Erosions of the soft skeleton: half the greatest sheet thickness in voxels.
    tolerance : float
        Distance at which ``surface_distance`` saturates, in the unit of ``spacing``.
    spacing : tuple of float
        Z, Y, X voxel size.
    euler_window : int
        Edge of the windows of ``toploss_simple`` in voxels.
    """

    pos_weight: float = 2.8
    skeleton_iterations: int = 3
    tolerance: float = 2.0
    spacing: Spacing3 = (1.0, 1.0, 1.0)
    euler_window: int = 16


@dataclass(frozen=True)
class LossTargets:
    """The labels' side of the loss at one resolution; no gradient.

    What single terms need of the labels is made when the first of them asks for it, and kept: a
    term without weight costs nothing, and one skeleton serves two terms.

    Attributes
    ----------
    y : Tensor
        Float, 1 on the surface, 0 elsewhere and where ignored; ``(B, 1, Z, Y, X)``.
    mask : Tensor of bool
        True where supervised.
    complete : bool
        Nothing is ignored, so that masking can be skipped.
    settings : LossSettings
        Of the terms.
    """

    y: Tensor
    mask: Tensor
    complete: bool = False
    settings: LossSettings = LossSettings()

    @property
    def known(self) -> Tensor | None:
        """The mask, or None where nothing is ignored."""
        return None if self.complete else self.mask

    @functools.cached_property
    def skeleton(self) -> SkeletonTarget:
        """Skeleton of the label."""
        iterations = self.settings.skeleton_iterations
        return compute_skeleton_target(self.y, self.known, iterations=iterations)

    @functools.cached_property
    def distance(self) -> DistanceTarget:
        """Distance to the label, up to the tolerance."""
        settings = self.settings
        return compute_distance_target(
            self.y, tolerance=settings.tolerance, spacing=settings.spacing
        )

    @functools.cached_property
    def euler(self) -> EulerTarget:
        """Euler characteristic of the label in windows."""
        return compute_euler_target(self.y, self.known, window=self.settings.euler_window)

    @functools.cached_property
    def medial(self) -> Tensor:
        """Medial surface of the label, dilated within it."""
        return compute_recall_target(self.y, self.known, spacing=self.settings.spacing)


#: Takes the prediction of a head and the labels' side of it; returns the raw term.
TermFunction = Callable[[Prediction, LossTargets], "Tensor"]

#: How each term of the vocabulary is computed.
FUNCTIONS: dict[str, TermFunction] = {
    "weighted_bce": lambda pred, target: weighted_bce(
        pred, target.y, pos_weight=target.settings.pos_weight
    ),
    "soft_dice": lambda pred, target: soft_dice(pred, target.y),
    "cldice": lambda pred, target: cldice(pred, target.y, target=target.skeleton),
    "morph_skeleton": lambda pred, target: morph_skeleton(pred, target.y, target=target.skeleton),
    "surface_distance": lambda pred, target: surface_distance(
        pred, target.y, target=target.distance
    ),
    "toploss_simple": lambda pred, target: toploss_simple(pred, target.y, target=target.euler),
    "skeleton_recall": lambda pred, target: skeleton_recall(pred, target.y, target=target.medial),
}

#: The terms that coarse heads are scored with, and that are evaluated at every step.
VOXEL_TERMS = ("weighted_bce", "soft_dice")


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
        Every evaluated term of the full-resolution head, raw, by key.
    """

    total: Tensor
    head_total: Tensor
    terms: dict[str, Tensor] = field(default_factory=dict)


@torch.no_grad()
def compute_loss_targets(
    labels: Tensor,
    settings: LossSettings | None = None,
    *,
    head_shapes: Sequence[Size3] = (),
    ignore_index: int = 2,
) -> list[LossTargets]:
    """Derive from labels what the loss needs of them, once per patch.

    Parameters
    ----------
    labels : Tensor of uint8
        0 background, 1 surface, ``ignore_index`` not annotated; ``(B, 1, Z, Y, X)``.
    settings : LossSettings, optional
        Of the terms.
    head_shapes : sequence of (Z, Y, X)
        Shape of each head, full resolution first; empty for that one alone.
    ignore_index : int
        Label value that means "not annotated".

    Returns
    -------
    list of LossTargets
        One a head, full resolution first. A coarse voxel is surface if any of
        its voxels is; else ignored if any is ignored; else background.
    """
    settings = settings or LossSettings()
    y = (labels == 1).float()
    mask = labels != ignore_index
    complete = not labels.is_cuda and bool(mask.all())
    targets = [LossTargets(y, mask, complete, settings)]
    # Ordered by who wins in a coarse voxel: surface over ignored over background.
    rank = y if complete else torch.where(mask, y, 0.5)
    for shape in head_shapes[1:]:
        rank = _pool_to(rank, shape)
        targets.append(LossTargets((rank == 1).float(), rank != 0.5, complete, settings))
    return targets


def _pool_to(values: Tensor, shape: Size3) -> Tensor:
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
    among: Collection[str] | None = None,
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
        Weight of each term by key; a term without one is not computed.
    among : collection of str, optional
        Terms that may be evaluated, as those of :func:`terms_at_step`; by default all.

    Returns
    -------
    LossResult

    Raises
    ------
    ValueError
        If a weight names no term, no term has a weight, or a target is missing.
    """
    wanted = _wanted(weights) & set(FUNCTIONS if among is None else among)
    if not wanted:
        raise ValueError("at least one loss weight must be above 0")
    if len(targets) < len(heads):
        raise ValueError(f"{len(heads)} heads need as many targets, not {len(targets)}")
    coarse_wanted = wanted & set(VOXEL_TERMS)
    scored: list[dict[str, Tensor]] = []
    totals: list[Tensor] = []
    for logits, target in zip(heads if coarse_wanted else heads[:1], targets, strict=False):
        prediction = Prediction(logits, target.known)
        keys = coarse_wanted if scored else wanted
        terms = {}
        for key in LOSS_TERMS:
            if key in keys:
                raise_if_stopped()
                terms[key] = FUNCTIONS[key](prediction, target)
        scored.append(terms)
        totals.append(torch.stack([weights[key] * value for key, value in terms.items()]).sum())
    if len(totals) == 1:
        return LossResult(totals[0], totals[0], scored[0])
    shares = [0.5**level for level in range(len(totals))]
    total = sum(
        (share * value for share, value in zip(shares, totals, strict=True)),
        start=torch.zeros_like(totals[0]),
    )
    return LossResult(total / sum(shares), totals[0], scored[0])


def terms_at_step(step: int, interval: int = 1) -> Collection[str]:
    """Keys of the terms evaluated at an optimizer step, counted from 0.

    The voxel terms are evaluated at every step, the others at every ``interval``-th; a term left
    out is neither replaced nor logged.
    """
    return FUNCTIONS if step % interval == 0 else VOXEL_TERMS


def _wanted(weights: Mapping[str, float]) -> set[str]:
    unknown = [key for key in weights if key not in FUNCTIONS]
    if unknown:
        known = ", ".join(FUNCTIONS)
        raise ValueError(f"there is no loss term {unknown[0]!r}; there are {known}")
    return {key for key, weight in weights.items() if weight > 0}
