"""Layers as volumes a worker can read: counted, and written to the run folder, in threads.

A layer is looked at once, in the window's thread (:func:`take_layer`); what
follows works on that snapshot and never touches the layer again.
"""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_surfseg.errors import DataError, LabelError, SurfsegError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from napari.layers import Layer

__all__ = [
    "LayerVolume",
    "count_values",
    "find_file",
    "iterate_boxes",
    "shape_of",
    "take_file",
    "take_layer",
    "write_layer",
]

Index3 = tuple[int, int, int]

#: Edge of the boxes that are read, counted and written at a time.
CHUNK = 64
#: Label values offered for a meaning; a file with more is an instance segmentation.
MAX_VALUES = 64


@dataclass(frozen=True, eq=False)
class LayerVolume:
    """A volume taken from a layer or a file.

    Attributes
    ----------
    name : str
        The layer's name, or the file's path: what sentences call it.
    data : array-like
        Indexed with three slices; numpy, dask, zarr or a :class:`VolumeArray`.
    shape : tuple of int
        Z, Y, X.
    dtype : numpy.dtype
        Of the values.
    spacing : tuple of float
        Z, Y, X.
    units : str or None
        Unit of the spacing; None for pixels.
    path : str or None
        The file behind it.
    is_labels : bool
        Whether it is a labels layer, which can be painted on.
    """

    name: str
    data: Any
    shape: Index3
    dtype: np.dtype[Any]
    spacing: tuple[float, float, float] = (1.0, 1.0, 1.0)
    units: str | None = None
    path: str | None = None
    is_labels: bool = False

    def read(self, start: Index3, stop: Index3) -> np.ndarray[Any, Any]:
        """Read a box."""
        box = tuple(slice(a, b) for a, b in zip(start, stop, strict=True))
        return np.asarray(self.data[box])


class VolumeArray:
    """A :class:`~napari_surfseg.data.volume.Volume` that is indexed like an array."""

    def __init__(self, volume: Any) -> None:
        self._volume = volume

    def __getitem__(self, box: tuple[slice, slice, slice]) -> np.ndarray[Any, Any]:
        values: np.ndarray[Any, Any] = self._volume.read(
            tuple(part.start for part in box), tuple(part.stop for part in box)
        )
        return values


def shape_of(layer: Layer) -> Index3:
    """Return the Z, Y, X voxels of a layer, at its finest level."""
    data = layer.data[0] if getattr(layer, "multiscale", False) else layer.data
    return tuple(int(size) for size in data.shape[-3:])  # type: ignore[return-value]


def take_layer(layer: Layer) -> LayerVolume:
    """Take what is needed of a layer, in the window's thread.

    Raises
    ------
    DataError
        If the layer is no volume: RGB, or not three-dimensional.
    """
    data = layer.data[0] if getattr(layer, "multiscale", False) else layer.data
    if getattr(layer, "rgb", False):
        raise DataError(
            f"The layer {layer.name!r} is a colour image; a volume of single values is needed."
        )
    shape = tuple(int(size) for size in data.shape)
    if len(shape) != 3:
        raise DataError(
            f"The layer {layer.name!r} has {len(shape)} axes; a volume needs three (Z, Y, X)."
        )
    scale = np.abs(np.asarray(layer.scale, float))
    unit = str(layer.units[-1])
    path = layer.source.path
    return LayerVolume(
        name=layer.name,
        data=data,
        shape=(shape[0], shape[1], shape[2]),
        dtype=np.dtype(data.dtype),
        spacing=(float(scale[0]), float(scale[1]), float(scale[2])),
        units=None if unit in {"pixel", "dimensionless"} else unit,
        path=str(path) if path else None,
        is_labels=hasattr(layer, "selected_label"),
    )


def take_file(path: str) -> LayerVolume:
    """Open a volume file as if it were a layer; may wait for the disk."""
    from napari_surfseg.data.volume import open_volume

    volume = open_volume(path)
    return LayerVolume(
        name=path,
        data=VolumeArray(volume),
        shape=volume.shape,
        dtype=np.dtype(volume.dtype),
        spacing=volume.spacing,
        units=volume.units,
        path=path,
    )


def iterate_boxes(shape: Index3, edge: int = CHUNK) -> Iterator[tuple[Index3, Index3]]:
    """Cut a volume into boxes, in the order of storage."""
    for start in itertools.product(*(range(0, size, edge) for size in shape)):
        stop = tuple(min(a + edge, size) for a, size in zip(start, shape, strict=True))
        yield (start[0], start[1], start[2]), (stop[0], stop[1], stop[2])


def count_values(
    volume: LayerVolume, should_stop: Callable[[], bool] = lambda: False
) -> dict[int, int]:
    """Count how often each label value occurs.

    Parameters
    ----------
    volume : LayerVolume
        Whole numbers.
    should_stop : callable
        Asked between boxes; once it says yes, what was counted so far is returned.

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
    # Small boxes: the window has its turn between two of them.
    for start, stop in iterate_boxes(volume.shape):
        if should_stop():
            break
        for value, count in _count_box(volume.read(start, stop)):
            totals[value] = totals.get(value, 0) + count
        if len(totals) > MAX_VALUES:
            raise LabelError(
                f"The labels {volume.name!r} hold more than {MAX_VALUES} different values; they "
                "seem to be single objects, and a layer that marks the surface is needed.",
                field="data.labels",
            )
    return dict(sorted(totals.items()))


def _count_box(box: np.ndarray[Any, Any]) -> list[tuple[int, int]]:
    if box.dtype in (np.uint8, np.bool_):
        counts = np.bincount(box.ravel().view(np.uint8), minlength=256)
        return [(int(value), int(counts[value])) for value in np.flatnonzero(counts)]
    values, counts = np.unique(box, return_counts=True)
    return list(zip(map(int, values), map(int, counts), strict=True))


def find_file(volume: LayerVolume) -> str | None:
    """Find the file a volume can be read from as it is, or None where it has to be written.

    An image layer that came from a file the worker can open is used where it lies.
    Labels of a layer are always written: they may have been painted on since.
    """
    if isinstance(volume.data, VolumeArray) and volume.path:
        return _absolute(volume.path)
    if not volume.is_labels and volume.path and _holds_same(volume):
        return _absolute(volume.path)
    return None


def _absolute(path: str) -> str:
    if "://" in path:
        return path
    file, separator, key = path.partition("::")
    return str(Path(file).expanduser().resolve()) + separator + key


def _holds_same(volume: LayerVolume) -> bool:
    """Whether the layer's file, opened as the worker will, is what the layer shows."""
    try:
        found = take_file(str(volume.path))
    except SurfsegError:
        return False
    if found.shape != volume.shape or not np.allclose(found.spacing, volume.spacing, rtol=1e-3):
        return False
    middle = tuple(size // 2 for size in volume.shape)
    stop = tuple(min(at + 16, size) for at, size in zip(middle, volume.shape, strict=True))
    start3, stop3 = (middle[0], middle[1], middle[2]), (stop[0], stop[1], stop[2])
    return bool(np.array_equal(found.read(start3, stop3), volume.read(start3, stop3)))


def write_layer(
    volume: LayerVolume, path: Path, progress: Callable[[float], None] = lambda _share: None
) -> None:
    """Write a volume as OME-Zarr, chunk by chunk, whole or not at all.

    Raises
    ------
    OutputError
        If the disk does not take it.
    """
    import zarr

    from napari_surfseg.files import written_aside
    from napari_surfseg.inference.output import ome_metadata

    path.parent.mkdir(parents=True, exist_ok=True)
    dtype = np.dtype(np.uint8) if volume.dtype == np.bool_ else volume.dtype
    total = math.prod(volume.shape)
    done = 0
    with written_aside(path) as temporary:
        group = zarr.open_group(str(temporary), mode="w", zarr_format=2)
        group.attrs.update(ome_metadata(path.stem, volume.spacing, volume.units, None))
        array = zarr.create_array(
            str(temporary),
            name="0",
            shape=volume.shape,
            chunks=tuple(min(CHUNK, size) for size in volume.shape),
            dtype=dtype,
            zarr_format=2,
            chunk_key_encoding={"name": "v2", "separator": "/"},
        )
        for start, stop in iterate_boxes(volume.shape):
            box = tuple(slice(a, b) for a, b in zip(start, stop, strict=True))
            array[box] = volume.read(start, stop).astype(dtype, copy=False)
            done += math.prod(b - a for a, b in zip(start, stop, strict=True))
            progress(done / total)
