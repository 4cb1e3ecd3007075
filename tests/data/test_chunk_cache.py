"""Chunks kept on disk, within a bound."""

import os
import threading
import time

from napari_surfseg.data.chunk_cache import ChunkCache

MIB = 2**20


def list_files(folder):
    return [path for path in folder.rglob("*") if path.is_file()]


def test_what_is_kept_is_read_by_another(tmp_path):
    ChunkCache(tmp_path, MIB).keep("a", b"chunk")
    other = ChunkCache(tmp_path, MIB)
    assert other.read("a") == b"chunk"
    assert other.read("b") is None
    other.keep("none", b"")
    assert other.read("none") == b""


def test_what_is_damaged_is_not_given(tmp_path):
    cache = ChunkCache(tmp_path, MIB)
    cache.keep("a", b"chunk")
    (path,) = list_files(tmp_path)
    path.write_bytes(path.read_bytes()[:-1])
    assert cache.read("a") is None


def test_what_was_used_longest_ago_goes_first(tmp_path):
    cache = ChunkCache(tmp_path, 100_000)
    for number in range(9):
        cache.keep(str(number), bytes(10_000))
        path = cache._path(str(number))
        os.utime(path, (time.time() - 1000 + number,) * 2)
    assert cache.read("0") is not None  # used again
    for number in range(9, 12):
        cache.keep(str(number), bytes(10_000))
    assert sum(path.stat().st_size for path in list_files(tmp_path)) <= 100_000
    assert cache.read("0") is not None
    assert cache.read("1") is None
    assert cache.read("11") is not None


def test_nothing_is_kept_where_nothing_may_be(tmp_path):
    cache = ChunkCache(tmp_path / "none", 0)
    cache.keep("a", b"chunk")
    assert cache.read("a") is None
    assert not (tmp_path / "none").exists()


def test_a_folder_that_cannot_be_written_is_no_error(tmp_path):
    (tmp_path / "file").write_text("")
    cache = ChunkCache(tmp_path / "file", MIB)
    cache.keep("a", b"chunk")
    assert cache.read("a") is None


def test_many_who_write_and_remove_at_once(tmp_path):
    caches = [ChunkCache(tmp_path, 50_000) for _ in range(4)]
    wrong = []

    def work(cache, seed):
        for number in range(60):
            name = str((number * 7 + seed) % 20)
            found = cache.read(name)
            if found is not None and found != name.encode() * 2000:
                wrong.append(name)
            cache.keep(name, name.encode() * 2000)

    threads = [threading.Thread(target=work, args=(c, i)) for i, c in enumerate(caches)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong
    caches[0].remove_oldest()
    assert sum(path.stat().st_size for path in list_files(tmp_path)) <= 50_000
    assert not any(path.name.startswith(".") for path in list_files(tmp_path))
