"""The probability above which a validated voxel counts as surface, and how it is chosen.

One that a person set (``inference.threshold``) is used as it is. Otherwise dense labels are
scored at the threshold with the greatest Dice, and strokes at one half.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

__all__ = ["PLAIN_THRESHOLD", "THRESHOLD_RANGE", "choose_threshold", "find_best_threshold"]

#: Thresholds outside are never chosen: they would say more about a small slab than about the net.
THRESHOLD_RANGE = (0.2, 0.8)
#: Where the labels cannot say which is best.
PLAIN_THRESHOLD = 0.5


def choose_threshold(
    probabilities: Sequence[NDArray[np.uint8]],
    labels: Sequence[NDArray[np.uint8]],
    *,
    fixed: float | None,
    is_sparse: bool,
) -> float:
    """Choose the threshold at which predictions of the validation data are scored.

    Parameters
    ----------
    probabilities : sequence of uint8 array
        Predicted, 0 to 255.
    labels : sequence of uint8 array
        0 background, 1 surface, 2 not annotated.
    fixed : float, optional
        The one a person set.
    is_sparse : bool
        Whether the labels are strokes. What a low threshold adds between strokes costs
        nothing, so the lowest would always have the greatest Dice.
    """
    if fixed is not None:
        return fixed
    if is_sparse:
        return PLAIN_THRESHOLD
    histograms = np.zeros((2, 256), np.int64)
    for found, truth in zip(probabilities, labels, strict=True):
        for value in (0, 1):
            histograms[value] += np.bincount(found[truth == value], minlength=256)
    return find_best_threshold(histograms)


def find_best_threshold(histograms: NDArray[np.int64]) -> float:
    """Find the probability at which the Dice coefficient is greatest.

    Parameters
    ----------
    histograms : array, shape (2, 256)
        Counts of the uint8 probabilities of background (0) and surface (1) voxels.

    Returns
    -------
    float
        Midway between two uint8 levels, within :data:`THRESHOLD_RANGE`; 0.5
        where nothing is on the surface.
    """
    if histograms[1].sum() == 0:
        return PLAIN_THRESHOLD
    # At cut c the voxels with level >= c are predicted.
    true_positive = histograms[1][::-1].cumsum()[::-1]
    predicted = histograms.sum(axis=0)[::-1].cumsum()[::-1]
    dice = 2 * true_positive / np.maximum(1, predicted + histograms[1].sum())
    low, high = (round(value * 255) for value in THRESHOLD_RANGE)
    cut = low + int(dice[low : high + 1].argmax())
    return (cut - 0.5) / 255
