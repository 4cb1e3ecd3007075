"""Voxel size of a TIFF stack, from whichever of three places holds it.

ImageJ writes ``spacing`` (Z) and ``unit`` into the description and the pixel
size into the resolution tags; OME writes XML; tifffile writes a JSON
description, which may hold the same. A resolution in inches or centimetres
without a slice distance describes a printed page, not a volume, and is not used.
"""

from __future__ import annotations

import math
import struct
from typing import TYPE_CHECKING, Any
from xml.etree import ElementTree

from napari_surfseg.data.volume import CONTENT_KEY

if TYPE_CHECKING:
    from pathlib import Path

    from napari_surfseg.geometry import Spacing3

__all__ = ["is_chain_cut", "read_tiff_content", "read_tiff_place", "read_tiff_spacing"]


def read_tiff_spacing(tiff: Any) -> tuple[Spacing3 | None, str | None]:
    """Z, Y, X voxel size and its unit, or None where the file does not say all three."""
    if tiff.is_ome:
        return _from_ome(tiff.ome_metadata or "")
    if tiff.is_imagej:
        return _from_imagej(tiff.imagej_metadata or {}, tiff.pages[0].tags)
    if tiff.is_shaped:
        return _from_shaped((tiff.shaped_metadata or ({},))[0], tiff.pages[0].tags)
    return None, None


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


def _from_ome(xml: str) -> tuple[Spacing3 | None, str | None]:
    pixels = _find_pixels(_parse_ome(xml))
    if pixels is None:
        return None, None
    sizes = [_positive(pixels.get(f"PhysicalSize{axis}")) for axis in "ZYX"]
    if None in sizes:
        return None, None
    units = [pixels.get(f"PhysicalSize{axis}Unit", "µm") for axis in "ZYX"]
    in_metres = [_METRES.get(unit) for unit in units]
    if len(set(units)) > 1:
        if None in in_metres:
            return None, None
        to_x = [float(value or 0) / float(in_metres[2] or 1) for value in in_metres]
        sizes = [float(size or 0) * factor for size, factor in zip(sizes, to_x, strict=True)]
    z, y, x = (float(size or 0) for size in sizes)
    return (z, y, x), _UNIT_NAMES.get(units[2], units[2])


def _parse_ome(xml: str) -> ElementTree.Element | None:
    try:
        # The file is data of the person's own; expat expands no external entities.
        return ElementTree.fromstring(xml)  # noqa: S314
    except ElementTree.ParseError:
        return None


def _find_pixels(root: ElementTree.Element | None) -> ElementTree.Element | None:
    nodes = root.iter() if root is not None else ()
    return next((node for node in nodes if node.tag.endswith("}Pixels")), None)


def _from_shaped(about: dict[str, Any], tags: Any) -> tuple[Spacing3 | None, str | None]:
    """Tifffile's own description: all three sizes as ``spacing``, or as ImageJ has them."""
    spacing = about.get("spacing")
    if isinstance(spacing, list) and len(spacing) == 3:
        sizes = [_positive(value) for value in spacing]
        if None in sizes:
            return None, None
        unit = str(about.get("unit") or "")
        z, y, x = (float(size or 0) for size in sizes)
        return (z, y, x), _UNIT_NAMES.get(unit, unit or None)
    resolution_unit = tags.get("ResolutionUnit")
    if resolution_unit is not None and int(resolution_unit.value) != 1:
        return None, None
    return _from_imagej(about, tags)


def _from_imagej(about: dict[str, Any], tags: Any) -> tuple[Spacing3 | None, str | None]:
    slice_distance = _positive(about.get("spacing"))
    pixel = [_pixel_size(tags.get(name)) for name in ("YResolution", "XResolution")]
    if slice_distance is None or None in pixel:
        return None, None
    y, x = (float(size or 0) for size in pixel)
    unit = str(about.get("unit", "")).replace("\\u00B5", "µ").strip()
    if unit.lower() in ("", "pixel", "pixels", "voxel", "voxels"):
        return (slice_distance, y, x), None
    return (slice_distance, y, x), _UNIT_NAMES.get(unit, unit)


def _pixel_size(tag: Any) -> float | None:
    """Pixel size from a tag that holds pixels a unit, as a fraction."""
    if tag is None:
        return None
    numerator, denominator = tag.value
    return _positive(denominator / numerator) if numerator else None


def _number(value: Any) -> float | None:
    try:
        number = float(value)
    except (TypeError, ValueError):
        return None
    return number if math.isfinite(number) else None


def _positive(value: Any) -> float | None:
    number = _number(value)
    return number if number is not None and number > 0 else None


_METRES = {
    "m": 1.0,
    "cm": 1e-2,
    "mm": 1e-3,
    "µm": 1e-6,
    "μm": 1e-6,
    "um": 1e-6,
    "nm": 1e-9,
    "pm": 1e-12,
    "Å": 1e-10,
}
_UNIT_NAMES = {
    "µm": "micrometer",
    "μm": "micrometer",
    "um": "micrometer",
    "micron": "micrometer",
    "microns": "micrometer",
    "nm": "nanometer",
    "mm": "millimeter",
    "cm": "centimeter",
    "m": "meter",
    "pm": "picometer",
    "Å": "angstrom",
}
