"""What the attributes of an OME-Zarr group state (versions 0.1 to 0.5): images, levels, layouts.

This is read by hand, leniently, because no library read every store that people hold:
yaozarrs 0.3 refuses versions 0.1 to 0.3, axes with the channel last and levels without a scale
(and adds half a second to the first opening); ome-zarr-models from 1.8 on needs Python 3.12, and
earlier ones an older pydantic; ome-zarr and ngff-zarr need dask. They validate; here a wrong
scale must not keep the voxels from being read.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from napari_surfseg.data.volume import CONTENT_KEY

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

__all__ = ["Axis", "Image", "Level", "read_content", "read_images", "read_members", "short_names"]

#: What axes that are not of space are called, by what files call them.
OTHER_AXES = {"t": "t", "time": "t", "c": "c", "ch": "c", "channel": "c", "channels": "c"}
SPACE = ("z", "y", "x")


@dataclass(frozen=True)
class Axis:
    """One axis of an image.

    Attributes
    ----------
    name : str
        As stated.
    kind : str
        ``space``, ``time``, ``channel`` or another word; empty where it is not stated.
    unit : str or None
        As stated.
    """

    name: str
    kind: str = ""
    unit: Any = None


@dataclass(frozen=True)
class Level:
    """One resolution of an image.

    Attributes
    ----------
    path : str
        Of the array inside the group.
    scale : tuple of float or None
        Voxel size along every axis of the array; None where it is not given.
    translation : tuple of float or None
        Place of the first voxel along every axis; None where it is not given.
    unread : str
        Type of a transformation that can not be read, which makes the scale unknown.
    """

    path: str
    scale: tuple[float, ...] | None = None
    translation: tuple[float, ...] | None = None
    unread: str = ""


@dataclass(frozen=True)
class Image:
    """A multiscale image.

    Attributes
    ----------
    levels : tuple of Level
        In the order in which they are listed, which need not be finest first.
    axes : tuple of Axis
        Empty where they are not stated (versions 0.1 and 0.2).
    """

    levels: tuple[Level, ...]
    axes: tuple[Axis, ...] = ()


def read_images(attributes: dict[str, Any]) -> list[Image]:
    """Images that a group's attributes describe; empty if it is no OME-Zarr image.

    Damaged or missing parts are passed over: a wrong scale must not keep the voxels from
    being read.
    """
    found = _holder(attributes).get("multiscales")
    images = [_read_image(one) for one in _dicts(found)]
    return [image for image in images if image.levels]


def read_members(attributes: dict[str, Any]) -> tuple[str, list[str]] | None:
    """Read what a group that is no image says it holds.

    Returns
    -------
    tuple of str and list of str, or None
        ``"wells"`` of a plate, ``"images"`` of a well or a group of labels; for a file that
        bioformats2raw wrote, ``"series"`` and no names. None for any other group.
    """
    holder = _holder(attributes)
    plate, well = holder.get("plate"), holder.get("well")
    if isinstance(plate, dict):
        return "wells", _paths(plate.get("wells"))
    if isinstance(well, dict):
        return "images", _paths(well.get("images"))
    for key, kind in (("labels", "images"), ("series", "images")):
        if isinstance(holder.get(key), list):
            return kind, [name.strip("/") for name in holder[key] if isinstance(name, str)]
    return ("series", []) if "bioformats2raw.layout" in holder else None


def read_content(attributes: dict[str, Any]) -> str | None:
    """Read what an OME-Zarr group holds: ``"labels"``, ``"probabilities"`` or None."""
    ours = attributes.get(CONTENT_KEY)
    if isinstance(ours, str):
        return ours
    is_labels = "image-label" in attributes or "image-label" in _holder(attributes)
    return "labels" if is_labels else None


def short_names(axes: Sequence[Axis]) -> list[str] | None:
    """Give axes the names z, y, x, t and c, as far as they are stated.

    Axes of space with other names (``depth``) are taken in the order in which they are stored.

    Returns
    -------
    list of str or None
        None where no name says anything. Names that make no sense together are given as they are.
    """
    names = [_short_name(axis) for axis in axes]
    unnamed = [i for i, name in enumerate(names) if name not in ("t", "c", *SPACE)]
    if len(unnamed) == len(names):
        return None
    missing = [name for name in SPACE if name not in names]
    if len(unnamed) == len(missing):
        for i, name in zip(unnamed, missing, strict=True):
            names[i] = name
    return names


def _short_name(axis: Axis) -> str:
    name = axis.name.strip().lower()
    if axis.kind == "space":
        return name if name in SPACE else f"{name} (space)"
    return {"time": "t", "channel": "c"}.get(axis.kind) or OTHER_AXES.get(name, name)


def _read_image(image: dict[str, Any]) -> Image:
    common = image.get("coordinateTransformations")
    levels = []
    for dataset in _dicts(image.get("datasets")):
        if not isinstance(dataset.get("path"), str):
            continue
        own = dataset.get("coordinateTransformations")
        unread = next((kind for kind in (_unread(own), _unread(common)) if kind), "")
        scale = None if unread else _product(_scale(common), _scale(own))
        place = None if unread else _translation(own, common)
        levels.append(Level(dataset["path"].strip("/"), scale, place, unread))
    return Image(tuple(levels), tuple(_read_axes(image)))


def _read_axes(image: dict[str, Any]) -> Iterator[Axis]:
    stated = image.get("axes")
    if stated is None:  # after version 0.5 there are several systems; arrays are in the first
        stated = next((one.get("axes") for one in _dicts(image.get("coordinateSystems"))), None)
    for axis in stated if isinstance(stated, list) else []:
        if isinstance(axis, dict):
            yield Axis(str(axis.get("name", "")), str(axis.get("type", "")), axis.get("unit"))
        else:
            yield Axis(str(axis))


def _holder(attributes: dict[str, Any]) -> dict[str, Any]:
    """Where version 0.5 keeps what earlier ones kept at the top."""
    ome = attributes.get("ome")
    return ome if isinstance(ome, dict) else attributes


def _dicts(values: Any) -> list[dict[str, Any]]:
    return [one for one in _list(values) if isinstance(one, dict)]


def _list(values: Any) -> list[Any]:
    return values if isinstance(values, list) else []


def _paths(values: Any) -> list[str]:
    return [one["path"].strip("/") for one in _dicts(values) if isinstance(one.get("path"), str)]


def _unread(transformations: Any) -> str:
    """Type of a transformation that moves voxels in a way that no voxel size can say."""
    for one in _dicts(transformations):
        kind = one.get("type")
        if kind not in ("identity", "scale", "translation") or "path" in one:
            return str(kind)
        if kind == "scale" and any(_is_number(size) and size < 0 for size in _list(one.get(kind))):
            return "mirroring scale"
    return ""


def _scale(transformations: Any) -> tuple[float, ...] | None:
    """Product of all scale transformations in a list."""
    total: tuple[float, ...] | None = None
    for one in _dicts(transformations):
        values = one.get("scale")
        if one.get("type") != "scale" or not isinstance(values, list):
            continue
        if all(_is_positive(value) for value in values):
            total = _product(total, tuple(float(value) for value in values))
    return total


def _translation(*lists: Any) -> tuple[float, ...] | None:
    """Where transformations, carried out one after the other, put the first voxel."""
    place: tuple[float, ...] | None = None
    for one in (one for some in lists for one in _dicts(some)):
        kind = one.get("type")
        values = one.get(kind) if kind in ("scale", "translation") else None
        if not isinstance(values, list) or not all(_is_number(value) for value in values):
            continue
        if kind == "translation" and place is None:
            place = tuple(float(value) for value in values)
        elif place is not None and len(place) == len(values):
            pairs = zip(place, values, strict=True)
            place = tuple(a + b if kind == "translation" else a * b for a, b in pairs)
    return place


def _product(
    first: tuple[float, ...] | None, second: tuple[float, ...] | None
) -> tuple[float, ...] | None:
    if first is None or second is None:
        return first or second
    if len(first) != len(second):
        return second
    return tuple(a * b for a, b in zip(first, second, strict=True))


def _is_positive(value: Any) -> bool:
    return _is_number(value) and bool(value > 0)


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and math.isfinite(value)
