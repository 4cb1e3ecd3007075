"""Names of units, sizes of different units and voxel sizes as lengths."""

import math

import pytest

from napari_surfseg.data.units import (
    UNKNOWN_SIZE,
    compare_sizes,
    convert_length,
    format_sizes,
    is_no_unit,
    read_voxel_size,
    standard_unit,
)

# One unit a line, its standard name first; what is no unit of length stands for None.
NAMES = {
    "micrometer": "um µm μm \\u00B5m µ UM micron microns Micron MICROMETER micrometre micrometers",
    "nanometer": "nm NM nanometer nanometre nanometers",
    "angstrom": "Å Å A angstrom Angstroms ångström",
    "millimeter": "mm MM millimetre",
    "megameter": "Mm",
    "meter": "m metre Meter",
    "picometer": "pm",
    "femtometer": "fm femtometre",
    "inch": "inch in",
    None: "sec s foo 1/um K % radian pixel px m*m m**9 __import__('os') " + "u" * 99,
}


@pytest.mark.parametrize(
    ("standard", "name"), [(key, name) for key, names in NAMES.items() for name in names.split()]
)
def test_standard_name(standard, name):
    assert standard_unit(name) == standard


def test_names_with_padding_and_what_is_no_name():
    assert standard_unit(" um ") == standard_unit("um\0") == "micrometer"
    assert {standard_unit(value) for value in ("", "10 um", "reference frame", 5, None)} == {None}


def test_no_unit_differs_from_a_wrong_one():
    assert all(is_no_unit(name) for name in (None, "", "pixel", "Pixels", "voxel", " px "))
    assert not any(is_no_unit(name) for name in ("um", "s", "foo", 3))


def test_axes_of_different_units_are_converted_to_that_of_x():
    assert read_voxel_size((0.05, 8, 8), ("um", "nm", "nm")) == ((50.0, 8.0, 8.0), "nanometer", "")
    found = read_voxel_size((50, 0.008, 80), ("nm", "µm", "Å"))
    assert found.spacing == (500.0, 80.0, 80.0)
    assert found.unit == "angstrom"


def test_a_size_of_nothing_is_unknown():
    assert read_voxel_size((1, 1, 1), ("", None, "pixel")) == UNKNOWN_SIZE
    assert read_voxel_size((2, 1, 1), ("", None, "pixel")) == ((2.0, 1.0, 1.0), None, "")
    for size in (None, 0.0, -1.0, math.nan, math.inf):
        assert read_voxel_size((size, 1, 1), ("um",) * 3) == UNKNOWN_SIZE


@pytest.mark.parametrize(
    ("units", "said"),
    [
        (("s", "um", "um"), "along Z with the unit 's'"),
        (("um", None, "um"), "along Y with no unit"),
        (("um", "um", "pixel"), "along X with no unit"),
        (("foo",) * 3, "'foo'"),
    ],
)
def test_units_that_make_no_sense_leave_the_size_unknown_and_are_named(units, said):
    spacing, unit, note = read_voxel_size((2, 1, 1), units, "a.tif")
    assert spacing is None
    assert unit is None
    assert note.startswith("a.tif states")
    assert said in note


def test_sizes_are_compared_as_lengths():
    assert compare_sizes((50, 8, 8), "nm", (0.05, 0.008, 0.008), "um") == (1.0, 1.0, 1.0)
    assert compare_sizes((8, 8, 8), "nm", (8, 8, 8), "um") == pytest.approx((1e-3,) * 3)
    assert compare_sizes((8, 8, 8), None, (4, 8, 16), "um") == (2.0, 1.0, 0.5)


def test_converting_leaves_no_digits_of_rounding():
    assert convert_length(0.05, "micrometer", "nanometer") == 50.0
    assert convert_length(1.1, "angstrom", "nanometer") == 0.11
    assert convert_length(0.3, "micrometer", "micrometer") == 0.3


def test_a_size_in_a_sentence():
    assert format_sizes((0.5, 0.2, 0.2), "micrometer") == "0.5 x 0.2 x 0.2 µm"
    assert format_sizes((2, 1, 1)) == "2 x 1 x 1"
    assert format_sizes((2, 1, 1), "parsec") == "2 x 1 x 1 parsec"
