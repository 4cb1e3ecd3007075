"""Layers and files as volumes that can be counted, copied and handed to a worker.

A layer is looked at once, in the window's thread (:func:`take_layer`); what
follows works on that snapshot, in threads, and never touches the layer again::

    take_layer ──▶ locate ──▶ read where it lies, or written as a copy (copies)
               └─▶ count_values (label_counts)
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_surfseg.data.volume import find_storage_dtype
from napari_surfseg.errors import DataError
from napari_surfseg.geometry import box_slices, to_index
from napari_surfseg.gui.layers.metadata import file_of
from napari_surfseg.gui.layers.placement import read_place

if TYPE_CHECKING:
    from napari.layers import Layer

    from napari_surfseg.geometry import Index3, Size3, Spacing3

__all__ = ["LayerVolume", "VolumeArray", "is_volume", "shape_of", "take_file", "take_layer"]


@dataclass(frozen=True, eq=False)
class LayerVolume:
    """A volume taken from a layer or a file.

    Attributes
    ----------
    name : str
        The layer's name, or the file's path: what sentences call it.
    data : array-like
        Indexed with slices; numpy, dask, zarr or a :class:`VolumeArray`. Axes before
        the last three have length 1.
    shape : tuple of int
        Z, Y, X.
    dtype : numpy.dtype
        Of the values.
    spacing : tuple of float
        Z, Y, X.
    units : str or None
        Unit of the spacing; None for pixels.
    spacing_known : bool
        Whether the layer or the file says the spacing: napari shows 1 pixel for both
        "one" and "not known".
    translate : tuple of float
        Z, Y, X place of the first voxel, in the units of the spacing.
    path : str or None
        The file the layer was opened from.
    file : str or None
        Where a worker can read it as it is; None until it was looked for, and where it
        has to be copied.
    note : str
        A sentence about what was chosen for it; empty where there is nothing to say.
    is_labels : bool
        Whether it is a labels layer, which can be painted on.
    """

    name: str
    data: Any
    shape: Size3
    dtype: np.dtype[Any]
    spacing: Spacing3 = (1.0, 1.0, 1.0)
    units: str | None = None
    spacing_known: bool = False
    translate: Spacing3 = (0.0, 0.0, 0.0)
    path: str | None = None
    file: str | None = None
    note: str = ""
    is_labels: bool = False

    def placed_like(self, other: LayerVolume) -> LayerVolume:
        """Return the same with the voxel size and place of another volume."""
        return replace(
            self,
            spacing=other.spacing,
            units=other.units,
            spacing_known=other.spacing_known,
            translate=other.translate,
        )

    def read(self, start: Index3, stop: Index3) -> np.ndarray[Any, Any]:
        """Read a box."""
        leading = (0,) * (len(getattr(self.data, "shape", self.shape)) - 3)
        return np.asarray(self.data[leading + box_slices((start, stop))])


class VolumeArray:
    """A :class:`~napari_surfseg.data.volume.Volume` that is indexed like an array.

    Attributes
    ----------
    volume : Volume
        What it reads.
    shape, dtype, ndim
        As those of an array, so that dask can take it.
    """

    ndim = 3

    def __init__(self, volume: Any) -> None:
        self.volume = volume
        self.shape: Size3 = volume.shape
        self.dtype: np.dtype[Any] = volume.dtype

    def __getitem__(self, box: tuple[slice | int, ...]) -> np.ndarray[Any, Any]:
        # dask joins reading a chunk with what is cut out of it: a plane, every second voxel.
        starts, stops, inside = [], [], []
        for part, size in zip(box, self.shape, strict=True):
            chosen = range(size)[part] if isinstance(part, slice) else range(part, part + 1)
            starts.append(min(chosen, default=0))
            stops.append(max(chosen, default=-1) + 1)
            inside.append(slice(None, None, chosen.step) if isinstance(part, slice) else 0)
        values: np.ndarray[Any, Any] = self.volume.read(to_index(starts), to_index(stops))
        return values[tuple(inside)]


def shape_of(layer: Layer) -> Size3:
    """Return the Z, Y, X voxels of a layer, at its finest level."""
    data = layer.data[0] if getattr(layer, "multiscale", False) else layer.data
    return to_index(data.shape[-3:])


def is_volume(layer: Layer) -> bool:
    """Whether an image or labels layer has three axes, and none but length 1 before them."""
    data = layer.data[0] if getattr(layer, "multiscale", False) else layer.data
    return layer.ndim >= 3 and all(size == 1 for size in data.shape[: layer.ndim - 3])


def take_layer(layer: Layer) -> LayerVolume:
    """Take what is needed of a layer, in the window's thread.

    Raises
    ------
    DataError
        If the layer is no volume: RGB, complex, or not three-dimensional. Axes of length 1
        before Z, Y, X (one time point, one channel) are left out.
    """
    data = layer.data[0] if getattr(layer, "multiscale", False) else layer.data
    if getattr(layer, "rgb", False):
        raise DataError(
            f"The layer {layer.name!r} is a colour image; a volume of single values is needed."
        )
    shape = tuple(int(size) for size in data.shape)
    if len(shape) < 3:
        raise DataError(
            f"The layer {layer.name!r} has {len(shape)} axes; a volume needs three (Z, Y, X)."
        )
    if any(size != 1 for size in shape[:-3]):
        raise DataError(
            f"The layer {layer.name!r} has {len(shape)} axes of "
            f"{' × '.join(map(str, shape))} voxels; only axes of length 1 before Z, Y, X can be "
            "left out, so make a layer of the one channel and time point to use."
        )
    find_storage_dtype(data.dtype, f"The layer {layer.name!r}")
    place = read_place(
        {
            "scale": layer.scale,
            "translate": layer.translate,
            "rotate": layer.rotate,
            "shear": layer.shear,
            "affine": layer.affine.affine_matrix,
            "units": layer.units,
        },
        layer.name,
    )
    note = place.size.note
    if place.turned in {"rotated", "sheared"}:
        turned = (
            f"The layer {layer.name!r} is {place.turned} in the viewer; it is read voxel by voxel "
            "along its own axes, and results lie over it."
        )
        note = f"{note} {turned}".strip()
    return LayerVolume(
        name=layer.name,
        data=data,
        shape=to_index(shape[-3:]),
        dtype=np.dtype(data.dtype),
        spacing=place.size.spacing or (1.0, 1.0, 1.0),
        units=place.size.unit,
        spacing_known=place.size.spacing is not None,
        translate=place.translate,
        path=file_of(layer),
        note=note,
        is_labels=hasattr(layer, "selected_label"),
    )


def take_file(path: str) -> LayerVolume:
    """Open a volume file as if it were a layer; may wait for the disk."""
    from napari_surfseg.data.open import open_volume

    volume = open_volume(path)
    return LayerVolume(
        name=path,
        data=VolumeArray(volume),
        shape=volume.shape,
        dtype=np.dtype(volume.dtype),
        spacing=volume.spacing,
        units=volume.units,
        spacing_known=volume.spacing_known,
        translate=volume.translate,
        path=path,
        note=" ".join(volume.notes),
    )
