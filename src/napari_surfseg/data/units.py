r"""Units of length: what files call them, sizes of different units, and voxel sizes as lengths.

::

    "µm", "microns", "\u00B5m" ── standard_unit ──▶ "micrometer"
    (50 nm, 0.008 µm, 0.008 µm) ── read_voxel_size ──▶ (0.05, 0.008, 0.008) "micrometer"
    8 nm and 0.008 µm ── compare_sizes ──▶ 1.0 along every axis

pint knows the units; it is imported only where a file states one. What is a unit of length for
a file's format, and what only describes a printed page, is the business of that format.
"""

from __future__ import annotations

import math
import re
import unicodedata
from functools import cache
from typing import TYPE_CHECKING, Any, NamedTuple

from napari_surfseg.geometry import to_spacing

if TYPE_CHECKING:
    from collections.abc import Sequence

    from napari_surfseg.geometry import Spacing3

__all__ = [
    "UNIT_SYMBOLS",
    "UNKNOWN_SIZE",
    "VoxelSize",
    "compare_sizes",
    "convert_length",
    "convert_place",
    "format_sizes",
    "is_no_unit",
    "is_same_size",
    "read_voxel_size",
    "standard_unit",
]

#: What files and viewers write for "no unit": the numbers are counts of voxels.
NO_UNIT = frozenset(
    {"", "none", "null", "pixel", "pixels", "px", "voxel", "voxels", "dimensionless", "arbitrary",
     "reference frame"}
)  # fmt: skip

#: Names that pint does not know, or knows as something that is no length; in lower case.
ALIASES = {
    "a": "angstrom",
    "å": "angstrom",
    "angstroem": "angstrom",
    "ångström": "angstrom",
    "fermi": "femtometer",
    "micron": "micrometer",
    "microns": "micrometer",
    "μ": "micrometer",
}

#: Longer texts are no names of units; parsing them could take long.
MAX_NAME = 40

#: How units are written beside numbers, and in OME-XML.
UNIT_SYMBOLS = {
    "kilometer": "km",
    "meter": "m",
    "decimeter": "dm",
    "centimeter": "cm",
    "millimeter": "mm",
    "micrometer": "µm",
    "nanometer": "nm",
    "picometer": "pm",
    "angstrom": "Å",
    "femtometer": "fm",
    "inch": "in",
    "foot": "ft",
}


class VoxelSize(NamedTuple):
    """A voxel size as a file states it.

    Attributes
    ----------
    spacing : tuple of float or None
        Z, Y, X, all in one unit; None where it is not known.
    unit : str or None
        Standard name of the unit; None where there is none.
    note : str
        A sentence about a size that was stated but makes no sense; empty otherwise.
    """

    spacing: Spacing3 | None
    unit: str | None
    note: str = ""


#: The voxel size of a file that states none.
UNKNOWN_SIZE = VoxelSize(None, None)


def standard_unit(name: Any) -> str | None:
    """Give the standard name of a unit of length, ``micrometer`` for ``um``, ``µm`` or ``microns``.

    Returns
    -------
    str or None
        As OME-NGFF and napari call it; None for what is no unit of length.
    """
    if not isinstance(name, str) or len(name) > MAX_NAME or is_no_unit(name):
        return None
    # Most files spell it the standard way; importing pint takes as long as importing zarr.
    return name if name in UNIT_SYMBOLS else _find_unit(_clean(name))


def is_no_unit(name: Any) -> bool:
    """Whether a file's unit says that there is none: absent, empty or pixels."""
    return name is None or (isinstance(name, str) and _clean(name).lower() in NO_UNIT)


def convert_length(value: float, unit: str, other: str) -> float:
    """Convert a length between two units of standard names."""
    if unit == other:
        return value
    # Twelve digits: 0.05 µm are 50 nm, not 50.00000000000001.
    return float(f"{value * _metres(unit) / _metres(other):.12g}")


def read_voxel_size(
    sizes: Sequence[float | None], units: Sequence[Any], source: str = "The file"
) -> VoxelSize:
    """Make one voxel size of what a file states for the axes Z, Y, X, in the unit of X.

    Parameters
    ----------
    sizes : sequence of float or None
        As stated.
    units : sequence
        The unit of each axis, as the file calls it.
    source : str
        For the note.

    Returns
    -------
    VoxelSize
        Unknown where a size is missing or not positive, where units make no sense, and where
        all sizes are 1 of nothing: who knows no size must often write ones.
    """
    if any(size is None or not math.isfinite(size) or size <= 0 for size in sizes):
        return UNKNOWN_SIZE
    numbers = [float(size or 0) for size in sizes]
    if all(is_no_unit(unit) for unit in units):
        known = any(size != 1.0 for size in numbers)
        return VoxelSize(to_spacing(numbers), None) if known else UNKNOWN_SIZE
    names = [standard_unit(unit) for unit in units]
    wrong = [axis for axis, name in zip("ZYX", names, strict=True) if name is None]
    if wrong:
        stated = units["ZYX".index(wrong[0])]
        what = "no unit" if is_no_unit(stated) else f"the unit {str(stated)[:MAX_NAME]!r}"
        return VoxelSize(
            None,
            None,
            f"{source} states its voxel size along {wrong[0]} with {what}; a unit of length is "
            "needed, so its voxel size counts as unknown.",
        )
    target = str(names[2])
    pairs = zip(numbers, names, strict=True)
    return VoxelSize(
        to_spacing(convert_length(size, str(name), target) for size, name in pairs), target
    )


def convert_place(place: Sequence[float], units: Sequence[Any], size: VoxelSize) -> Spacing3 | None:
    """Convert the place of the first voxel, stated in the units of a voxel size.

    Returns
    -------
    tuple of float or None
        Z, Y, X in the unit of the voxel size; None where the units made no sense.
    """
    if size.note:
        return None
    if size.unit is None:
        return to_spacing(place)
    pairs = zip(place, units, strict=True)
    return to_spacing(convert_length(at, str(standard_unit(unit)), size.unit) for at, unit in pairs)


def compare_sizes(
    first: Spacing3, first_unit: str | None, second: Spacing3, second_unit: str | None
) -> Spacing3:
    """Ratio of two voxel sizes along each axis, as lengths.

    Where only one of them has a unit there is nothing to convert: the bare numbers are compared.

    Returns
    -------
    tuple of float
        First divided by second.
    """
    unit, other = standard_unit(first_unit), standard_unit(second_unit)
    factor = 1.0 if unit is None or other is None else convert_length(1.0, unit, other)
    return to_spacing(a * factor / b for a, b in zip(first, second, strict=True))


def is_same_size(
    first: Spacing3,
    first_unit: str | None,
    second: Spacing3,
    second_unit: str | None,
    *,
    tolerance: float,
) -> bool:
    """Whether two voxel sizes are the same lengths up to a relative tolerance.

    Numbers without a unit say nothing against a length.
    """
    if (first_unit is None) != (second_unit is None):
        return True
    ratios = compare_sizes(first, first_unit, second, second_unit)
    return all(math.isclose(ratio, 1.0, rel_tol=tolerance) for ratio in ratios)


def format_sizes(spacing: Spacing3, unit: str | None = None) -> str:
    """Write a voxel size for a sentence: ``0.5 x 0.2 x 0.2 µm``."""
    numbers = " x ".join(f"{size:.4g}" for size in spacing)
    return f"{numbers} {UNIT_SYMBOLS.get(unit, unit)}" if unit else numbers


def _clean(name: str) -> str:
    # ImageJ writes "\u00B5" in six letters: its description is ASCII.
    text = re.sub(r"\\u([0-9A-Fa-f]{4})", lambda found: chr(int(found[1], 16)), name)
    # One sign for the two micro and the two Å signs of Unicode; C strings may end in zeros.
    return unicodedata.normalize("NFKC", text).strip(" \t\r\n\0\"'.").replace("_", " ")


@cache
def _find_unit(name: str) -> str | None:
    known = ALIASES.get(name.lower())
    if known is not None:
        return known
    if not re.fullmatch(r"[^\W\d_]+", name):
        return None
    exact = _look_up(name)
    # "Mm" and "mm" are different lengths: other spellings only where the exact one is nothing.
    return exact if exact is not None else _look_up(name.lower())


def _look_up(name: str) -> str | None:
    from pint import PintError, application_registry

    try:
        unit = application_registry.Unit(name)
        is_length = unit.is_compatible_with("meter")
    except (PintError, ValueError, TypeError, AttributeError):
        return None
    text = str(unit)
    return (ALIASES.get(text, text)) if is_length else None


@cache
def _metres(unit: str) -> float:
    from pint import application_registry

    return float(application_registry.Quantity(1.0, unit).to("meter").magnitude)
