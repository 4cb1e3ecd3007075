"""Mesh files of ours and of other programs."""

import struct

import numpy as np
import pytest

from napari_surfseg.errors import DataError
from napari_surfseg.surfaces.mesh import make_mesh
from napari_surfseg.surfaces.mesh_reading import read_mesh
from napari_surfseg.surfaces.mesh_writing import write_mesh

VERTICES = np.array([[0, 0, 0], [0, 0, 4], [0, 3, 0], [2, 0, 0]], np.float32)
FACES = np.array([[0, 1, 2], [0, 2, 3], [0, 3, 1], [1, 3, 2]], np.int32)


@pytest.mark.parametrize("suffix", ["ply", "obj", "stl"])
@pytest.mark.parametrize("units", [None, "nanometer"])
def test_what_is_written_is_read_back(tmp_path, suffix, units):
    path = write_mesh(tmp_path / f"m.{suffix}", make_mesh(VERTICES, FACES), units=units)
    vertices, faces, found = read_mesh(path)
    # STL numbers its vertices in another order: the triangles are compared by their corners.
    np.testing.assert_allclose(vertices[faces], VERTICES[FACES], rtol=1e-6)
    assert vertices.shape == VERTICES.shape
    assert found == units
    assert (vertices.dtype, faces.dtype) == (np.float32, np.int32)


ASCII_PLY = b"""ply
format ascii 1.0
comment by hand
element vertex 4
property uchar red
property double x
property double y
property double z
element face 2
property uchar quality
property list uchar int vertex_index
end_header
9 1 2 3
9 4 5 6
9 7 8 9
9 1 1 1
5 3 0 1 2
5 4 0 1 2 3
"""
OBJ = b"""# by hand
mtllib none.mtl
v 1 2 3 0.5 0.5 0.5
v 4 5 6
v 7 8 9
v 1 1 1
vt 0 0
f 1/1 2/1 3/1
f -4//1 -3//1 -2//1 -1//1
"""
ASCII_STL = b"""solid by hand
 facet normal 0 0 1
  outer loop
   vertex 1 2 3
   vertex 4 5 6
   vertex 7 8 9
  endloop
 endfacet
endsolid
"""


def big_endian_ply():
    head = ASCII_PLY.partition(b"element")[0].replace(b"ascii", b"binary_big_endian")
    head += (
        b"element vertex 4\nproperty float x\nproperty float y\nproperty float z\n"
        b"property uchar red\nelement face 2\nproperty list uchar uint vertex_indices\n"
        b"property short flag\nend_header\n"
    )
    places = [(1, 2, 3), (4, 5, 6), (7, 8, 9), (1, 1, 1)]
    body = b"".join(struct.pack(">fffB", *place, 7) for place in places)
    body += struct.pack(">B3Ih", 3, 0, 1, 2, -1) + struct.pack(">B4Ih", 4, 0, 1, 2, 3, -1)
    return head + body


@pytest.mark.parametrize(
    ("name", "data", "num_faces"),
    [
        ("a.ply", ASCII_PLY, 3),
        ("a.ply", big_endian_ply(), 3),
        ("a.obj", OBJ, 3),
        ("a.stl", ASCII_STL, 1),
    ],
)
def test_files_of_other_programs_are_read(tmp_path, name, data, num_faces):
    (tmp_path / name).write_bytes(data)
    vertices, faces, units = read_mesh(tmp_path / name)
    assert vertices[faces[0]].tolist() == [[3, 2, 1], [6, 5, 4], [9, 8, 7]]  # ZYX
    assert len(faces) == num_faces
    if num_faces == 3:
        assert faces.tolist() == [[0, 1, 2], [0, 1, 2], [0, 2, 3]]
    assert units is None


@pytest.mark.parametrize(
    ("name", "data", "sentence"),
    [
        ("a.ply", b"not a mesh", "no readable PLY mesh"),
        ("a.ply", ASCII_PLY[:-30], "no readable PLY mesh"),
        ("a.ply", ASCII_PLY.replace(b"3 0 1 2", b"3 0 1 9"), "names vertices that it does not"),
        ("a.ply", ASCII_PLY.replace(b"ascii", b"other"), "no readable PLY mesh"),
        ("a.ply", big_endian_ply()[:-20], "no readable PLY mesh"),
        ("a.obj", b"f 1 2 3\n", "no readable OBJ mesh"),
        ("a.stl", b"\0" * 100, "no readable STL mesh"),
        ("a.off", b"", "must end in .ply, .obj or .stl"),
    ],
)
def test_a_damaged_mesh_is_one_sentence(tmp_path, name, data, sentence):
    (tmp_path / name).write_bytes(data)
    with pytest.raises(DataError, match=sentence):
        read_mesh(tmp_path / name)


def test_a_mesh_that_is_not_there_is_one_sentence(tmp_path):
    with pytest.raises(DataError, match=r"m\.ply cannot be read"):
        read_mesh(tmp_path / "m.ply")
