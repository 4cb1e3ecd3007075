"""How often each label value occurs in a layer or file."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_surfseg.errors import LabelError
from napari_surfseg.geometry import count_voxels
from napari_surfseg.gui.layers.boxes import find_stored_boxes

if TYPE_CHECKING:
    from collections.abc import Callable

    from napari_surfseg.gui.layers.layer_volume import LayerVolume

__all__ = ["count_values"]

#: Label values offered for a meaning; a file with more is an instance segmentation.
MAX_VALUES = 64


def count_values(
    volume: LayerVolume,
    should_stop: Callable[[], bool] = lambda: False,
    *,
    may_be_objects: bool = False,
) -> dict[int, int]:
    """Count how often each label value occurs.

    Parameters
    ----------
    volume : LayerVolume
        Whole numbers.
    should_stop : callable
        Asked between boxes; once it says yes, what was counted so far is returned.

    may_be_objects : bool
        Each value may be an object of its own, so that there may be any number of them.

    Returns
    -------
    dict
        Value to voxels, ascending.

    Raises
    ------
    LabelError
        If the values are not whole numbers or too many to have a meaning each.
    """
    if volume.dtype.kind not in "uib":
        raise LabelError(
            f"The labels {volume.name!r} hold {volume.dtype} values; whole numbers are needed.",
            field="data.labels",
        )
    totals: dict[int, int] = {}
    unread = math.prod(volume.shape)
    # Small boxes: the window has its turn between two of them.
    for box in find_stored_boxes(volume.data):
        if should_stop():
            return dict(sorted(totals.items()))
        unread -= count_voxels(box)
        for value, count in _count_box(volume.read(*box)):
            totals[value] = totals.get(value, 0) + count
        if len(totals) > MAX_VALUES and not may_be_objects:
            raise LabelError(
                f"The labels {volume.name!r} hold more than {MAX_VALUES} different values; they "
                "seem to be single objects, and a layer that marks the surface is needed.",
                field="data.labels",
            )
    if unread:
        totals[0] = totals.get(0, 0) + unread  # of chunks that nothing was written to
    return dict(sorted(totals.items()))


def _count_box(box: np.ndarray[Any, Any]) -> list[tuple[int, int]]:
    if box.dtype in (np.uint8, np.bool_):
        counts = np.bincount(box.ravel().view(np.uint8), minlength=256)
        return [(int(value), int(counts[value])) for value in np.flatnonzero(counts)]
    values, counts = np.unique(box, return_counts=True)
    return list(zip(map(int, values), map(int, counts), strict=True))
