"""Decoded chunks kept in memory: least recently used go first, bounded in bytes."""

from __future__ import annotations

import itertools
import math
import threading
from collections import OrderedDict
from concurrent.futures import ThreadPoolExecutor, wait
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, TypeAlias

import numpy as np

from napari_surfseg.data.volume import DerivedVolume
from napari_surfseg.geometry import block_box, blocks_under, box_shape, iterate_indices

if TYPE_CHECKING:
    from collections.abc import Hashable

    from napari_surfseg.data.volume import Volume, VoxelArray
    from napari_surfseg.geometry import Index3

__all__ = ["CacheStats", "VolumeCache"]

_Key: TypeAlias = "tuple[Hashable, Index3]"


@dataclass(frozen=True)
class CacheStats:
    """What a cache has done so far.

    Attributes
    ----------
    hits, misses : int
        Chunks found, and chunks that had to be decoded. A chunk that another
        thread was already decoding counts as found.
    evictions : int
        Chunks dropped to stay within the bound.
    num_bytes, max_bytes : int
        Held now, and at most.
    """

    hits: int
    misses: int
    evictions: int
    num_bytes: int
    max_bytes: int

    def as_dict(self) -> dict[str, int]:
        """For events and logs."""
        return asdict(self)


class _Pending:
    """A chunk that one thread decodes and others may wait for."""

    def __init__(self) -> None:
        self.done = threading.Event()
        self.chunk: VoxelArray | None = None
        self.error: BaseException | None = None


class VolumeCache:
    """Chunks of any number of volumes; safe to use from many threads.

    Parameters
    ----------
    max_bytes : int
        Bound on the decoded bytes held. A chunk larger than this is never kept.
    """

    def __init__(self, max_bytes: int) -> None:
        if max_bytes < 0:
            raise ValueError(f"max_bytes must not be negative, not {max_bytes}")
        self._max_bytes = int(max_bytes)
        self._lock = threading.Lock()
        self._chunks: OrderedDict[_Key, VoxelArray] = OrderedDict()
        self._pending: dict[_Key, _Pending] = {}
        self._num_bytes = 0
        self._fetchers: ThreadPoolExecutor | None = None
        self._hits = 0
        self._misses = 0
        self._evictions = 0

    @property
    def max_bytes(self) -> int:
        """Bound on the decoded bytes held."""
        return self._max_bytes

    def read(self, volume: Volume, start: Index3, stop: Index3) -> VoxelArray:
        """Read a box inside a volume, decoding only the chunks that are not held.

        Takes and gives what :meth:`Volume.read` does.
        """
        out = np.empty(box_shape((start, stop)), dtype=volume.dtype)
        self.read_into(out, volume, start, stop)
        return out

    def read_into(self, out: VoxelArray, volume: Volume, start: Index3, stop: Index3) -> None:
        """Read a box into an array of its shape; see :meth:`read`."""
        volume.require_inside(start, stop)
        if math.prod(volume.chunks) * volume.dtype.itemsize > self._max_bytes:
            with self._lock:
                self._misses += 1
            volume.read_into(out, start, stop)  # only what is asked for, not whole chunks
            return
        if volume.reads_at_once > 1:
            self._fetch(volume, start, stop)
        spans = [_spans(a, b, size) for a, b, size in zip(start, stop, volume.chunks, strict=True)]
        for (z, in_z, of_z), (y, in_y, of_y), (x, in_x, of_x) in itertools.product(*spans):
            out[in_z, in_y, in_x] = self.get_chunk(volume, (z, y, x))[of_z, of_y, of_x]

    def _fetch(self, volume: Volume, start: Index3, stop: Index3) -> None:
        """Decode the chunks under a box that are not held, several at the same time."""
        with self._lock:
            missing = [
                index
                for index in iterate_indices(blocks_under((start, stop), volume.chunks))
                if (volume.key, index) not in self._chunks
            ]
            if len(missing) > 1 and self._fetchers is None:
                self._fetchers = ThreadPoolExecutor(
                    volume.reads_at_once, thread_name_prefix="chunks"
                )
        if len(missing) > 1 and self._fetchers is not None:
            # What fails is met again, and raised, by whoever reads it.
            wait([self._fetchers.submit(self.get_chunk, volume, index) for index in missing])

    def get_chunk(self, volume: Volume, index: Index3) -> VoxelArray:
        """One chunk, read-only, by its place in the volume's grid of chunks."""
        key = (volume.key, index)
        with self._lock:
            chunk = self._chunks.get(key)
            if chunk is not None:
                self._chunks.move_to_end(key)
                self._hits += 1
                return chunk
            pending = self._pending.get(key)
            if pending is None:
                mine = self._pending[key] = _Pending()
                self._misses += 1
            else:
                self._hits += 1
        if pending is not None:
            pending.done.wait()
            if pending.error is not None:
                raise pending.error
            assert pending.chunk is not None  # noqa: S101 - set before `done`
            return pending.chunk
        return self._decode(volume, key, mine)

    def _decode(self, volume: Volume, key: _Key, pending: _Pending) -> VoxelArray:
        try:
            chunk = volume.read(*block_box(key[1], volume.chunks, volume.box))
            chunk.setflags(write=False)
            pending.chunk = chunk
        except BaseException as error:
            pending.error = error
            raise
        finally:
            with self._lock:
                del self._pending[key]
                if pending.chunk is not None:
                    self._keep(key, pending.chunk)
            pending.done.set()
        return chunk

    def _keep(self, key: _Key, chunk: VoxelArray) -> None:
        """Insert a chunk, dropping the oldest first; the lock is held."""
        if chunk.nbytes > self._max_bytes:
            return
        while self._num_bytes + chunk.nbytes > self._max_bytes:
            _, oldest = self._chunks.popitem(last=False)
            self._num_bytes -= oldest.nbytes
            self._evictions += 1
        self._chunks[key] = chunk
        self._num_bytes += chunk.nbytes

    def view(self, volume: Volume) -> Volume:
        """Give the same volume, read through this cache."""
        return _CachedVolume(volume, self)

    def forget(self, volume: Volume, start: Index3, stop: Index3) -> None:
        """Drop the chunks of a volume under a box that was written again.

        No thread may read that box meanwhile, or an old chunk could come back.
        """
        chunks = blocks_under((start, stop), volume.chunks)
        with self._lock:
            for index in iterate_indices(chunks):
                chunk = self._chunks.pop((volume.key, index), None)
                if chunk is not None:
                    self._num_bytes -= chunk.nbytes

    def clear(self) -> None:
        """Drop every chunk; the counts stay."""
        with self._lock:
            self._chunks.clear()
            self._num_bytes = 0

    def stats(self) -> CacheStats:
        """Count what happened so far."""
        with self._lock:
            return CacheStats(
                self._hits, self._misses, self._evictions, self._num_bytes, self._max_bytes
            )


class _CachedVolume(DerivedVolume):
    _is_voxelwise = True

    def __init__(self, volume: Volume, cache: VolumeCache) -> None:
        super().__init__(volume)
        self.key = volume.key
        self._volume = volume
        self._cache = cache

    def read_into(self, out: VoxelArray, start: Index3, stop: Index3) -> None:
        self._cache.read_into(out, self._volume, start, stop)

    def _read_box(self, start: Index3, stop: Index3) -> VoxelArray:
        return self._cache.read(self._volume, start, stop)


def _spans(start: int, stop: int, size: int) -> list[tuple[int, slice, slice]]:
    """Chunks under a span of one axis: which, its place in the span, its part that is needed."""
    spans = []
    for index in range(start // size, -(-stop // size) if stop > start else 0):
        low = index * size
        first, last = max(start, low), min(stop, low + size)
        spans.append((index, slice(first - start, last - start), slice(first - low, last - low)))
    return spans
