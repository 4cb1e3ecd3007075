"""Writers: meshes as PLY, OBJ or STL; labels as TIFF or OME-Zarr."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_surfseg.errors import OutputError
from napari_surfseg.files import written_aside
from napari_surfseg.gui.layer_copies import write_layer
from napari_surfseg.gui.sources import LayerVolume

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["write_labels", "write_surface"]


def write_surface(path: str, data: Any, attributes: dict[str, Any]) -> list[str]:
    """Write a Surface layer in physical units (scale and translate applied).

    Parameters
    ----------
    path : str
        ``.ply``, ``.obj`` or ``.stl``.
    data : tuple
        Vertices (N, 3) ZYX and faces (M, 3), as napari gives them.
    attributes : dict
        The layer's ``scale`` and ``translate`` among them.

    Returns
    -------
    list of str
        What was written.
    """
    from napari_surfseg.surfaces.mesh import make_mesh, write_mesh

    vertices, faces = np.asarray(data[0], float), np.asarray(data[1])
    if vertices.ndim != 2 or vertices.shape[1] != 3:
        raise OutputError(
            f"The surface has vertices of {vertices.shape[-1]} coordinates; a mesh file needs 3."
        )
    scale = np.asarray(attributes.get("scale", (1, 1, 1)), float)
    translate = np.asarray(attributes.get("translate", (0, 0, 0)), float)
    write_mesh(path, make_mesh(vertices * scale + translate, faces))
    return [path]


def write_labels(path: str, data: Any, attributes: dict[str, Any]) -> list[str]:
    """Write a Labels layer as TIFF or OME-Zarr, with its voxel size.

    Parameters
    ----------
    path : str
        ``.tif``, ``.tiff``, ``.zarr`` or ``.ome.zarr``.
    data : array (Z, Y, X)
        Labels.
    attributes : dict
        The layer's ``scale`` and ``units`` among them.

    Returns
    -------
    list of str
        What was written.
    """
    shape = tuple(int(size) for size in data.shape)
    if len(shape) != 3:
        raise OutputError(
            f"The labels have {len(shape)} axes; {Path(path).name} needs three (Z, Y, X)."
        )
    scale = np.abs(np.asarray(attributes.get("scale", (1, 1, 1)), float))
    units = attributes.get("units")
    unit = str(units[-1]) if units is not None else "pixel"
    volume = LayerVolume(
        name=str(attributes.get("name", Path(path).stem)),
        data=data,
        shape=(shape[0], shape[1], shape[2]),
        dtype=np.dtype(data.dtype),
        spacing=(float(scale[0]), float(scale[1]), float(scale[2])),
        units=None if unit in {"pixel", "dimensionless"} else unit,
        spacing_known=bool((scale != 1).any()) or unit not in {"pixel", "dimensionless"},
        is_labels=True,
    )
    target = Path(path)
    if target.suffix == ".zarr":
        write_layer(volume, target)
    else:
        _write_tiff(target, volume)
    return [path]


def _write_tiff(path: Path, volume: LayerVolume) -> None:
    import tifffile

    values: NDArray[Any] = np.asarray(volume.data)
    if values.dtype == np.bool_:
        values = values.astype(np.uint8)
    units = {"micrometer": "µm", "nanometer": "nm", "millimeter": "mm"}
    unit = units.get(volume.units or "", volume.units or "pixel")
    metadata: dict[str, Any] = {"axes": "ZYX"}
    for axis, size in zip("ZYX", volume.spacing, strict=True):
        metadata[f"PhysicalSize{axis}"] = size
        metadata[f"PhysicalSize{axis}Unit"] = unit
    with written_aside(path) as temporary:
        tifffile.imwrite(
            temporary,
            values,
            photometric="minisblack",
            ome=True,
            metadata=metadata,
            compression="zlib",
        )
