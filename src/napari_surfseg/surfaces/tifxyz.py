"""Grids of points as VC3D and its tools read and write them: a folder "tifxyz".

::

    sheet_0007.tifxyz/
      x.tif  y.tif  z.tif      float32, rows x columns, in voxels; -1 where there is no point
      nx.tif ny.tif nz.tif     normals, one channel each; 0 where there is none
      mask.tif                 uint8, 255 where there is a point
      meta.json                format, type, uuid, scale (points a voxel), bbox; and "surfseg"

A point at or below z = 0 does not count there, so what lies in the first plane is a thousandth of
a voxel above it. The files are not compressed: some readers map them into memory.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_surfseg.errors import DataError
from napari_surfseg.files import written_aside

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

    from napari_surfseg.geometry import Spacing3

__all__ = ["GRID_SUFFIX", "GridFile", "is_tifxyz", "read_tifxyz", "write_tifxyz"]

GRID_SUFFIX = ".tifxyz"

AXES = ("z", "y", "x")

#: Least z of a point, in voxels.
LEAST_Z = 1e-3

#: What is not a point.
INVALID = -1.0


@dataclass(frozen=True)
class GridFile:
    """What a tifxyz folder holds.

    Attributes
    ----------
    points : float32 array, shape (rows, columns, 3)
        ZYX in voxels; NaN where there is none.
    normals : float32 array or None
        Of the same shape, where it has them.
    step : float
        Voxels between neighbours.
    spacing, origin : tuple of float
        Voxel size, and place of the centre of voxel (0, 0, 0); 1 and 0 where nothing is said.
    units : str or None
        Of these.
    """

    points: NDArray[np.float32]
    normals: NDArray[np.float32] | None
    step: float
    spacing: Spacing3 = (1.0, 1.0, 1.0)
    origin: Spacing3 = (0.0, 0.0, 0.0)
    units: str | None = None


def is_tifxyz(path: Path) -> bool:
    """Whether a folder has the files of one."""
    return all((path / name).is_file() for name in ("x.tif", "y.tif", "z.tif", "meta.json"))


def write_tifxyz(path: Path, grid: GridFile) -> Path:
    """Write a grid, the folder whole or not at all.

    Parameters
    ----------
    path : Path
        The folder; it must not exist.
    grid : GridFile
        What to write.
    """
    import tifffile

    valid = np.isfinite(grid.points).all(axis=-1)
    points = grid.points.astype(np.float32)
    points[..., 0] = np.maximum(points[..., 0], LEAST_Z)
    with written_aside(path, overwrite=False) as aside:
        aside.mkdir()
        for number, axis in enumerate(AXES):
            values = np.where(valid, points[..., number], np.float32(INVALID))
            tifffile.imwrite(aside / f"{axis}.tif", values, photometric="minisblack")
            if grid.normals is not None:
                across = np.where(valid, grid.normals[..., number], np.float32(0))
                tifffile.imwrite(aside / f"n{axis}.tif", across, photometric="minisblack")
        mask = np.where(valid, np.uint8(255), np.uint8(0))
        tifffile.imwrite(aside / "mask.tif", mask, photometric="minisblack")
        text = json.dumps(_describe(path.name, points[valid], grid), indent=2)
        (aside / "meta.json").write_text(text, encoding="utf-8")
    return path


def _describe(name: str, points: NDArray[np.float32], grid: GridFile) -> dict[str, Any]:
    ends = [points.min(axis=0)[::-1].tolist(), points.max(axis=0)[::-1].tolist()]
    return {
        "format": "tifxyz",
        "type": "seg",
        "uuid": name.removesuffix(GRID_SUFFIX),
        "scale": [1 / grid.step, 1 / grid.step],
        "bbox": ends,
        "surfseg": {
            "spacing": list(grid.spacing),
            "origin": list(grid.origin),
            "units": grid.units,
        },
    }


def read_tifxyz(path: Path) -> GridFile:
    """Read a grid, ours or that of another program.

    Raises
    ------
    DataError
        If it is none, or its files do not belong together.
    """
    import tifffile

    try:
        about = json.loads((path / "meta.json").read_text(encoding="utf-8"))
        columns = [np.asarray(tifffile.imread(path / f"{axis}.tif"), np.float32) for axis in AXES]
        scale = float(about["scale"][0])
        mask = tifffile.imread(path / "mask.tif") if (path / "mask.tif").is_file() else None
    except (OSError, ValueError, KeyError, TypeError, IndexError) as error:
        raise DataError(
            f"{path} is no readable tifxyz folder: it needs x.tif, y.tif, z.tif and a meta.json "
            f"with a scale ({error})."
        ) from None
    if len({column.shape for column in columns}) > 1 or columns[0].ndim != 2 or not scale > 0:
        sizes = ", ".join(" × ".join(map(str, column.shape)) for column in columns)
        raise DataError(
            f"The z.tif, y.tif and x.tif of {path} must be planes of the same size, and the scale "
            f"above 0; they have {sizes}, and it is {scale:g}."
        )
    points = np.stack(columns, axis=-1)
    points[~np.isfinite(points).all(axis=-1) | (points[..., 0] <= 0)] = np.nan
    if mask is not None:
        points[_shrink_mask(mask, columns[0].shape) < 255] = np.nan
    ours = about.get("surfseg")
    ours = ours if isinstance(ours, dict) else {}
    return GridFile(
        points,
        _read_normals(path, columns[0].shape),
        1 / scale,
        _read_triple(ours.get("spacing"), 1.0),
        _read_triple(ours.get("origin"), 0.0),
        ours.get("units") if isinstance(ours.get("units"), str) else None,
    )


def _shrink_mask(mask: NDArray[Any], shape: tuple[int, ...]) -> NDArray[Any]:
    """Bring a mask to the size of the grid: any pixel of a point that is not 255 leaves it out."""
    mask = mask if mask.ndim == 2 else mask[..., 0]
    rows, columns = (size // wanted for size, wanted in zip(mask.shape, shape, strict=True))
    if (rows * shape[0], columns * shape[1]) != mask.shape:
        return np.full(shape, 255)  # of another size: not of this grid
    return np.asarray(mask.reshape(shape[0], rows, shape[1], columns).min(axis=(1, 3)))


def _read_normals(path: Path, shape: tuple[int, ...]) -> NDArray[np.float32] | None:
    import tifffile

    files = [path / f"n{axis}.tif" for axis in AXES]
    if not all(file.is_file() for file in files):
        return None
    found = [np.asarray(tifffile.imread(file), np.float32) for file in files]
    return np.stack(found, axis=-1) if all(part.shape == shape for part in found) else None


def _read_triple(values: Any, otherwise: float) -> Spacing3:
    if isinstance(values, list) and len(values) == 3:
        return (float(values[0]), float(values[1]), float(values[2]))
    return (otherwise,) * 3
