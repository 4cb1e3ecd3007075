"""Folders, zip files and URLs as trees of arrays and groups."""

import zipfile

import numpy as np
import pytest
import zarr

from napari_surfseg.data.formats.zarr_store import open_tree
from napari_surfseg.data.source import parse_source
from napari_surfseg.errors import DataError


@pytest.fixture
def folder(tmp_path):
    group = zarr.open_group(tmp_path / "a.zarr", mode="w")
    group.create_array("deep/raw", data=np.ones((4, 4, 4), np.uint8), chunks=(2, 2, 2))
    return tmp_path / "a.zarr"


def pack(folder):
    path = folder.with_suffix(".zip")
    with zipfile.ZipFile(path, "w") as packed:
        for file in folder.rglob("*"):
            if file.is_file():
                packed.write(file, file.relative_to(folder).as_posix())
    return path


@pytest.mark.parametrize("kind", ["folder", "zip", "url"])
def test_nodes_and_names(kind, folder):
    if kind == "url":
        pytest.importorskip("fsspec")
    where = {"folder": str(folder), "zip": str(pack(folder)), "url": f"local://{folder}"}[kind]
    tree = open_tree(parse_source(where))
    assert isinstance(tree.find(""), zarr.Group)
    assert isinstance(tree.find("deep/raw"), zarr.Array)
    assert tree.find("deep/other") is None
    assert sorted(tree.iterate_names("deep")) == ["raw", "zarr.json"]
    assert tree.has_chunks("deep/raw")
    assert tree.describe("deep") in (f"{where}/deep", f"{where}::deep")


def test_the_tree_of_a_folder_begins_at_the_outermost_group(folder):
    tree = open_tree(parse_source(str(folder / "deep" / "raw")))
    assert tree.base == "deep/raw"
    assert isinstance(tree.find(""), zarr.Group)


def test_an_array_without_chunks(folder):
    tree = open_tree(parse_source(str(folder)))
    for chunk in (folder / "deep" / "raw" / "c").rglob("*"):
        if chunk.is_file():
            chunk.unlink()
    # Folders without files still count: finding out that they are empty may take long.
    assert tree.has_chunks("deep/raw")
    zarr.create_array(folder / "empty", shape=(4, 4), dtype="u1")
    assert not tree.has_chunks("empty")


def test_damaged_metadata_are_an_error_and_attributes_none(folder):
    (folder / "deep" / "zarr.json").write_text("{")
    tree = open_tree(parse_source(str(folder)))
    with pytest.raises(DataError, match="deep; its metadata are missing or damaged"):
        tree.find("deep")
    assert tree.attributes("deep") == {}
