"""A copy of a labels layer that can be mended: in memory if it is small, else in a file."""

from __future__ import annotations

import math
import shutil
from typing import TYPE_CHECKING, Any

import numpy as np
from napari.layers import Labels

from napari_surfseg.errors import CancelledError, OutputError
from napari_surfseg.files import explain_write_error
from napari_surfseg.geometry import box_slices
from napari_surfseg.gui.layers.boxes import find_stored_boxes
from napari_surfseg.gui.layers.layer_data import IN_MEMORY_BYTES
from napari_surfseg.gui.layers.placement import compute_placement
from napari_surfseg.wording import format_bytes

if TYPE_CHECKING:
    from pathlib import Path

    from napari.layers import Layer
    from numpy.typing import NDArray

    from napari_surfseg.gui.background.threads import Job
    from napari_surfseg.gui.layers.layer_volume import LayerVolume

__all__ = ["build_editable_layer", "copy_voxels"]


def copy_voxels(volume: LayerVolume, path: Path, job: Job) -> NDArray[Any]:
    """Copy the voxels of a layer box by box; waits for the disk.

    Parameters
    ----------
    volume : LayerVolume
        What is copied; only what is stored of it is read.
    path : Path
        Where a large copy goes: a file of the numbers as they are (npy), of which only what is
        looked at comes into memory, and which keeps the mends.
    job : Job
        Is told how far it is; asked whether to go on.

    Raises
    ------
    OutputError
        If the disk has no space for it.
    CancelledError
        If the job was cancelled; a file that is not complete is removed.
    """
    num_bytes = math.prod(volume.shape) * volume.dtype.itemsize
    is_small = num_bytes <= IN_MEMORY_BYTES
    try:
        copy: NDArray[Any] = (
            np.zeros(volume.shape, volume.dtype)
            if is_small
            else _make_file(path, volume, num_bytes)
        )
        boxes = list(find_stored_boxes(volume.data))
        for number, box in enumerate(boxes):
            if job.is_cancelled():
                raise CancelledError("The copy was cancelled.")
            copy[box_slices(box)] = volume.read(*box)
            job.report(number / len(boxes))
    except OSError as error:
        path.unlink(missing_ok=True)
        raise explain_write_error(path, error) from None
    except BaseException:
        if not is_small:
            path.unlink(missing_ok=True)
        raise
    return copy


def _make_file(path: Path, volume: LayerVolume, num_bytes: int) -> NDArray[Any]:
    path.parent.mkdir(parents=True, exist_ok=True)
    free = shutil.disk_usage(path.parent).free
    if num_bytes > free:
        raise OutputError(
            f"A copy of the layer {volume.name!r} takes up to {format_bytes(num_bytes)}, but the "
            f"disk of {path.parent} has {format_bytes(free)} free; free some space to mend it."
        )
    return np.lib.format.open_memmap(path, mode="w+", dtype=volume.dtype, shape=volume.shape)


def build_editable_layer(source: Layer, voxels: NDArray[Any]) -> Labels:
    """Make the layer of a copy, exactly over its source and known as the same result."""
    return Labels(
        voxels,
        name=f"{source.name} mended",
        opacity=source.opacity,
        metadata=dict(source.metadata),
        **compute_placement(source, (0, 0, 0)),
    )
