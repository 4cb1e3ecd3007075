"""Mesh files byte by byte, and what is left when one cannot be written."""

import errno
import os

import numpy as np
import pytest
from tests.surfaces.conftest import ball

from napari_surfseg.errors import OutputError
from napari_surfseg.surfaces.mesh import Mesh, build_mesh
from napari_surfseg.surfaces.mesh_writing import write_mesh

A_TRIANGLE = Mesh(
    np.array([[1, 2, 3], [4, 5, 6], [7, 8, 10]], np.float32),
    np.array([[0, 1, 2]], np.int32),
    np.array([[0, 0, 1]] * 3, np.float32),
)


def test_ply_by_hand(tmp_path):
    data = write_mesh(tmp_path / "m.ply", A_TRIANGLE).read_bytes()
    header, _, body = data.partition(b"end_header\n")
    assert header.startswith(b"ply\nformat binary_little_endian 1.0\n")
    assert b"element vertex 3\n" in header
    assert b"element face 1\n" in header
    vertices = np.frombuffer(body[: 3 * 24], "<f4").reshape(3, 6)
    np.testing.assert_array_equal(vertices[0], [3, 2, 1, 1, 0, 0])  # x, y, z and normal
    assert body[72:] == b"\x03" + np.array([0, 1, 2], "<i4").tobytes()


def test_obj_by_hand(tmp_path):
    lines = write_mesh(tmp_path / "m.obj", A_TRIANGLE).read_text().splitlines()
    assert lines[1:] == [
        "v 3 2 1",
        "v 6 5 4",
        "v 10 8 7",
        *["vn 1.0000 0.0000 0.0000"] * 3,
        "f 1//1 2//2 3//3",
    ]


def test_stl_by_hand(tmp_path):
    data = write_mesh(tmp_path / "m.stl", A_TRIANGLE).read_bytes()
    assert len(data) == 84 + 50
    assert np.frombuffer(data[80:84], "<u4")[0] == 1
    numbers = np.frombuffer(data[84:132], "<f4").reshape(4, 3)
    np.testing.assert_array_equal(numbers[1:], A_TRIANGLE.vertices[:, ::-1])
    expected = np.cross([3, 3, 3], [7, 6, 6])
    np.testing.assert_allclose(numbers[0], expected / np.linalg.norm(expected), atol=1e-6)


@pytest.mark.parametrize("suffix", ["ply", "obj", "stl"])
def test_large_meshes_are_written_in_parts(tmp_path, suffix, monkeypatch):
    mesh = build_mesh(ball())
    whole = write_mesh(tmp_path / f"a.{suffix}", mesh).read_bytes()
    monkeypatch.setattr("napari_surfseg.surfaces.mesh_writing.ROWS", 100)
    assert write_mesh(tmp_path / f"b.{suffix}", mesh).read_bytes() == whole


@pytest.mark.parametrize(
    ("name", "sentence"),
    [
        ("m.png", r"ends in '\.png'; it must end in \.ply, \.obj or \.stl\.$"),
        ("m", "ends in 'nothing'"),
        ("no/m.ply", r"The folder .*no of the mesh m\.ply does not exist\.$"),
        ("old.ply", r"old\.ply exists already; it is replaced only with overwrite\.$"),
    ],
)
def test_meshes_that_cannot_be_written(tmp_path, name, sentence):
    (tmp_path / "old.ply").write_text("old")
    with pytest.raises(OutputError, match=sentence):
        write_mesh(tmp_path / name, A_TRIANGLE, overwrite=False)
    assert [p.name for p in tmp_path.iterdir()] == ["old.ply"]
    assert (tmp_path / "old.ply").read_text() == "old"


def test_a_full_disk_leaves_nothing(tmp_path, monkeypatch):
    def full(file, mesh, comment):
        file.write(b"half")
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr("napari_surfseg.surfaces.mesh_writing._write_ply", full)
    with pytest.raises(OutputError, match=r"^The disk is full: "):
        write_mesh(tmp_path / "m.ply", A_TRIANGLE)
    assert list(tmp_path.iterdir()) == []
