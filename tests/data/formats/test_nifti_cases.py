"""NIfTI files as people hold them; each row writes one and says what is right for it."""

import gzip

import nibabel
import numpy as np
import pytest

SHAPE = (7, 11, 13)
VALUES = np.random.default_rng(3).integers(0, 120, SHAPE)
U8 = VALUES.astype(np.uint8)
LINE_UP = np.diag([0.2, 0.3, 0.5, 1.0])
LINE_UP[:3, 3] = (10, 20, 30)
MM, UM, M = "millimeter", "micrometer", "meter"


def turned(*rows):
    matrix = np.eye(4)
    matrix[:3] = rows
    return matrix


def write(folder, values=U8, affine=LINE_UP, unit="mm", name="a.nii", **header):
    """Save Z, Y, X values as X, Y, Z, the way NIfTI orders axes."""
    kind = header.pop("kind", nibabel.Nifti1Image)
    stored = np.asfortranarray(np.moveaxis(values, (0, 1, 2), (2, 1, 0)))
    image = kind(stored, affine, dtype=stored.dtype)
    image.header.set_xyzt_units(unit, "sec")
    for key, value in header.items():
        image.header[key] = value
    path = folder / name
    nibabel.save(image, path)
    return path


def scaled(folder, slope, inter, dtype=np.int16, name="a.nii"):
    """Save stored values with a slope and an intercept, which nibabel would choose itself."""
    path = write(folder, VALUES.astype(dtype), name=name)
    raw = bytearray(
        gzip.decompress(path.read_bytes()) if name.endswith("gz") else path.read_bytes()
    )
    raw[112:120] = np.array([slope, inter], "<f4").tobytes()
    path.write_bytes(gzip.compress(raw) if name.endswith("gz") else raw)
    return path


def without_codes(folder):
    path = write(folder)
    raw = bytearray(path.read_bytes())
    raw[252:256] = bytes(4)  # qform_code, sform_code
    path.write_bytes(raw)
    return path


def with_zooms(folder, *zooms):
    path = write(folder)
    raw = bytearray(path.read_bytes())
    raw[252:256] = bytes(4)
    raw[80:92] = np.array(zooms, "<f4").tobytes()
    path.write_bytes(raw)
    return path


def two_sizes(folder):
    path = write(folder)
    raw = bytearray(path.read_bytes())
    raw[80:92] = np.array([1, 1, 1], "<f4").tobytes()
    path.write_bytes(raw)
    return path


PLACED = {"spacing": (0.5, 0.3, 0.2), "place": (30, 20, 10)}
READ = {
    "millimetres": (write, U8, {**PLACED, "unit": MM}),
    "micrometres": (lambda f: write(f, unit="micron"), U8, {**PLACED, "unit": UM}),
    "metres": (lambda f: write(f, unit="meter"), U8, {**PLACED, "unit": M}),
    "no unit": (lambda f: write(f, unit="unknown"), U8, PLACED),
    "compressed": (lambda f: write(f, name="a.nii.gz"), U8, {**PLACED, "unit": MM}),
    "compressed, upper case": (lambda f: write(f, name="A.NII.GZ"), U8, {**PLACED, "unit": MM}),
    "NIfTI-2": (lambda f: write(f, kind=nibabel.Nifti2Image), U8, {**PLACED, "unit": MM}),
    "one point of time": (lambda f: write(f, U8[..., None]), U8, {**PLACED, "unit": MM}),
    "ones of nothing": (lambda f: write(f, affine=np.eye(4), unit="unknown"), U8, {}),
    "ones of a millimetre": (
        lambda f: write(f, affine=np.eye(4)),
        U8,
        {"spacing": (1, 1, 1), "unit": MM},
    ),
    "no orientation": (without_codes, U8, {"spacing": (0.5, 0.3, 0.2), "unit": MM}),
    "a zoom of zero": (lambda f: with_zooms(f, 0.2, 0.3, 0), U8, {}),
    "slope": (
        lambda f: scaled(f, 0.5, 10),
        VALUES * 0.5 + 10,
        {**PLACED, "unit": MM, "dtype": np.float32},
    ),
    "slope, compressed": (
        lambda f: scaled(f, 2, -3, name="a.nii.gz"),
        VALUES * 2.0 - 3,
        {**PLACED, "unit": MM, "dtype": np.float32},
    ),
    "slope of 32 bits": (
        lambda f: scaled(f, 0.25, 0, np.int32),
        VALUES / 4,
        {**PLACED, "unit": MM, "dtype": np.float64},
    ),
    "slope 1 keeps labels whole": (lambda f: scaled(f, 1, 0, np.uint8), U8, {**PLACED, "unit": MM}),
    "slope 0 means none": (lambda f: scaled(f, 0, 5, np.uint8), U8, {**PLACED, "unit": MM}),
    "mirrored": (
        lambda f: write(f, affine=np.diag([-0.2, 0.3, 0.5, 1.0])),
        U8,
        {"spacing": (0.5, 0.3, 0.2), "unit": MM, "note": "mirrors, exchanges or rotates"},
    ),
    "axes exchanged": (
        lambda f: write(f, affine=turned((0, 0, 0.5, 1), (0.2, 0, 0, 2), (0, 0.3, 0, 3))),
        U8,
        {"spacing": (0.5, 0.3, 0.2), "unit": MM, "note": "in the order in which they are stored"},
    ),
    "rotated": (
        lambda f: write(f, affine=turned((0.16, -0.24, 0, 1), (0.12, 0.32, 0, 2), (0, 0, 0.5, 3))),
        U8,
        {"spacing": (0.5, 0.4, 0.2), "unit": MM, "note": "its place is left out"},
    ),
    "two sizes": (two_sizes, U8, {**PLACED, "unit": MM, "note": "states two voxel sizes"}),
}
for kind in ("i1", "u2", "i2", "u4", "i4", "i8", "f4", "f8"):
    READ[f"type {kind}"] = (
        lambda f, kind=kind: write(f, VALUES.astype(kind)),
        VALUES.astype(kind),
        {**PLACED, "unit": MM},
    )


def cut(folder, name):
    path = write(folder, name=name)
    path.write_bytes(path.read_bytes()[:-100])
    return path


def colour(folder):
    values = np.zeros(SHAPE[::-1], [("R", "u1"), ("G", "u1"), ("B", "u1")])
    nibabel.save(nibabel.Nifti1Image(values, np.eye(4)), folder / "a.nii")
    return folder / "a.nii"


def rubbish(folder, name="a.nii"):
    (folder / name).write_bytes(b"rubbish" * 100)
    return folder / name


REFUSED = {
    "several points of time": (
        lambda f: write(f, np.stack([U8] * 4, -1)),
        ("holds 4 points of time", "save the one"),
    ),
    "a plane": (
        lambda f: (nibabel.save(nibabel.Nifti1Image(U8[0], np.eye(4)), f / "a.nii"), f / "a.nii")[
            1
        ],
        ("11 x 13", "not a volume"),
    ),
    "colour": (colour, ("colour image", "one grey channel")),
    "complex": (lambda f: write(f, U8.astype(np.complex64)), ("complex numbers",)),
    "cut short": (lambda f: cut(f, "a.nii"), ("cut short",)),
    "cut short, compressed": (lambda f: cut(f, "a.nii.gz"), ("damaged or incomplete",)),
    "rubbish": (rubbish, ("not a readable NIfTI file",)),
    "rubbish, compressed": (lambda f: rubbish(f, "a.nii.gz"), ("not a readable NIfTI file",)),
    "a path inside": (lambda f: f"{write(f)}::0", ("only zarr groups", "HDF5")),
}


@pytest.mark.parametrize("name", READ)
def test_what_is_read(name, tmp_path, check_read):
    write_file, values, expected = READ[name]
    check_read(write_file(tmp_path), values, **expected)


@pytest.mark.parametrize("name", REFUSED)
def test_what_is_refused(name, tmp_path, check_refused):
    write_file, words = REFUSED[name]
    source = write_file(tmp_path)
    check_refused(source, *words, "a.nii")
