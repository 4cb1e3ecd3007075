"""Mesh files read: PLY (text or binary), OBJ and STL (text or binary).

Faces of more than three corners are cut into triangles. STL names no vertex, so
the corners of its triangles that lie in one point become one vertex.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from napari_surfseg.errors import DataError
from napari_surfseg.surfaces.mesh_writing import describe_suffix, find_units

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from numpy.typing import NDArray

__all__ = ["MEASURED", "MeshFile", "read_mesh", "read_mesh_file"]

Values = dict[str, "NDArray[np.float32]"]

#: What the plugin measures at vertices and a PLY keeps; other programs write colours and more.
MEASURED = ("thickness", "curvature", "gap")


class MeshFile(NamedTuple):
    """What a mesh file holds.

    Attributes
    ----------
    vertices : float32 array (N, 3)
        ZYX, from the X, Y, Z of the file.
    faces : int32 array (M, 3)
        In the order of the file.
    units : str or None
        Of the vertices, where the file says.
    values : dict
        Of :data:`MEASURED`, those that it has, each of shape (N,).
    """

    vertices: NDArray[np.float32]
    faces: NDArray[np.int32]
    units: str | None
    values: Values


#: PLY's names of number types, old and new.
PLY_TYPES = {
    "char": "i1", "uchar": "u1", "short": "i2", "ushort": "u2", "int": "i4", "uint": "u4",
    "float": "f4", "double": "f8", "int8": "i1", "uint8": "u1", "int16": "i2", "uint16": "u2",
    "int32": "i4", "uint32": "u4", "float32": "f4", "float64": "f8",
}  # fmt: skip


def read_mesh(path: str | Path) -> tuple[NDArray[np.float32], NDArray[np.int32], str | None]:
    """Read a mesh by the path's suffix.

    Returns
    -------
    vertices : ndarray of shape (N, 3)
        ZYX, from the X, Y, Z of the file.
    faces : ndarray of shape (M, 3)
        In the order of the file.
    units : str or None
        Of the vertices, where the file says.

    Raises
    ------
    DataError
        If it is no readable mesh.
    """
    return read_mesh_file(path)[:3]


def read_mesh_file(path: str | Path) -> MeshFile:
    """Read a mesh with what was measured at its vertices.

    Raises
    ------
    DataError
        If it is no readable mesh.
    """
    path = Path(path)
    readers = {".ply": _read_ply, ".obj": _read_obj, ".stl": _read_stl}
    reader = readers.get(path.suffix.lower())
    if reader is None:
        raise DataError(describe_suffix(path))
    try:
        data = path.read_bytes()
    except OSError as error:
        raise DataError(f"{path} cannot be read: {error.strerror or error}.") from None
    try:
        places, faces, comment, values = reader(data)
        vertices = places.reshape(-1, 3)[:, ::-1].astype(np.float32)
        is_sound = not len(faces) or (faces.min() >= 0 and faces.max() < len(vertices))
    except (ValueError, IndexError, KeyError, StopIteration, TypeError) as error:
        raise DataError(
            f"{path} is no readable {path.suffix[1:].upper()} mesh; it seems to be damaged or of "
            f"another kind ({str(error) or type(error).__name__})."
        ) from None
    if not is_sound:
        raise DataError(f"{path} names vertices that it does not hold; it seems to be damaged.")
    return MeshFile(
        np.ascontiguousarray(vertices), faces.astype(np.int32), find_units(comment), values
    )


def _read_ply(data: bytes) -> tuple[NDArray[Any], NDArray[Any], str, Values]:
    head, mark, body = data.partition(b"end_header")
    if not head.startswith(b"ply") or not mark:
        raise ValueError("no PLY header")
    body = body[body.index(b"\n") + 1 :]
    lines = [line.split() for line in head.decode("ascii", "replace").splitlines()]
    kind = next(line[1] for line in lines if line[:1] == ["format"])
    comment = "\n".join(" ".join(line) for line in lines if line[:1] == ["comment"])
    elements: list[tuple[str, int, list[list[str]]]] = []
    for line in lines:
        if line[:1] == ["element"]:
            elements.append((line[1], int(line[2]), []))
        elif line[:1] == ["property"]:
            elements[-1][2].append(line[1:])
    if kind == "ascii":
        tokens = iter(body.split())
        read = {
            name: [_read_ply_row(tokens, fields) for _ in range(count)]
            for name, count, fields in elements
        }
    else:
        order = {"binary_little_endian": "<", "binary_big_endian": ">"}[kind]
        read, at = {}, 0
        for name, count, fields in elements:
            read[name], at = _read_ply_rows(body, at, count, fields, order)
    names = [name for name, _, _ in elements]
    where = dict(zip(names, elements, strict=True))
    columns = [field[-1] for field in where["vertex"][2]]
    measured = [name for name in MEASURED if name in columns]
    found = _columns(read["vertex"], [columns.index(name) for name in ("x", "y", "z", *measured)])
    found = np.asarray(found, np.float64).reshape(-1, 3 + len(measured))
    vertices = found[:, :3]
    values = {name: found[:, 3 + k].astype(np.float32) for k, name in enumerate(measured)}
    faces: NDArray[Any] = np.zeros((0, 3), np.int32)
    if "face" in where:
        column = next(n for n, field in enumerate(where["face"][2]) if field[0] == "list")
        faces = _cut(_columns(read["face"], [column]))
    return vertices, faces, comment, values


def _read_ply_row(tokens: Iterator[bytes], fields: Sequence[Sequence[str]]) -> list[Any]:
    return [
        [int(next(tokens)) for _ in range(int(next(tokens)))]
        if field[0] == "list"
        else float(next(tokens))
        for field in fields
    ]


def _read_ply_rows(
    body: bytes, at: int, count: int, fields: Sequence[Sequence[str]], order: str
) -> tuple[Any, int]:
    """Read rows at once where all are alike, as those of triangles are; else one by one."""
    if count == 0:
        return [], at
    row, stop = _measure_ply_row(body, at, fields, order)
    size = stop - at
    if len(body) - at >= size * count:
        table = np.frombuffer(body, row, count, at)
        lengths = [name for name in row.names or () if name.startswith("length")]
        if all((table[name] == table[name][0]).all() for name in lengths):
            return table, at + size * count
    rows = []
    for _ in range(count):
        row, stop = _measure_ply_row(body, at, fields, order)
        rows.append(np.frombuffer(body, row, 1, at)[0])
        at = stop
    return rows, at


def _measure_ply_row(
    body: bytes, at: int, fields: Sequence[Sequence[str]], order: str
) -> tuple[np.dtype[Any], int]:
    row: list[tuple[Any, ...]] = []
    for number, field in enumerate(fields):
        if field[0] != "list":
            row.append((f"value{number}", order + PLY_TYPES[field[0]]))
        else:
            length = np.dtype(order + PLY_TYPES[field[1]])
            offset = at + np.dtype(row).itemsize if row else at
            size = int(np.frombuffer(body, length, 1, offset)[0])
            row += [
                (f"length{number}", length),
                (f"value{number}", order + PLY_TYPES[field[2]], (size,)),
            ]
    dtype: np.dtype[Any] = np.dtype(row)
    return dtype, at + dtype.itemsize


def _columns(rows: Any, wanted: Sequence[int]) -> Any:
    """Take properties of all rows: an array of numbers, or the lists of one property."""
    if isinstance(rows, np.ndarray):
        found = [rows[f"value{number}"] for number in wanted]
        return found[0] if found[0].ndim == 2 else np.stack(found, axis=1)
    if rows and isinstance(rows[0], np.void):
        rows = [[row[f"value{number}"] for number in wanted] for row in rows]
    else:
        rows = [[row[number] for number in wanted] for row in rows]
    return [row[0] for row in rows] if len(wanted) == 1 else np.asarray(rows, float)


def _read_obj(data: bytes) -> tuple[NDArray[Any], NDArray[Any], str, Values]:
    vertices: list[list[float]] = []
    faces: list[list[int]] = []
    comment = ""
    for line in data.decode("utf-8", "replace").replace("\\\n", " ").splitlines():
        kind, _, rest = line.strip().partition(" ")
        if kind == "v":
            vertices.append([float(value) for value in rest.split()[:3]])
        elif kind == "f":
            corners = [int(corner.partition("/")[0]) for corner in rest.split()]
            # Counted from 1, or backwards from the last vertex so far.
            faces.append([n - 1 if n > 0 else len(vertices) + n for n in corners])
        elif kind == "#":
            comment += f"{rest}\n"
    if not vertices:
        raise ValueError("no vertices")
    return np.asarray(vertices, float), _cut(faces), comment, {}


def _read_stl(data: bytes) -> tuple[NDArray[Any], NDArray[Any], str, Values]:
    count = int(np.frombuffer(data, "<u4", 1, 80)[0]) if len(data) >= 84 else -1
    comment = data[:80].decode("ascii", "replace")
    record = np.dtype([("normal", "<f4", 3), ("corners", "<f4", (3, 3)), ("colour", "<u2")])
    if len(data) == 84 + count * record.itemsize:
        corners = np.frombuffer(data, record, count, 84)["corners"].reshape(-1, 3)
    elif data.lstrip().startswith(b"solid"):
        lines = (line.split() for line in data.decode("ascii", "replace").splitlines())
        found = [[float(value) for value in line[1:4]] for line in lines if line[:1] == ["vertex"]]
        corners = np.asarray(found, np.float32).reshape(-1, 3)
    else:
        raise ValueError("its length does not fit its number of triangles")
    vertices, index = np.unique(corners, axis=0, return_inverse=True)
    return vertices, index.reshape(-1, 3), comment, {}


def _cut(polygons: Iterable[Any]) -> NDArray[Any]:
    """Cut polygons into triangles that fan out from their first corner."""
    if isinstance(polygons, np.ndarray) and polygons.shape[1] == 3:
        return polygons
    found = [
        (polygon[0], polygon[n], polygon[n + 1])
        for polygon in polygons
        for n in range(1, len(polygon) - 1)
    ]
    return np.asarray(found, np.int64).reshape(-1, 3)
