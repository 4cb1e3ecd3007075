"""Cells against their truth, by how often a true one and what was found are at one voxel."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from napari_surfseg.errors import LabelError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    from napari_surfseg.surface_tools.results import Table

__all__ = ["count_pairs", "score_counts"]


def count_pairs(cells: NDArray[Any], truth: NDArray[Any]) -> dict[tuple[int, int], int]:
    """Count the voxels of each pair of a true cell and what was found there."""
    scored = truth > 0
    true, of_true = np.unique(truth[scored], return_inverse=True)
    found, of_found = np.unique(cells[scored], return_inverse=True)
    pairs, numbers = np.unique(of_true * len(found) + of_found, return_counts=True)
    rows, columns = np.divmod(pairs, max(len(found), 1))
    keys = zip(true[rows].tolist(), found[columns].tolist(), strict=True)
    return dict(zip(keys, numbers.tolist(), strict=True))


def score_counts(counts: Mapping[tuple[int, int], int]) -> Table:
    """Score cells by how often a true one and what was found are at one voxel."""
    from scipy import sparse
    from skimage.metrics import adapted_rand_error

    if not counts:
        raise LabelError("The truth is 0 everywhere, so there is nothing to score.", field="truth")
    (_, rows), (_, columns) = (
        np.unique([pair[side] for pair in counts], return_inverse=True) for side in (0, 1)
    )
    numbers = np.fromiter(counts.values(), np.float64, len(counts))
    table = sparse.csr_array((numbers, (rows, columns)))
    error, precision, recall = adapted_rand_error(table=table)
    joint = _entropy(numbers)
    split = max(0.0, joint - _entropy(table.sum(axis=1)))
    merge = max(0.0, joint - _entropy(table.sum(axis=0)))
    scores = {
        "adapted_rand_error": error,
        "adapted_rand_precision": precision,
        "adapted_rand_recall": recall,
        "voi": split + merge,
        "voi_split": split,
        "voi_merge": merge,
    }
    return [{"score": name, "value": float(value)} for name, value in scores.items()]


def _entropy(counts: NDArray[Any]) -> float:
    """Compute the entropy of a distribution, in bits."""
    shares = counts / counts.sum()
    return float(-(shares * np.log2(shares)).sum())
