"""NRRD files as people hold them; each row writes one and says what is right for it."""

import bz2
import gzip

import numpy as np
import pytest

SHAPE = (7, 11, 13)
VALUES = np.random.default_rng(3).integers(0, 120, SHAPE)
U8 = VALUES.astype(np.uint8)
MM, UM = "millimeter", "micrometer"

STRAIGHT = {"space directions": "(0.2,0,0) (0,0.3,0) (0,0,0.5)", "space origin": "(10,20,30)"}
SPACE = {"space": "left-posterior-superior", **STRAIGHT}
UNITS = {"space units": '"mm" "mm" "mm"'}


def write(folder, values=U8, *, sizes="13 11 7", fields=None, name="a.nrrd", data=None, **about):
    """Write by hand what the format says; ``data`` is the content of a file of its own."""
    values = np.asarray(values)
    types = {"u1": "uint8", "i1": "int8", "u2": "uint16", "i2": "int16", "u4": "uint32",
             "i4": "int32", "f4": "float", "f8": "double", "i8": "int64"}  # fmt: skip
    header = {
        "type": types[values.dtype.str[1:]],
        "dimension": len(sizes.split()),
        "sizes": sizes,
        "encoding": about.get("encoding", "raw"),
        "endian": "big" if values.dtype.str[0] == ">" else "little",
        **(fields or {}),
    }
    lines = ["NRRD0005", "# made by a test", *(f"{key}: {value}" for key, value in header.items())]
    if data is not None:
        lines.append(f"data file: {about.get('named', 'a.raw')}")
        (folder / "a.raw").write_bytes(data)
    raw = b"" if data is not None else about.get("raw", values.tobytes())
    (folder / name).write_bytes("\n".join(lines).encode() + b"\n\n" + raw)
    return folder / name


PLACED = {"spacing": (0.5, 0.3, 0.2), "place": (30, 20, 10)}
READ = {
    "no sizes": (write, U8, {}),
    "directions": (lambda f: write(f, fields=SPACE), U8, PLACED),
    "millimetres": (lambda f: write(f, fields=SPACE | UNITS), U8, {**PLACED, "unit": MM}),
    "micrometres": (
        lambda f: write(f, fields=SPACE | {"space units": '"um" "µm" "microns"'}),
        U8,
        {**PLACED, "unit": UM},
    ),
    "nanometres along Z": (
        lambda f: write(
            f,
            fields=SPACE
            | {
                "space directions": "(0.2,0,0) (0,0.3,0) (0,0,500)",
                "space units": '"um" "um" "nm"',
            },
        ),
        U8,
        {"spacing": (0.5, 0.3, 0.2), "unit": UM, "place": (0.03, 20, 10)},
    ),
    "spacings": (
        lambda f: write(f, fields={"spacings": "0.2 0.3 0.5", "units": '"mm" "mm" "mm"'}),
        U8,
        {"spacing": (0.5, 0.3, 0.2), "unit": MM},
    ),
    "spacings without unit": (
        lambda f: write(f, fields={"spacings": "0.2 0.3 0.5"}),
        U8,
        {"spacing": (0.5, 0.3, 0.2)},
    ),
    "spacings not known": (lambda f: write(f, fields={"spacings": "0.2 0.3 NaN"}), U8, {}),
    "a unit that is none": (
        lambda f: write(f, fields=SPACE | {"space units": '"s" "s" "s"'}),
        U8,
        {"note": "a unit of length is needed"},
    ),
    "one channel, slowest": (
        lambda f: write(
            f,
            sizes="13 11 7 1",
            fields=SPACE
            | {
                "space directions": STRAIGHT["space directions"] + " none",
                "kinds": "domain domain domain list",
            },
        ),
        U8,
        PLACED,
    ),
    "one channel, fastest": (
        lambda f: write(
            f,
            sizes="1 13 11 7",
            fields=SPACE
            | {
                "space directions": "none " + STRAIGHT["space directions"],
                "kinds": "vector domain domain domain",
            },
        ),
        U8,
        PLACED,
    ),
    "one channel by its kind": (
        lambda f: write(
            f,
            sizes="1 13 11 7",
            fields={"kinds": "vector domain domain domain", "spacings": "NaN 0.2 0.3 0.5"},
        ),
        U8,
        {"spacing": (0.5, 0.3, 0.2)},
    ),
    "a single slice": (lambda f: write(f, U8[:3], sizes="13 11 3", fields=SPACE), U8[:3], PLACED),
    "labels z y x": (
        lambda f: write(
            f,
            U8.transpose(2, 1, 0),
            sizes="7 11 13",
            fields={"labels": '"z" "y" "x"', "spacings": "0.5 0.3 0.2"},
        ),
        U8,
        {"spacing": (0.5, 0.3, 0.2)},
    ),
    "mirrored": (
        lambda f: write(
            f, fields=SPACE | UNITS | {"space directions": "(-0.2,0,0) (0,0.3,0) (0,0,0.5)"}
        ),
        U8,
        {"spacing": (0.5, 0.3, 0.2), "unit": MM, "note": "mirror, exchange or rotate"},
    ),
    "axes exchanged": (
        lambda f: write(
            f, fields=SPACE | UNITS | {"space directions": "(0,0,0.2) (0,0.3,0) (0.5,0,0)"}
        ),
        U8,
        {"spacing": (0.5, 0.3, 0.2), "unit": MM, "note": "in the order in which they are stored"},
    ),
    "gzip": (
        lambda f: write(f, encoding="gzip", raw=gzip.compress(U8.tobytes()), fields=SPACE),
        U8,
        PLACED,
    ),
    "bzip2": (lambda f: write(f, encoding="bzip2", raw=bz2.compress(U8.tobytes())), U8, {}),
    "text": (
        lambda f: write(f, encoding="ascii", raw=" ".join(map(str, U8.ravel())).encode()),
        U8,
        {},
    ),
    "detached": (lambda f: write(f, name="a.nhdr", data=U8.tobytes(), fields=SPACE), U8, PLACED),
    "detached gzip": (
        lambda f: write(f, name="a.nhdr", data=gzip.compress(U8.tobytes()), encoding="gz"),
        U8,
        {},
    ),
    "detached, bytes skipped": (
        lambda f: write(f, name="a.nhdr", data=b"12345" + U8.tobytes(), fields={"byte skip": 5}),
        U8,
        {},
    ),
    "detached, lines skipped": (
        lambda f: write(f, name="a.nhdr", data=b"a\nb\n" + U8.tobytes(), fields={"line skip": 2}),
        U8,
        {},
    ),
    "detached, the end of a file": (
        lambda f: write(f, name="a.nhdr", data=b"x" * 77 + U8.tobytes(), fields={"byte skip": -1}),
        U8,
        {},
    ),
}
for kind in ("|i1", "<u2", ">u2", "<i2", ">i2", "<u4", "<i4", ">f4", "<f8", "<i8"):
    READ[f"type {kind}"] = (
        lambda f, kind=kind: write(f, VALUES.astype(kind), fields=SPACE),
        VALUES.astype(kind),
        PLACED,
    )

REFUSED = {
    "three channels": (
        lambda f: write(
            f,
            np.stack([U8] * 3, -1),
            sizes="3 13 11 7",
            fields={"kinds": "RGB-color domain domain domain"},
        ),
        ("holds 3", "rgb-color"),
    ),
    "points of time": (
        lambda f: write(
            f,
            np.stack([U8] * 4),
            sizes="13 11 7 4",
            fields=SPACE
            | {
                "space directions": STRAIGHT["space directions"] + " none",
                "kinds": "domain domain domain list",
            },
        ),
        ("holds 4",),
    ),
    "a plane": (lambda f: write(f, U8[0], sizes="13 11"), ("13 x 11", "volume")),
    "cut short": (lambda f: write(f, raw=U8.tobytes()[:-50]), ("cut short",)),
    "cut short, gzip": (
        lambda f: write(f, encoding="gzip", raw=gzip.compress(U8.tobytes())[:-50]),
        ("damaged or incomplete",),
    ),
    "several files": (
        lambda f: write(f, name="a.nhdr", data=b"", named="slice%03d.raw 1 7 1"),
        ("several files", "a single one"),
    ),
    "a list of files": (
        lambda f: write(f, name="a.nhdr", data=b"", named="LIST"),
        ("several files",),
    ),
    "a file that is gone": (
        lambda f: write(f, name="a.nhdr", data=b"", named="b.raw"),
        ("b.raw", "not there"),
    ),
    "an encoding nobody reads": (
        lambda f: write(f, encoding="hex", raw=U8.tobytes().hex().encode()),
        ("damaged or incomplete",),
    ),
    "blocks": (
        lambda f: write(f, fields={"type": "block", "block size": 4}),
        ("not a readable NRRD",),
    ),
    "rubbish": (
        lambda f: ((f / "a.nrrd").write_bytes(b"rubbish"), f / "a.nrrd")[1],
        ("not a readable NRRD file",),
    ),
}


@pytest.mark.parametrize("name", READ)
def test_what_is_read(name, tmp_path, check_read):
    write_file, values, expected = READ[name]
    check_read(write_file(tmp_path), values, **expected)


@pytest.mark.parametrize("name", REFUSED)
def test_what_is_refused(name, tmp_path, check_refused):
    write_file, words = REFUSED[name]
    check_refused(write_file(tmp_path), *words, "a.n")
