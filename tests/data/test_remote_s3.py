"""Volumes in a bucket, of a local S3 server."""

import shutil

import numpy as np
import pytest
import zarr

from napari_surfseg.data.chunk_cache import ChunkCache
from napari_surfseg.data.open import open_volume
from napari_surfseg.errors import DataError

pytest.importorskip("obstore")
server_module = pytest.importorskip("moto.server")
boto3 = pytest.importorskip("boto3")

SHAPE = (16, 24, 32)
pytestmark = pytest.mark.filterwarnings("ignore")  # of botocore and werkzeug


@pytest.fixture(scope="module")
def bucket(tmp_path_factory):
    """Start a server with a bucket that anybody may read; give what is in it."""
    folder = tmp_path_factory.mktemp("bucket")
    values = np.zeros(SHAPE, np.uint8)
    values[8:16, :8, 24:] = 7
    for name, shards in (("a.zarr", None), ("s.zarr", (16, 24, 32))):
        array = zarr.create_array(
            str(folder / name), shape=SHAPE, chunks=(8, 8, 8), shards=shards, dtype="u1"
        )
        array[:] = values
    shutil.make_archive(str(folder / "packed"), "zip", folder, "a.zarr")
    server = server_module.ThreadedMotoServer(port=0)
    server.start()
    host, port = server.get_host_and_port()
    url = f"http://{host}:{port}"
    client = boto3.client(
        "s3",
        endpoint_url=url,
        region_name="us-east-1",
        aws_access_key_id="k",
        aws_secret_access_key="s",
    )
    client.create_bucket(Bucket="scrolls", ACL="public-read")
    for path in folder.rglob("*"):
        if path.is_file():
            key = path.relative_to(folder).as_posix()
            client.put_object(Bucket="scrolls", Key=key, Body=path.read_bytes(), ACL="public-read")
    yield url, values
    server.stop()


@pytest.fixture
def s3(bucket, monkeypatch, tmp_path):
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_PROFILE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_ENDPOINT_URL", bucket[0])
    monkeypatch.setenv("HOME", str(tmp_path))
    kept = ChunkCache(tmp_path / "kept", 2**20)
    monkeypatch.setattr("napari_surfseg.data.formats.remote_store.CHUNK_CACHE", kept)
    return bucket[1]


@pytest.mark.parametrize(
    "source",
    [
        "s3://scrolls/a.zarr",
        "s3://scrolls/s.zarr",
        "simplecache::s3://scrolls/a.zarr",
        "zip://a.zarr::s3://scrolls/packed.zip",
    ],
)
def test_a_bucket_is_read_without_credentials(s3, source):
    volume = open_volume(source)
    np.testing.assert_array_equal(volume.read((0, 0, 0), SHAPE), s3)
    assert volume.name in ("a.zarr", "s.zarr")


@pytest.mark.parametrize("name", ["a.zarr", "s.zarr"])
def test_its_chunks_are_listed(s3, name):
    stored = open_volume(f"s3://scrolls/{name}").stored_chunks()
    assert stored.indices.tolist() == [[1, 0, 3]]


def test_with_credentials(s3, monkeypatch):
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "k")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "s")
    assert open_volume("s3://scrolls/a.zarr").shape == SHAPE


def test_what_is_not_there(s3):
    with pytest.raises(DataError, match=r"no readable zarr array or group s3://scrolls/none\.zarr"):
        open_volume("s3://scrolls/none.zarr")
