"""A volume file as layer data: in place, of the right kind, and read as it is looked at."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_surfseg.errors import DataError, SurfsegError
from napari_surfseg.geometry import box_slices
from napari_surfseg.gui.layers.boxes import find_stored_boxes
from napari_surfseg.gui.layers.colormaps import build_probability_colormap
from napari_surfseg.gui.layers.layer_volume import VolumeArray
from napari_surfseg.gui.layers.mesh_colours import colour_mesh
from napari_surfseg.gui.layers.placement import place_of

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from napari_surfseg.data.volume import Volume
    from napari_surfseg.geometry import Size3

__all__ = [
    "IN_MEMORY_BYTES",
    "NOTES_KEY",
    "LayerData",
    "read_grid_data",
    "read_layer_data",
    "read_mesh_data",
]

LayerData = tuple[Any, dict[str, Any], str]

#: Below this a volume is read at once; labels can then be painted on.
IN_MEMORY_BYTES = 512_000_000

#: Under which a layer's metadata keep what of its file was left out.
NOTES_KEY = "surfseg_notes"


def read_layer_data(
    path: str, *, content: str | None = None, name: str | None = None, in_memory: bool = False
) -> LayerData:
    """Open a volume as an image or labels, with its scale, translate and units.

    Parameters
    ----------
    path : str
        Anything ``open_volume`` opens.
    content : str, optional
        ``"labels"``, ``"probabilities"`` or ``"image"``; by default what the file says.
    name : str, optional
        Of the layer; by default the file's.
    in_memory : bool
        Read a large one at once as well, so that it can be painted on.

    Returns
    -------
    tuple
        Data, options and kind of the layer.

    Raises
    ------
    DataError
        If there is no volume.
    """
    from napari_surfseg.data.open import open_volume

    volume = open_volume(path)
    content = content or volume.content
    about: dict[str, Any] = {
        "name": name or volume.name,
        "metadata": {"surfseg_file": path, **({NOTES_KEY: volume.notes} if volume.notes else {})},
        **place_of(volume.spacing, volume.translate, volume.units),
    }
    is_small = volume.num_voxels * volume.dtype.itemsize <= IN_MEMORY_BYTES
    data = _read_at_once(volume) if is_small or in_memory else _read_lazily(volume)
    if content == "labels" and volume.dtype.kind in "uib":
        return data, about, "labels"
    if not is_small and (levels := find_levels(path, volume.shape)):
        data, about["multiscale"] = [data, *levels], True
    if content == "probabilities":
        about |= {
            "colormap": build_probability_colormap(),
            "contrast_limits": (0, 255) if volume.dtype == np.uint8 else (0, 1),
            "blending": "translucent",
        }
    return data, about, "image"


def read_mesh_data(path: str) -> LayerData:
    """Open a mesh as a surface: X, Y, Z of the file become napari's Z, Y, X.

    What the plugin measured at its vertices is its colour.

    Raises
    ------
    DataError
        If it is no readable mesh.
    """
    from napari_surfseg.surfaces.mesh_reading import read_mesh_file

    vertices, faces, units, values = read_mesh_file(path)
    if not len(faces):
        raise DataError(f"{path} holds no triangles.")
    data, about, _ = colour_mesh(vertices, faces, values, units)
    if not values:
        del about["colormap"]  # of another program's mesh, napari's own
    about |= {"name": Path(path).stem, **place_of((1.0, 1.0, 1.0), units=units)}
    return data, about, "surface"


def read_grid_data(path: str) -> LayerData:
    """Open an ordered grid of points (a tifxyz folder) as a surface, in place.

    Raises
    ------
    DataError
        If it is none, or has no four points beside each other.
    """
    from napari_surfseg.surfaces.sheet_grid import join_points
    from napari_surfseg.surfaces.tifxyz import GRID_SUFFIX, read_tifxyz

    folder = Path(path)
    grid = read_tifxyz(folder)
    vertices, faces = join_points(grid.points)
    if not len(faces):
        raise DataError(f"{path} has no four points beside each other, so there is no surface.")
    about = {
        "name": folder.name.removesuffix(GRID_SUFFIX),
        "shading": "smooth",
        "metadata": {"surfseg_file": path},
        **place_of(grid.spacing, grid.origin, grid.units),
    }
    return (vertices, faces), about, "surface"


def _read_at_once(volume: Volume) -> NDArray[Any]:
    data = np.zeros(volume.shape, volume.dtype)
    for box in find_stored_boxes(VolumeArray(volume)):
        data[box_slices(box)] = volume.read(*box)
    return data


def _read_lazily(volume: Volume) -> Any:
    import dask.array

    return dask.array.from_array(VolumeArray(volume), chunks=volume.chunks)


def find_levels(path: str, shape: Size3) -> list[Any]:
    """Find the coarser levels of an OME-Zarr: a volume of terabytes is looked at in those."""
    from napari_surfseg.data.open import open_volume

    levels: list[Any] = []
    while True:
        try:
            level = open_volume(f"{path}::{len(levels) + 1}")
        except SurfsegError:
            return levels
        finer = levels[-1].shape if levels else shape
        if not all(a <= b for a, b in zip(level.shape, finer, strict=True)):
            return levels
        levels.append(_read_lazily(level))
