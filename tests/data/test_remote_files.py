"""Volumes on servers that answer late, not at all, or less than they said."""

import importlib.util
from pathlib import Path

import numpy as np
import pytest
import zarr

from napari_surfseg.data import remote_files
from napari_surfseg.data.cache import VolumeCache
from napari_surfseg.data.chunk_cache import ChunkCache
from napari_surfseg.data.open import open_volume
from napari_surfseg.errors import ChunkError, DataError

pytest.importorskip("aiohttp")

SHAPE = (16, 24, 32)
FAULTS = ["503", "reset", "stall", "truncate"]


def _load_server():
    path = Path(__file__).parents[1] / "flaky_server.py"
    spec = importlib.util.spec_from_file_location("flaky_server", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.FlakyServer


FlakyServer = _load_server()


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    monkeypatch.setattr(remote_files, "PAUSES", (0.01, 0.02, 0.04))
    monkeypatch.setattr(remote_files, "STALL_SECONDS", 0.4)
    kept = ChunkCache(tmp_path / "kept", 2**20)
    monkeypatch.setattr("napari_surfseg.data.formats.remote_store.CHUNK_CACHE", kept)
    return kept


@pytest.fixture
def values():
    return np.random.default_rng(0).integers(1, 255, SHAPE, np.uint8)


@pytest.fixture
def store(tmp_path, values):
    array = zarr.create_array(str(tmp_path / "a.zarr"), shape=SHAPE, chunks=(8, 8, 8), dtype="u1")
    array[:] = values
    return tmp_path / "a.zarr"


@pytest.fixture
def serve():
    servers = []

    def start(folder, **options):
        servers.append(FlakyServer(folder, **options))
        return servers[-1]

    yield start
    for server in servers:
        server.close()


def read(volume, start=(0, 0, 0), stop=SHAPE):
    return volume.read(start, stop)


@pytest.mark.parametrize("fault", FAULTS)
def test_what_fails_for_a_moment_is_asked_for_again(fault, store, serve, values):
    server = serve(store.parent)
    server.faults = {"/a.zarr/c/1/1/1": [fault, fault], "/a.zarr/zarr.json": [fault]}
    np.testing.assert_array_equal(read(open_volume(f"{server.url}/a.zarr")), values)
    assert server.requests["/a.zarr/c/1/1/1"] == 3


def test_a_chunk_that_never_comes_is_named(store, serve, values):
    server = serve(store.parent)
    server.faults = {"/a.zarr/c/1/2/3": ["503"] * 100}
    volume = open_volume(f"{server.url}/a.zarr")
    with pytest.raises(ChunkError, match=r"its chunk \(1, 2, 3\); .*asked 4 times.*503"):
        read(volume)
    np.testing.assert_array_equal(read(volume, stop=(8, 8, 8)), values[:8, :8, :8])


def test_a_chunk_that_is_missing_is_void_and_one_that_is_damaged_is_named(store, serve, values):
    (store / "c/0/0/0").unlink()
    (store / "c/0/0/1").write_bytes(b"damaged")
    server = serve(store.parent)
    volume = open_volume(f"{server.url}/a.zarr")
    assert not read(volume, stop=(8, 8, 8)).any()
    with pytest.raises(ChunkError, match=r"its chunk \(0, 0, 1\)"):
        read(volume)


def test_a_server_that_is_down_is_one_sentence(store, serve):
    server = serve(store.parent)
    server.faults = {"*": ["503"] * 1000}
    with pytest.raises(DataError, match=r"a\.zarr cannot be read: asked 4 times, .*503"):
        open_volume(f"{server.url}/a.zarr")


def test_what_is_refused_is_not_asked_for_again(store, serve):
    server = serve(store.parent)
    server.faults = {"/a.zarr/zarr.json": ["403"] * 3}
    with pytest.raises(DataError, match="403"):
        open_volume(f"{server.url}/a.zarr")
    assert server.requests["/a.zarr/zarr.json"] == 1


def test_a_query_stays_behind_the_path(store, serve, values):
    server = serve(store.parent, query="token=x%2Fy")
    volume = open_volume(f"{server.url}/a.zarr?token=x%2Fy")
    np.testing.assert_array_equal(read(volume), values)
    assert volume.name == "a.zarr"


def test_a_shard_is_read_in_parts(tmp_path, serve, values):
    array = zarr.create_array(
        str(tmp_path / "s.zarr"), shape=SHAPE, chunks=(8, 8, 8), shards=(16, 24, 32), dtype="u1"
    )
    array[:] = values
    volume = open_volume(f"{serve(tmp_path).url}/s.zarr")
    np.testing.assert_array_equal(read(volume, stop=(8, 8, 9)), values[:8, :8, :9])


def test_chunks_are_kept_for_the_next_run(store, serve, values):
    server = serve(store.parent)
    url = f"{server.url}/a.zarr"
    read(open_volume(url))
    before = sum(server.requests.values())
    np.testing.assert_array_equal(read(open_volume(url)), values)
    chunks = {path for path in server.requests if "/c/" in path}
    assert all(server.requests[path] == 1 for path in chunks)
    assert sum(server.requests.values()) - before < 10  # metadata
    read(open_volume(url, is_kept=False))  # labels may have been painted on
    assert all(server.requests[path] == 2 for path in chunks)


def test_several_chunks_are_asked_for_at_once(store, serve, values, cache):
    cache.max_bytes = 0
    server = serve(store.parent, latency=0.05)
    volume = open_volume(f"{server.url}/a.zarr")
    asked = []
    cached = VolumeCache(2**20)
    original = FlakyServer.answer

    def answer(self, request):
        asked.append(1)
        running.append(len(asked))
        original(self, request)
        asked.pop()

    running = []
    server.answer = answer.__get__(server)
    np.testing.assert_array_equal(cached.read(volume, (0, 0, 0), SHAPE), values)
    assert max(running) >= 8


def test_a_chain_of_places(store, tmp_path, serve, values):
    import shutil

    shutil.make_archive(str(tmp_path / "packed"), "zip", tmp_path, "a.zarr")
    server = serve(tmp_path)
    for source in (
        f"zip://a.zarr::{tmp_path / 'packed.zip'}",
        f"zip://a.zarr::{server.url}/packed.zip",
    ):
        np.testing.assert_array_equal(read(open_volume(source)), values)


def test_credentials_are_looked_for(tmp_path, monkeypatch):
    monkeypatch.setattr(remote_files, "_ask_region", lambda bucket: "eu-west-3")
    find = remote_files.find_object_settings
    home = {"HOME": str(tmp_path)}
    assert find("s3://b/a.zarr", home) == {"skip_signature": True, "region": "eu-west-3"}
    assert find("s3://b/a.zarr", home | {"AWS_ACCESS_KEY_ID": "k"}) == {"region": "eu-west-3"}
    (tmp_path / ".aws").mkdir()
    (tmp_path / ".aws/credentials").write_text(
        "[default]\naws_access_key_id = k\naws_secret_access_key = s\n"
    )
    (tmp_path / ".aws/config").write_text("[default]\nregion = eu-north-1\n")
    assert find("s3://b/a.zarr", home) == {
        "aws_access_key_id": "k",
        "aws_secret_access_key": "s",
        "region": "eu-north-1",
    }
    local = find("s3://b/a.zarr", home | {"AWS_ENDPOINT_URL": "http://x", "AWS_PROFILE": "other"})
    assert local == {"skip_signature": True, "endpoint": "http://x", "region": "us-east-1"}
    assert find("gs://b/a", home) == {"skip_signature": True}
    assert find("gs://b/a", home | {"GOOGLE_APPLICATION_CREDENTIALS": "x"}) == {}
