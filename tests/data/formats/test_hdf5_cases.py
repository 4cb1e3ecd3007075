"""HDF5 files as people hold them; each row writes one and says what is right for it."""

import json

import h5py
import numpy as np
import pytest

SHAPE = (7, 11, 13)
VALUES = np.random.default_rng(3).integers(0, 120, SHAPE)
U8 = VALUES.astype(np.uint8)
UM, NM = "micrometer", "nanometer"


def write(folder, arrays=None, key="", name="a.h5", attrs=None, **options):
    """Write arrays by their paths; ``attrs`` belong to the first of them."""
    arrays = {"raw": U8} if arrays is None else arrays
    with h5py.File(folder / name, "w") as file:
        for path, values in arrays.items():
            file.create_dataset(path, data=values, **options)
        file[next(iter(arrays))].attrs.update(attrs or {})
    return f"{folder / name}::{key}" if key else str(folder / name)


def ilastik(folder, names, values, resolution=None, **attrs):
    axes = [
        {"key": name, "typeFlags": 2, "resolution": (resolution or {}).get(name, 0)}
        for name in names
    ]
    tags = {"axistags": json.dumps({"axes": axes}), **attrs}
    return write(folder, {"exported_data": values}, attrs=tags, chunks=True)


def labelled(folder, names, values):
    path = write(folder, {"raw": values})
    with h5py.File(path, "a") as file:
        for dimension, name in zip(file["raw"].dims, names, strict=True):
            dimension.label = name
    return path


def linked(folder):
    write(folder, {"deep/raw": U8}, name="other.h5")
    with h5py.File(folder / "a.h5", "w") as file:
        file["there"] = h5py.ExternalLink("other.h5", "deep/raw")
        file["gone"] = h5py.ExternalLink("none.h5", "raw")
    return str(folder / "a.h5")


STORED = VALUES.astype(np.int16)
XML = """<SpimData version="0.2"><BasePath type="relative">.</BasePath><SequenceDescription>
<ImageLoader format="{format}"><hdf5 type="relative">{file}</hdf5></ImageLoader><ViewSetups>
<ViewSetup><id>0</id><size>13 11 7</size><voxelSize><unit>{unit}</unit><size>{size}</size>
</voxelSize></ViewSetup><ViewSetup><id>1</id>
<voxelSize><unit>nm</unit><size>2 3 5</size></voxelSize></ViewSetup></ViewSetups>
</SequenceDescription><ViewRegistrations>
<ViewRegistration timepoint="0" setup="0">{transforms}</ViewRegistration>
</ViewRegistrations></SpimData>
"""
AFFINE = '<ViewTransform type="affine"><affine>{}</affine></ViewTransform>'
SHIFT = AFFINE.format("1 0 0 10 0 1 0 20 0 0 1 30") + AFFINE.format("0.2 0 0 0 0 0.3 0 0 0 0 0.5 0")
#: The world in voxels of X: what "Export as XML/HDF5" writes where voxels are no cubes.
IN_VOXELS = AFFINE.format("1 0 0 50 0 1 0 100 0 0 1 150") + AFFINE.format(
    "1 0 0 0 0 1.5 0 0 0 0 2.5 0"
)
TURNED = AFFINE.format("0 1 0 0 1 0 0 0 0 0 1 0")


def bigdataviewer(
    folder, key="", transforms=SHIFT, setups=1, times=1, ending="h5", xml=True, stored=STORED,
    unit="µm", loader="bdv.hdf5", file_name="a.h5",
):  # fmt: skip
    """Two levels; the values of setup 1 and of later times are others."""
    with h5py.File(folder / "a.h5", "w") as file:
        for setup in range(setups):
            file[f"s{setup:02}/resolutions"] = np.array([[1.0, 1, 1], [2, 2, 1]])
            file[f"s{setup:02}/subdivisions"] = np.array([[16, 16, 16], [16, 16, 16]])
            for time in range(times):
                group = file.create_group(f"t{time:05}/s{setup:02}")
                group["0/cells"] = stored + setup + 2 * time
                group["1/cells"] = (stored + setup + 2 * time)[:, ::2, ::2]
    if xml:
        text = XML.format(
            format=loader, file=file_name, unit=unit, size="0.2 0.3 0.5", transforms=transforms
        )
        (folder / "a.xml").write_text(text, encoding="utf-8")
    path = folder / f"a.{ending}"
    return f"{path}::{key}" if key else str(path)


U16 = VALUES.astype(np.uint16)
PLACED = {"spacing": (0.5, 0.3, 0.2), "unit": UM, "place": (30, 20, 10)}
READ = {
    "the only one": (write, U8, {}),
    "the only volume": (lambda f: write(f, {"raw": U8, "table": U8[0], "n": 3}), U8, {}),
    "named": (lambda f: write(f, {"raw": U8, "labels": U8 + 1}, "labels"), U8 + 1, {}),
    "named with a slash": (lambda f: write(f, {"raw": U8, "a/b": U8 + 1}, "/a/b"), U8 + 1, {}),
    "a path that leads in": (lambda f: f"{write(f, {'raw': U8, 'a/b': U8 + 1})}/a/b", U8 + 1, {}),
    "a group of one": (lambda f: write(f, {"raw": U8, "a/b": U8 + 1}, "a"), U8 + 1, {}),
    ".hdf5": (lambda f: write(f, name="a.hdf5"), U8, {}),
    ".HDF": (lambda f: write(f, name="a.HDF"), U8, {}),
    "gzip chunks": (lambda f: write(f, chunks=(4, 4, 4), compression="gzip", shuffle=True), U8, {}),
    "leading axes of one": (lambda f: write(f, {"raw": U8[None, None]}), U8, {}),
    "booleans": (lambda f: write(f, {"raw": VALUES > 60}), (VALUES > 60).astype(np.uint8), {}),
    "half precision": (
        lambda f: write(f, {"raw": VALUES.astype(np.float16)}),
        VALUES.astype(np.float32),
        {},
    ),
    "a link into another file": (linked, U8, {}),
    "micrometres": (
        lambda f: write(f, attrs={"element_size_um": (0.5, 0.3, 0.2)}),
        U8,
        {"spacing": (0.5, 0.3, 0.2), "unit": UM},
    ),
    "CREMI": (
        lambda f: write(
            f,
            {"volumes/raw": U8},
            "volumes/raw",
            attrs={"resolution": (40.0, 4.0, 4.0), "offset": (400.0, 8.0, 4.0)},
        ),
        U8,
        {"spacing": (40, 4, 4), "place": (400, 8, 4)},
    ),
    "units beside": (
        lambda f: write(f, attrs={"resolution": (40, 4, 4), "units": ["nm", "nm", "nm"]}),
        U8,
        {"spacing": (40, 4, 4), "unit": NM},
    ),
    "units that differ": (
        lambda f: write(f, attrs={"voxel_size": (0.04, 4, 4), "units": ["um", "nm", "nm"]}),
        U8,
        {"spacing": (40, 4, 4), "unit": NM},
    ),
    "sizes of zero": (lambda f: write(f, attrs={"resolution": (0, 4, 4)}), U8, {}),
    "two sizes for three axes": (lambda f: write(f, attrs={"resolution": (4, 4)}), U8, {}),
    "ilastik zyx": (lambda f: ilastik(f, "zyx", U8), U8, {}),
    "ilastik zyxc": (lambda f: ilastik(f, "zyxc", U8[..., None]), U8, {}),
    "ilastik tzyxc": (lambda f: ilastik(f, "tzyxc", U8[None, ..., None]), U8, {}),
    "ilastik xyz": (lambda f: ilastik(f, "xyz", U8.transpose(2, 1, 0)), U8, {}),
    "ilastik cxyz, sizes": (
        lambda f: ilastik(
            f, "cxyz", U8.transpose(2, 1, 0)[None], {"x": 0.2, "y": 0.3, "z": 0.5}, units="um"
        ),
        U8,
        {"spacing": (0.5, 0.3, 0.2), "unit": UM},
    ),
    "ilastik yxz, sizes in order of axes": (
        lambda f: ilastik(f, "yxz", U8.transpose(1, 2, 0), element_size_um=(0.3, 0.2, 0.5)),
        U8,
        {"spacing": (0.5, 0.3, 0.2), "unit": UM},
    ),
    "labelled x y z": (lambda f: labelled(f, "xyz", U8.transpose(2, 1, 0)), U8, {}),
    "labelled z y x": (lambda f: labelled(f, "ZYX", U8), U8, {}),
    "BigDataViewer": (bigdataviewer, U16, PLACED),
    "BigDataViewer by its XML": (lambda f: bigdataviewer(f, ending="xml"), U16, PLACED),
    "BigDataViewer, level 1": (
        lambda f: bigdataviewer(f, "s00/1"),
        U16[:, ::2, ::2],
        {"spacing": (0.5, 0.6, 0.4), "unit": UM, "place": (30, 20.15, 10.1)},
    ),
    "BigDataViewer, level alone": (
        lambda f: bigdataviewer(f, "1"),
        U16[:, ::2, ::2],
        {"spacing": (0.5, 0.6, 0.4), "unit": UM, "place": (30, 20.15, 10.1)},
    ),
    "BigDataViewer, whole path": (
        lambda f: bigdataviewer(f, "t00000/s00/0/cells", setups=2, times=2),
        U16,
        PLACED,
    ),
    "BigDataViewer, setup 1": (
        lambda f: bigdataviewer(f, "s01", setups=2),
        U16 + 1,
        {"spacing": (5, 3, 2), "unit": NM},
    ),
    "BigDataViewer, XML and setup": (
        lambda f: bigdataviewer(f, "s01", setups=2, ending="xml"),
        U16 + 1,
        {"spacing": (5, 3, 2), "unit": NM},
    ),
    "BigDataViewer, a later time": (
        lambda f: bigdataviewer(f, "t00001", times=2),
        U16 + 2,
        {"spacing": (0.5, 0.3, 0.2), "unit": UM},
    ),
    "BigDataViewer, world in voxels": (
        lambda f: bigdataviewer(f, transforms=IN_VOXELS),
        U16,
        PLACED,
    ),
    "BigDataViewer, no transformation": (
        lambda f: bigdataviewer(f, transforms=""),
        U16,
        {"spacing": (0.5, 0.3, 0.2), "unit": UM},
    ),
    "BigDataViewer, turned": (
        lambda f: bigdataviewer(f, transforms=TURNED),
        U16,
        {"spacing": (0.5, 0.3, 0.2), "unit": UM, "note": "does more than shift"},
    ),
    "BigDataViewer, above 32767": (
        lambda f: bigdataviewer(f, stored=(STORED.astype(np.uint16) + 40000).view(np.int16)),
        U16 + 40000,
        PLACED,
    ),
    "BigDataViewer, big-endian": (
        lambda f: bigdataviewer(f, stored=STORED.astype(">i2")),
        U16,
        PLACED,
    ),
    "BigDataViewer, pixels": (
        lambda f: bigdataviewer(f, unit="pixel"),
        U16,
        {"spacing": (0.5, 0.3, 0.2), "place": (30, 20, 10)},
    ),
    "BigDataViewer, no XML": (
        lambda f: bigdataviewer(f, xml=False),
        U16,
        {"note": "no a.xml of BigDataViewer beside it"},
    ),
}
for kind in ("i1", "u2", ">u2", "i4", ">f4", "f8", "i8"):
    READ[f"type {kind}"] = (
        lambda f, kind=kind: write(f, {"raw": VALUES.astype(kind)}),
        VALUES.astype(kind),
        {},
    )


def damaged(folder):
    path = write(folder, {"raw": np.random.default_rng(0).integers(0, 255, (64, 64, 64), np.uint8)},
                 chunks=(16, 16, 16), compression="gzip")  # fmt: skip
    raw = bytearray((folder / "a.h5").read_bytes())
    raw[20_000:200_000] = bytes(180_000)
    (folder / "a.h5").write_bytes(raw)
    return path


def cut(folder):
    path = write(folder)
    content = (folder / "a.h5").read_bytes()
    (folder / "a.h5").write_bytes(content[: len(content) // 2])
    return path


def file_of(folder, content, name="a.h5"):
    (folder / name).write_bytes(content)
    return str(folder / name)


REFUSED = {
    "several": (
        lambda f: write(f, {"raw": U8, "labels": U8}),
        ("holds 2 volumes: labels (7 x 11 x 13) and raw (7 x 11 x 13)", "::labels"),
    ),
    "several in a group": (
        lambda f: write(f, {"raw": U8, "a/b": U8, "a/c": U8}, "a"),
        ("2 volumes", "::a/b"),
    ),
    "many": (
        lambda f: write(f, {f"n{n:02}": U8 for n in range(20)}),
        ("20 volumes", "and 12 more"),
    ),
    "none": (lambda f: write(f, {"table": U8[0]}), ("holds no volumes",)),
    "no such path": (
        lambda f: write(f, key="labels"),
        ("no dataset 'labels'", "it holds raw (7 x 11 x 13)"),
    ),
    "a broken link": (lambda f: f"{linked(f)}::gone", ("no dataset 'gone'", "it holds there")),
    "a table": (lambda f: write(f, {"raw": U8, "t": U8[0]}, "t"), ("11 x 13", "not a volume")),
    "an empty one": (
        lambda f: write(f, {"raw": h5py.Empty("f4")}, "raw"),
        ("empty dataset", "three axes"),
    ),
    "records": (
        lambda f: write(f, {"raw": np.zeros(SHAPE, [("r", "u1"), ("g", "u1")])}, "raw"),
        ("holds records",),
    ),
    "two channels of ilastik": (
        lambda f: ilastik(f, "zyxc", np.stack([U8, U8], -1)),
        ("holds 2 channels", "save the one"),
    ),
    "time of ilastik": (
        lambda f: ilastik(f, "tyx", U8),
        ("axes t, y and x", "Z, Y and X once each"),
    ),
    "points of time": (
        lambda f: ilastik(f, "tzyx", np.stack([U8] * 3)),
        ("holds 3 points of time",),
    ),
    "four axes without names": (lambda f: write(f, {"raw": np.stack([U8] * 5)}), ("5 x 7 x 11",)),
    "rubbish": (lambda f: file_of(f, b"rubbish"), ("no HDF5 file",)),
    "HDF4": (lambda f: file_of(f, b"\x0e\x03\x13\x01" * 100, "a.hdf"), ("version 4",)),
    "cut short": (cut, ("damaged or incomplete",)),
    "damaged chunks": (damaged, ("damaged or incomplete",)),
    "setups": (
        lambda f: bigdataviewer(f, setups=2),
        ("the setups s00 and s01", "say which", "::s00"),
    ),
    "times": (lambda f: bigdataviewer(f, "s00", times=3), ("3 points of time", "t00000 to t00002")),
    "no such setup": (lambda f: bigdataviewer(f, "s07"), ("no 's07'", "the setup s00")),
    "no such level": (lambda f: bigdataviewer(f, "s00/5"), ("no level 5", "0 to 1")),
    "an XML of another storage": (
        lambda f: bigdataviewer(f, ending="xml", loader="bdv.n5"),
        ("'bdv.n5'", "bdv.hdf5"),
    ),
    "an XML whose file is gone": (
        lambda f: bigdataviewer(f, ending="xml", file_name="b.h5"),
        ("b.h5", "not there"),
    ),
    "an XML of something else": (
        lambda f: file_of(f, b"<html/>", "a.xml"),
        ("no XML of BigDataViewer",),
    ),
    "an XML with entities": (
        lambda f: file_of(f, b'<!DOCTYPE x [<!ENTITY a "b">]><SpimData/>', "a.xml"),
        ("no XML of BigDataViewer",),
    ),
}


@pytest.mark.parametrize("name", READ)
def test_what_is_read(name, tmp_path, check_read):
    write_file, values, expected = READ[name]
    check_read(write_file(tmp_path), values, **expected)


@pytest.mark.parametrize("name", REFUSED)
def test_what_is_refused(name, tmp_path, check_refused):
    write_file, words = REFUSED[name]
    check_refused(write_file(tmp_path), *words, str(tmp_path / "a."))


def test_a_filter_that_is_not_there(tmp_path, check_refused, monkeypatch):
    path = write(tmp_path, chunks=(4, 4, 4), compression="gzip")
    monkeypatch.setattr(h5py.h5z, "filter_avail", lambda number: False)
    check_refused(path, "compressed with the filter number 1", "pip install hdf5plugin")


def test_a_file_that_is_being_written(tmp_path, check_refused, monkeypatch):
    def refuse(*_, **__):
        raise BlockingIOError("unable to lock file, errno = 11")

    path = write(tmp_path)
    monkeypatch.setattr(h5py, "File", refuse)
    check_refused(path, "open for writing in another program")
