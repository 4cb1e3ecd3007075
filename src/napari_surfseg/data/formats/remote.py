"""Volumes behind a URL, through fsspec where it is installed.

zarr is read chunk by chunk over the wire; a single file is copied to a
temporary folder first, since its slices lie all over it.
"""

from __future__ import annotations

import importlib.util
import shutil
import tempfile
import weakref
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from napari_surfseg.data.volume import split_source
from napari_surfseg.errors import DataError

if TYPE_CHECKING:
    from napari_surfseg.data.volume import Volume

__all__ = ["open_remote"]


def open_remote(source: str) -> Volume:
    """Open a URL of a zarr array or group, or of a single file.

    Raises
    ------
    DataError
        If fsspec or what it needs for this kind of URL is not installed, or
        there is nothing at the URL.
    """
    if importlib.util.find_spec("fsspec") is None:
        raise DataError(
            f"{source} is a URL, which needs fsspec; install it with "
            "'pip install napari-surfseg[remote]'."
        )
    from napari_surfseg.data.formats import MRC_SUFFIXES, TIFF_SUFFIXES, open_file

    location, key = split_source(source)
    suffix = PurePosixPath(urlsplit(location).path).suffix.lower()
    if suffix in (*TIFF_SUFFIXES, *MRC_SUFFIXES, ".npy"):
        path = _download(location, suffix)
        volume = open_file(path, source=source)
        weakref.finalize(volume, shutil.rmtree, path.parent, ignore_errors=True)
        return volume
    from napari_surfseg.data.formats.zarr_format import open_zarr

    try:
        return open_zarr(location, key, source=source)
    except ImportError as error:
        raise DataError(_lacks(source, error)) from error


def _download(location: str, suffix: str) -> Path:
    import fsspec  # type: ignore[import-untyped]

    folder = Path(tempfile.mkdtemp(prefix="surfseg-"))
    path = folder / f"{PurePosixPath(urlsplit(location).path).stem}{suffix}"
    try:
        store, place = fsspec.url_to_fs(location)
        store.get_file(place, str(path))
    except ImportError as error:
        shutil.rmtree(folder, ignore_errors=True)
        raise DataError(_lacks(location, error)) from error
    except FileNotFoundError as error:
        shutil.rmtree(folder, ignore_errors=True)
        raise DataError(f"There is no file {location}.") from error
    except Exception as error:
        shutil.rmtree(folder, ignore_errors=True)
        # Every kind of store has exceptions of its own.
        raise DataError(f"{location} cannot be fetched: {_reason(error)}.") from error
    return path


def _lacks(source: str, error: ImportError) -> str:
    return (
        f"{source} needs a package that is not installed ({_reason(error)}); "
        "'pip install napari-surfseg[remote]' brings the usual ones."
    )


def _reason(error: Exception) -> str:
    return " ".join(str(error).split()).rstrip(".")[:160] or type(error).__name__
