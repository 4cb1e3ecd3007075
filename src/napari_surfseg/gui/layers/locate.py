"""Where the worker can read a layer as it is, without a copy; waits for the disk.

Each file that may hold the layer is opened as the worker will open it, and compared with what
the layer shows. How much is compared depends on what is known of the two:

============================================  =======================================
The layer's data                              compared
============================================  =======================================
a zarr array, or dask that only reads one     a few boxes
a memory-mapped npy file                      a few boxes
dask that only reads, cuts or stacks files    boxes until enough hold values
any other, which may have been edited         every voxel
any other that is lazy and large              nothing: it is copied, once a person agrees
============================================  =======================================

The first three cannot differ from the file in single voxels: what is changed in a zarr or a map
changes the file, and what is done to a dask array is a step of its graph. So a few boxes are
enough to find out that it is this file, in this order.
"""

from __future__ import annotations

import math
from dataclasses import replace
from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_surfseg.data.units import compare_sizes, convert_length, format_sizes
from napari_surfseg.errors import SurfsegError
from napari_surfseg.geometry import to_spacing
from napari_surfseg.gui.layers.boxes import iterate_boxes, sample_boxes
from napari_surfseg.gui.layers.layer_volume import VolumeArray, take_file
from napari_surfseg.gui.layers.stored_arrays import (
    find_addresses,
    find_mapped_file,
    find_mapping,
    find_place,
    find_zarr,
    only_reads,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from napari_surfseg.geometry import Box
    from napari_surfseg.gui.layers.layer_volume import LayerVolume

__all__ = ["locate"]

#: Boxes along each axis that are compared: 8, 27, then 125.
SAMPLES = (2, 3, 5)
#: Lazy data of unknown make are compared as a whole up to here: each comparison reads all twice.
MAX_COMPARED_BYTES = 1_000_000_000
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
    lazy_labels: bool = False,
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
    lazy_labels : bool
        Labels that are not in memory are read where they lie all the same, for who reads them
        once, now: what is painted on those is in their file.

    Returns
    -------
    LayerVolume
        With ``file`` set, or None where it has to be copied. A voxel size that only the
        file says is taken over; where the two differ, ``note`` says so.
    """
    if isinstance(volume.data, VolumeArray):
        return replace(volume, file=_absolute(str(volume.data.volume.source)))
    chosen = volume
    is_sized = False
    may_be_painted = volume.is_labels and not (
        lazy_labels and not isinstance(volume.data, np.ndarray)
    )
    for path, proof in _find_candidates(volume, copies):
        check()
        found = _open(path)
        if found is None or found.shape != volume.shape or _is_other_array(found, volume):
            continue
        is_same = not may_be_painted and _holds_same(found, volume, proof, check)
        if not is_sized and (is_same or _is_edited(found, volume)):
            chosen, is_sized = _with_size(chosen, found), found.spacing_known
        if is_same:
            return replace(chosen, file=path)
    return chosen


def _find_candidates(volume: LayerVolume, copies: Iterable[str]) -> Iterator[tuple[str, Proof]]:
    addresses, is_whole = find_addresses(volume.data)
    for address in addresses:
        yield _absolute(address), Proof.FEW if is_whole else Proof.ENOUGH
    mapped = find_mapped_file(volume.data)
    if mapped is not None:
        yield _absolute(mapped), Proof.FEW
    if volume.path is not None and not addresses:
        proof = _find_proof(volume)
        if proof is not None:
            yield _absolute(volume.path), proof
    for path in copies:
        yield path, Proof.ALL


def _find_proof(volume: LayerVolume) -> Proof | None:
    """How much to compare with the file that a layer was opened from; None for not at all."""
    data = volume.data
    if find_mapping(data) is not None or only_reads(data):
        return Proof.ENOUGH
    num_bytes = math.prod(volume.shape) * volume.dtype.itemsize
    is_lazy = not isinstance(data, np.ndarray)
    return None if is_lazy and num_bytes > MAX_COMPARED_BYTES else Proof.ALL


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


def _with_size(volume: LayerVolume, found: LayerVolume) -> LayerVolume:
    """Give a layer the voxel size that its file says, or its own in the file's unit."""
    if not found.spacing_known:
        return volume
    if not volume.spacing_known:
        return _noted(
            volume.placed_like(found),
            f"The layer {volume.name!r} has no voxel size in the viewer; that of its file is "
            f"used, {_describe(found)}.",
        )
    ratios = compare_sizes(volume.spacing, volume.units, found.spacing, found.units)
    if np.allclose(ratios, 1, rtol=1e-3):
        return _in_units_of(volume, found)
    return _noted(
        _in_units_of(volume, found) if volume.units else volume,
        f"The layer {volume.name!r} has voxels of {_describe(volume)}, its file says "
        f"{_describe(found)}; the layer's are used.",
    )


def _in_units_of(volume: LayerVolume, found: LayerVolume) -> LayerVolume:
    """State the place in the unit of the file, beside whose unit the numbers are written."""
    unit, other = volume.units, found.units
    if other is None or unit == other:
        return volume
    if unit is None:
        return replace(volume, units=other)
    return replace(
        volume,
        units=other,
        spacing=to_spacing(convert_length(size, unit, other) for size in volume.spacing),
        translate=to_spacing(convert_length(at, unit, other) for at in volume.translate),
    )


def _noted(volume: LayerVolume, sentence: str) -> LayerVolume:
    return replace(volume, note=f"{volume.note} {sentence}".strip())


def _describe(volume: LayerVolume) -> str:
    return format_sizes(volume.spacing, volume.units)
