"""A zarr store behind a URL: read with patience, and what was read is kept on disk.

Metadata are kept in memory only, absent ones as well: whoever opens a volume looks for many
files that may be there. Chunks are kept by their URL in
:data:`~napari_surfseg.data.remote_files.CHUNK_CACHE`.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from zarr.abc.store import (
    OffsetByteRequest,
    RangeByteRequest,
    Store,
    SuffixByteRequest,
)
from zarr.core.sync import sync

from napari_surfseg.data.remote_files import CHUNK_CACHE, Part, RemoteFiles, open_files

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterable

    from zarr.abc.store import ByteRequest
    from zarr.core.buffer import Buffer, BufferPrototype

__all__ = ["RemoteStore"]

#: Files that say what is there rather than being it.
METADATA = frozenset({"zarr.json", ".zarray", ".zgroup", ".zattrs", ".zmetadata"})


class RemoteStore(Store):
    """The files below a URL, for reading.

    Parameters
    ----------
    url : str
        Of the outermost group or array.
    is_kept : bool
        Whether chunks are kept on disk; labels, which somebody may go on painting, are not.
    """

    def __init__(self, url: str, *, is_kept: bool = True) -> None:
        super().__init__(read_only=True)
        self._url = url
        self._files: RemoteFiles = open_files(url)
        self._is_kept = is_kept
        self._metadata: dict[str, bytes | None] = {}

    def has_file(self, key: str) -> bool:
        """Whether a file is there."""
        return sync(self._read(key, (0, 1))) is not None

    def __eq__(self, other: object) -> bool:
        return isinstance(other, RemoteStore) and other._url == self._url

    def __hash__(self) -> int:
        return hash(self._url)

    def __repr__(self) -> str:
        return f"RemoteStore({self._url!r})"

    async def _read(self, key: str, part: Part | None) -> bytes | None:
        if key.rpartition("/")[2] in METADATA and part is None:
            if key not in self._metadata:
                self._metadata[key] = await self._files.read(key)
            return self._metadata[key]
        name = f"{self._url}\n{key}\n{part}"
        if self._is_kept:
            kept = await asyncio.to_thread(CHUNK_CACHE.read, name)
            if kept is not None:
                return kept
        data = await self._files.read(key, part)
        if self._is_kept and data is not None:
            await asyncio.to_thread(CHUNK_CACHE.keep, name, data)
        return data

    async def get(
        self, key: str, prototype: BufferPrototype, byte_range: ByteRequest | None = None
    ) -> Buffer | None:
        """Read a file or a part of it; None where there is none."""
        data = await self._read(key, _as_part(byte_range))
        return None if data is None else prototype.buffer.from_bytes(data)

    async def get_partial_values(
        self,
        prototype: BufferPrototype,
        key_ranges: Iterable[tuple[str, ByteRequest | None]],
    ) -> list[Buffer | None]:
        """Read parts of several files at once."""
        return list(await asyncio.gather(*(self.get(k, prototype, r) for k, r in key_ranges)))

    async def exists(self, key: str) -> bool:
        """Whether a file is there."""
        return await self._read(key, None) is not None

    supports_writes = False
    supports_deletes = False
    supports_listing = False

    async def set(self, key: str, value: Buffer) -> None:
        """Refuse to write."""
        raise NotImplementedError

    async def delete(self, key: str) -> None:
        """Refuse to write."""
        raise NotImplementedError

    def list(self) -> AsyncIterator[str]:
        """Refuse: what can be listed is listed by :mod:`~napari_surfseg.data.remote`."""
        raise NotImplementedError

    def list_prefix(self, prefix: str) -> AsyncIterator[str]:
        """Refuse, as :meth:`list`."""
        raise NotImplementedError

    def list_dir(self, prefix: str) -> AsyncIterator[str]:
        """Refuse, as :meth:`list`."""
        raise NotImplementedError


def _as_part(wanted: Any) -> Part | None:
    if isinstance(wanted, RangeByteRequest):
        return wanted.start, wanted.end
    if isinstance(wanted, SuffixByteRequest):
        return -wanted.suffix, None
    if isinstance(wanted, OffsetByteRequest):
        return wanted.offset, None
    return None
