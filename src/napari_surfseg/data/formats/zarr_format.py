"""zarr arrays and OME-Zarr groups, version 2 and 3, in a folder, a zip file or behind a URL.

::

    what is named ──┬── an array: the groups above it may state its axes, voxel size and place
                    ├── an image: its finest level that is there
                    ├── a plate, a well, a file of bioformats2raw, a group of labels: its image,
                    │   or, where it holds several, a sentence that lists them
                    └── any other group: its one volume

Axes are known by their names and transposed as voxels are read, so that a volume is Z, Y, X in
whatever order it is stored. What is stored at all is the business of
:mod:`~napari_surfseg.data.formats.zarr_store`, what attributes mean that of
:mod:`~napari_surfseg.data.formats.ome_metadata`.
"""

from __future__ import annotations

import itertools
import math
from typing import TYPE_CHECKING, Any

import numpy as np
import zarr

from napari_surfseg.data.formats.axes import AxisOrder, find_axis_order
from napari_surfseg.data.formats.ome_metadata import (
    Axis,
    Image,
    Level,
    read_content,
    read_images,
    read_members,
    short_names,
)
from napari_surfseg.data.formats.zarr_chunks import ZarrChunks
from napari_surfseg.data.formats.zarr_store import ZarrTree, open_tree
from napari_surfseg.data.units import (
    UNKNOWN_SIZE,
    VoxelSize,
    convert_place,
    read_voxel_size,
)
from napari_surfseg.data.volume import Volume, VoxelArray
from napari_surfseg.errors import DataError
from napari_surfseg.geometry import to_spacing
from napari_surfseg.wording import format_shape

if TYPE_CHECKING:
    from napari_surfseg.data.source import Source
    from napari_surfseg.data.stored_chunks import StoredChunks
    from napari_surfseg.geometry import Box, Index3, Spacing3

__all__ = ["open_zarr"]

#: So many names are listed in a sentence.
MAX_LISTED = 8


def open_zarr(source: Source) -> Volume:
    """Open an array, or the finest or a named level of an OME-Zarr group.

    Parameters
    ----------
    source : Source
        Path or URL of an array or group; the key names an array or group inside it, by its
        path or the number of its level, finest first.

    Raises
    ------
    DataError
        If there is no such array, it is not a volume, or there are several to choose from.
    """
    return _Search(source).open()


class _Search:
    """Finds the array that a source means, and what the groups above it state."""

    def __init__(self, source: Source) -> None:
        self._source = source
        self._tree: ZarrTree = open_tree(source)
        self._notes: list[str] = []

    def open(self) -> Volume:
        base, key = self._tree.base, self._source.key
        if self._tree.find(base) is None and not self._list_names(base):
            raise DataError(
                f"There is no readable zarr array or group {self._source.text}; its metadata are "
                "missing or damaged."
            )
        path = self._find_array(_join(base, key))
        array = self._tree.find(path)
        image, level, content = self._look_above(path)
        return self._build(array, path, image, level, content)

    def _find_array(self, path: str) -> str:
        """Find the path of the array that a path means."""
        node = self._tree.find(path)
        if isinstance(node, zarr.Array):
            return path
        if node is None and self._list_names(path):
            return self._find_only(path)  # a group that its writer did not name as one
        if node is None:
            return self._find_level_by_number(path)
        attributes = dict(node.attrs)
        images = read_images(attributes)
        if images:
            if len(images) > 1:
                self._notes.append(
                    f"{self._source.text} describes {len(images)} images; the first is read."
                )
            return self._find_finest(path, images[0])
        members = read_members(attributes)
        if members is not None:
            return self._find_member(path, *members)
        return self._find_only(path)

    def _find_level_by_number(self, path: str) -> str:
        group, _, name = path.rpartition("/")
        images = read_images(self._tree.attributes(group)) if name.isdecimal() else []
        if images and int(name) < len(images[0].levels):
            level = self._sort_levels(group, images[0])[int(name)]
            found = _join(group, level.path)
            if isinstance(self._tree.find(found), zarr.Array):
                return found
        raise DataError(self._explain_missing(path))

    def _find_finest(self, path: str, image: Image) -> str:
        left_out = []
        for level in self._sort_levels(path, image):
            place = _join(path, level.path)
            if not isinstance(self._tree.find(place), zarr.Array):
                left_out.append((level, "is not there"))
            elif not self._tree.has_chunks(place) and self._is_any_filled(path, image):
                left_out.append((level, "holds no chunks"))
            else:
                if left_out:
                    first, why = left_out[0]
                    self._notes.append(
                        f"The level {first.path!r} of {self._source.text} {why}; "
                        f"{level.path!r} is read."
                    )
                return place
        listed = _list_some([level.path for level in image.levels])
        raise DataError(
            f"{self._source.text} is incomplete: none of the levels that its metadata name "
            f"({listed}) is there."
        )

    def _is_any_filled(self, path: str, image: Image) -> bool:
        places = [_join(path, level.path) for level in image.levels]
        return any(
            self._tree.has_chunks(place) and self._tree.find(place) is not None for place in places
        )

    def _sort_levels(self, path: str, image: Image) -> list[Level]:
        """Sort levels, finest first: by their scales, or where these say nothing by their sizes.

        A level that is not there keeps its place in the list.
        """
        sizes = [math.prod(level.scale) if level.scale else None for level in image.levels]
        if None not in sizes and len(set(sizes)) == len(sizes):
            return sorted(image.levels, key=lambda level: math.prod(level.scale or ()))
        found = {}
        for level in image.levels if len(image.levels) > 1 else ():
            node = self._tree.find(_join(path, level.path))
            if isinstance(node, zarr.Array):
                found[level.path] = math.prod(node.shape)
        ordered = iter(
            sorted(
                (level for level in image.levels if level.path in found),
                key=lambda level: -found[level.path],
            )
        )
        return [next(ordered) if level.path in found else level for level in image.levels]

    def _find_member(self, path: str, kind: str, names: list[str]) -> str:
        """Find the one image of a group of images."""
        if kind == "series":
            names = self._list_series(path)
            kind = "images"
        there = (name for name in names if self._tree.find(_join(path, name)) is not None)
        found = list(itertools.islice(there, MAX_LISTED))  # a plate may have hundreds of wells
        if len(found) != 1:
            full = len(found) == MAX_LISTED
            raise DataError(self._explain_choice(path, kind, names if full else found))
        return self._find_array(_join(path, found[0]))

    def _list_series(self, path: str) -> list[str]:
        stated = read_members(self._tree.attributes(_join(path, "OME")))
        if stated is not None and stated[1]:
            return stated[1]
        names: list[str] = []
        while self._tree.attributes(_join(path, str(len(names)))):
            names.append(str(len(names)))
        return names

    def _find_only(self, path: str) -> str:
        """Find the one volume of a group that says nothing of itself."""
        names = self._list_names(path)
        nodes = {name: self._tree.find(_join(path, name)) for name in names}
        arrays = [name for name, node in nodes.items() if isinstance(node, zarr.Array)]
        # xarray keeps the coordinates of each axis beside what they belong to.
        volumes = [name for name in arrays if nodes[name].ndim >= 3] or arrays
        if len(volumes) == 1:
            return _join(path, volumes[0])
        if volumes:
            raise DataError(self._explain_choice(path, "arrays", volumes))
        groups = [
            name
            for name, node in nodes.items()
            if isinstance(node, zarr.Group) and read_images(dict(node.attrs))
        ]
        if len(groups) == 1:
            return self._find_array(_join(path, groups[0]))
        if groups:
            raise DataError(self._explain_choice(path, "images", groups))
        raise DataError(
            f"The zarr group {self._name(path)} holds no arrays; it holds "
            f"{_list_some(names) or 'nothing'}."
        )

    def _list_names(self, path: str) -> list[str]:
        """List the arrays and groups right below a group."""
        names = self._tree.iterate_names(path)
        hidden = ("zarr.json", ".zarray", ".zgroup", ".zattrs", ".zmetadata")
        return sorted(
            name
            for name in names or ()
            if name not in hidden and self._tree.find(_join(path, name)) is not None
        )

    def _look_above(self, path: str) -> tuple[Image | None, Level | None, str | None]:
        """Look up what a group above an array says of it."""
        parts = path.split("/") if path else []
        for depth in range(len(parts) - 1, -1, -1):
            attributes = self._tree.attributes("/".join(parts[:depth]))
            inside = "/".join(parts[depth:])
            for image in read_images(attributes):
                for level in image.levels:
                    if level.path == inside:
                        return image, level, read_content(attributes)
            if depth == len(parts) - 1 and (content := read_content(attributes)) is not None:
                return None, None, content
        return None, None, None

    def _build(
        self, array: Any, path: str, image: Image | None, level: Level | None, content: str | None
    ) -> Volume:
        text = self._source.text
        dtype = array.dtype
        if not isinstance(dtype, np.dtype):
            raise DataError(f"{text} holds values of type {dtype}; numbers or booleans are needed.")
        axes = self._find_axes(array, image)
        order = find_axis_order(array.shape, short_names(axes) if axes else None, text)
        size, place = self._find_size(order, axes, level)
        volume = _ZarrVolume(
            array,
            order,
            ZarrChunks(self._tree, path, array),
            source=text,
            shape=order.pick(array.shape),
            dtype=dtype,
            chunks=order.pick(array.chunks),
            spacing=size.spacing,
            units=size.unit,
            translate=place,
            content=content,
            notes=[*self._notes, size.note],
            stored_axes=order.stored_axes,
        )
        volume.reads_at_once = self._tree.reads_at_once
        return volume

    def _find_axes(self, array: Any, image: Image | None) -> tuple[Axis, ...]:
        """Find the axes of an array, by its image or by itself; empty where none are stated."""
        if image is None or not image.axes:
            stated = array.attrs.get("_ARRAY_DIMENSIONS")
            if stated is None:
                stated = getattr(array.metadata, "dimension_names", None)
            is_list = isinstance(stated, list | tuple) and len(stated) == array.ndim
            return tuple(Axis(str(name or "")) for name in stated or ()) if is_list else ()
        if len(image.axes) == array.ndim:
            return image.axes
        names = short_names(image.axes) or []
        sentence = (
            f"The metadata of {self._source.text} names {len(image.axes)} axes "
            f"({', '.join(axis.name for axis in image.axes)}), but its array has {array.ndim} "
            f"({format_shape(array.shape)})"
        )
        if names[-3:] != ["z", "y", "x"] or array.ndim < 3:
            raise DataError(f"{sentence}; they must be as many.")
        self._notes.append(f"{sentence}; the last three are taken as Z, Y, X.")
        leading = tuple(Axis("c") for _ in range(array.ndim - 3))
        return (*leading, *image.axes[-3:])

    def _find_size(
        self, order: AxisOrder, axes: tuple[Axis, ...], level: Level | None
    ) -> tuple[VoxelSize, Spacing3 | None]:
        """Find the voxel size and the place of the first voxel."""
        if level is None:
            return UNKNOWN_SIZE, None
        if level.unread:
            note = (
                f"The metadata of {self._source.text} place its voxels by a transformation of type "
                f"{level.unread!r} that cannot be read, so its voxel size counts as unknown."
            )
            return VoxelSize(None, None, note), None
        units = order.pick([axis.unit for axis in axes] or [None] * order.num_axes)
        scale = _pick(order, level.scale)
        size = read_voxel_size(scale or (None,) * 3, units, self._source.text)
        place = _pick(order, level.translation)
        return size, None if place is None else convert_place(place, units, size)

    def _name(self, path: str) -> str:
        """Name a node as the person would: by the source, and the key inside it."""
        base, location = self._tree.base, self._source.location
        key = path[len(base) :].strip("/") if path.startswith(base) else path
        return f"{location}::{key}" if key else location

    def _explain_choice(self, path: str, kind: str, names: list[str]) -> str:
        if not names:
            return f"The zarr group {self._name(path)} holds none of the {kind} that it names."
        base = self._tree.base
        keys = [_join(path, name)[len(base) :].strip("/") for name in names]
        return (
            f"The zarr group {self._name(path)} holds {len(names)} {kind} ({_list_some(keys)}); "
            f"say which one with {self._source.location}::{keys[0]}."
        )

    def _explain_missing(self, path: str) -> str:
        location, key, base = self._source.location, self._source.key, self._tree.base
        named = self._tree.find(base)
        if isinstance(named, zarr.Array):
            return (
                f"{self._source.text} asks for {key!r}, but {location} is a single zarr array; "
                "leave '::' out."
            )
        sentence = f"There is no array {key!r} in the zarr group {location}"
        above = path.rpartition("/")[0]
        while len(above) > len(base):
            if isinstance(self._tree.find(above), zarr.Array):
                return f"{sentence}; {above[len(base) :].strip('/')!r} is a single array."
            above = above.rpartition("/")[0]
        stated = self._tree.attributes(base)
        levels = [one.path for image in read_images(stated) for one in image.levels]
        names = sorted({*levels, *self._list_names(base)})
        return f"{sentence}; it holds {_list_some(names) or 'nothing'}."


def _join(*parts: str) -> str:
    return "/".join(filter(None, (part.strip("/") for part in parts)))


def _list_some(names: list[str]) -> str:
    listed = ", ".join(names[:MAX_LISTED])
    return f"{listed}, …" if len(names) > MAX_LISTED else listed


def _pick(order: AxisOrder, values: tuple[float, ...] | None) -> Spacing3 | None:
    """Values of Z, Y and X, of one for each axis; of the last three where axes are missing."""
    if values is None:
        return None
    if len(values) == order.num_axes:
        return order.pick(values)
    is_last = order.zyx == tuple(range(order.num_axes - 3, order.num_axes))
    return to_spacing(values[-3:]) if is_last and len(values) >= 3 else None


class _ZarrVolume(Volume):
    """A zarr array; chunks that were never written read as the fill value.

    Attributes
    ----------
    array : zarr.Array or None
        As stored; None where its last three axes are not Z, Y, X, so that nobody takes it for
        the volume.
    """

    _is_chunked = True

    def __init__(self, array: Any, order: AxisOrder, listed: ZarrChunks, **about: Any) -> None:
        super().__init__(**about)
        self._stored, self._order, self._listed = array, order, listed
        is_plain = order.zyx == tuple(range(array.ndim - 3, array.ndim))
        self.array = array if is_plain else None

    def stored_chunks(self, box: Box | None = None) -> StoredChunks | None:
        """List the chunks that are stored, of a sharded array the inner ones."""
        return self._listed.find(self.shape, self._order, self.box if box is None else box)

    def _read_box(self, start: Index3, stop: Index3) -> VoxelArray:
        return self._order.read(self._stored, (start, stop))
