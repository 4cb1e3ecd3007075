"""The file formats, one file each, behind :func:`napari_surfseg.data.volume.open_volume`.

::

    PATH or PATH::KEY ──┬── *.zarr, or a folder with zarr metadata ── zarr_format
                        ├── a folder of images ────────────────────── slices_format
                        ├── *.tif, *.tiff ─────────────────────────── tiff_format
                        ├── *.npy ─────────────────────────────────── npy_format
                        ├── *.mrc, *.rec, *.map, *.st ─────────────── mrc_format
                        └── scheme://… ────────────────────────────── remote
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from napari_surfseg.data.volume import split_source
from napari_surfseg.errors import DataError

if TYPE_CHECKING:
    from napari_surfseg.data.volume import Volume

__all__ = ["KNOWN_FORMATS", "open_any"]

KNOWN_FORMATS = "zarr, OME-Zarr, TIFF, a folder of TIFF, PNG or JPEG 2000 slices, npy or mrc"

TIFF_SUFFIXES = (".tif", ".tiff", ".btf", ".tf8")
MRC_SUFFIXES = (".mrc", ".rec", ".map", ".st", ".ali", ".ccp4")
ZARR_FILES = ("zarr.json", ".zarray", ".zgroup", ".zattrs")


def open_any(source: str) -> Volume:
    """Open a path or URL of any known format.

    Raises
    ------
    DataError
        If there is nothing there, or nothing that can be opened.
    """
    if "://" in source:
        from napari_surfseg.data.formats.remote import open_remote

        return open_remote(source)
    location, key = split_source(source)
    path = Path(location).expanduser()
    group = _find_zarr(path)
    if group is not None:
        from napari_surfseg.data.formats.zarr_format import open_zarr

        inside = "" if group == path else path.relative_to(group).as_posix()
        return open_zarr(str(group), "/".join(filter(None, (inside, key))), source=source)
    if not path.exists():
        raise DataError(f"There is no file or folder {location}.")
    if key:
        raise DataError(
            f"{source} asks for {key!r} inside {location}, but only a zarr group can be opened "
            "with '::'."
        )
    if path.is_dir():
        from napari_surfseg.data.formats.slices_format import open_slices

        return open_slices(path, source=source)
    return open_file(path, source=source)


def open_file(path: Path, *, source: str) -> Volume:
    """Open a single local file by its suffix."""
    suffix = path.suffix.lower()
    if suffix in TIFF_SUFFIXES:
        from napari_surfseg.data.formats.tiff_format import open_tiff

        return open_tiff(path, source=source)
    if suffix == ".npy":
        from napari_surfseg.data.formats.npy_format import open_npy

        return open_npy(path, source=source)
    if suffix in MRC_SUFFIXES:
        from napari_surfseg.data.formats.mrc_format import open_mrc

        return open_mrc(path, source=source)
    raise DataError(f"{source} is of no known format; {KNOWN_FORMATS} can be opened.")


def _find_zarr(path: Path) -> Path | None:
    """Find the zarr array or group that a path is, or leads into without being there."""
    if path.exists():
        return path if path.is_dir() and _is_zarr(path) else None
    # scroll.zarr/7 with no level 7: the zarr reader knows what there is instead.
    parent = next((parent for parent in path.parents if parent.exists()), None)
    return parent if parent is not None and _is_zarr(parent) else None


def _is_zarr(folder: Path) -> bool:
    return any((folder / name).is_file() for name in ZARR_FILES)
