"""Strokes on labels layers: found by comparing each layer with the run's copy of it.

The window never writes into labels that a worker reads. While a worker is there the strokes go
into a file of the run folder, and a command that names the file; while none is, they are
written into the labels of the run.
"""

from __future__ import annotations

import uuid
import zlib
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from napari_surfseg.data.open import open_volume
from napari_surfseg.data.strokes.stroke_files import apply_strokes, check_strokes, write_strokes
from napari_surfseg.errors import DataError, RunBusyError
from napari_surfseg.events import UpdateLabels
from napari_surfseg.geometry import box_at
from napari_surfseg.gui.layers.boxes import find_stored_boxes
from napari_surfseg.gui.layers.layer_volume import take_file
from napari_surfseg.runs.folder import RunFolder
from napari_surfseg.runs.lock import is_alive, read_worker

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from napari_surfseg.data.strokes.stroke_files import StrokeBox
    from napari_surfseg.geometry import Index3
    from napari_surfseg.gui.layers.layer_volume import LayerVolume

__all__ = ["collect_strokes", "find_strokes", "write_strokes_into_labels"]


def collect_strokes(
    run_dir: Path,
    layers: Mapping[str, tuple[LayerVolume, dict[Index3, int]]],
    *,
    has_worker: bool,
    should_stop: Callable[[], bool] = lambda: False,
) -> list[UpdateLabels] | int:
    """Find the strokes on some layers and bring them into the run folder; waits for the disk.

    Parameters
    ----------
    run_dir : Path
        The run that learns from the layers.
    layers : mapping
        Each labels layer as painted, with what :func:`find_strokes` knows of it, by the path
        of the run's copy.
    has_worker : bool
        Whether a worker reads the copies, which then is the one to write them.
    should_stop : callable
        Asked between boxes.

    Returns
    -------
    list of UpdateLabels, or int
        With a worker, the commands to send to it; without one, how many voxels changed in the
        run's labels.

    Raises
    ------
    RunBusyError
        If there is a worker after all.
    DataError, LabelError, OutputError
        If a layer has changed its shape, the strokes do not fit or the disk is full.
    """
    folder = RunFolder(run_dir)
    commands = []
    num_changed = 0
    for path, (layer, known) in layers.items():
        boxes = find_strokes(layer, take_file(path), known, should_stop)
        if should_stop():
            break
        if not boxes:
            continue
        if has_worker:
            file = folder.strokes / f"{uuid.uuid4().hex}.npz"
            write_strokes(file, boxes)
            strokes = file.relative_to(folder.path).as_posix()
            commands.append(UpdateLabels(labels=path, strokes=strokes))
        else:
            num_changed += write_strokes_into_labels(folder, path, boxes)
    return commands if has_worker else num_changed


def find_strokes(
    layer: LayerVolume,
    copy: LayerVolume,
    known: dict[Index3, int],
    should_stop: Callable[[], bool] = lambda: False,
) -> list[StrokeBox]:
    """Find the boxes in which a layer differs from the copy that the run learns from.

    Parameters
    ----------
    layer, copy : LayerVolume
        As painted, and as the run has it.
    known : dict
        Checksum of each box that was found equal, by its first voxel; such a box is not read
        from the copy again until it changes. Brought up to date.
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
    painted: list[StrokeBox] = []
    for start, stop in find_stored_boxes(layer.data, copy.data):
        if should_stop():
            break
        values = np.ascontiguousarray(layer.read(start, stop))
        if values.dtype == np.bool_:
            values = values.view(np.uint8)
        checksum = zlib.crc32(values.data)  # its bytes as a buffer
        if known.get(start) == checksum:
            continue
        if np.array_equal(values, copy.read(start, stop)):
            known[start] = checksum
        else:
            # A copy: the person may paint on the layer's own memory meanwhile.
            painted.append((start, values.copy()))
    return painted


def write_strokes_into_labels(folder: RunFolder, labels: str, boxes: list[StrokeBox]) -> int:
    """Write painted boxes into the labels of a run without a worker; count the changed voxels.

    Raises
    ------
    RunBusyError
        If a worker is on the run, which then is the one to write them.
    DataError, LabelError, OutputError
        If they do not fit or the disk does not take them.
    """
    worker = read_worker(folder.worker_path)
    if worker is not None and is_alive(worker):
        raise RunBusyError(f"The run {folder.path} is being trained by process {worker.pid}.")
    volume = open_volume(labels)
    fitting = check_strokes(volume, boxes)
    num_changed = 0
    for start, values in fitting:
        before = volume.read(*box_at(start, values.shape))
        num_changed += int(np.count_nonzero(before != values))
    apply_strokes(Path(labels), fitting)
    return num_changed
