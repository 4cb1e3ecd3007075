"""All the metrics of a prediction in one dictionary."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from napari_surfseg.errors import DataError
from napari_surfseg.metrics.betti_matching import compute_topo_counts, compute_topo_score
from napari_surfseg.metrics.betti_numbers import compute_betti_numbers
from napari_surfseg.metrics.masks import prepare_masks
from napari_surfseg.metrics.surface import compute_dice, compute_surface_agreement
from napari_surfseg.metrics.variation_of_information import compute_voi

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from napari_surfseg.geometry import Spacing3

__all__ = ["compute_mean_dice", "compute_metrics", "compute_score"]

#: Weights of topology, surface Dice and variation of information in `score` (the challenge's).
TOPO_WEIGHT, SURFACE_WEIGHT, VOI_WEIGHT = 0.30, 0.35, 0.35

#: Shares of the time that are over after the surfaces, before and after Betti matching, as
#: measured on a noisy roll of 160^3.
SURFACE_SHARE, MATCHING_BEGINS, MATCHING_ENDS = 0.2, 0.35, 0.8


def compute_score(topo_score: float, surface_dice: float, voi_score: float) -> float:
    """Compute the challenge's score, 0.30 topology + 0.35 surface Dice + 0.35 VOI, in [0, 1]."""
    total = TOPO_WEIGHT * topo_score + SURFACE_WEIGHT * surface_dice + VOI_WEIGHT * voi_score
    return min(1.0, max(0.0, total))


def compute_mean_dice(surface_dice: float, dice: float) -> float:
    """Compute the mean of surface Dice and Dice, by which the weights of a run are compared.

    Surface Dice forgives a prediction that is too thick, and the variation of information rewards
    one that runs together; neither fits voxel by voxel.
    """
    return (surface_dice + dice) / 2


def compute_metrics(
    pred: NDArray[Any],
    label: NDArray[Any],
    *,
    spacing: Spacing3 = (1.0, 1.0, 1.0),
    tolerance: float = 2.0,
    ignore_index: int | None = 2,
    with_topology: bool = True,
    progress: Callable[[float], None] | None = None,
) -> dict[str, float]:
    """Score a predicted surface against its labels.

    Parameters
    ----------
    pred, label : array, shape (Z, Y, X)
        Any non-zero voxel is foreground.
    spacing : tuple of float
        Voxel size along Z, Y, X; the published challenge uses 1, 1, 1.
    tolerance : float
        Of `surface_dice`, `precision` and `recall`, in the units of `spacing`.
    ignore_index : int or None
        Label value that is left out: background in both before anything else.
    with_topology : bool
        Also compute `topo_score`, `score` and the Betti numbers, which take most
        of the time.
    progress : callable, optional
        Called with the share that is done, 0 to 1.

    Returns
    -------
    dict
        ``surface_dice``, ``precision``, ``recall``, ``dice``, ``mean_dice``, ``voi_score``,
        ``voi_split``, ``voi_merge``; with topology also ``score``, ``topo_score``,
        ``topo_matched_0``, ``topo_pred_0``, ``topo_label_0`` (and ``_1``, ``_2``:
        the features counted, by dimension) and ``b0_pred``, ``b1_pred``,
        ``b2_pred``, ``b0_label``, ``b1_label``, ``b2_label``.

    Raises
    ------
    DataError
        If the two are not volumes of numbers of one shape, or no voxel is to be scored.
    """
    report = progress or _ignore
    if ignore_index is not None and np.size(label) and np.all(label == ignore_index):
        raise DataError("All voxels of the labels are ignored, so there is nothing to score.")
    pred_mask, label_mask = prepare_masks(pred, label, ignore_index=ignore_index)
    surface = compute_surface_agreement(pred_mask, label_mask, spacing=spacing, tolerance=tolerance)
    report(SURFACE_SHARE)
    voi = compute_voi(pred_mask, label_mask)
    dice = compute_dice(pred_mask, label_mask)
    metrics = {
        "surface_dice": surface.surface_dice,
        "voi_score": voi.score,
        "voi_split": voi.split,
        "voi_merge": voi.merge,
        "dice": dice,
        "mean_dice": compute_mean_dice(surface.surface_dice, dice),
        "precision": surface.precision,
        "recall": surface.recall,
    }
    if with_topology:
        report(MATCHING_BEGINS)

        def report_matching(share: float) -> None:
            report(MATCHING_BEGINS + share * (MATCHING_ENDS - MATCHING_BEGINS))

        counts = compute_topo_counts(pred_mask, label_mask, report_matching)
        report(MATCHING_ENDS)
        topo_score = compute_topo_score(counts)
        metrics["topo_score"] = topo_score
        metrics["score"] = compute_score(topo_score, surface.surface_dice, voi.score)
        for dimension, row in enumerate(counts.tolist()):
            for name, value in zip(("matched", "pred", "label"), row, strict=True):
                metrics[f"topo_{name}_{dimension}"] = float(value)
        for name, mask in (("pred", pred_mask), ("label", label_mask)):
            for key, number in compute_betti_numbers(mask)._asdict().items():
                metrics[f"{key}_{name}"] = float(number)
    report(1.0)
    return metrics


def _ignore(_share: float) -> None:
    """Stand in where no progress is asked for."""
