"""The kinds of MRC and CCP4 files that people bring: what is read, and what is said."""

from dataclasses import dataclass

import mrcfile
import numpy as np
import pytest

from napari_surfseg.data.open import open_volume
from napari_surfseg.errors import DataError

SHAPE = (4, 5, 6)
IMOD_STAMP = 1146047817
ANGSTROM = (5.0, 2.5, 2.0)


@dataclass(frozen=True)
class Case:
    """One header, what is right for it and a word of the note, if there is one."""

    dtype: str = "f4"
    stored_axes: str = "zyx"
    numbers: tuple[int, int, int] | None = None  # MAPC, MAPR, MAPS, where not those of the axes
    header: tuple[tuple[str, object], ...] = ()
    stamp: tuple[str, int, int] | None = None  # byte order, stamp and flags
    extra_sections: int = 0
    extended_header: int = 0
    read_as: str | None = None
    spacing: tuple[float, float, float] | None = ANGSTROM
    note: str = ""


def unset(*names):
    return tuple((name, 0) for name in names)


RANGE_UNKNOWN = (("dmin", 0.0), ("dmax", 0.0))
CASES = {
    "float": Case(),
    "int16": Case("i2"),
    "uint16": Case("u2"),
    "float16": Case("f2", read_as="f4"),
    "big endian": Case(">i2", read_as="i2"),
    "extended header": Case(extended_header=128),
    # spacing
    "no sampling at all": Case(header=unset("mx", "my", "mz"), spacing=None),
    "no sampling along X": Case(header=unset("mx"), spacing=None),
    "no sampling along Z": Case(header=unset("mz"), spacing=None),
    "sampling below zero": Case(header=(("my", -5),), spacing=None),
    "no cell": Case(header=(("cella", (0, 0, 0)),), spacing=None),
    "cell edge not a number": Case(header=(("cella", (np.nan, 1, 1)),), spacing=None),
    "sampled more finely than stored": Case(
        header=(("mx", 12), ("my", 10), ("mz", 8)), spacing=(2.5, 1.25, 1.0)
    ),
    "a cell that is not rectangular": Case(
        header=(("cellb", (90, 90, 120)),), spacing=None, note="angles 90, 90, 120 degrees"
    ),
    "no angles": Case(header=(("cellb", (0, 0, 0)),)),
    # axes
    "columns are Z": Case(stored_axes="xyz"),
    "rows are Z": Case(stored_axes="yzx"),
    "columns are Y, sections X": Case(stored_axes="xzy"),
    "columns are Y": Case(stored_axes="zxy"),
    "columns are Z, rows X": Case(stored_axes="yxz"),
    "axes left out": Case(numbers=(0, 0, 0)),
    "axes twice": Case(numbers=(1, 1, 3), note="numbers its axes (1, 1, 3)"),
    "axes turned, of bytes of IMOD": Case("u1", stored_axes="xyz", stamp=("<", IMOD_STAMP, 0)),
    # signs
    "stamped, unsigned": Case("u1", stamp=("<", IMOD_STAMP, 0)),
    "stamped, signed": Case("i1", stamp=("<", IMOD_STAMP, 1)),
    "stamped, other flags": Case("u1", stamp=("<", IMOD_STAMP, 4)),
    "stamped, signed and other flags": Case("i1", stamp=("<", IMOD_STAMP, 5)),
    "stamped in the other byte order": Case("u1", stamp=(">", IMOD_STAMP, 0)),
    "stamped, unsigned, though the range says signed": Case(
        "u1", stamp=("<", IMOD_STAMP, 0), header=(("dmin", -128.0), ("dmax", 127.0))
    ),
    "range above 127": Case("u1", header=(("dmin", 0.0), ("dmax", 254.0), ("nversion", 0))),
    "range above 127 in a file of the standard": Case(
        "u1", header=(("dmin", 3.0), ("dmax", 200.0))
    ),
    "range below zero": Case("i1", header=(("dmin", -100.0), ("dmax", 99.0), ("nversion", 0))),
    "range unknown in a file of the standard": Case("i1", header=RANGE_UNKNOWN),
    "range unknown in an old file": Case(
        "i1", header=(*RANGE_UNKNOWN, ("nversion", 0)), note="does not say whether its bytes"
    ),
    "stamp of another number": Case(
        "i1", header=(("dmin", -9.0), ("dmax", 9.0)), stamp=("<", 7, 0)
    ),
    # parts
    "more sections than counted": Case(extra_sections=2, note="holds 2 more sections than the 4"),
}


def save_case(path, case):
    """Write the file of a case and give its values, Z, Y, X."""
    rng = np.random.default_rng(3)
    dtype = np.dtype(case.dtype)
    values = rng.integers(*((0, 250) if dtype.kind == "u" else (-128, 128)), SHAPE).astype(dtype)
    stored = values.transpose(["zyx".index(axis) for axis in case.stored_axes])
    written = stored.view("i1") if dtype == "u1" else stored
    with mrcfile.new(path, overwrite=True) as mrc:
        mrc.set_data(np.ascontiguousarray(written))
        if case.extended_header:
            mrc.set_extended_header(np.zeros(case.extended_header, "u1"))
        header = mrc.header
        sizes = dict(zip("zyx", SHAPE, strict=True))
        header.mx, header.my, header.mz = (sizes[axis] for axis in "xyz")
        header.cella = tuple(sizes[axis] * ANGSTROM["zyx".index(axis)] for axis in "xyz")
        numbers = case.numbers or tuple("xyz".index(axis) + 1 for axis in case.stored_axes[::-1])
        header.mapc, header.mapr, header.maps = numbers
        for name, value in case.header:
            header[name] = value
    raw = bytearray(path.read_bytes())
    if case.stamp is not None:
        order, *fields = case.stamp
        raw[152:160] = np.array(fields, f"{order}i4").tobytes()
    raw += bytes(case.extra_sections * stored[0].nbytes)
    path.write_bytes(raw)
    return values


@pytest.mark.parametrize("name", CASES)
def test_case(tmp_path, name):
    case = CASES[name]
    values = save_case(tmp_path / "a.mrc", case)
    volume = open_volume(tmp_path / "a.mrc")
    assert volume.shape == SHAPE
    assert volume.dtype == np.dtype(case.read_as or case.dtype)
    np.testing.assert_array_equal(volume.read(*volume.box), values)
    np.testing.assert_array_equal(volume.read((1, 2, 3), (3, 4, 6)), values[1:3, 2:4, 3:6])
    assert volume.stored_axes == case.stored_axes
    if case.spacing is None:
        assert not volume.spacing_known
        assert volume.units is None
    else:
        assert volume.spacing == pytest.approx(case.spacing)
        assert volume.units == "angstrom"
    if case.note:
        assert case.note in " ".join(volume.notes)
    else:
        assert volume.notes == []


def test_the_spacing_of_the_settings_opens_what_states_none(tmp_path):
    save_case(tmp_path / "a.mrc", CASES["no sampling at all"])
    volume = open_volume(tmp_path / "a.mrc", spacing=(3, 2, 1))
    assert volume.spacing == (3.0, 2.0, 1.0)


@pytest.mark.parametrize(
    ("mode", "sentence"),
    [(101, "mrc mode 101; the modes 0, 1, 2, 6 and 12"), (16, "mode 16"), (4, "complex numbers")],
)
def test_a_mode_that_cannot_be_read_is_named(tmp_path, mode, sentence):
    save_case(tmp_path / "a.mrc", CASES["float"])
    raw = bytearray((tmp_path / "a.mrc").read_bytes())
    raw[12:16] = np.array([mode], "<i4").tobytes()
    if mode == 4:
        raw += bytes(len(raw))
    (tmp_path / "a.mrc").write_bytes(raw)
    with pytest.raises(DataError, match=sentence):
        open_volume(tmp_path / "a.mrc")
