"""Whether the prediction parts space into the sheets that the label has."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from napari_surfseg.compiling import compiled
from napari_surfseg.metrics.run_lengths import label_components

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["VariationOfInformation", "compute_voi"]

#: How fast `voi_score` falls with the bits of split and merge (the challenge's constant).
DECAY = 0.3


class VariationOfInformation(NamedTuple):
    """Bits of over- and under-segmentation and the score made of them."""

    split: float
    merge: float
    score: float


@compiled
def _overlap_segments(
    row_a: NDArray[np.int64],
    start_a: NDArray[np.int32],
    stop_a: NDArray[np.int32],
    label_a: NDArray[np.int32],
    row_b: NDArray[np.int64],
    start_b: NDArray[np.int32],
    stop_b: NDArray[np.int32],
    label_b: NDArray[np.int32],
    num_b: int,
) -> tuple[NDArray[np.int64], NDArray[np.int64], int]:
    # Two lists of runs with n and m members cut a row into at most 2 (n + m) pieces.
    limit = 2 * (start_a.size + start_b.size)
    keys = np.empty(limit, np.int64)
    lengths = np.empty(limit, np.int64)
    num = 0
    for r in range(row_a.size - 1):
        i, i_end = row_a[r], row_a[r + 1]
        j, j_end = row_b[r], row_b[r + 1]
        x = 0
        while i < i_end or j < j_end:
            begin_a = start_a[i] if i < i_end else 2147483647
            begin_b = start_b[j] if j < j_end else 2147483647
            x = max(x, min(begin_a, begin_b))
            in_a = begin_a <= x
            in_b = begin_b <= x
            end = stop_a[i] if in_a else begin_a
            end = min(end, stop_b[j] if in_b else begin_b)
            key = ((label_a[i] + 1) if in_a else 0) * (num_b + 1) + (
                (label_b[j] + 1) if in_b else 0
            )
            if num > 0 and keys[num - 1] == key:
                lengths[num - 1] += end - x
            else:
                keys[num] = key
                lengths[num] = end - x
                num += 1
            x = end
            if in_a and stop_a[i] == x:
                i += 1
            if in_b and stop_b[j] == x:
                j += 1
    return keys, lengths, num


def _entropy(counts: NDArray[np.int64], total: int) -> float:
    shares = counts[counts > 0] / total
    return float(-(shares * np.log2(shares)).sum())


def compute_voi(pred: NDArray[np.uint8], label: NDArray[np.uint8]) -> VariationOfInformation:
    """Compute the variation of information between the components of two masks.

    Both masks are cut into 26-connected components; the entropies run over the
    voxels that are foreground in either, in which background counts as one more
    component.

    Parameters
    ----------
    pred, label : uint8 array, shape (Z, Y, X)
        Masks of 0 and 1 (:func:`~napari_surfseg.metrics.masks.prepare_masks`).

    Returns
    -------
    VariationOfInformation
        ``split``, in bits: what is left to know of the predicted component once
        the label's is known, H(prediction | label), high where sheets fall
        apart. ``merge``, in bits: H(label | prediction), high where sheets are
        joined. ``score``: 1 / (1 + 0.3 (split + merge)), 1 without any foreground.

    Notes
    -----
    Meila, "Comparing clusterings - an information based distance", 2007. The
    reference cases name the two parts as here: an empty prediction has split 0.
    """
    a = label_components(pred, connectivity=26)
    b = label_components(label, connectivity=26)
    if a.num == 0 and b.num == 0:
        return VariationOfInformation(0.0, 0.0, 1.0)
    keys, lengths, num = _overlap_segments(
        a.row_start, a.start, a.stop, a.label, b.row_start, b.start, b.stop, b.label, b.num
    )
    pairs, where = np.unique(keys[:num], return_inverse=True)
    joint = np.bincount(where, weights=lengths[:num]).astype(np.int64)
    total = int(joint.sum())
    of_pred = np.bincount(pairs // (b.num + 1), weights=joint).astype(np.int64)
    of_label = np.bincount(pairs % (b.num + 1), weights=joint).astype(np.int64)
    h_joint = _entropy(joint, total)
    split = max(0.0, h_joint - _entropy(of_label, total))
    merge = max(0.0, h_joint - _entropy(of_pred, total))
    return VariationOfInformation(split, merge, 1.0 / (1.0 + DECAY * (split + merge)))
