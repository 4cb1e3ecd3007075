"""Files behind a URL, through fsspec where it is installed."""

from __future__ import annotations

import importlib.util
import shutil
import tempfile
from pathlib import Path
from typing import Any

from napari_surfseg.data.remote_files import open_filesystem
from napari_surfseg.data.source import parse_source
from napari_surfseg.errors import DataError

__all__ = [
    "explain_missing_package",
    "fetch_file",
    "list_all",
    "list_folder",
    "name_of_url",
    "require_fsspec",
]


def require_fsspec(source: str) -> None:
    """Refuse a URL where fsspec is not installed."""
    if importlib.util.find_spec("fsspec") is None:
        raise DataError(
            f"{source} is a URL, which needs fsspec; install it with "
            "'pip install napari-surfseg[remote]'."
        )


def name_of_url(url: str) -> str:
    """Return the name of the file that a URL names, of one in an archive that one's."""
    return parse_source(url).name


def fetch_file(url: str) -> Path:
    """Copy a single file into a temporary folder of its own, which the caller removes.

    Its slices lie all over it, so reading it in parts over the wire would take longer.

    Raises
    ------
    DataError
        If a package for this kind of URL is not installed, or there is nothing at the URL.
    """
    folder = Path(tempfile.mkdtemp(prefix="surfseg-"))
    path = folder / name_of_url(url)
    try:
        store, place = open_filesystem(url)
        store.get_file(place, str(path))
    except ImportError as error:
        shutil.rmtree(folder, ignore_errors=True)
        raise explain_missing_package(url, error) from error
    except FileNotFoundError as error:
        shutil.rmtree(folder, ignore_errors=True)
        raise DataError(f"There is no file {url}.") from error
    except Exception as error:
        shutil.rmtree(folder, ignore_errors=True)
        # Every kind of store has exceptions of its own.
        raise DataError(f"{url} cannot be fetched: {_reason(error)}.") from error
    return path


def list_folder(url: str) -> list[str] | None:
    """List the names below a URL; None where its server gives no list."""
    if is_web(url):
        return None
    found = _ask(url, "ls", detail=False)
    return None if found is None else [str(name).rstrip("/").rpartition("/")[2] for name in found]


def is_web(url: str) -> bool:
    """Whether a URL is of a web server, which gives no list to rely on: a page, or nothing."""
    return url.startswith(("http://", "https://"))


def list_all(url: str) -> list[tuple[str, int]] | None:
    """List all files below a URL, by names relative to it, with their bytes.

    None where there is no list that can be relied on.
    """
    if is_web(url):
        return None
    found = _ask(url, "find", detail=True)
    if found is None:
        return None
    inside = open_filesystem(url)[1].strip("/") + "/"
    names = ((str(name).lstrip("/"), each) for name, each in found.items())
    return [
        (name[len(inside) :], int(each.get("size") or 0))
        for name, each in names
        if name.startswith(inside)
    ]


def _ask(url: str, question: str, **options: Any) -> Any:
    try:
        store, place = open_filesystem(url)
        return getattr(store, question)(place, **options)
    except ImportError as error:
        raise explain_missing_package(url, error) from error
    except Exception:  # noqa: BLE001  every kind of store has exceptions of its own
        return None


def explain_missing_package(source: str, error: ImportError) -> DataError:
    """Return the error to raise where a kind of URL needs a package that is not installed."""
    return DataError(
        f"{source} needs a package that is not installed ({_reason(error)}); "
        "'pip install napari-surfseg[remote]' brings the usual ones."
    )


def _reason(error: Exception) -> str:
    return " ".join(str(error).split()).rstrip(".")[:160] or type(error).__name__
