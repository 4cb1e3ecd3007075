"""Arrays and groups of a zarr store that is only read: a folder, a zip file or a URL.

A chunk is void only where the store says that there is none. zarr by itself takes a chunk that
it looks for under a wrong name, that is a folder, or that is a link to nothing for void.
"""

from __future__ import annotations

import asyncio
import os
import re
import zipfile
from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Any

import zarr
from zarr.storage import LocalStore, ZipStore

from napari_surfseg.data.formats.chunk_listing import (
    ChunkNames,
    find_in_folder,
    find_in_names,
)
from napari_surfseg.data.formats.registry import is_in_zarr
from napari_surfseg.data.formats.remote_store import RemoteStore
from napari_surfseg.data.remote import list_all, list_folder
from napari_surfseg.data.remote_files import AT_ONCE, RemoteError
from napari_surfseg.errors import DataError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from pathlib import Path

    from napari_surfseg.data.formats.chunk_listing import Found
    from napari_surfseg.data.source import Source

__all__ = ["ZarrTree", "open_tree"]

#: Folders above a named one that may state what it is: plate, row, well, field, labels, name.
MAX_DEPTH = 8
CHUNK_NAME = re.compile(r"(c[./])?\d+(\.\d+)*")


def open_tree(source: Source) -> ZarrTree:
    """Find what a source is part of.

    Raises
    ------
    DataError
        If a zip file is damaged.
    """
    if source.is_remote:
        return _UrlTree(source)
    return _ZipTree(source) if source.path.is_file() else _FolderTree(source.path)


class ZarrTree(ABC):
    """Groups and arrays by their paths, from the outermost group down.

    Attributes
    ----------
    base : str
        Path of what was named.
    """

    base = ""
    #: Files that are worth asking for at the same time.
    reads_at_once = 1

    def find(self, path: str) -> Any:
        """Open an array or group; None where there is none.

        Raises
        ------
        DataError
            If its metadata are damaged.
        """
        try:
            node = _open_node(self._target(path))
        except FileNotFoundError:
            return None
        except RemoteError as error:
            raise DataError(f"{self.describe(path)} cannot be read: {error}.") from error
        except ImportError:  # a kind of URL that needs another package; the caller says which
            raise
        except Exception as error:
            # zarr and the stores below it meet damaged metadata with many exceptions.
            if type(error).__name__ == "UnknownCodecError":
                name = str(error).rpartition(":")[2].strip(" '")
                raise DataError(
                    f"{self.describe(path)} is compressed with {name!r}, which needs a package "
                    "that is not installed."
                ) from error
            raise DataError(
                f"There is no readable zarr array or group {self.describe(path)}; its metadata are "
                "missing or damaged."
            ) from error
        return self._with_chunks_found(node, path) if isinstance(node, zarr.Array) else node

    def attributes(self, path: str) -> dict[str, Any]:
        """Return the attributes of a group; empty where there is none, or it is damaged."""
        try:
            node = self.find(path)
        except DataError:
            return {}
        return dict(node.attrs) if isinstance(node, zarr.Group) else {}

    def has_chunks(self, path: str) -> bool:
        """Whether any chunk of an array is there, as far as that can be found out at once."""
        names = self.iterate_names(path)
        if names is None:
            return True
        return any(
            next(iter(self.iterate_names(f"{path}/c") or ()), None) is not None
            if name == "c"
            else CHUNK_NAME.fullmatch(name) is not None
            for name in names
        )

    @abstractmethod
    def find_chunks(
        self, path: str, how: ChunkNames, ranges: Sequence[range]
    ) -> Iterator[Found] | None:
        """Find the chunks of an array that are there; None where the store cannot be listed."""

    @abstractmethod
    def describe(self, path: str) -> str:
        """Name a node for a sentence."""

    @abstractmethod
    def iterate_names(self, path: str) -> Iterable[str] | None:
        """Names right below a path; None where the store cannot be listed."""

    @abstractmethod
    def _target(self, path: str) -> dict[str, Any]:
        """Give what ``zarr.open`` takes."""

    def _find_separator(self, array: Any, path: str) -> str | None:
        """Find what lies between the numbers in the names of the chunks that are there."""
        for name in self.iterate_names(path) or ():
            if CHUNK_NAME.fullmatch(name):
                return "." if "." in name else "/"
        return None

    def _with_chunks_found(self, array: Any, path: str) -> Any:
        """Look for chunks where they are: older writers of version 2 nest them without a word."""
        if array.metadata.zarr_format != 2 or array.ndim < 2:
            return array
        stated = array.metadata.dimension_separator
        found = self._find_separator(array, path)
        if found is None or found == stated:
            return array
        metadata = {**array.metadata.to_dict(), "dimension_separator": found}
        return zarr.Array.from_dict(array.store_path, metadata)


def _open_node(target: dict[str, Any]) -> Any:
    try:
        return zarr.open(**target, mode="r")
    except ValueError as error:
        if "imagecodecs_" not in str(error):
            raise
        from imagecodecs.numcodecs import register_codecs

        register_codecs()
        return zarr.open(**target, mode="r")


class _StrictStore(LocalStore):
    """A folder in which something that is there but is no file is no missing chunk."""

    async def get(self, key: str, *args: Any, **options: Any) -> Any:
        found = await super().get(key, *args, **options)
        if found is None and await asyncio.to_thread(os.path.lexists, self.root / key):
            raise OSError(f"{key} is there but cannot be read")
        return found


class _FolderTree(ZarrTree):
    def __init__(self, folder: Path) -> None:
        self._root = folder.absolute()
        for above in list(self._root.parents)[:MAX_DEPTH]:
            if not is_in_zarr(above):
                break
            self._root = above
        self.base = "/".join(folder.absolute().relative_to(self._root).parts)
        self._store = _StrictStore(self._root, read_only=True)

    def describe(self, path: str) -> str:
        return str(self._root / path)

    def iterate_names(self, path: str) -> Iterator[str]:
        try:
            with os.scandir(self._root / path) as entries:
                for entry in entries:
                    yield entry.name
        except (FileNotFoundError, NotADirectoryError):
            return

    def find_chunks(self, path: str, how: ChunkNames, ranges: Sequence[range]) -> Iterator[Found]:
        return find_in_folder(self._root / path, how, ranges)

    def _target(self, path: str) -> dict[str, Any]:
        return {"store": self._store, "path": path}


class _ZipTree(ZarrTree):
    """A zip file that holds a zarr, or one folder that is a zarr."""

    def __init__(self, source: Source) -> None:
        self._location = source.location
        try:
            with zipfile.ZipFile(source.path) as packed:
                self._sizes = [(each.filename, each.file_size) for each in packed.infolist()]
                self._names = [name for name, _ in self._sizes]
        except (zipfile.BadZipFile, OSError) as error:
            raise DataError(
                f"{source.location} is not a readable zip file; it seems to be damaged or "
                "incomplete."
            ) from error
        self._store = ZipStore(source.path, mode="r")
        top = [name for name in self.iterate_names("") if name != "__MACOSX"]
        if len(top) == 1:
            self.base = top[0]

    def describe(self, path: str) -> str:
        return f"{self._location}::{path}" if path else self._location

    def iterate_names(self, path: str) -> Iterator[str]:
        inside = f"{path}/" if path else ""
        names = (name[len(inside) :] for name in self._names if name.startswith(inside))
        yield from dict.fromkeys(name.partition("/")[0] for name in names if name)

    def find_chunks(self, path: str, how: ChunkNames, ranges: Sequence[range]) -> Iterator[Found]:
        inside = f"{path}/" if path else ""
        names = (
            (name[len(inside) :], size) for name, size in self._sizes if name.startswith(inside)
        )
        return find_in_names(names, how, ranges)

    def _target(self, path: str) -> dict[str, Any]:
        return {"store": self._store, "path": path}


class _UrlTree(ZarrTree):
    def __init__(self, source: Source) -> None:
        self._url = source.location.rstrip("/")
        self._store = RemoteStore(self._url, is_kept=source.is_kept)
        self.reads_at_once = AT_ONCE
        # zarr asks for so many chunks of a box at once; 10 by itself.
        zarr.config.set({"async.concurrency": AT_ONCE})

    def describe(self, path: str) -> str:
        return f"{self._url}::{path}" if path else self._url

    def _locate(self, path: str) -> str:
        """Give the URL of a path: in the first part of a chain, before a query."""
        first, *rest = self._url.split("::")
        if "://" not in first and rest:  # simplecache::s3://…
            first, rest = f"{first}::{rest[0]}", rest[1:]
        return "::".join([f"{first.rstrip('/')}/{path}" if path else first, *rest])

    def iterate_names(self, path: str) -> list[str] | None:
        return list_folder(self._locate(path))

    def find_chunks(
        self, path: str, how: ChunkNames, ranges: Sequence[range]
    ) -> Iterator[Found] | None:
        names = list_all(self._locate(path))
        return None if names is None else find_in_names(names, how, ranges)

    def _find_separator(self, array: Any, path: str) -> str | None:
        """Ask for the first chunk: a list of all of them takes long, and HTTP gives none."""
        stated: str = array.metadata.dimension_separator
        if stated == "/":
            return stated
        for separator in "./":
            name = f"{path}/{separator.join('0' * array.ndim)}".lstrip("/")
            try:
                if self._store.has_file(name):
                    return separator
            except RemoteError:
                break
        return super()._find_separator(array, path)

    def _target(self, path: str) -> dict[str, Any]:
        return {"store": self._store, "path": path}
