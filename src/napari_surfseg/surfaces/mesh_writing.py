"""Mesh files: binary PLY, OBJ and binary STL, written aside and renamed.

Files hold X, Y, Z in physical units, as every program that reads them expects, and the
unit's name in a comment. ``mesh_reading`` reads them back.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

import numpy as np

from napari_surfseg.errors import OutputError
from napari_surfseg.files import written_aside

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    from napari_surfseg.surfaces.mesh import Mesh

__all__ = ["MESH_SUFFIXES", "PLY_NAMES", "describe_suffix", "find_units", "write_mesh"]

MESH_SUFFIXES = (".ply", ".obj", ".stl")

#: What PLY calls a vertex's place and normal.
PLY_NAMES = ("x", "y", "z", "nx", "ny", "nz")

#: Rows converted at once: bounds the memory a large mesh takes beside itself.
ROWS = 200_000


def write_mesh(
    path: str | Path, mesh: Mesh, *, units: str | None = None, overwrite: bool = True
) -> Path:
    """Write a mesh as PLY (binary), OBJ or STL (binary), by the path's suffix.

    Parameters
    ----------
    path : str or Path
        Where to; its folder must exist.
    mesh : Mesh
        ZYX; the file gets XYZ. PLY and OBJ hold the vertices' normals, STL
        those of its triangles. What was measured at the vertices goes into PLY, each as a
        property of its name.
    units : str, optional
        Name of the unit of the vertices, kept as a comment.
    overwrite : bool
        Replace an existing file.

    Raises
    ------
    OutputError
        If the suffix is unknown, the folder is missing, the file exists and is
        kept, or the disk is full.
    """
    path = Path(path)
    writers = {".ply": _write_ply, ".obj": _write_obj, ".stl": _write_stl}
    writer = writers.get(path.suffix.lower())
    if writer is None:
        raise OutputError(describe_suffix(path))
    if not path.resolve().parent.is_dir():
        raise OutputError(
            f"The folder {path.resolve().parent} of the mesh {path.name} does not exist."
        )
    with written_aside(path, overwrite=overwrite) as temporary, temporary.open("wb") as file:
        writer(file, mesh, _describe(units))
    return path


def describe_suffix(path: Path) -> str:
    """Say that a path has none of the suffixes of a mesh."""
    return (
        f"The mesh {path} ends in {path.suffix or 'nothing'!r}; it must end in "
        f"{', '.join(MESH_SUFFIXES[:-1])} or {MESH_SUFFIXES[-1]}."
    )


def _describe(units: str | None) -> str:
    """Write what a mesh file's comment says; ``find_units`` reads it."""
    ascii_units = (units or "").encode("ascii", "ignore").decode()
    return f"napari-surfseg units={ascii_units}" if ascii_units else "napari-surfseg"


def find_units(text: str) -> str | None:
    """Find the unit in a mesh file's comment; None where it says none."""
    found = re.search(r"napari-surfseg units=(\w+)", text)
    return found[1] if found else None


def _rows(count: int) -> Iterator[slice]:
    for start in range(0, count, ROWS):
        yield slice(start, min(start + ROWS, count))


def _write_ply(file: BinaryIO, mesh: Mesh, comment: str) -> None:
    header = [
        "ply",
        "format binary_little_endian 1.0",
        f"comment {comment}",
        f"element vertex {len(mesh.vertices)}",
        *(f"property float {name}" for name in (*PLY_NAMES, *mesh.values)),
        f"element face {len(mesh.faces)}",
        "property list uchar int vertex_indices",
        "end_header\n",
    ]
    file.write("\n".join(header).encode("ascii"))
    for rows in _rows(len(mesh.vertices)):
        values = [column[rows, None] for column in mesh.values.values()]
        both = np.hstack([mesh.vertices[rows, ::-1], mesh.normals[rows, ::-1], *values])
        file.write(both.astype("<f4").tobytes())
    record = np.dtype([("count", "u1"), ("vertices", "<i4", 3)])
    for rows in _rows(len(mesh.faces)):
        faces = np.empty(rows.stop - rows.start, record)
        faces["count"] = 3
        faces["vertices"] = mesh.faces[rows]
        file.write(faces.tobytes())


def _write_obj(file: BinaryIO, mesh: Mesh, comment: str) -> None:
    places, normals = mesh.vertices[:, ::-1], mesh.normals[:, ::-1]
    corners = np.repeat(mesh.faces + 1, 2, axis=1)  # each a vertex and its normal
    file.write(f"# {comment}\n".encode("ascii"))
    for pattern, values in (
        ("v %.7g %.7g %.7g", places),
        ("vn %.4f %.4f %.4f", normals),
        ("f %d//%d %d//%d %d//%d", corners),
    ):
        file.writelines(_lines(pattern, values[rows]) for rows in _rows(len(values)))


def _lines(pattern: str, values: NDArray[np.generic]) -> bytes:
    # One long pattern for all rows: ten times as fast as numpy's savetxt.
    pattern += "\n"
    return (pattern * len(values) % tuple(values.ravel().tolist())).encode("ascii")


def _write_stl(file: BinaryIO, mesh: Mesh, comment: str) -> None:
    file.write(comment.encode("ascii")[:80].ljust(80))
    file.write(np.uint32(len(mesh.faces)).astype("<u4").tobytes())
    record = np.dtype([("normal", "<f4", 3), ("corners", "<f4", (3, 3)), ("colour", "<u2")])
    for rows in _rows(len(mesh.faces)):
        corners = mesh.vertices[:, ::-1][mesh.faces[rows]]
        across = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
        length = np.linalg.norm(across, axis=1, keepdims=True)
        triangles = np.zeros(rows.stop - rows.start, record)
        triangles["normal"] = across / np.where(length > 0, length, 1)
        triangles["corners"] = corners
        file.write(triangles.tobytes())
