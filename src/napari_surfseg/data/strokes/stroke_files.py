"""Strokes on their way from the window into the labels of a run.

The window never writes into labels that a worker reads. It puts the boxes that
changed into a file of their own and sends the command ``UpdateLabels``; the worker checks
them and writes them into the run's copy of the labels between two steps::

    inputs/labels_0.zarr            the worker's; read by its threads
    inputs/strokes/<name>.npz       the window's; gone when it was answered

So half a stroke is never read, and strokes that are refused leave no trace.
"""

from __future__ import annotations

import zipfile
from typing import TYPE_CHECKING, TypeAlias

import numpy as np

from napari_surfseg.errors import DataError, LabelError, OutputError
from napari_surfseg.files import explain_write_error, written_aside
from napari_surfseg.geometry import box_at, box_slices, contains_box, count_voxels

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from napari_surfseg.data.volume import Volume, VoxelArray
    from napari_surfseg.geometry import Index3

__all__ = ["StrokeBox", "apply_strokes", "check_strokes", "read_strokes", "write_strokes"]

#: First voxel and values of a box that was painted on.
StrokeBox: TypeAlias = "tuple[Index3, VoxelArray]"


def write_strokes(path: Path, boxes: Sequence[StrokeBox]) -> None:
    """Put painted boxes into a file, whole or not at all.

    Raises
    ------
    OutputError
        If the disk does not take it.
    """
    starts = np.asarray([start for start, _ in boxes], np.int64).reshape(-1, 3)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise explain_write_error(path, error) from None
    with written_aside(path) as temporary, temporary.open("wb") as file:
        np.savez_compressed(file, starts, *(values for _, values in boxes))


def read_strokes(path: Path) -> list[StrokeBox]:
    """Read the boxes of a file.

    Raises
    ------
    DataError
        If it is missing, damaged or not a file of strokes.
    """
    try:
        with path.open("rb") as raw, np.load(raw, allow_pickle=False) as file:
            starts = file["arr_0"].tolist()
            boxes = [file[f"arr_{number + 1}"] for number in range(len(starts))]
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile) as error:
        raise DataError(f"The painted labels {path} cannot be read: {error}.") from None
    if not all(len(start) == 3 and box.ndim == 3 for start, box in zip(starts, boxes, strict=True)):
        raise DataError(f"The painted labels {path} are no boxes of a volume.")
    return [((z, y, x), box) for (z, y, x), box in zip(starts, boxes, strict=True)]


def check_strokes(labels: Volume, boxes: Sequence[StrokeBox]) -> list[StrokeBox]:
    """Return the boxes in the labels' own type.

    Raises
    ------
    DataError, LabelError
        If a box reaches beyond the labels, or holds what they cannot.
    """
    fitting = []
    for start, values in boxes:
        box = box_at(start, values.shape)
        if not (count_voxels(box) and contains_box(labels.box, box)):
            raise DataError(
                f"Labels painted from {list(start)} to {list(box[1])} do not lie in "
                f"{labels.source}, which has shape {list(labels.shape)}."
            )
        if values.dtype.kind not in "uib":
            raise LabelError(
                f"The painted labels hold {values.dtype} values; labels must be whole numbers."
            )
        own = values.astype(labels.dtype, copy=False)
        strange = own != values
        if strange.any():
            raise LabelError(
                f"The painted labels hold the value {values[strange][0]}, which {labels.source} "
                f"of type {labels.dtype} cannot hold."
            )
        fitting.append((start, own))
    return fitting


def apply_strokes(path: Path, boxes: Sequence[StrokeBox]) -> None:
    """Write painted boxes into labels that the window copied into the run folder.

    Raises
    ------
    OutputError
        If the disk does not take them.
    """
    import zarr

    try:
        array = zarr.open_group(str(path), mode="r+")["0"]
        for start, values in boxes:
            array[box_slices(box_at(start, values.shape))] = values  # type: ignore[index]
    except OSError as error:
        raise explain_write_error(path, error) from None
    except (KeyError, ValueError) as error:
        raise OutputError(f"The labels {path} cannot be painted on: {error}.") from None
