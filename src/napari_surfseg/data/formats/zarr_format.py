"""zarr arrays and OME-Zarr groups, version 2 and 3, local or behind a URL."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import zarr

from napari_surfseg.data.formats.ome_metadata import Level, read_content, read_levels
from napari_surfseg.data.volume import Volume, VoxelArray, require_volume_shape
from napari_surfseg.errors import DataError
from napari_surfseg.geometry import box_slices

if TYPE_CHECKING:
    from napari_surfseg.data.source import Source
    from napari_surfseg.geometry import Index3

__all__ = ["open_zarr"]


def open_zarr(source: Source) -> Volume:
    """Open an array, or the finest or a named level of an OME-Zarr group.

    Parameters
    ----------
    source : Source
        Path or URL of an array or group; the key names an array inside the group, by its
        path or the number of its level.

    Raises
    ------
    DataError
        If there is no such array, or it is not a volume.
    """
    location, key = source.location, source.key
    node = _open_node(source.location, source.text)
    if isinstance(node, zarr.Array):
        if key:
            raise DataError(
                f"{source.text} asks for {key!r}, but {location} is a single zarr array; leave "
                "'::' out."
            )
        level, content = _look_in_parent(location)
        return _build(node, level, content, source.text)
    levels = read_levels(dict(node.attrs))
    if not key:
        key = levels[0].path if levels else _only_array(node, source.text)
    elif key not in node and key.isdigit() and int(key) < len(levels):
        key = levels[int(key)].path
    found = node.get(key) if key else None
    if isinstance(found, zarr.Group):
        return open_zarr(replace(source, location=f"{location.rstrip('/')}/{key}", key=""))
    if not isinstance(found, zarr.Array):
        raise DataError(
            f"There is no array {key!r} in the zarr group {location}; it holds "
            f"{_listing(node, levels)}."
        )
    level = next((level for level in levels if level.path == key), None)
    return _build(found, level, read_content(dict(node.attrs)), source.text)


def _open_node(location: str, source: str) -> Any:
    try:
        return zarr.open(location, mode="r")
    except ImportError:  # a kind of URL that needs another package; the caller says which
        raise
    except Exception as error:
        # zarr and the stores below it meet missing and damaged metadata with many exceptions.
        if "://" not in location and not Path(location).exists():
            raise DataError(f"There is no zarr array or group {location}.") from error
        raise DataError(
            f"There is no readable zarr array or group {source}; its metadata are missing or "
            "damaged."
        ) from error


def _build(array: Any, level: Level | None, content: str | None, source: str) -> Volume:
    dtype = array.dtype
    if not isinstance(dtype, np.dtype):
        raise DataError(f"{source} holds values of type {dtype}; numbers or booleans are needed.")
    shape = require_volume_shape(array.shape, source)
    return _ZarrVolume(
        array,
        source=source,
        shape=shape,
        dtype=dtype,
        chunks=tuple(array.chunks)[-3:],
        spacing=level.spacing if level is not None else None,
        units=level.units if level is not None else None,
        translate=level.place if level is not None else None,
        content=content,
    )


def _look_in_parent(location: str) -> tuple[Level | None, str | None]:
    """Look up what the group around an array says of it, for paths such as ``scroll.zarr/1``."""
    if "://" in location:
        return None, None
    path = Path(location)
    try:
        parent = zarr.open_group(path.parent, mode="r")
    except (OSError, ValueError, KeyError):
        return None, None
    about = dict(parent.attrs)
    level = next((one for one in read_levels(about) if one.path == path.name), None)
    return level, read_content(about) if level is not None else None


def _only_array(group: Any, source: str) -> str:
    names = sorted(name for name, _ in group.arrays())
    if len(names) == 1:
        return str(names[0])
    if not names:
        raise DataError(f"The zarr group {source} holds no arrays; it holds {_listing(group, [])}.")
    raise DataError(
        f"The zarr group {source} holds {len(names)} arrays ({', '.join(names[:8])}); say which "
        f"one with {source}::{names[0]}."
    )


def _listing(group: Any, levels: list[Level]) -> str:
    names = sorted({*(level.path for level in levels), *(name for name, _ in group.members())})
    return ", ".join(names[:8]) or "nothing"


class _ZarrVolume(Volume):
    """A zarr array; chunks that were never written read as the fill value.

    Attributes
    ----------
    array : zarr.Array
        As stored.
    """

    def __init__(self, array: Any, **about: Any) -> None:
        super().__init__(**about)
        self.array = array
        self._leading = (0,) * (array.ndim - 3)

    def _read_box(self, start: Index3, stop: Index3) -> VoxelArray:
        return np.asarray(self.array[(*self._leading, *box_slices((start, stop)))])
