"""The cache: bounded, least recently used, one decoding for many readers."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from napari_surfseg.data.cache import VolumeCache
from napari_surfseg.data.volume import Volume

CHUNK = 4
VALUES = np.random.default_rng(0).integers(0, 255, (8, 10, 12)).astype(np.uint8)


class CountingVolume(Volume):
    """Counts decodings of chunks; waits for a gate and fails on demand."""

    def __init__(self, values=VALUES, gate=None, error=None):
        super().__init__(
            source="counted", shape=values.shape, dtype=values.dtype, chunks=(CHUNK,) * 3
        )
        self.values, self.gate, self.error = values, gate, error
        self.reads = []

    def _read_box(self, start, stop):
        self.reads.append((start, stop))
        if self.gate is not None:
            assert self.gate.wait(10)
        if self.error is not None:
            raise self.error
        return self.values[tuple(map(slice, start, stop))].copy()


def test_reads_boxes_across_chunks():
    volume = CountingVolume()
    cache = VolumeCache(10**6)
    rng = np.random.default_rng(1)
    for _ in range(50):
        start = rng.integers(0, VALUES.shape)
        stop = rng.integers(start, np.array(VALUES.shape) + 1)
        box = cache.read(volume, tuple(start.tolist()), tuple(stop.tolist()))
        np.testing.assert_array_equal(box, VALUES[tuple(map(slice, start, stop))])
    assert len(volume.reads) == len(set(volume.reads)) <= 2 * 3 * 3
    assert cache.stats().misses == len(volume.reads)


def test_counts_hits_misses_and_evictions():
    volume = CountingVolume()
    cache = VolumeCache(2 * CHUNK**3)
    first, second, third = ((i * CHUNK, 0, 0) for i in (0, 1, 0))
    third = (0, CHUNK, 0)

    def read(corner):
        cache.read(volume, corner, tuple(c + CHUNK for c in corner))

    read(first)
    read(second)
    read(first)  # now the second is the oldest
    assert (cache.stats().hits, cache.stats().misses, cache.stats().evictions) == (1, 2, 0)
    read(third)
    assert cache.stats().evictions == 1
    read(first)
    assert cache.stats().hits == 2
    read(second)
    stats = cache.stats()
    assert (stats.hits, stats.misses, stats.evictions) == (2, 4, 2)
    assert stats.num_bytes == stats.max_bytes == 2 * CHUNK**3
    assert stats.as_dict()["misses"] == 4


def test_stays_within_its_bound():
    volume = CountingVolume()
    cache = VolumeCache(3 * CHUNK**3 + 5)
    for _ in range(3):
        cache.read(volume, (0, 0, 0), volume.shape)
        assert cache.stats().num_bytes <= 3 * CHUNK**3 + 5


def test_chunks_larger_than_the_bound_are_read_in_part():
    volume = CountingVolume()
    cache = VolumeCache(CHUNK**3 - 1)
    box = cache.read(volume, (0, 0, 0), (1, 2, 3))
    np.testing.assert_array_equal(box, VALUES[:1, :2, :3])
    assert volume.reads == [((0, 0, 0), (1, 2, 3))]
    assert cache.stats().num_bytes == 0


def test_volumes_do_not_share_chunks():
    cache = VolumeCache(10**6)
    cache.read(CountingVolume(), (0, 0, 0), (1, 1, 1))
    other = CountingVolume(values=VALUES + np.uint8(1))
    assert cache.read(other, (0, 0, 0), (1, 1, 1)) == VALUES[0, 0, 0] + np.uint8(1)


def test_chunks_are_protected():
    cache = VolumeCache(10**6)
    chunk = cache.get_chunk(CountingVolume(), (0, 0, 0))
    with pytest.raises(ValueError, match="read-only"):
        chunk[0, 0, 0] = 1


def test_concurrent_misses_decode_once():
    gate = threading.Event()
    volume = CountingVolume(gate=gate)
    cache = VolumeCache(10**6)
    with ThreadPoolExecutor(8) as pool:
        futures = [pool.submit(cache.get_chunk, volume, (0, 0, 0)) for _ in range(8)]
        gate.set()
        chunks = [future.result(10) for future in futures]
    assert len(volume.reads) == 1
    assert all(chunk is chunks[0] for chunk in chunks)
    assert cache.stats().misses == 1
    assert cache.stats().hits == 7


def test_a_failure_reaches_all_who_wait_and_is_not_kept():
    gate = threading.Event()
    volume = CountingVolume(gate=gate, error=MemoryError("no more"))
    cache = VolumeCache(10**6)
    with ThreadPoolExecutor(4) as pool:
        futures = [pool.submit(cache.get_chunk, volume, (0, 0, 0)) for _ in range(4)]
        gate.set()
        for future in futures:
            assert "no more" in str(future.exception(10))
    volume.error = None
    assert cache.get_chunk(volume, (0, 0, 0)).shape == (CHUNK,) * 3


def test_many_threads_read_right():
    volume = CountingVolume()
    cache = VolumeCache(4 * CHUNK**3)

    def check(seed):
        rng = np.random.default_rng(seed)
        for _ in range(40):
            start = rng.integers(0, VALUES.shape)
            stop = rng.integers(start, np.array(VALUES.shape) + 1)
            box = cache.read(volume, tuple(start.tolist()), tuple(stop.tolist()))
            np.testing.assert_array_equal(box, VALUES[tuple(map(slice, start, stop))])
        return True

    with ThreadPoolExecutor(6) as pool:
        assert all(pool.map(check, range(6)))
    stats = cache.stats()
    assert stats.num_bytes <= stats.max_bytes
    assert stats.misses == len(volume.reads)


def test_clear_drops_chunks_and_keeps_counts():
    cache = VolumeCache(10**6)
    cache.get_chunk(CountingVolume(), (0, 0, 0))
    cache.clear()
    assert cache.stats().num_bytes == 0
    assert cache.stats().misses == 1


def test_bound_must_not_be_negative():
    with pytest.raises(ValueError, match="must not be negative"):
        VolumeCache(-1)
