"""NRRD volumes (.nrrd, and .nhdr with the voxels in another file); the first axis is fastest.

::

    raw          ── mapped into memory, transposed to Z, Y, X
    gzip, bzip2,
    text         ── read whole when the first box is (whole.py)
"""

from __future__ import annotations

import io
import math
from pathlib import Path
from typing import TYPE_CHECKING, Any

import nrrd
import numpy as np

from napari_surfseg.data.formats.axes import find_axis_order
from napari_surfseg.data.formats.whole import WholeVolume
from napari_surfseg.data.units import convert_length, read_voxel_size, standard_unit
from napari_surfseg.data.volume import ArrayVolume, Volume, VoxelArray, find_storage_dtype
from napari_surfseg.errors import DataError, SurfsegError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from napari_surfseg.data.formats.axes import AxisOrder
    from napari_surfseg.data.source import Source
    from napari_surfseg.data.units import VoxelSize
    from napari_surfseg.geometry import Spacing3

__all__ = ["open_nrrd"]

#: Longer headers are no headers: the voxels of a damaged file are not read as one.
MAX_LINES = 10_000

#: Kinds of axes that are of space; a missing kind says nothing.
SPACE_KINDS = frozenset({"domain", "space", "none", "???", ""})


def open_nrrd(source: Source) -> Volume:
    """Open a NRRD file.

    Raises
    ------
    DataError
        If it is damaged, its voxels lie in several files, or it is no volume.
    """
    try:
        header, header_bytes = _read_header(source.path)
        return _build(header, header_bytes, source)
    except SurfsegError:
        raise
    except Exception as error:
        # pynrrd meets damaged headers with many kinds of exceptions.
        raise DataError(
            f"{source.text} is not a readable NRRD file; it seems to be damaged or incomplete."
        ) from error


def _read_header(path: Path) -> tuple[dict[str, Any], int]:
    """Fields of the header, and how many bytes it has."""
    lines: list[str] = []
    with path.open("rb") as file:
        for line in file:
            if not line.strip() or len(lines) == MAX_LINES:
                break
            try:
                lines.append(line.decode("utf-8"))
            except UnicodeDecodeError:
                lines.append(line.decode("latin-1"))
        # Given the file, pynrrd would drop what is not ASCII, and µm would be read as m.
        return dict(nrrd.read_header(iter(lines))), file.tell()


def _build(header: dict[str, Any], header_bytes: int, source: Source) -> Volume:
    sizes = [int(size) for size in header["sizes"]]
    dtype = _read_dtype(header)
    find_storage_dtype(dtype, source.text)
    order = find_axis_order(sizes, _name_axes(header, sizes), source.text)
    shape = order.pick(sizes)
    size, place, note = _read_place(header, order, source.text)
    about: dict[str, Any] = {
        "name": source.path.name,
        "source": source.text,
        "spacing": size.spacing,
        "units": size.unit,
        "translate": place,
        "notes": [size.note, note],
        "stored_axes": order.stored_axes[::-1],  # the header lists the fastest first
    }
    path = _find_data(header, source)
    others = [axis for axis in range(len(sizes)) if axis not in order.zyx]

    def arrange(stored: VoxelArray) -> VoxelArray:
        """Z, Y, X of what is stored, without copying."""
        return stored.transpose(*others, *order.zyx).reshape(shape)

    if str(header["encoding"]).lower() == "raw":
        offset = _find_offset(header, path, header_bytes, math.prod(sizes) * dtype.itemsize)
        if path.stat().st_size < offset + math.prod(sizes) * dtype.itemsize:
            raise DataError(f"{source.text} is cut short: it ends before the last slice.")
        stored = np.memmap(path, dtype, "r", offset, tuple(sizes), order="F")
        return ArrayVolume(arrange(stored), **about)

    def load() -> VoxelArray:
        with source.path.open("rb") as file:
            file.seek(header_bytes)
            return arrange(nrrd.read_data(header, file, str(source.path)))

    return WholeVolume(load, shape=shape, dtype=dtype, **about)


def _read_dtype(header: dict[str, Any]) -> np.dtype[Any]:
    """Type of the values: pynrrd's own table, asked with a single value."""
    one = {
        "type": header["type"],
        "dimension": 1,
        "sizes": np.array([1]),
        "encoding": "raw",
        "endian": header.get("endian", "little"),
    }
    dtype: np.dtype[Any] = nrrd.read_data(one, io.BytesIO(bytes(16))).dtype
    return dtype


def _find_data(header: dict[str, Any], source: Source) -> Path:
    """Find the file that holds the voxels: this one, or the one that the header names."""
    name = header.get("data file", header.get("datafile"))
    if name is None:
        return source.path
    if str(name).split()[0] == "LIST" or "%" in str(name):
        raise DataError(
            f"{source.text} names several files that hold its voxels ({name}); save it as a single "
            "one."
        )
    path = source.path.parent / Path(str(name).replace("\\", "/"))
    if not path.is_file():
        raise DataError(f"{source.text} names the file {name} for its voxels, which is not there.")
    return path


def _find_offset(header: dict[str, Any], path: Path, header_bytes: int, num_bytes: int) -> int:
    """First byte of raw voxels."""
    detached = "data file" in header or "datafile" in header
    skip = int(header.get("byte skip", header.get("byteskip", 0)))
    if skip == -1:  # the voxels are what the file ends with
        return max(0, path.stat().st_size - num_bytes)
    with path.open("rb") as file:
        file.seek(0 if detached else header_bytes)
        for _ in range(int(header.get("line skip", header.get("lineskip", 0)))):
            file.readline()
        return file.tell() + skip


def _name_axes(header: dict[str, Any], sizes: Sequence[int]) -> list[str]:
    """Name the axes, fastest first: by their labels, or else X, Y, Z in the order of storage."""
    labels = [str(label).strip('" ').lower() for label in header.get("labels", ())]
    if len(labels) == len(sizes) and {"x", "y", "z"} <= set(labels):
        return labels
    kinds = [str(kind).strip('" ').lower() for kind in header.get("kinds", ())]
    kinds = kinds if len(kinds) == len(sizes) else [""] * len(sizes)
    vectors = _read_directions(header, len(sizes))
    if vectors is not None:
        inside = [vector is not None for vector in vectors]
    else:
        inside = [kind in SPACE_KINDS for kind in kinds]
    if sum(inside) > 3:  # nothing says which they are: those that are longer than one
        inside = [size > 1 for size in sizes]
    if sum(inside) != 3:
        # Axes of length one may well be axes of space; the first three are, where they can.
        inside = [axis < 3 for axis in range(len(sizes))]
    names = iter("xyz")
    return [
        next(names) if space else (kind or "further").replace(" ", "")
        for space, kind in zip(inside, kinds, strict=True)
    ]


def _read_directions(header: dict[str, Any], num_axes: int) -> list[Any] | None:
    """Vector of each axis, None for one that is not of space; None where nothing is stated."""
    stated = header.get("space directions")
    if stated is None or len(stated) != num_axes:
        return None
    vectors = [np.asarray(vector if vector is not None else np.nan, float) for vector in stated]
    return [vector if vector.size and np.isfinite(vector).all() else None for vector in vectors]


def _read_place(
    header: dict[str, Any], order: AxisOrder, source: str
) -> tuple[VoxelSize, Spacing3 | None, str]:
    """Voxel size, place of the first voxel, and a note about directions that are not followed."""
    vectors = _read_directions(header, order.num_axes)
    if vectors is None:
        stated = [float(size) for size in header.get("spacings", ())]
        units = _texts(header.get("units", ()))
        if len(stated) != order.num_axes:
            return read_voxel_size((None,) * 3, ("",) * 3, source), None, ""
        units = units if len(units) == order.num_axes else [""] * order.num_axes
        return read_voxel_size(order.pick(stated), order.pick(units), source), None, ""
    chosen = order.pick(vectors)
    if any(vector is None for vector in chosen):
        return read_voxel_size((None,) * 3, ("",) * 3, source), None, ""
    matrix = np.array(chosen)  # a row for Z, Y and X
    units = _texts(header.get("space units", ()))
    units = units if len(units) == matrix.shape[1] else [""] * matrix.shape[1]
    lengths = np.linalg.norm(matrix, axis=1)
    # Each axis is measured in the unit of the direction of space along which it runs.
    along = [int(np.argmax(np.abs(row))) for row in matrix]
    size = read_voxel_size(
        [float(length) for length in lengths], [units[axis] for axis in along], source
    )
    if size.spacing is None:
        return size, None, ""
    straight = matrix.shape[1] == 3 and np.allclose(
        matrix, np.diag(lengths)[:, ::-1], atol=1e-3 * float(lengths.min())
    )
    if not straight:
        note = (
            f"The space directions of {source} mirror, exchange or rotate axes; its voxels are "
            "taken in the order in which they are stored, with their sizes; its place is left out."
        )
        return size, None, note
    origin = header.get("space origin")
    if origin is None or not np.isfinite(np.asarray(origin, float)).all():
        return size, None, ""
    z, y, x = (
        convert_length(float(value), standard_unit(unit) or size.unit or "", size.unit or "")
        for value, unit in zip(origin[::-1], units[::-1], strict=True)
    )
    return size, (z, y, x), ""


def _texts(values: Sequence[Any]) -> list[str]:
    return [str(value).strip('" ') for value in values]
