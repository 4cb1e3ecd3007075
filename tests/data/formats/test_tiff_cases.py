"""The kinds of TIFF files that people bring: what is read, what is said and what is refused."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pytest
import tifffile

from napari_surfseg.data.open import open_volume
from napari_surfseg.errors import DataError

SHAPE = (6, 10, 12)
VALUES = np.random.default_rng(5).integers(0, 60000, SHAPE).astype(np.uint16)
GREY = {"photometric": "minisblack"}


def write(path, values=VALUES, **options):
    """Write with tifffile, the first axis as slices."""
    tifffile.imwrite(path, values, **{**GREY, **options})


def describe(text, resolution=(5, 5), **options):
    """Write with ImageJ's description, as ImageJ itself would."""

    def save(path):
        lines = f"ImageJ=1.54f\nimages={SHAPE[0]}\nslices={SHAPE[0]}\n{text}loop=false\n"
        settings = {"resolutionunit": "NONE", **options}
        write(path, description=lines, metadata=None, resolution=resolution, **settings)

    return save


def imagej(resolution=(5, 5), **metadata):
    return lambda path: tifffile.imwrite(
        path, VALUES, imagej=True, resolution=resolution, metadata={"axes": "ZYX", **metadata}
    )


def ome(**metadata):
    return lambda path: write(path, ome=True, metadata={"axes": "ZYX", **metadata})


def sizes(z, y, x, *units):
    """Physical sizes as OME-XML has them, with a unit for each axis that has one."""
    found = {f"PhysicalSize{axis}": size for axis, size in zip("ZYX", (z, y, x), strict=True)}
    return found | {f"PhysicalSize{a}Unit": u for a, u in zip("ZYX", units, strict=False) if u}


def append(*parts, options=None, **shared):
    """Write parts one after the other into one file."""

    def save(path):
        for number, part in enumerate(parts):
            own = options[number] if options else {}
            own = {**({} if part.shape[-1] == 3 else GREY), **shared, **own}
            tifffile.imwrite(path, part, append=number > 0, **own)

    return save


def images(*parts, **metadata):
    """Write an OME-TIFF of several images."""

    def save(path):
        with tifffile.TiffWriter(path, ome=True) as tiff:
            for number, part in enumerate(parts):
                size = sizes(3 + number, 2, 1, "nm", "nm", "nm")
                tiff.write(part, metadata={"axes": "ZYX", **size, **metadata}, **GREY)

    return save


def save_pyramid(path):
    with tifffile.TiffWriter(path, ome=True) as tiff:
        tiff.write(VALUES, subifds=1, metadata={"axes": "ZYX", **sizes(3, 2, 1)}, **GREY)
        tiff.write(VALUES[:, ::2, ::2], subfiletype=1, **GREY)


def save_with_more_pages(path):
    """Write two more pages than the OME-XML has, with the XML of a file without them."""
    other = path.with_name("other.ome.tif")
    ome(**sizes(3, 2, 1))(other)
    with tifffile.TiffFile(other) as tiff:
        xml = tiff.ome_metadata
    more = np.concatenate([VALUES, VALUES[:2]])
    write(path, more, description=xml.encode(), metadata=None)


def turned(axes, **metadata):
    """Write with another order of axes."""
    values = VALUES.transpose(["ZYX".index(axis) for axis in axes])
    return lambda path: write(path, values, metadata={"axes": axes, **metadata})


@dataclass(frozen=True)
class Case:
    """What is written, and what is right for it."""

    save: Callable[[Any], None]
    spacing: tuple[float, float, float] | None = None
    unit: str | None = None
    values: Any = field(default=None, repr=False)
    note: str = ""
    name: str = "a.tif"
    stored_axes: str = "zyx"


ZEROS = np.zeros((5, 6), np.uint8)
MICRO = ((1.0, 0.2, 0.2), "micrometer")
CASES = {
    # ImageJ: units, and what is left out
    "imagej": Case(imagej(unit="um", spacing=0.5), (0.5, 0.2, 0.2), "micrometer"),
    "imagej, step of one": Case(imagej(unit="um"), *MICRO),
    "imagej, step of one, micro sign": Case(describe("unit=\\u00B5m\n"), *MICRO),
    "imagej, step of one, micron": Case(describe("unit=micron\n"), *MICRO),
    "imagej, step of one, microns": Case(describe("unit=microns\n"), *MICRO),
    "imagej, other resolutions": Case(
        imagej((4, 2), unit="nm", spacing=3), (3.0, 0.5, 0.25), "nanometer"
    ),
    "imagej, zunit": Case(
        describe("unit=nm\nyunit=nm\nzunit=um\nspacing=0.05\n", (0.125, 0.125)),
        (50.0, 8.0, 8.0),
        "nanometer",
    ),
    "imagej, zunit and a step of one": Case(
        describe("unit=nm\nyunit=nm\nzunit=um\n", (0.125, 0.125)), (1000.0, 8.0, 8.0), "nanometer"
    ),
    "imagej, yunit": Case(
        describe("unit=um\nyunit=mm\nspacing=2\n"), (2.0, 200.0, 0.2), "micrometer"
    ),
    "imagej, angstrom": Case(
        describe("unit=Angstrom\nspacing=9\n", (0.5, 0.5)), (9.0, 2.0, 2.0), "angstrom"
    ),
    "imagej, millimetres": Case(describe("unit=mm\nspacing=0.3\n"), (0.3, 0.2, 0.2), "millimeter"),
    "imagej, slices taken downwards": Case(
        describe("unit=um\nspacing=-0.5\n"), (0.5, 0.2, 0.2), "micrometer"
    ),
    "imagej, step of zero": Case(describe("unit=um\nspacing=0.0\n")),
    "imagej, inches of a printed page": Case(describe("unit=inch\n", (300, 300))),
    "imagej, inches by the tag": Case(describe("", (300, 300), resolutionunit="INCH")),
    "imagej, centimetres of a printed page": Case(describe("unit=cm\n", (118, 118))),
    "imagej, centimetres with a slice step": Case(
        describe("unit=cm\nspacing=0.5\n"), (0.5, 0.2, 0.2), "centimeter"
    ),
    "imagej, pixels": Case(describe("unit=pixel\n")),
    "imagej, pixels with a step": Case(describe("unit=pixel\nspacing=3\n"), (3.0, 0.2, 0.2)),
    "imagej, no unit": Case(describe("")),
    "imagej, no unit but a step": Case(describe("spacing=3\n"), (3.0, 0.2, 0.2)),
    "imagej, seconds": Case(describe("unit=sec\nspacing=3\n"), note="with the unit 'sec'"),
    "imagej, nonsense along Z": Case(
        describe("unit=um\nzunit=foo\nspacing=3\n"), note="along Z with the unit 'foo'"
    ),
    "imagej, pixels along Z": Case(
        describe("unit=um\nzunit=pixel\nspacing=3\n"), note="along Z with no unit"
    ),
    "imagej, a number as unit": Case(describe("unit=5\nspacing=3\n"), note="the unit '5'"),
    "imagej, frames for slices": Case(
        lambda path: tifffile.imwrite(
            path, VALUES, imagej=True, resolution=(5, 5), metadata={"axes": "TYX", "unit": "um"}
        ),
        *MICRO,
        note="calls its 6 planes time points",
    ),
    "imagej, fewer slices than pages": Case(
        lambda path: write(
            path,
            description="ImageJ=1.54f\nimages=2\nslices=2\nunit=um\nspacing=2\n",
            metadata=None,
            resolution=(5, 5),
            resolutionunit="NONE",
        ),
        (2.0, 0.2, 0.2),
        "micrometer",
        note="states 2 slices and holds 6",
    ),
    # OME
    "ome, no units": Case(ome(**sizes(3, 2, 1)), (3.0, 2.0, 1.0), "micrometer"),
    "ome, one unit": Case(ome(**sizes(3, 2, 1, "nm", "nm", "nm")), (3.0, 2.0, 1.0), "nanometer"),
    "ome, a unit an axis": Case(
        ome(**sizes(0.05, 8, 8, "µm", "nm", "nm")), (50.0, 8.0, 8.0), "nanometer"
    ),
    "ome, default unit along X and Y": Case(
        ome(**sizes(300, 0.2, 0.1, "nm")), (0.3, 0.2, 0.1), "micrometer"
    ),
    "ome, angstrom and nanometres": Case(
        ome(**sizes(20, 20, 1, "Å", "Å", "nm")), (2.0, 2.0, 1.0), "nanometer"
    ),
    "ome, pixels": Case(ome(**sizes(3, 2, 1, "pixel", "pixel", "pixel")), (3.0, 2.0, 1.0)),
    "ome, seconds": Case(ome(**sizes(3, 2, 1, "s", "s", "s")), note="the unit 's'"),
    "ome, pixels along Z": Case(ome(**sizes(3, 2, 1, "pixel")), note="along Z with no unit"),
    "ome, no slice distance": Case(ome(PhysicalSizeX=1, PhysicalSizeY=1)),
    "ome, zero": Case(ome(**sizes(0, 2, 1))),
    "ome, one channel": Case(
        lambda path: write(
            path, VALUES[:, None], ome=True, metadata={"axes": "ZCYX", **sizes(3, 2, 1)}
        ),
        (3.0, 2.0, 1.0),
        "micrometer",
    ),
    "ome, a pyramid": Case(save_pyramid, (3.0, 2.0, 1.0), "micrometer"),
    "ome, two images": Case(
        images(VALUES, VALUES[:, ::-1]), (3.0, 2.0, 1.0), "nanometer", note="holds 2 images"
    ),
    "ome, a small image first": Case(
        images(VALUES[:2, :5, :4], VALUES),
        (4.0, 2.0, 1.0),
        "nanometer",
        note="number 2 of 6 x 10 x 12 is read, and what is left out is of 2 x 5 x 4",
    ),
    "ome, pages that it does not name": Case(
        save_with_more_pages, (3.0, 2.0, 1.0), "micrometer", note="holds 2 more pages"
    ),
    "ome, time points for slices": Case(
        lambda path: write(path, ome=True, metadata={"axes": "TYX", **sizes(3, 2, 1)}),
        (3.0, 2.0, 1.0),
        "micrometer",
        note="time points",
    ),
    # tifffile's own description, and none
    "shaped, three sizes": Case(
        lambda path: write(path, metadata={"spacing": [3, 2, 1], "unit": "nm"}),
        (3.0, 2.0, 1.0),
        "nanometer",
    ),
    "shaped, a unit an axis": Case(
        lambda path: write(path, metadata={"spacing": [0.003, 2, 1], "unit": ["um", "nm", "nm"]}),
        (3.0, 2.0, 1.0),
        "nanometer",
    ),
    "shaped, ones of nothing": Case(lambda path: write(path, metadata={"spacing": [1, 1, 1]})),
    "shaped, a printed page": Case(
        lambda path: write(
            path, resolution=(300, 300), resolutionunit="INCH", metadata={"spacing": 2}
        )
    ),
    "a printed page": Case(
        lambda path: write(path, metadata=None, resolution=(118, 118), resolutionunit="CENTIMETER")
    ),
    "big tiff": Case(lambda path: write(path, bigtiff=True), name="a.btf"),
    "big endian": Case(lambda path: write(path, byteorder=">")),
    "big endian, compressed": Case(lambda path: write(path, byteorder=">", compression="zlib")),
    # axes
    "x, y, z": Case(turned("XYZ"), stored_axes="xyz"),
    "y, x, z": Case(turned("YXZ"), stored_axes="yxz"),
    "z, x, y": Case(turned("ZXY"), stored_axes="zxy"),
    "x, y, z with sizes": Case(
        turned("XYZ", spacing=[1, 2, 3], unit="nm"), (3.0, 2.0, 1.0), "nanometer", stored_axes="xyz"
    ),
    # parts of a file
    "slices appended": Case(append(*VALUES)),
    "slices appended, no description": Case(append(*VALUES, metadata=None)),
    "slices appended, compressed": Case(append(*VALUES, compression="zlib")),
    "slices appended, some compressed": Case(
        append(*VALUES, options=[{"compression": "zlib" if z % 2 else None} for z in range(6)])
    ),
    "slices appended, some tiled": Case(
        append(*VALUES, options=[{"tile": (16, 16)} if z % 3 else {} for z in range(6)])
    ),
    "slices appended, strips of several heights": Case(
        append(*VALUES, options=[{"rowsperstrip": 3 + z} for z in range(6)])
    ),
    "pieces appended": Case(append(VALUES[:2], VALUES[2:]), note="2 pieces of 2 and 4 slices"),
    "equal pieces appended": Case(append(VALUES[:3], VALUES[3:]), note="2 pieces of 3 and 3"),
    "three pieces appended": Case(
        append(VALUES[:1], VALUES[1:5], VALUES[5:]), note="3 pieces of 1, 4 and 1 slices"
    ),
    "pieces appended, compressed": Case(
        append(VALUES[:2], VALUES[2:], compression="zlib"), note="2 pieces"
    ),
    "pieces appended, no description": Case(append(VALUES[:2], VALUES[2:], metadata=None)),
    "pieces of one page each": Case(
        append(VALUES[:2], VALUES[2:], options=[{"truncate": True}] * 2), note="2 pieces"
    ),
    "pieces of more slices than the file has pages": Case(
        append(VALUES[:3], VALUES[3:], options=[{"truncate": True}] * 2),
        note="states 3 slices and holds 6",
    ),
    "pieces appended, sizes stated": Case(
        append(VALUES[:2], VALUES[2:], metadata={"spacing": [3, 2, 1], "unit": "nm"}),
        (3.0, 2.0, 1.0),
        "nanometer",
        note="2 pieces",
    ),
    "a thumbnail first": Case(append(ZEROS, VALUES), note="left out: 1 of 5 x 6 uint8"),
    "a thumbnail last": Case(append(VALUES, ZEROS), note="left out: 1 of 5 x 6 uint8"),
    "a colour thumbnail first": Case(
        append(np.zeros((5, 6, 3), np.uint8), VALUES), note="left out: 1 of 5 x 6 x 3 uint8"
    ),
    "a thumbnail first, no description": Case(
        append(ZEROS, VALUES, metadata=None), note="left out: 1 of 5 x 6 uint8"
    ),
    "a thumbnail before appended slices": Case(append(ZEROS, *VALUES), note="left out"),
    "a thumbnail, and sizes of the stack": Case(
        append(ZEROS, VALUES, options=[{}, {"metadata": {"spacing": [3, 2, 1], "unit": "um"}}]),
        (3.0, 2.0, 1.0),
        "micrometer",
        note="left out",
    ),
    "a mask of the same size after it": Case(
        append(VALUES, VALUES[0].astype(np.uint8)), note="left out: 1 of 10 x 12 uint8"
    ),
    "a pyramid of pages, coarse first": Case(
        append(VALUES[:, ::2, ::2], VALUES), note="left out: 6 of 5 x 6 uint16"
    ),
    "a pyramid of pages, fine first": Case(
        append(VALUES, VALUES[:, ::2, ::2], options=[{}, {"subfiletype": 1}]), note="left out"
    ),
}


@pytest.mark.parametrize("name", CASES)
def test_case(tmp_path, name):
    case = CASES[name]
    path = tmp_path / case.name
    case.save(path)
    volume = open_volume(path)
    assert volume.shape == SHAPE
    assert volume.dtype == VALUES.dtype
    np.testing.assert_array_equal(volume.read(*volume.box), VALUES)
    np.testing.assert_array_equal(volume.read((1, 3, 2), (5, 9, 11)), VALUES[1:5, 3:9, 2:11])
    assert volume.stored_axes == case.stored_axes
    assert volume.units == case.unit
    assert volume.spacing_known == (case.spacing is not None)
    assert volume.spacing == pytest.approx(case.spacing or (1, 1, 1))
    assert open_volume(path, spacing=(9, 8, 7)).spacing == (9.0, 8.0, 7.0)
    if case.note:
        assert case.note in " ".join(volume.notes)
    else:
        assert volume.notes == []


REFUSED = {
    "channels for slices, ome": (
        lambda path: write(path, VALUES[:3], ome=True, metadata={"axes": "CYX"}),
        r"a\.tif holds 3 channels of one plane",
    ),
    "channels for slices, imagej": (
        lambda path: tifffile.imwrite(path, VALUES[:3], imagej=True, metadata={"axes": "CYX"}),
        r"holds 3 channels of one plane",
    ),
    "channels for slices, shaped": (
        lambda path: write(path, VALUES[:3], metadata={"axes": "CYX"}),
        r"holds 3 channels of one plane",
    ),
    "channels appended to channels": (
        append(VALUES[:3], VALUES[3:], metadata={"axes": "CYX"}),
        r"channels of one plane",
    ),
    "slices and channels": (
        lambda path: write(path, VALUES.reshape(3, 2, 10, 12), ome=True, metadata={"axes": "ZCYX"}),
        r"shape 3 x 2 x 10 x 12; only leading axes of length 1",
    ),
    "time points of volumes": (
        lambda path: tifffile.imwrite(
            path, VALUES.reshape(2, 3, 10, 12), imagej=True, metadata={"axes": "TZYX"}
        ),
        r"shape 2 x 3 x 10 x 12",
    ),
    "axes that leave out Y": (
        lambda path: write(path, metadata={"axes": "ZTX"}),
        r"has the axes Z, T, X; axes Z, Y, X are needed",
    ),
    "pieces of another order": (
        append(VALUES[:3], VALUES[3:], metadata={"axes": "XYZ"}),
        r"several pieces with the axes X, Y, Z",
    ),
    "one plane": (lambda path: write(path, VALUES[0]), r"shape 10 x 12, which is not a volume"),
    "colour only": (
        append(np.zeros((5, 6, 3), np.uint8), np.zeros((7, 8, 3), np.uint8), photometric="rgb"),
        r"is a colour image",
    ),
}


@pytest.mark.parametrize("name", REFUSED)
def test_refused(tmp_path, name):
    save, sentence = REFUSED[name]
    save(tmp_path / "a.tif")
    with pytest.raises(DataError, match=sentence):
        open_volume(tmp_path / "a.tif")
