"""Open a volume of any format, by path or URL.

::

    open_volume("scroll.zarr::1")
        parse_source ──▶ Source ──┬── URL: fetched by remote, or read by zarr over the wire
                                  ├── a container, or a path into one ──┐
                                  ├── a folder of slices ───────────────┼─▶ formats/ ─▶ Volume
                                  └── a file, by its suffix ────────────┘

Which formats there are is the business of :mod:`napari_surfseg.data.formats.registry`.
"""

from __future__ import annotations

import shutil
import weakref
from dataclasses import replace
from typing import TYPE_CHECKING

from napari_surfseg.data.formats.registry import (
    FOLDER_OF_SLICES,
    N5,
    ZARR,
    find_container,
    find_file_format,
    list_containers,
    list_formats,
)
from napari_surfseg.data.remote import (
    explain_missing_package,
    fetch_file,
    name_of_url,
    require_fsspec,
)
from napari_surfseg.data.source import Source, parse_source
from napari_surfseg.errors import DataError
from napari_surfseg.files import restore_interrupted

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from napari_surfseg.data.volume import Volume

__all__ = ["open_volume"]

#: Characters of a path that is too long for any file.
MAX_SHOWN = 100


def open_volume(
    source: str | Path, *, spacing: Sequence[float] | None = None, is_kept: bool = True
) -> Volume:
    """Open a volume of any known format without reading its voxels.

    Parameters
    ----------
    source : str or Path
        zarr (v2, v3) or OME-Zarr (0.1 to 0.5), also zipped, N5, TIFF, a folder of slices, npy,
        mrc, HDF5, BigDataViewer, NIfTI or NRRD, as a path or URL. ``PATH::KEY`` picks an array
        inside a zarr or N5 group or an HDF5 file; an OME-Zarr without a key gives its finest level.
    spacing : tuple of float, optional
        Z, Y, X voxel size that replaces what the file says.
    is_kept : bool
        Whether chunks behind a URL are kept on disk for the next run. Not those of labels, which
        somebody may go on painting.

    Returns
    -------
    Volume

    Raises
    ------
    DataError
        If there is nothing there, or it is not a volume of real numbers.
    """
    where = replace(parse_source(str(source)), is_kept=is_kept)
    volume = _open_remote(where) if where.is_remote else _open_local(where)
    if spacing is not None:
        volume.set_spacing(spacing)
    return volume


def _open_local(source: Source) -> Volume:
    path = source.path
    try:
        path.exists()
    except (OSError, ValueError) as error:  # a name that no file can have
        reason = getattr(error, "strerror", None) or error
        raise DataError(f"{source.text[:MAX_SHOWN]} cannot be opened: {reason}.") from None
    found = find_container(path)
    if found is not None:
        container, folder = found
        inside = "" if folder == path else path.relative_to(folder).as_posix()
        key = "/".join(filter(None, (inside, source.key)))
        return container.open(replace(source, location=str(folder), key=key))
    if not path.exists():
        if restore_interrupted(path):  # a folder whose writer was killed as it replaced it
            return _open_local(source)
        raise DataError(f"There is no file or folder {source.location}.")
    if source.key:
        raise DataError(
            f"{source.text} asks for {source.key!r} inside {source.location}, but only "
            f"{list_containers()} can be opened with '::'."
        )
    return FOLDER_OF_SLICES.open(source) if path.is_dir() else _open_file(source)


def _open_file(source: Source) -> Volume:
    """Open a single local file by its suffix."""
    known = find_file_format(source.path.name)
    if known is None:
        raise DataError(f"{source.text} is of no known format; {list_formats()} can be opened.")
    return known.open(source)


def _open_remote(source: Source) -> Volume:
    """Open a URL of a single file, or else of a zarr array or group, read chunk by chunk."""
    require_fsspec(source.text)
    if find_file_format(name_of_url(source.location)) is not None:
        path = fetch_file(source.location)
        volume = _open_file(replace(source, location=str(path)))
        weakref.finalize(volume, shutil.rmtree, path.parent, ignore_errors=True)
        return volume
    if any(part.lower().endswith(".n5") for part in source.location.split("/")):
        return N5.open(source)
    try:
        return ZARR.open(source)
    except ImportError as error:
        raise explain_missing_package(source.text, error) from error
