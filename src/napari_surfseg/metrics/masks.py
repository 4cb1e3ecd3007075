"""Check two volumes and turn them into the 0/1 masks that every metric reads."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from napari_surfseg.errors import DataError

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["prepare_masks"]


def prepare_masks(
    pred: NDArray[Any], label: NDArray[Any], *, ignore_index: int | None = 2
) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """Turn a prediction and its labels into comparable 0/1 masks.

    Where the label is `ignore_index`, both become background; after that any
    non-zero voxel is foreground, stray values included.

    Parameters
    ----------
    pred, label : array, shape (Z, Y, X)
        Booleans or numbers; neither may hold NaN.
    ignore_index : int or None
        Label value that is not scored; None scores every voxel.

    Returns
    -------
    tuple of uint8 arrays, shape (Z, Y, X)
        C-ordered copies of 0 and 1.

    Raises
    ------
    DataError
        If the two are not 3-D volumes of numbers of one shape.
    """
    pred, label = np.asarray(pred), np.asarray(label)
    for name, array in (("prediction", pred), ("labels", label)):
        if array.ndim != 3:
            raise DataError(
                f"The {name} must be a volume with the three axes Z, Y and X, "
                f"but have the shape {array.shape}."
                if name == "labels"
                else f"The {name} must be a volume with the three axes Z, Y and X, "
                f"but has the shape {array.shape}."
            )
        if array.dtype.kind not in "biuf":
            raise DataError(
                f"The {name} must hold integers, booleans or real numbers, found {array.dtype}."
            )
    if pred.shape != label.shape:
        raise DataError(
            f"The prediction and the labels must have one shape, "
            f"found {pred.shape} and {label.shape}."
        )
    for name, array in (("prediction", pred), ("labels", label)):
        if array.dtype.kind == "f" and bool(np.isnan(array).any()):
            raise DataError(f"The {name} must hold numbers only, found NaN.")
    pred_mask = np.ascontiguousarray(pred != 0)
    label_mask = np.ascontiguousarray(label != 0)
    if ignore_index is not None:
        supervised = label != ignore_index
        pred_mask &= supervised
        label_mask &= supervised
    return pred_mask.view(np.uint8), label_mask.view(np.uint8)
