"""HDF5 files, read chunk by chunk: any array in one, ilastik's exports, BigDataViewer's layout.

::

    scan.h5            its only volume; of several, a sentence lists the names
    scan.h5::a/raw     the array a/raw; scan.h5/a/raw means the same
    scan.h5::s01/2     BigDataViewer: setup 1, level 2 (bigdataviewer_metadata)
    scan.xml           BigDataViewer: the HDF5 file that the XML names

The axes are Z, Y, X unless the array names them (ilastik's ``axistags``, HDF5's dimension labels).
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import h5py
import numpy as np

from napari_surfseg.data.formats.axes import find_axis_order
from napari_surfseg.data.formats.bigdataviewer_metadata import (
    choose_view,
    find_data_file,
    is_bigdataviewer,
    read_view_place,
)
from napari_surfseg.data.formats.chunk_listing import collect_chunks, find_ranges
from napari_surfseg.data.stored_chunks import MAX_LISTED
from napari_surfseg.data.units import UNKNOWN_SIZE, VoxelSize, read_voxel_size
from napari_surfseg.data.volume import Volume, VoxelArray, find_storage_dtype
from napari_surfseg.errors import DataError
from napari_surfseg.wording import format_shape, list_words

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from napari_surfseg.data.formats.axes import AxisOrder
    from napari_surfseg.data.formats.chunk_listing import Found
    from napari_surfseg.data.source import Source
    from napari_surfseg.data.stored_chunks import StoredChunks
    from napari_surfseg.geometry import Box, Index3, Spacing3

__all__ = ["open_bigdataviewer", "open_hdf5"]

#: Attributes that hold a voxel size in the order of the axes, and the unit that goes without
#: saying.
SIZE_ATTRIBUTES = {"element_size_um": "um", "resolution": "", "voxel_size": "", "spacing": ""}

#: Filters that h5py does not bring, by their registered numbers.
FILTER_NAMES = {32001: "blosc", 32004: "lz4", 32008: "bitshuffle", 32013: "zfp", 32015: "zstd",
                32026: "blosc2"}  # fmt: skip


def open_hdf5(source: Source) -> Volume:
    """Open an array of an HDF5 file.

    Raises
    ------
    DataError
        If the file is damaged or in use, or there is no such array, or several.
    """
    return _open(source, source.path, source.path.with_suffix(".xml"))


def open_bigdataviewer(source: Source) -> Volume:
    """Open the HDF5 file that an XML of BigDataViewer names.

    Raises
    ------
    DataError
        See :func:`open_hdf5`; or if the XML is none of BigDataViewer.
    """
    return _open(source, find_data_file(source.path, source.text), source.path)


def _open(source: Source, path: Path, xml: Path) -> Volume:
    file = _open_file(path, source.text)
    try:
        if is_bigdataviewer(file):
            return _open_view(file, source, xml)
        dataset = _find_dataset(file, source)
        order = find_axis_order(dataset.shape, _name_axes(dataset), source.text)
        size, place = _read_size(dataset, order, source.text)
        return _Hdf5Volume(
            file,
            dataset,
            order,
            source=source.text,
            spacing=size.spacing,
            units=size.unit,
            translate=place,
            notes=[size.note],
        )
    except BaseException:
        file.close()
        raise


def _open_file(path: Path, source: str) -> Any:
    try:
        return h5py.File(path, "r", locking="best-effort")
    except OSError as error:
        if "unable to lock" in str(error) or "already open" in str(error):
            raise DataError(
                f"{source} is open for writing in another program; close it there first."
            ) from error
        if "signature" in str(error):
            raise DataError(
                f"{source} is no HDF5 file (those of version 4 are of another format)."
            ) from error
        raise DataError(
            f"{source} is not a readable HDF5 file; it seems to be damaged or incomplete."
        ) from error


def _open_view(file: Any, source: Source, xml: Path) -> Volume:
    view = choose_view(file, source.key, source.text)
    dataset = _get(file, view.path)
    if not isinstance(dataset, h5py.Dataset):
        raise DataError(
            f"There are no voxels of setup s{view.setup:02}, level {view.level} in {source.text}; "
            f"{view.path} is missing."
        )
    size, place, note = read_view_place(xml, view, source.text)
    return _Hdf5Volume(
        file,
        dataset,
        find_axis_order(dataset.shape, None, source.text),
        source=source.text,
        spacing=size.spacing,
        units=size.unit,
        translate=place,
        notes=[size.note, note],
        # Java has no unsigned numbers: what it writes as int16 is meant as uint16.
        dtype=np.uint16 if dataset.dtype.newbyteorder("=") == np.int16 else None,
    )


def _find_dataset(file: Any, source: Source) -> Any:
    node = _get(file, source.key) if source.key else file
    if isinstance(node, h5py.Dataset):
        if node.shape is None:
            raise DataError(f"{source.text} is an empty dataset; three axes (Z, Y, X) are needed.")
        return node
    if not isinstance(node, h5py.Group):
        raise DataError(
            f"There is no dataset {source.key!r} in the HDF5 file {source.location}; it holds "
            f"{_list(_find_volumes(file))}."
        )
    found = _find_volumes(node)
    if len(found) == 1:
        return next(iter(found.values()))
    where = f"The group {source.text}" if source.key else f"The HDF5 file {source.text}"
    if not found:
        raise DataError(f"{where} holds no volumes; three axes (Z, Y, X) are needed.")
    first = next(iter(found)) if not source.key else f"{source.key}/{next(iter(found))}"
    raise DataError(
        f"{where} holds {len(found)} volumes: {_list(found)}; say which one with "
        f"{source.location}::{first}."
    )


def _get(group: Any, key: str) -> Any:
    try:
        return group.get(key)
    except (OSError, KeyError, ValueError):  # a link to a file that is not there
        return None


def _find_volumes(group: Any) -> dict[str, Any]:
    """Datasets of real numbers with three axes or more, by their paths."""
    found: dict[str, Any] = {}

    def visit(name: str, node: Any) -> None:
        is_array = isinstance(node, h5py.Dataset) and node.shape is not None
        if is_array and len(node.shape) >= 3 and node.dtype.kind in "buif":
            found[name] = node

    for name in group:  # links are not followed by visititems
        visit(name, _get(group, name))
    group.visititems(visit)
    return dict(sorted(found.items()))


def _list(volumes: dict[str, Any]) -> str:
    if not volumes:
        return "no volumes"
    names = [f"{name} ({format_shape(node.shape)})" for name, node in volumes.items()]
    return list_words([*names[:8], *([f"{len(names) - 8} more"] if len(names) > 8 else [])])


def _name_axes(dataset: Any) -> list[str] | None:
    """Names of the stored axes; None where the file does not name X, Y and Z."""
    tags = _read_tags(dataset)
    if len(tags) == dataset.ndim:
        return [str(tag.get("key", "")) for tag in tags]
    labels = [str(dimension.label).lower() for dimension in dataset.dims]
    return labels if {"x", "y", "z"} <= set(labels) else None


def _read_tags(dataset: Any) -> list[dict[str, Any]]:
    """Axes as vigra and ilastik describe them; empty where they do not."""
    stated = dataset.attrs.get("axistags")
    try:
        tags = json.loads(stated)["axes"] if isinstance(stated, str | bytes) else []
    except (ValueError, KeyError, TypeError):
        return []
    return [tag if isinstance(tag, dict) else {} for tag in tags]


def _read_size(dataset: Any, order: AxisOrder, source: str) -> tuple[VoxelSize, Spacing3 | None]:
    """Voxel size and place by the attributes that programs write; there is no standard."""
    tags = _read_tags(dataset)
    if len(tags) == order.num_axes:
        sizes = order.pick([_number(tag.get("resolution")) for tag in tags])
        if all(size > 0 for size in sizes):
            return read_voxel_size(sizes, _read_units(dataset, order, ""), source), None
    for name, unit in SIZE_ATTRIBUTES.items():
        values = _read_zyx(dataset, name, order)
        if values is None:
            continue
        size = read_voxel_size(values, _read_units(dataset, order, unit), source)
        place = _read_zyx(dataset, "offset", order) if size.spacing is not None else None
        return size, place
    return UNKNOWN_SIZE, None


def _read_zyx(dataset: Any, name: str, order: AxisOrder) -> tuple[Any, Any, Any] | None:
    """Z, Y, X numbers of an attribute with one for each stored axis, or each axis of space."""
    stated = np.asarray(dataset.attrs.get(name, ()))
    if stated.ndim != 1 or stated.dtype.kind not in "uif" or not np.isfinite(stated).all():
        return None
    return _arrange([float(value) for value in stated], order)


def _arrange(values: Sequence[Any], order: AxisOrder) -> tuple[Any, Any, Any] | None:
    if len(values) == order.num_axes:
        return order.pick(values)
    if len(values) == 3:
        stored = sorted(order.zyx)
        z, y, x = (values[stored.index(axis)] for axis in order.zyx)
        return z, y, x
    return None


def _read_units(dataset: Any, order: AxisOrder, unit: str) -> Sequence[str]:
    """Z, Y, X units of an attribute; ``unit`` where the file states none."""
    for name in ("unit", "units", "resolution_unit", "resolution_units"):
        stated = dataset.attrs.get(name)
        if isinstance(stated, str | bytes):
            return [_text(stated)] * 3
        if stated is not None and np.ndim(stated) == 1:
            found = _arrange([_text(one) for one in stated], order)
            if found is not None:
                return found
    return [unit] * 3


def _text(value: Any) -> str:
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else str(value)


def _number(value: Any) -> float:
    return float(value) if isinstance(value, int | float) else 0.0


class _Hdf5Volume(Volume):
    """An array of an open HDF5 file; h5py lets one thread read at a time."""

    _is_chunked = True

    def __init__(
        self,
        file: Any,
        dataset: Any,
        order: AxisOrder,
        *,
        source: str,
        dtype: Any = None,
        **about: Any,
    ) -> None:
        _require_filters(dataset, source)
        find_storage_dtype(dataset.dtype, source)
        super().__init__(
            source=source,
            shape=order.pick(dataset.shape),
            dtype=dataset.dtype if dtype is None else dtype,
            stored_axes=order.stored_axes,
            chunks=order.pick(dataset.chunks) if dataset.chunks is not None else None,
            **about,
        )
        self._file, self._dataset, self._order = file, dataset, order

    def stored_chunks(self, box: Box | None = None) -> StoredChunks | None:
        """List the chunks that are stored; None where the array is not kept in chunks."""
        if self._dataset.chunks is None:
            return None
        count = self._dataset.id.get_num_chunks()
        if count > MAX_LISTED:
            return None
        chunk = self._order.pick(self._dataset.chunks)
        ranges = find_ranges(self._order, self.box if box is None else box, chunk)
        found: list[Found] = []

        def visit(info: Any) -> None:
            index = tuple(
                at // size for at, size in zip(info.chunk_offset, self._dataset.chunks, strict=True)
            )
            if all(i in r for i, r in zip(index, ranges, strict=True)):
                found.append((index, int(info.size)))

        self._dataset.id.chunk_iter(visit)
        fill = float(self._dataset.fillvalue)
        return collect_chunks(found, self._order, self.shape, chunk, fill)

    def _read_box(self, start: Index3, stop: Index3) -> VoxelArray:
        piece = self._order.read(self._dataset, (start, stop))
        if piece.dtype.kind == "i" and self.dtype.kind == "u":
            return piece.astype(piece.dtype.newbyteorder("=")).view(self.dtype)
        return piece


def _require_filters(dataset: Any, source: str) -> None:
    """Refuse an array whose compression h5py cannot read."""
    creation = dataset.id.get_create_plist()
    for index in range(creation.get_nfilters()):
        number = creation.get_filter(index)[0]
        if not h5py.h5z.filter_avail(number) and not _add_filters(number):
            name = FILTER_NAMES.get(number, f"number {number}")
            raise DataError(
                f"{source} is compressed with the filter {name}, which h5py does not bring; "
                "install it with 'pip install hdf5plugin', or save it with gzip."
            )


def _add_filters(number: int) -> bool:
    """Load further filters where they are installed."""
    try:
        import hdf5plugin  # type: ignore[import-not-found]  # noqa: F401
    except ImportError:
        return False
    return bool(h5py.h5z.filter_avail(number))
