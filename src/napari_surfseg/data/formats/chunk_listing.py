"""The chunks of an array that are there, by their names: in folders, a zip file or a bucket.

::

    nested   0/12/7      c/0/12/7      one folder an axis; only those under the box are opened
    flat     0.12.7      c.0.12.7      all in one folder
    sharded  a chunk is a file of many inner ones, listed at its end or its beginning

Nothing is decoded. More than :data:`~napari_surfseg.data.stored_chunks.MAX_LISTED` names are not
looked at: then there is no list.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_surfseg.cancelling import raise_if_stopped
from napari_surfseg.data.stored_chunks import MAX_LISTED, StoredChunks
from napari_surfseg.geometry import blocks_under, to_index

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    from napari_surfseg.data.formats.axes import AxisOrder
    from napari_surfseg.geometry import Box, Size3

__all__ = [
    "ChunkNames",
    "Found",
    "collect_chunks",
    "find_in_folder",
    "find_in_names",
    "find_ranges",
    "list_inner_chunks",
]

#: A chunk that was found: its place along the stored axes, and the bytes that it takes.
Found = tuple[tuple[int, ...], int]
#: Looked at whether the person asked to stop after so many names.
NAMES_AT_ONCE = 10_000


@dataclass(frozen=True)
class ChunkNames:
    """How the chunks of an array are named.

    Attributes
    ----------
    prefix : str
        What stands before the numbers: ``c/``, ``c.`` or nothing.
    separator : str
        What stands between them: ``/`` or ``.``.
    num_axes : int
        Numbers in a name.
    """

    prefix: str
    separator: str
    num_axes: int

    def parse(self, name: str) -> tuple[int, ...] | None:
        """Return the place that a name states; None for the name of something else."""
        if self.prefix and not name.startswith(self.prefix):
            return None
        parts = name[len(self.prefix) :].split(self.separator)
        if len(parts) != self.num_axes or not all(part.isdecimal() for part in parts):
            return None
        return tuple(map(int, parts))


def find_in_names(
    names: Iterable[tuple[str, int]], how: ChunkNames, ranges: Sequence[range]
) -> Iterator[Found]:
    """Find chunks among all names below an array, given with their sizes."""
    for name, size in names:
        index = how.parse(name)
        if index is not None and all(i in r for i, r in zip(index, ranges, strict=True)):
            yield index, size


def find_in_folder(folder: Path, how: ChunkNames, ranges: Sequence[range]) -> Iterator[Found]:
    """Find chunks in the folder of an array; folders outside the ranges are not opened.

    A link, or a folder where a chunk should be, is found as well: whoever reads it reports it.
    """
    if how.separator == "/":
        inside = folder / how.prefix.rstrip("/") if how.prefix else folder
        yield from _walk(os.fspath(inside), ranges, ())
        return
    with _scan(os.fspath(folder)) as entries:
        yield from find_in_names(((each.name, _size(each)) for each in entries), how, ranges)


def _walk(folder: str, ranges: Sequence[range], above: tuple[int, ...]) -> Iterator[Found]:
    wanted, is_last = ranges[len(above)], len(above) + 1 == len(ranges)
    with _scan(folder) as entries:
        for entry in entries:
            if not entry.name.isdecimal():
                continue
            number = int(entry.name)
            if number not in wanted:
                continue
            if is_last:
                yield (*above, number), _size(entry)
            else:
                yield from _walk(entry.path, ranges, (*above, number))


class _Nothing:
    """What is found where there is no folder."""

    def __enter__(self) -> tuple[()]:
        return ()

    def __exit__(self, *about: object) -> None:
        return


def _scan(folder: str) -> Any:
    try:
        return os.scandir(folder)
    except (FileNotFoundError, NotADirectoryError):
        return _Nothing()


def _size(entry: os.DirEntry[str]) -> int:
    try:
        return entry.stat().st_size
    except OSError:  # a link to nothing
        return 0


def find_ranges(order: AxisOrder, box: Box, chunk: Size3) -> list[range]:
    """Give the places of chunks under a box along each stored axis; 0 along any other."""
    ranges = [range(1)] * order.num_axes
    for axis, first, last in zip(order.zyx, *blocks_under(box, chunk), strict=True):
        ranges[axis] = range(first, last)
    return ranges


def collect_chunks(
    found: Iterable[Found], order: AxisOrder, shape: Size3, chunk: Size3, fill: float
) -> StoredChunks | None:
    """Make the list of what was found; None where that is more than can be listed."""
    places: list[int] = []
    sizes: list[int] = []
    z, y, x = order.zyx
    for count, (index, size) in enumerate(found):
        if count >= MAX_LISTED:
            return None
        if not count % NAMES_AT_ONCE:
            raise_if_stopped()
        places += index[z], index[y], index[x]
        sizes.append(size)
    indices = np.array(places, np.int64).reshape(-1, 3)
    return StoredChunks.of(shape, chunk, indices, fill=fill, sizes=np.array(sizes, np.int64))


def list_inner_chunks(
    shards: StoredChunks, inner: Size3, indexes: Iterable[NDArray[np.bool_] | None]
) -> StoredChunks:
    """List the inner chunks of shards.

    Parameters
    ----------
    shards : StoredChunks
        Those that are there.
    inner : tuple of int
        Z, Y, X voxels of an inner chunk.
    indexes : iterable of numpy.ndarray or None
        For each shard in their order which of its inner chunks, along Z, Y, X, are there; None
        for all.
    """
    per = np.array([a // b for a, b in zip(shards.chunk, inner, strict=True)])
    found = []
    for place, index in zip(shards.indices, indexes, strict=True):
        there = np.ones(tuple(per), bool) if index is None else index
        found.append(np.argwhere(there) + place * per)
    indices = np.concatenate(found) if found else np.zeros((0, 3), np.int64)
    return StoredChunks.of(shards.shape, to_index(inner), indices, fill=shards.fill)
