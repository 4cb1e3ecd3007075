"""Writers of meshes (PLY, OBJ, STL) and labels (TIFF, OME-Zarr); ``readers`` reads them back."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from napari.utils.notifications import show_warning

from napari_surfseg.errors import OutputError
from napari_surfseg.files import written_aside
from napari_surfseg.gui.layers.copies import write_layer
from napari_surfseg.gui.layers.layer_volume import LayerVolume
from napari_surfseg.gui.layers.placement import read_place, take_transforms

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

__all__ = ["write_labels", "write_surface"]


def write_surface(path: str, data: Any, attributes: dict[str, Any]) -> list[str]:
    """Write a Surface layer where it lies in the world, in its units.

    Parameters
    ----------
    path : str
        ``.ply``, ``.obj`` or ``.stl``.
    data : tuple
        Vertices (N, 3) ZYX and faces (M, 3), as napari gives them; what was measured at the
        vertices goes into PLY.
    attributes : dict
        The layer's ``scale``, ``translate``, ``rotate``, ``shear``, ``affine`` and
        ``units`` among them.

    Returns
    -------
    list of str
        What was written.
    """
    from napari_surfseg.surfaces.mesh import make_mesh
    from napari_surfseg.surfaces.mesh_reading import MEASURED
    from napari_surfseg.surfaces.mesh_writing import write_mesh

    vertices, faces = np.asarray(data[0], float), np.asarray(data[1])
    if vertices.ndim != 2 or vertices.shape[1] != 3:
        raise OutputError(
            f"The surface has vertices of {vertices.shape[-1]} coordinates; a mesh file needs 3."
        )
    inner, outer = take_transforms(attributes)
    placed = np.asarray(outer(inner(vertices)))
    if np.linalg.det(outer.linear_matrix @ inner.linear_matrix) < 0:
        faces = faces[:, ::-1]  # a mirrored mesh would be turned inside out
    mesh = make_mesh(placed, faces)
    what = attributes.get("metadata", {}).get("surfseg_values")
    if what in MEASURED and len(data) > 2 and np.shape(data[2]) == (len(vertices),):
        mesh = replace(mesh, values={what: np.asarray(data[2], np.float32)})
    write_mesh(path, mesh, units=_take_units(attributes))
    return [path]


def write_labels(path: str, data: Any, attributes: dict[str, Any]) -> list[str]:
    """Write a Labels layer as TIFF or OME-Zarr, with its voxel size, place and units.

    Parameters
    ----------
    path : str
        ``.tif``, ``.tiff``, ``.zarr`` or ``.ome.zarr``.
    data : array (Z, Y, X)
        Labels; axes of length 1 before these are left out.
    attributes : dict
        The layer's ``name``, ``scale``, ``translate`` and ``units`` among them.

    Returns
    -------
    list of str
        What was written.
    """
    finest = data[0] if attributes.get("multiscale") else data
    shape = tuple(int(size) for size in finest.shape)
    if len(shape) < 3 or any(size != 1 for size in shape[:-3]):
        raise OutputError(
            f"The labels have {len(shape)} axes; {Path(path).name} needs three (Z, Y, X)."
        )
    place = read_place(attributes, str(attributes.get("name", "the labels")))
    if place.turned:
        show_warning(
            f"{Path(path).name} keeps the voxel size of {attributes.get('name', 'the labels')!r}, "
            "but not its rotation, shear or mirroring, which it has no place for."
        )
    if place.size.note:
        show_warning(place.size.note)
    spacing, units, _ = place.size
    volume = LayerVolume(
        name=str(attributes.get("name", Path(path).stem)),
        data=finest,
        shape=(shape[-3], shape[-2], shape[-1]),
        dtype=np.dtype(finest.dtype),
        spacing=spacing or (1.0, 1.0, 1.0),
        units=units,
        spacing_known=spacing is not None or any(place.translate),
        translate=place.translate,
        is_labels=True,
    )
    target = Path(path)
    if target.suffix == ".zarr":
        write_layer(volume, target)
    else:
        _write_tiff(target, volume)
    return [path]


def _take_units(attributes: dict[str, Any]) -> str | None:
    units = attributes.get("units")
    unit = str(units[-1]) if units is not None else "pixel"
    return None if unit in {"pixel", "dimensionless"} else unit


def _write_tiff(path: Path, volume: LayerVolume) -> None:
    from napari_surfseg.inference.label_writer import write_ome_tiff
    from napari_surfseg.inference.output_metadata import VolumeMetadata

    dtype = _find_tiff_dtype(volume)

    def pages() -> Iterator[NDArray[Any]]:
        depth, high, wide = volume.shape
        for z in range(depth):
            yield volume.read((z, 0, 0), (z + 1, high, wide))[0].astype(dtype, copy=False)

    metadata = VolumeMetadata.like(volume, "labels")
    with written_aside(path) as temporary:
        write_ome_tiff(temporary, pages(), volume.shape, dtype, metadata)


def _find_tiff_dtype(volume: LayerVolume) -> np.dtype[Any]:
    """Choose the type the labels are stored as: OME-TIFF has no integers of 64 bits.

    Raises
    ------
    OutputError
        If there are labels that 32 bits cannot hold.
    """
    if volume.dtype == np.bool_:
        return np.dtype(np.uint8)
    native = volume.dtype.newbyteorder("=")
    if native.itemsize < 8:
        return native
    depth, high, wide = volume.shape
    planes = (volume.read((z, 0, 0), (z + 1, high, wide)) for z in range(depth))
    ranges = [(int(plane.min()), int(plane.max())) for plane in planes]
    lowest, highest = min(low for low, _ in ranges), max(high for _, high in ranges)
    for wanted in (np.int32, np.uint32):
        if np.iinfo(wanted).min <= lowest and highest <= np.iinfo(wanted).max:
            return np.dtype(wanted)
    raise OutputError(
        f"The labels {volume.name!r} go from {lowest} to {highest}, which a TIFF cannot hold; "
        "save them as .zarr."
    )
