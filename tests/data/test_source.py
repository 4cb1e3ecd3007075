"""PATH::KEY, split and named."""

import pytest

from napari_surfseg.data.source import parse_source


@pytest.mark.parametrize(
    ("text", "location", "key", "name"),
    [
        ("a.zarr", "a.zarr", "", "a.zarr"),
        ("deep/a.zarr::1", "deep/a.zarr", "1", "a.zarr::1"),
        ("a.zarr::/deep/raw/", "a.zarr", "deep/raw", "a.zarr::deep/raw"),
        ("s3://bucket/a.zarr::0", "s3://bucket/a.zarr", "0", "a.zarr::0"),
        ("C:\\scans\\a.tif", "C:\\scans\\a.tif", "", "a.tif"),
    ],
)
def test_splits_and_names(text, location, key, name):
    source = parse_source(text)
    assert (source.text, source.location, source.key, source.name) == (text, location, key, name)
    assert source.is_remote == ("s3:" in text)


def test_two_colons_in_the_name_of_a_file(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "a::b.npy").touch()
    source = parse_source("a::b.npy")
    assert (source.location, source.key) == ("a::b.npy", "")


@pytest.mark.parametrize(
    ("text", "location", "key", "name"),
    [
        ("s3://bucket/a.zarr", "s3://bucket/a.zarr", "", "a.zarr"),
        ("s3://bucket/a.zarr::labels/0", "s3://bucket/a.zarr", "labels/0", "a.zarr::labels/0"),
        ("simplecache::s3://b/a.zarr", "simplecache::s3://b/a.zarr", "", "a.zarr"),
        ("simplecache::s3://b/a.zarr::0", "simplecache::s3://b/a.zarr", "0", "a.zarr::0"),
        ("zip://a.zarr::https://h/b.zip", "zip://a.zarr::https://h/b.zip", "", "a.zarr"),
        ("zip://a.zarr::https://h/b.zip::1", "zip://a.zarr::https://h/b.zip", "1", "a.zarr::1"),
        ("zip://a.zarr::/data/b.zip", "zip://a.zarr::/data/b.zip", "", "a.zarr"),
        ("zip://a.zarr::/data/b.zip::1", "zip://a.zarr::/data/b.zip", "1", "a.zarr::1"),
        ("zip://::https://h/b.zip", "zip://::https://h/b.zip", "", "b.zip"),
        ("https://h/a.zarr?token=x", "https://h/a.zarr?token=x", "", "a.zarr"),
        ("https://h/a.zarr/?token=x::0", "https://h/a.zarr/?token=x", "0", "a.zarr::0"),
    ],
)
def test_a_url_keeps_its_own_parts(text, location, key, name):
    source = parse_source(text)
    assert (source.location, source.key, source.name) == (location, key, name)
    assert source.is_remote
