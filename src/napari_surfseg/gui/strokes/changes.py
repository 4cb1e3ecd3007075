"""Strokes on a labels layer: found by comparing it with the run's copy, and put into a file."""

from __future__ import annotations

import uuid
import zlib
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from napari_surfseg.data.strokes.painted import apply_strokes, check_strokes, write_strokes
from napari_surfseg.data.volume import open_volume
from napari_surfseg.errors import DataError, RunBusyError
from napari_surfseg.events import UpdateLabels
from napari_surfseg.gui.layers.boxes import find_stored_boxes
from napari_surfseg.runs.folder import RunFolder
from napari_surfseg.runs.lock import is_alive, read_worker

if TYPE_CHECKING:
    from collections.abc import Callable

    from napari_surfseg.data.strokes.painted import PaintedBox
    from napari_surfseg.gui.layers.layer_volume import LayerVolume

__all__ = ["find_painted", "keep_strokes", "pack_strokes"]


def find_painted(
    layer: LayerVolume,
    copy: LayerVolume,
    known: dict[tuple[int, int, int], int],
    should_stop: Callable[[], bool] = lambda: False,
) -> list[PaintedBox]:
    """Find the boxes in which a layer differs from the copy that the run learns from.

    Parameters
    ----------
    layer, copy : LayerVolume
        As painted, and as the run has it.
    known : dict
        Checksum of each box that was found equal; such a box is not read from disk
        again until it changes. Brought up to date.
    should_stop : callable
        Asked between boxes.

    Raises
    ------
    DataError
        If the layer has another shape than its copy.
    """
    if layer.shape != copy.shape:
        raise DataError(
            f"The layer {layer.name!r} has shape {list(layer.shape)}, but it had "
            f"{list(copy.shape)} when the run started; its strokes cannot be used."
        )
    painted: list[PaintedBox] = []
    for start, stop in find_stored_boxes(layer.data, copy.data):
        if should_stop():
            break
        values = np.ascontiguousarray(layer.read(start, stop))
        if values.dtype == np.bool_:
            values = values.view(np.uint8)
        checksum = zlib.crc32(values)
        if known.get(start) == checksum:
            continue
        if np.array_equal(values, copy.read(start, stop)):
            known[start] = checksum
        else:
            # The layer's own memory goes on being painted on.
            painted.append((start, values.copy()))
    return painted


def pack_strokes(run_dir: Path, labels: str, boxes: list[PaintedBox]) -> UpdateLabels:
    """Put painted boxes into the run folder; return the command that has them taken.

    Raises
    ------
    OutputError
        If the disk does not take them.
    """
    folder = RunFolder(run_dir)
    path = folder.strokes / f"{uuid.uuid4().hex}.npz"
    write_strokes(path, boxes)
    return UpdateLabels(labels=labels, strokes=path.relative_to(folder.path).as_posix())


def keep_strokes(run_dir: Path, labels: str, boxes: list[PaintedBox]) -> int:
    """Write painted boxes into the labels of a run at rest; return how many voxels changed.

    Raises
    ------
    RunBusyError
        If a worker is on the run, which then is the one to write them.
    DataError, LabelError, OutputError
        If they do not fit or the disk does not take them.
    """
    folder = RunFolder(run_dir)
    worker = read_worker(folder.worker_path)
    if worker is not None and is_alive(worker):
        raise RunBusyError(f"The run {folder.path} is being trained by process {worker.pid}.")
    volume = open_volume(labels)
    fitting = check_strokes(volume, boxes)
    changed = 0
    for start, values in fitting:
        z, y, x = (a + size for a, size in zip(start, values.shape, strict=True))
        changed += int(np.count_nonzero(volume.read(start, (z, y, x)) != values))
    apply_strokes(Path(labels), fitting)
    return changed
