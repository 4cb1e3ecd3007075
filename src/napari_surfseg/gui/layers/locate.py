"""Where the worker can read a layer as it is, without a copy; waits for the disk.

Each file that may hold the layer is opened as the worker will open it, and compared with what
the layer shows. How much is compared depends on what is known of the two:

============================================  =======================================
The layer's data                              compared
============================================  =======================================
a zarr array, or dask that only reads one     a few boxes
a memory-mapped npy file                      a few boxes
dask that takes a part or another order       boxes until enough hold values
lazy data of another kind                     boxes until enough hold values
an array in memory, which may be edited       every voxel
============================================  =======================================
"""

from __future__ import annotations

from dataclasses import replace
from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_surfseg.errors import SurfsegError
from napari_surfseg.gui.layers.boxes import iterate_boxes, sample_boxes
from napari_surfseg.gui.layers.layer_volume import VolumeArray, take_file
from napari_surfseg.gui.layers.stored_arrays import (
    find_addresses,
    find_mapped_file,
    find_place,
    find_zarr,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from napari_surfseg.geometry import Box
    from napari_surfseg.gui.layers.layer_volume import LayerVolume

__all__ = ["locate"]

#: Boxes along each axis that are compared: 8, 27, then 125.
SAMPLES = (2, 3, 5)
#: So many boxes that hold more than one value must be the same: empty ones always are.
MIN_INFORMATIVE = 3


class Proof(Enum):
    """How much of a layer is compared with a file."""

    FEW = "a few boxes"
    ENOUGH = "boxes until enough hold values"
    ALL = "every voxel"


def locate(
    volume: LayerVolume,
    *,
    copies: Iterable[str] = (),
    check: Callable[[], None] = lambda: None,
) -> LayerVolume:
    """Find where a volume can be read as it is, and what its file says of its voxels.

    Parameters
    ----------
    volume : LayerVolume
        Of a layer or a file. A labels layer is never read where it lies: it may be
        painted on, and the file must stay as it is.
    copies : iterable of str
        Copies that were made of the layer earlier.
    check : callable
        Called between boxes; raises to stop.

    Returns
    -------
    LayerVolume
        With ``file`` set, or None where it has to be copied. A voxel size that only the
        file says is taken over; where the two differ, ``note`` says so.
    """
    if isinstance(volume.data, VolumeArray):
        return replace(volume, file=_absolute(str(volume.data.volume.source)))
    chosen = volume
    for path, proof in _find_candidates(volume, copies):
        check()
        found = _open(path)
        if found is None or found.shape != volume.shape or _is_other_array(found, volume):
            continue
        is_same = not volume.is_labels and _holds_same(found, volume, proof, check)
        if is_same or _is_edited(found, volume):
            chosen = _with_spacing(chosen, found)
        if is_same:
            return replace(chosen, file=path)
    return chosen


def _find_candidates(volume: LayerVolume, copies: Iterable[str]) -> Iterator[tuple[str, Proof]]:
    in_memory = isinstance(volume.data, np.ndarray) and not isinstance(volume.data, np.memmap)
    addresses, is_whole = find_addresses(volume.data)
    for address in addresses:
        yield _absolute(address), Proof.FEW if is_whole else Proof.ENOUGH
    mapped = find_mapped_file(volume.data)
    if mapped is not None:
        yield _absolute(mapped), Proof.FEW
    if volume.path is not None and not addresses:
        yield _absolute(volume.path), Proof.ALL if in_memory else Proof.ENOUGH
    for path in copies:
        yield path, Proof.ALL


def _is_other_array(found: LayerVolume, volume: LayerVolume) -> bool:
    """Whether a group leads to another array than the one the layer shows."""
    theirs, ours = find_zarr(found.data), find_zarr(volume.data)
    if theirs is None or ours is None:
        return False
    places = find_place(theirs.array), find_place(ours.array)
    return None not in places and places[0] != places[1]


def _absolute(path: str) -> str:
    if "://" in path:
        return path
    file, separator, key = path.partition("::")
    return str(Path(file).expanduser().resolve()) + separator + key


def _open(path: str) -> LayerVolume | None:
    try:
        return take_file(path)
    except SurfsegError:
        return None


def _holds_same(
    found: LayerVolume, volume: LayerVolume, proof: Proof, check: Callable[[], None]
) -> bool:
    if found.dtype != _dtype_of(volume):
        return False
    if proof is Proof.ALL:
        return all(_is_alike(found, volume, box, check)[0] for box in iterate_boxes(volume.shape))
    num_informative = 0
    for per_axis in SAMPLES:
        for box in sample_boxes(volume.shape, per_axis):
            alike, is_informative = _is_alike(found, volume, box, check)
            if not alike:
                return False
            num_informative += is_informative
        if proof is Proof.FEW or num_informative >= MIN_INFORMATIVE:
            return True
    return False


def _is_edited(found: LayerVolume, volume: LayerVolume) -> bool:
    """Whether most of a layer is what its file holds."""
    alike = [_is_alike(found, volume, box)[0] for box in sample_boxes(volume.shape, SAMPLES[0])]
    return sum(alike) > len(alike) / 2


def _is_alike(
    found: LayerVolume,
    volume: LayerVolume,
    box: Box,
    check: Callable[[], None] = lambda: None,
) -> tuple[bool, bool]:
    """Whether two volumes are the same in a box, and whether there is anything in it."""
    check()
    theirs, ours = found.read(*box), volume.read(*box)
    is_float = ours.dtype.kind == "f"
    alike = bool(np.array_equal(theirs, ours, equal_nan=is_float))
    return alike, bool((ours != ours.flat[0]).any())


def _dtype_of(volume: LayerVolume) -> np.dtype[Any] | None:
    from napari_surfseg.data.volume import find_storage_dtype

    try:
        return find_storage_dtype(volume.dtype, volume.name)
    except SurfsegError:
        return None


def _with_spacing(volume: LayerVolume, found: LayerVolume) -> LayerVolume:
    if not found.spacing_known or volume.note:
        return volume
    if not volume.spacing_known:
        return volume.placed_like(found)
    factor = _convert(volume.units, found.units)
    if factor is not None and np.allclose(
        np.multiply(volume.spacing, factor), found.spacing, rtol=1e-3
    ):
        return volume if volume.units else replace(volume, units=found.units)
    return replace(
        volume,
        note=(
            f"The layer {volume.name!r} has voxels of {_describe(volume)}, its file says "
            f"{_describe(found)}; the layer's are used."
        ),
    )


def _convert(unit: str | None, other: str | None) -> float | None:
    """How many of the other unit one is; 1 where either is not known."""
    if unit is None or other is None or unit == other:
        return 1.0
    from pint import PintError, get_application_registry

    try:
        return float(get_application_registry().Quantity(1.0, unit).to(other).magnitude)
    except (PintError, AttributeError, ValueError):
        return None


def _describe(volume: LayerVolume) -> str:
    sizes = " × ".join(f"{size:g}" for size in volume.spacing)
    return f"{sizes} {volume.units}" if volume.units else sizes
