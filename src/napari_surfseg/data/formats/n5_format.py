"""N5 groups and datasets, read block by block through tensorstore.

tensorstore (Apache-2.0, wheels for Linux, macOS and Windows) is what reads N5 on every Python from
3.11 on: zarr has had no N5 store since version 3, zarr-n5 needs Python 3.12 and z5py numpy arrays
in its own order of axes. N5 has no standard for voxel sizes; these are known, the axes in the order
in which the file lists its dimensions, X first, unless they are named:

======================  =====================================================
``transform``           with named axes, of a dataset (Janelia)
``pixelResolution``     of the finest level, times ``downsamplingFactors`` (N5 viewer)
``resolution``          of a dataset, or of the finest level where a group states it
======================  =====================================================
"""

from __future__ import annotations

import itertools
import json
import math
import re
from typing import TYPE_CHECKING, Any

import tensorstore

from napari_surfseg.data.formats.axes import AxisOrder, find_axis_order
from napari_surfseg.data.formats.chunk_listing import (
    ChunkNames,
    collect_chunks,
    find_in_folder,
    find_ranges,
)
from napari_surfseg.data.formats.registry import is_n5
from napari_surfseg.data.units import (
    UNKNOWN_SIZE,
    VoxelSize,
    convert_place,
    read_voxel_size,
)
from napari_surfseg.data.volume import Volume, VoxelArray
from napari_surfseg.errors import DataError
from napari_surfseg.geometry import to_spacing

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from pathlib import Path

    from napari_surfseg.data.source import Source
    from napari_surfseg.data.stored_chunks import StoredChunks
    from napari_surfseg.geometry import Box, Index3, Spacing3

__all__ = ["open_n5"]

ATTRIBUTES = "attributes.json"
#: Attributes that say how a dataset is stored.
STORAGE = ("dimensions", "blockSize", "dataType", "compression", "compressionType")
#: Groups above a dataset that may state its voxel size, and below one in which it may lie.
MAX_DEPTH = 6
MAX_LISTED = 8
LEVEL_NAME = re.compile(r"s\d+")


def open_n5(source: Source) -> Volume:
    """Open a dataset, or the finest level of a group of levels, or the one volume of a group.

    Parameters
    ----------
    source : Source
        Path or URL of a group or dataset; the key names one inside it.

    Raises
    ------
    DataError
        If there is no such dataset, it is not a volume, or there are several to choose from.
    """
    tree = _Tree(source)
    notes: list[str] = []
    path = tree.find_dataset(notes)
    attributes = tree.read_attributes(path)
    order = _find_order(attributes, source.text)
    size, place = _find_size(tree, path, attributes, order)
    array = tree.open_array(path)
    return _N5Volume(
        array,
        order,
        folder=tree.folder(path),
        source=source.text,
        shape=order.pick(array.shape),
        dtype=array.dtype.numpy_dtype,
        chunks=order.pick(array.chunk_layout.read_chunk.shape),
        spacing=size.spacing,
        units=size.unit,
        translate=place,
        notes=[*notes, size.note],
        # The first dimension is the one that changes fastest, which is last everywhere else.
        stored_axes=order.stored_axes[::-1],
    )


class _Tree:
    """Groups and datasets of an N5 by their paths, from the outermost group down."""

    def __init__(self, source: Source) -> None:
        self._source = source
        self._root: Path | None = None
        base = ""
        if not source.is_remote:
            folder = source.path.absolute()
            self._root = folder
            for above in list(folder.parents)[:MAX_DEPTH]:
                if not is_n5(above):
                    break
                self._root = above
            base = "/".join(folder.relative_to(self._root).parts)
        self._base = base

    def folder(self, path: str) -> Path | None:
        """Return where a group or dataset lies; None behind a URL."""
        return None if self._root is None else self._root / path

    def find_dataset(self, notes: list[str]) -> str:
        """Find the path of the dataset that the source means."""
        path = _join(self._base, self._source.key)
        if self._is_dataset(path):
            return path
        found = list(itertools.islice(self._find_below(path, notes), MAX_LISTED + 1))
        if len(found) == 1:
            return found[0]
        where = f"{self._source.location}::{self._source.key}".rstrip(":")
        if not found:
            names = ", ".join(self._list_groups(self._base)[:MAX_LISTED])
            raise DataError(
                f"There is no N5 dataset in {where}; {self._source.location} holds "
                f"{names or 'nothing that can be listed'}."
            )
        keys = [one[len(self._base) :].strip("/") for one in found]
        many = f"{len(found)}" if len(found) <= MAX_LISTED else f"more than {MAX_LISTED}"
        raise DataError(
            f"The N5 group {where} holds {many} volumes ({', '.join(keys[:MAX_LISTED])}); say "
            f"which one with {self._source.location}::{keys[0]}."
        )

    def read_attributes(self, path: str) -> dict[str, Any]:
        """Read the attributes of a group or dataset; empty where it has none."""
        try:
            store = tensorstore.KvStore.open(self._address("")).result()
            read = store.read(_join(path, ATTRIBUTES)).result()
            found = json.loads(read.value) if read.state == "value" else {}
        except ValueError as error:
            raise DataError(
                f"{self._source.text} cannot be read as N5; the file {_join(path, ATTRIBUTES)} "
                "seems to be damaged, or cannot be reached."
            ) from error
        return found if isinstance(found, dict) else {}

    def open_array(self, path: str) -> Any:
        """Open a dataset without reading its voxels."""
        attributes = self.read_attributes(path)
        try:
            return _open_blocks(self._address(path), attributes)
        except ValueError as error:
            kind = attributes.get("compression", attributes.get("compressionType"))
            name = kind.get("type") if isinstance(kind, dict) else kind
            raise DataError(
                f"{self._source.text} is no N5 dataset that can be read (compression {name!r}); "
                "its metadata are damaged, or tensorstore does not know them."
            ) from error

    def _address(self, path: str) -> Any:
        """Where something lies, as tensorstore takes it."""
        if self._root is None:
            return "/".join(filter(None, (self._source.location.rstrip("/"), path))) + "/"
        return {"driver": "file", "path": f"{(self._root / path).as_posix()}/"}

    def _is_dataset(self, path: str) -> bool:
        return "dimensions" in self.read_attributes(path)

    def _list_groups(self, path: str) -> list[str]:
        folder = self.folder(path)
        if folder is None:
            return [name for name in ("s0",) if self._is_dataset(_join(path, name))]
        try:
            return sorted(one.name for one in folder.iterdir() if one.is_dir())
        except OSError:
            return []

    def _find_below(self, path: str, notes: list[str], depth: int = 0) -> Iterable[str]:
        """Find datasets; of several levels only the finest that is there."""
        names = self._list_groups(path)
        levels = [name for name in names if LEVEL_NAME.fullmatch(name)]
        levels = [name for name in levels if self._is_dataset(_join(path, name))]
        if levels:
            yield self._find_finest(path, levels, notes)
            return
        for name in names:
            inside = _join(path, name)
            if self._is_dataset(inside):
                # Tables and vectors are kept beside volumes.
                if len(self.read_attributes(inside).get("dimensions", ())) >= 3:
                    yield inside
            elif depth < MAX_DEPTH:
                yield from self._find_below(inside, notes, depth + 1)

    def _find_finest(self, path: str, levels: list[str], notes: list[str]) -> str:
        def num_voxels(name: str) -> int:
            return math.prod(self.read_attributes(_join(path, name))["dimensions"])

        ordered = sorted(levels, key=lambda name: (-num_voxels(name), int(name[1:])))
        filled = [name for name in ordered if self._has_blocks(_join(path, name))]
        chosen = (filled or ordered)[0]
        # Levels are numbered from the finest one on.
        if "s0" not in levels:
            missing = "The level 's0'", "is not there"
        elif chosen != ordered[0]:
            missing = f"The level {ordered[0]!r}", "holds no blocks"
        else:
            return _join(path, chosen)
        notes.append(f"{missing[0]} of {self._source.text} {missing[1]}; {chosen!r} is read.")
        return _join(path, chosen)

    def _has_blocks(self, path: str) -> bool:
        folder = self.folder(path)
        return folder is None or any(one.name.isdecimal() for one in folder.iterdir())


class _N5Volume(Volume):
    """An N5 dataset; blocks that were never written read as 0."""

    _is_chunked = True

    def __init__(self, array: Any, order: AxisOrder, folder: Path | None, **about: Any) -> None:
        super().__init__(**about)
        self._stored, self._order, self._folder = array, order, folder

    def stored_chunks(self, box: Box | None = None) -> StoredChunks | None:
        """List the blocks that are stored; None behind a URL."""
        if self._folder is None:
            return None
        how = ChunkNames("", "/", self._order.num_axes)
        ranges = find_ranges(self._order, self.box if box is None else box, self.chunks)
        found = find_in_folder(self._folder, how, ranges)
        return collect_chunks(found, self._order, self.shape, self.chunks, 0.0)

    def _read_box(self, start: Index3, stop: Index3) -> VoxelArray:
        self._require_files(start, stop)
        return self._order.read(self._stored, (start, stop))

    def _require_files(self, start: Index3, stop: Index3) -> None:
        """Refuse a block that is there but is no file; tensorstore takes it for a missing one."""
        if self._folder is None:
            return
        for block in itertools.product(*find_ranges(self._order, (start, stop), self.chunks)):
            path = self._folder.joinpath(*map(str, block))
            if not path.is_file() and (path.exists() or path.is_symlink()):
                raise OSError(f"{path} is there but cannot be read")


def _open_blocks(address: Any, attributes: dict[str, Any]) -> Any:
    """Open a dataset by the attributes that say how it is stored.

    tensorstore takes "units" and "resolution" for its own and refuses a dataset where they are
    spelled otherwise, so it is shown a file of attributes without them.
    """
    context = tensorstore.Context()
    memory = tensorstore.KvStore.open({"driver": "memory"}, context=context).result()
    shown = {key: value for key, value in attributes.items() if key in STORAGE}
    memory.write(ATTRIBUTES, json.dumps(shown).encode()).result()
    layers = [
        {"base": address},
        {"exact": ATTRIBUTES, "base": {"driver": "memory", "path": ATTRIBUTES}},
    ]
    spec = {"driver": "n5", "kvstore": {"driver": "kvstack", "layers": layers}}
    return tensorstore.open(spec, open=True, read=True, context=context).result()


def _find_order(attributes: dict[str, Any], source: str) -> AxisOrder:
    """Find which dimensions are Z, Y and X: by their names, or X first."""
    sizes = [int(size) for size in attributes["dimensions"]]
    names = attributes.get("axes")
    if isinstance(names, list) and len(names) == len(sizes):
        return find_axis_order(sizes, [str(name) for name in names], source)
    kept = list(range(len(sizes)))
    for axis in reversed(range(2, len(sizes))):
        if len(kept) > 3 and sizes[axis] == 1:
            kept.remove(axis)
    named = dict(zip(kept, "xyz", strict=False))
    return find_axis_order(
        sizes, [named.get(axis, f"number {axis + 1}") for axis in range(len(sizes))], source
    )


def _find_size(
    tree: _Tree, path: str, own: dict[str, Any], order: AxisOrder
) -> tuple[VoxelSize, Spacing3 | None]:
    """Find the voxel size and the place of the first voxel, from the nearest that states one."""
    parts = path.split("/") if path else []
    place = path.rpartition("/")[2]
    number = int(place[1:]) if LEVEL_NAME.fullmatch(place) else 0
    chain = [own]
    above = ("/".join(parts[:depth]) for depth in reversed(range(len(parts))))
    chain.extend(tree.read_attributes(group) for group in itertools.islice(above, MAX_DEPTH))
    factors = _find_factors(chain, number, order)
    for attributes in chain:
        found = _read_size(attributes, attributes is own, factors, order)
        if found is not None:
            return found
    return UNKNOWN_SIZE, None


def _find_factors(chain: list[dict[str, Any]], number: int, order: AxisOrder) -> Spacing3 | None:
    """By how much a level is coarser than the finest one; None where nothing says so."""
    for attributes in chain:
        for stated in (attributes.get("downsamplingFactors"), attributes.get("scales")):
            if isinstance(stated, list) and stated and isinstance(stated[0], list):
                stated = stated[number] if number < len(stated) else None
            values = _numbers(stated, order)
            if values is not None:
                return values
    return None if number else (1.0, 1.0, 1.0)


def _read_size(
    attributes: dict[str, Any], is_own: bool, factors: Spacing3 | None, order: AxisOrder
) -> tuple[VoxelSize, Spacing3 | None] | None:
    transform = attributes.get("transform")
    if isinstance(transform, dict) and is_own:
        return _read_transform(transform)
    pixel = attributes.get("pixelResolution")
    unit = attributes.get("units", attributes.get("unit"))
    if isinstance(pixel, dict):
        unit, pixel = pixel.get("unit"), pixel.get("dimensions")
    stated = _numbers(pixel, order)
    is_of_finest = stated is not None or not is_own
    stated = stated or _numbers(attributes.get("resolution"), order)
    if stated is None:
        return None
    if is_of_finest:
        if factors is None:
            return UNKNOWN_SIZE, None
        stated = to_spacing(a * b for a, b in zip(stated, factors, strict=True))
    units = (unit,) * 3
    if isinstance(unit, list):
        units = order.pick(unit) if len(unit) == order.num_axes else (None,) * 3
    place = _numbers(attributes.get("offset"), order)
    return _with_place(stated, units, place)


def _read_transform(transform: dict[str, Any]) -> tuple[VoxelSize, Spacing3 | None] | None:
    """Read a voxel size whose axes are named, so that their order does not matter."""
    names = transform.get("axes")
    if not isinstance(names, list) or any(name not in names for name in "zyx"):
        return None
    order = AxisOrder((names.index("z"), names.index("y"), names.index("x")), len(names))
    scale = _numbers(transform.get("scale"), order)
    units = transform.get("units")
    if scale is None:
        return None
    if not isinstance(units, list) or len(units) != len(names):
        units = [None] * len(names)
    return _with_place(scale, order.pick(units), _numbers(transform.get("translate"), order))


def _with_place(
    sizes: Spacing3, units: Sequence[Any], place: Spacing3 | None
) -> tuple[VoxelSize, Spacing3 | None]:
    size = read_voxel_size(sizes, units)
    return size, None if place is None else convert_place(place, units, size)


def _numbers(values: Any, order: AxisOrder) -> Spacing3 | None:
    """Numbers for Z, Y and X of a list with one for each dimension."""
    if not isinstance(values, list) or len(values) != order.num_axes:
        return None
    if not all(isinstance(value, int | float) and math.isfinite(value) for value in values):
        return None
    return to_spacing(order.pick(values))


def _join(*parts: str) -> str:
    return "/".join(filter(None, (part.strip("/") for part in parts)))
