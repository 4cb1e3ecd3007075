"""Voxel size of a TIFF stack, from whichever of three places holds it.

ImageJ writes ``spacing`` (Z, left out where it is 1), ``unit`` and, where axes differ,
``yunit`` and ``zunit`` into the description and the pixel size into the resolution tags; OME
writes XML with a unit an axis; tifffile writes a JSON description, which may hold the same. A
resolution in inches or centimetres without a slice distance describes a printed page, not a
volume, and is not used.
"""

from __future__ import annotations

import math
import struct
from typing import TYPE_CHECKING, Any
from xml.etree import ElementTree

from tifffile.tifffile import imagej_description_metadata, shaped_description_metadata

from napari_surfseg.data.units import (
    UNKNOWN_SIZE,
    VoxelSize,
    is_no_unit,
    read_voxel_size,
    standard_unit,
)
from napari_surfseg.data.volume import CONTENT_KEY

if TYPE_CHECKING:
    from pathlib import Path

    from napari_surfseg.geometry import Spacing3

__all__ = ["is_chain_cut", "read_tiff_content", "read_tiff_place", "read_tiff_spacing"]

#: What a resolution of a printed page is given in.
PRINTED_UNITS = ("inch", "centimeter")


def read_tiff_spacing(tiff: Any, series: Any, axes: str, source: str) -> VoxelSize:
    """Voxel size of a series along its axes as stored; unknown where the file does not say all.

    Parameters
    ----------
    tiff, series : tifffile.TiffFile, tifffile.TiffPageSeries
        The file and the part of it that is the volume.
    axes : str
        Order in which it is stored, such as ``zyx``.
    source : str
        For notes.
    """
    keyframe = series.keyframe
    if tiff.is_ome:
        return _from_ome(tiff, series, source)
    if keyframe.is_imagej:
        about = tiff.imagej_metadata if tiff.is_imagej else None
        if about is None:  # not the first page: an image of another size stands before the stack
            about = imagej_description_metadata(keyframe.imagej_description)
        return _from_imagej(about, keyframe.tags, axes, source)
    if keyframe.is_shaped:
        about = shaped_description_metadata(keyframe.shaped_description)
        return _from_shaped(about, keyframe.tags, axes, source)
    return UNKNOWN_SIZE


def read_tiff_place(tiff: Any, spacing: Spacing3 | None) -> Spacing3 | None:
    """Z, Y, X place of the first voxel in the units of the spacing, or None where not said.

    ImageJ counts the voxels back to its origin; our OME-TIFFs give the place of each plane.
    """
    if spacing is None:
        return None
    if tiff.is_imagej:
        about = tiff.imagej_metadata or {}
        origin = [_number(about.get(f"{axis}origin")) for axis in "zyx"]
        if all(value is None for value in origin):
            return None
        z, y, x = (-(value or 0.0) * size for value, size in zip(origin, spacing, strict=True))
        return z, y, x
    # Other programs put the place of the microscope's stage there.
    root = _parse_ome(tiff.ome_metadata or "") if read_tiff_content(tiff) is not None else None
    nodes = root.iter() if root is not None else ()
    first = next((node for node in nodes if node.tag.endswith("}Plane")), None)
    places = [_number(first.get(f"Position{axis}")) for axis in "ZYX"] if first is not None else []
    if not places or None in places:
        return None
    z, y, x = (float(place or 0) for place in places)
    return z, y, x


def read_tiff_content(tiff: Any) -> str | None:
    """Read what one of our own TIFFs holds: ``"labels"`` or ``"probabilities"``."""
    if tiff.is_imagej:
        found = (tiff.imagej_metadata or {}).get(CONTENT_KEY)
        return found if isinstance(found, str) else None
    root = _parse_ome(tiff.ome_metadata or "") if tiff.is_ome else None
    for node in root.iter() if root is not None else ():
        if node.tag.endswith("}Description") and (node.text or "").startswith(f"{CONTENT_KEY}="):
            return (node.text or "").partition("=")[2]
    return None


def is_chain_cut(path: Path) -> bool:
    """Whether the chain of pages leads beyond the file's end.

    tifffile passes over this and takes the pages before it for the whole.
    """
    size = path.stat().st_size
    with path.open("rb") as file:
        order = "<" if file.read(2) == b"II" else ">"
        is_big = struct.unpack(f"{order}H", file.read(2))[0] == 43
        count, entry, place = ("Q", 20, "Q") if is_big else ("H", 12, "I")
        file.seek(8 if is_big else 4)
        seen: set[int] = set()
        while True:
            link = file.read(struct.calcsize(place))
            if len(link) < struct.calcsize(place):
                return True
            offset = struct.unpack(order + place, link)[0]
            if offset == 0 or offset in seen:
                return False
            seen.add(offset)
            file.seek(offset)
            head = file.read(struct.calcsize(count))
            if offset >= size or len(head) < struct.calcsize(count):
                return True
            file.seek(struct.unpack(order + count, head)[0] * entry, 1)


def _from_ome(tiff: Any, series: Any, source: str) -> VoxelSize:
    root = _parse_ome(tiff.ome_metadata or "")
    nodes = [] if root is None else [node for node in root.iter() if node.tag.endswith("}Pixels")]
    # Every image has its own size; tifffile keeps their order, and drops those without pixels.
    number = tiff.series.index(series) if len(nodes) == len(tiff.series) else 0
    if not nodes:
        return UNKNOWN_SIZE
    sizes = [_number(nodes[number].get(f"PhysicalSize{axis}")) for axis in "ZYX"]
    units = [nodes[number].get(f"PhysicalSize{axis}Unit", "µm") for axis in "ZYX"]
    return read_voxel_size(sizes, units, source)


def _parse_ome(xml: str) -> ElementTree.Element | None:
    try:
        # The file is data of the person's own; expat expands no external entities.
        return ElementTree.fromstring(xml)  # noqa: S314
    except ElementTree.ParseError:
        return None


def _from_shaped(about: dict[str, Any], tags: Any, axes: str, source: str) -> VoxelSize:
    """Tifffile's own description: all three sizes as ``spacing``, or as ImageJ has them."""
    spacing = about.get("spacing")
    if isinstance(spacing, list) and len(spacing) == 3:
        units = about.get("unit")
        each = units if isinstance(units, list) and len(units) == 3 else [units] * 3
        return read_voxel_size([_number(value) for value in spacing], each, source)
    if spacing is None or _is_printed(tags.get("ResolutionUnit")):
        return UNKNOWN_SIZE
    return _from_imagej(about, tags, axes, source)


def _from_imagej(about: dict[str, Any], tags: Any, axes: str, source: str) -> VoxelSize:
    """ImageJ's description, which leaves out what is its default, and the resolution."""
    is_printed = _is_printed(tags.get("ResolutionUnit"))
    unit = about.get("unit")
    units = [about.get("zunit", unit), about.get("yunit", unit), unit]
    stated = about.get("spacing")
    if axes != "zyx" or (is_no_unit(unit) and is_printed):
        return UNKNOWN_SIZE
    if stated is None:
        # ImageJ takes inches and centimetres from the resolution of a printed page, and pixels
        # are no length; with them a slice step of one is nothing that anybody measured.
        if is_no_unit(units[0]) or any(standard_unit(one) in PRINTED_UNITS for one in units):
            return UNKNOWN_SIZE
        stated = 1.0
    step = _number(stated)
    pixels = [_pixel_size(tags.get(name)) for name in ("YResolution", "XResolution")]
    # Its sign says in which direction the slices were taken.
    return read_voxel_size([None if step is None else abs(step), *pixels], units, source)


def _is_printed(tag: Any) -> bool:
    """Whether the resolution is one of dots an inch or a centimetre."""
    return tag is not None and int(tag.value) in (2, 3)


def _pixel_size(tag: Any) -> float | None:
    """Pixel size from a tag that holds pixels a unit, as a fraction."""
    if tag is None:
        return None
    numerator, denominator = tag.value
    return _number(denominator / numerator) if numerator else None


def _number(value: Any) -> float | None:
    try:
        number = float(value)
    except (TypeError, ValueError):
        return None
    return number if math.isfinite(number) else None
