"""All the metrics of a prediction in one dictionary."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from napari_surfseg.metrics.masks import prepare_masks
from napari_surfseg.metrics.partition import compute_voi
from napari_surfseg.metrics.surface import compute_dice, compute_surface_agreement
from napari_surfseg.metrics.topology import compute_betti_numbers

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["compute_metrics"]


def compute_metrics(
    pred: NDArray[Any],
    label: NDArray[Any],
    *,
    spacing: tuple[float, float, float] = (1.0, 1.0, 1.0),
    tolerance: float = 2.0,
    ignore_index: int | None = 2,
    with_topology: bool = True,
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
        Also compute the Betti numbers.

    Returns
    -------
    dict
        ``surface_dice``, ``precision``, ``recall``, ``dice``, ``voi_score``,
        ``voi_split``, ``voi_merge``; with topology also ``b0_pred`` ...
        ``b2_label``.

    Raises
    ------
    DataError
        If the two are not volumes of numbers of one shape.
    """
    pred_mask, label_mask = prepare_masks(pred, label, ignore_index=ignore_index)
    surface = compute_surface_agreement(pred_mask, label_mask, spacing=spacing, tolerance=tolerance)
    voi = compute_voi(pred_mask, label_mask)
    metrics = {
        "surface_dice": surface.surface_dice,
        "voi_score": voi.score,
        "voi_split": voi.split,
        "voi_merge": voi.merge,
        "dice": compute_dice(pred_mask, label_mask),
        "precision": surface.precision,
        "recall": surface.recall,
    }
    if with_topology:
        for name, mask in (("pred", pred_mask), ("label", label_mask)):
            for key, value in compute_betti_numbers(mask)._asdict().items():
                metrics[f"{key}_{name}"] = float(value)
    return metrics
