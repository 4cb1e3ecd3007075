"""Volumes behind a URL."""

import gc
import sys

import numpy as np
import pytest
import zarr

from napari_surfseg.data.open import open_volume
from napari_surfseg.errors import DataError

SHAPE = (7, 11, 13)


def test_url_of_a_file_and_of_a_zarr(tmp_path, make_values):
    pytest.importorskip("fsspec")
    values = make_values()
    np.save(tmp_path / "a.npy", values)
    zarr.create_array(tmp_path / "a.zarr", data=values)
    for name in ("a.npy", "a.zarr"):
        volume = open_volume(f"local://{tmp_path / name}")
        np.testing.assert_array_equal(volume.read((0, 0, 0), SHAPE), values)
    with pytest.raises(DataError, match=r"There is no file .*b\.npy\.$"):
        open_volume(f"local://{tmp_path / 'b.npy'}")


def test_url_without_fsspec(monkeypatch):
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(DataError, match=r"is a URL, which needs fsspec; install it with"):
        open_volume("https://example.org/a.zarr")


def test_url_that_needs_another_package(monkeypatch):
    fsspec = pytest.importorskip("fsspec")

    def refuse(*_):
        raise ImportError('HTTPFileSystem requires "aiohttp" to be installed')

    monkeypatch.setattr(fsspec, "url_to_fs", refuse)
    monkeypatch.setattr(zarr, "open", lambda *_, **__: refuse())
    for name in ("a.npy", "a.zarr"):
        with pytest.raises(DataError, match=r"needs a package .* \(HTTPFileSystem requires"):
            open_volume(f"https://example.org/{name}")


@pytest.mark.skipif(sys.platform == "win32", reason="a mapped file cannot be removed there")
def test_copies_of_remote_files_do_not_pile_up(tmp_path, monkeypatch, make_values):
    pytest.importorskip("fsspec")
    np.save(tmp_path / "a.npy", make_values())
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "temporary"))
    (tmp_path / "temporary").mkdir()
    volume = open_volume(f"local://{tmp_path / 'a.npy'}")
    assert len(list((tmp_path / "temporary").iterdir())) == 1
    del volume
    gc.collect()
    assert not list((tmp_path / "temporary").iterdir())
