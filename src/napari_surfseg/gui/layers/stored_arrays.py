"""The zarr array or memory-mapped file behind a layer's data, and where it lies."""

from __future__ import annotations

import asyncio
import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote, urlsplit

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = [
    "StoredArray",
    "find_addresses",
    "find_mapped_file",
    "find_mapping",
    "find_place",
    "find_zarr",
    "list_chunks",
    "only_reads",
]

#: How dask names the steps that read files (as napari does it), cut, stack and cut anew.
READING = (
    *("from-zarr-", "from-value-", "from-delayed-", "imread-", "finalize-hlgfinalizecompute-"),
    *("getitem-", "stack-", "concatenate-", "rechunk-", "reshape-", "broadcast_to-"),
)
#: A zarr group has one of these files.
GROUP_FILES = (".zgroup", "zarr.json")


@dataclass(frozen=True, eq=False)
class StoredArray:
    """An array in a store, behind a layer's data.

    Attributes
    ----------
    array : zarr.Array or VolumeArray
        As stored.
    is_whole : bool
        Whether the layer shows it as it is. Otherwise it shows a part or another order of
        it, which only a comparison of voxels can find out.
    """

    array: Any
    is_whole: bool


def find_zarr(data: Any) -> StoredArray | None:
    """Find the zarr array that an array is, or that a dask array or a volume reads.

    Returns
    -------
    StoredArray or None
        None where there is none, or dask computes with what it reads.
    """
    found = _find_stored(data)
    if found is None:
        return None
    array = found.array
    if hasattr(array, "volume"):
        array = getattr(array.volume, "array", None)
    return StoredArray(array, found.is_whole) if _is_zarr(array) else None


def find_addresses(data: Any) -> tuple[list[str], bool]:
    """Find where the store behind an array lies, as ``open_volume`` takes it.

    Returns
    -------
    list of str
        The group whose finest level it may be, then ``PATH::KEY``, then the array by
        itself: a group holds the voxel size. Empty for what lies in memory only or in a
        store that has no address.
    bool
        Whether the array is the whole of it.
    """
    found = _find_stored(data)
    if found is None:
        return [], False
    if not _is_zarr(found.array):
        return [str(found.array.volume.source)], found.is_whole
    place = find_place(found.array)
    if place is None:
        return [], False
    group, _, name = place.rpartition("/")
    is_group = "://" in group or any((Path(group) / one).is_file() for one in GROUP_FILES)
    return [group, f"{group}::{name}", place] if is_group else [place], found.is_whole


def find_place(array: Any) -> str | None:
    """Find the path or URL of a zarr array; None where it has none."""
    root = _find_root(array.store)
    inside = array.path.strip("/")
    return None if root is None else "/".join(filter(None, (root.rstrip("/"), inside)))


def find_mapped_file(data: Any) -> str | None:
    """Find the npy file that an array is the whole of, mapped so that changes go to the file."""
    path = find_mapping(data)
    if path is None or not path.endswith(".npy") or not data.flags.c_contiguous:
        return None
    return path


def find_mapping(data: Any) -> str | None:
    """Find the file of any format that an array maps so that changes go to the file."""
    if not isinstance(data, np.memmap) or data.filename is None or data.mode == "c":
        return None
    return str(data.filename)


def only_reads(data: Any) -> bool:
    """Whether a dask array only reads files and puts what it read together, changing nothing."""
    layers = getattr(getattr(data, "dask", None), "layers", None)
    return layers is not None and all(name.startswith(READING) for name in layers)


def list_chunks(array: Any) -> list[tuple[int, ...]] | None:
    """List the chunks (shards, where there are any) that were written, by their number.

    Returns
    -------
    list of tuple of int, or None
        None where the rest is not 0, or the store cannot be listed at once.
    """
    store = array.store
    if array.fill_value not in (0, None, False) or not store.supports_listing:
        return None
    if hasattr(store, "fs"):  # asks over a network, in an event loop of its own
        return None
    prefix = array.path.strip("/")
    names = asyncio.run(_list_names(store, prefix))
    found = []
    for name in names:
        inside = name[len(prefix) :].strip("/") if prefix else name
        match = re.fullmatch(r"(?:c[./])?(\d+(?:[./]\d+)*)", inside)
        if match is not None:
            number = tuple(int(part) for part in re.split(r"[./]", match[1]))
            if len(number) == array.ndim:
                found.append(number)
    return found


async def _list_names(store: Any, prefix: str) -> list[str]:
    return [name async for name in store.list_prefix(prefix)]


def _is_zarr(array: Any) -> bool:
    return hasattr(array, "store") and hasattr(array, "chunks") and hasattr(array, "path")


def _is_stored(value: Any) -> bool:
    return _is_zarr(value) or hasattr(value, "volume")


def _find_stored(data: Any) -> StoredArray | None:
    if _is_stored(data):
        return StoredArray(data, is_whole=True)
    graph = getattr(data, "dask", None)
    layers = getattr(graph, "layers", None)
    if layers is None:
        return None
    # from_array names its two steps so; whatever is done to an array adds another.
    plain = {data.name, f"original-{data.name}"}
    is_whole = set(layers) <= plain
    kinds = ("from-zarr-", "original-", "array-", "getitem-", "rechunk-")
    if not is_whole and not all(name.startswith(kinds) for name in layers):
        return None
    stored = {id(value): value for value in _iterate_values(layers) if _is_stored(value)}
    if len(stored) != 1:
        return None
    (array,) = stored.values()
    return StoredArray(array, is_whole and tuple(array.shape) == tuple(data.shape))


def _iterate_values(layers: Any) -> Iterator[Any]:
    """Give the arguments of the reading steps; a step of many tasks is not unrolled."""
    for layer in layers.values():
        if hasattr(layer, "indices"):
            yield from (value for value, _ in layer.indices)
        elif len(layer) == 1:
            yield from layer.values()


def _find_root(store: Any) -> str | None:
    if hasattr(store, "root"):
        return str(Path(store.root).absolute())
    files, path = getattr(store, "fs", None), getattr(store, "path", None)
    if files is None or path is None:
        return None
    url = str(getattr(files, "sync_fs", files).unstrip_protocol(path))
    parts = urlsplit(url)
    return unquote(parts.path) if parts.scheme in ("file", "local") else url
