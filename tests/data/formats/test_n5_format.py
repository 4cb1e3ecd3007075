"""N5: groups, levels, voxel sizes as they are stated, and what is missing or damaged."""

from __future__ import annotations

import json
import re
import shutil
import sys
from typing import TYPE_CHECKING

import numpy as np
import pytest

from napari_surfseg.data.open import open_volume
from napari_surfseg.errors import DataError

if TYPE_CHECKING:
    from pathlib import Path

tensorstore = pytest.importorskip("tensorstore")

SHAPE = (6, 10, 12)
A = np.random.default_rng(11).integers(1, 60000, SHAPE, dtype=np.uint16)
COARSE = A[::2, ::2, ::2]
STATED = (0.5, 0.25, 0.2)
TWICE = (1.0, 0.5, 0.4)
UM = "micrometer"


def write(path: Path, values=A, attributes=None, compression="gzip") -> str:
    """A dataset: dimensions as N5 lists them, X first."""
    spec = {
        "driver": "n5",
        "kvstore": {"driver": "file", "path": f"{path.as_posix()}/"},
        "metadata": {
            "dimensions": list(values.shape[::-1]),
            "blockSize": [4] * values.ndim,
            "dataType": str(values.dtype),
            "compression": {"type": compression},
        },
    }
    tensorstore.open(spec, create=True).result().write(values.T).result()
    say(path, attributes or {})
    return str(path)


def say(folder: Path, attributes) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "attributes.json"
    known = json.loads(path.read_text()) if path.exists() else {}
    path.write_text(json.dumps({**known, **attributes}))


def root(folder: Path) -> Path:
    say(folder / "a.n5", {"n5": "2.5.0"})
    return folder / "a.n5"


VIEWER = {"pixelResolution": {"dimensions": [0.2, 0.25, 0.5], "unit": "um"}}


def one_dataset(folder):
    write(root(folder) / "raw")
    return str(folder / "a.n5")


def one_dataset_by_path(folder):
    return write(root(folder) / "deep" / "raw")


def one_dataset_by_key(folder):
    one_dataset_by_path(folder)
    return f"{folder / 'a.n5'}::deep/raw"


def group_without_attributes(folder):
    one_dataset_by_path(folder)
    return str(folder / "a.n5" / "deep")


def the_root_is_the_dataset(folder):
    return write(folder / "a.n5")


def without_a_suffix(folder):
    return write(folder / "scan", attributes={"n5": "2.0.0"})


def raw_blocks(folder):
    return write(root(folder) / "raw", compression="raw")


def viewer_size(folder):
    return write(root(folder) / "raw", attributes=VIEWER)


def viewer_list(folder):
    return write(root(folder) / "raw", attributes={"pixelResolution": [0.2, 0.25, 0.5]})


def resolution_and_units(folder):
    about = {"resolution": [200, 250, 500], "units": ["nm", "nm", "nm"], "offset": [1, 2, 3]}
    return write(root(folder) / "raw", attributes=about)


def resolution_of_mixed_units(folder):
    about = {"resolution": [0.2, 0.25, 500], "units": ["um", "um", "nm"], "offset": [1, 2, 3000]}
    return write(root(folder) / "raw", attributes=about)


def named_transform(folder):
    transform = {
        "axes": ["z", "y", "x"],
        "scale": [0.5, 0.25, 0.2],
        "translate": [3, 2, 1],
        "units": ["um"] * 3,
    }
    return write(root(folder) / "raw", attributes={"transform": transform})


def unit_of_time(folder):
    about = {"resolution": [2, 2, 2], "units": "second"}
    return write(root(folder) / "raw", attributes=about)


def levels(folder, names=("s0", "s1")):
    group = root(folder) / "scan"
    for name, values, factor in zip(("s0", "s1"), (A, COARSE), (1, 2), strict=True):
        if name in names:
            write(group / name, values, {"downsamplingFactors": [factor] * 3})
    say(group, VIEWER)
    return group


def finest_level(folder):
    return str(levels(folder))


def finest_level_of_the_root(folder):
    return str(levels(folder).parent)


def coarse_level(folder):
    return f"{levels(folder).parent}::scan/s1"


def no_finest_level(folder):
    return str(levels(folder, ("s1",)))


def finest_level_without_blocks(folder):
    group = levels(folder)
    for block in (group / "s0").iterdir():
        if block.is_dir():
            shutil.rmtree(block)
    return str(group)


def bigdataviewer(folder):
    setup = root(folder) / "setup0"
    say(setup, {"downsamplingFactors": [[1, 1, 1], [2, 2, 2]], "dataType": "uint16"})
    say(setup / "timepoint0", {"resolution": [0.2, 0.25, 0.5], "multiScale": True})
    write(setup / "timepoint0" / "s0", A, {"downsamplingFactors": [1, 1, 1]})
    write(setup / "timepoint0" / "s1", COARSE, {"downsamplingFactors": [2, 2, 2]})
    return str(folder / "a.n5")


def bigdataviewer_coarse(folder):
    return f"{bigdataviewer(folder)}::setup0/timepoint0/s1"


def one_channel_and_time_point(folder):
    about = {"resolution": [0.2, 0.25, 0.5, 1, 1]}
    return write(root(folder) / "raw", A[None, None], about)


def axes_named_otherwise(folder):
    # Dimensions are listed Z first here.
    about = {"axes": ["z", "y", "x"], "resolution": [0.5, 0.25, 0.2]}
    return write(root(folder) / "raw", A.T, about)


def table_beside_it(folder):
    write(root(folder) / "raw")
    write(root(folder) / "table", np.arange(6, dtype=np.uint16).reshape(2, 3))
    return str(folder / "a.n5")


READ = [
    (one_dataset, None, None, {}),
    (one_dataset_by_path, None, None, {}),
    (one_dataset_by_key, None, None, {}),
    (group_without_attributes, None, None, {}),
    (the_root_is_the_dataset, None, None, {}),
    (without_a_suffix, None, None, {}),
    (raw_blocks, None, None, {}),
    (viewer_size, STATED, UM, {}),
    (viewer_list, STATED, None, {}),
    (resolution_and_units, (500, 250, 200), "nanometer", {"translate": (3, 2, 1)}),
    (resolution_of_mixed_units, STATED, UM, {"translate": (3, 2, 1)}),
    (named_transform, STATED, UM, {"translate": (3, 2, 1)}),
    (unit_of_time, None, None, {"note": "the unit 'second'"}),
    (finest_level, STATED, UM, {}),
    (finest_level_of_the_root, STATED, UM, {}),
    (coarse_level, TWICE, UM, {"values": COARSE}),
    (no_finest_level, TWICE, UM, {"values": COARSE, "note": "level 's0' .* is not there"}),
    (
        finest_level_without_blocks,
        TWICE,
        UM,
        {"values": COARSE, "note": "level 's0' .* holds no blocks"},
    ),
    (bigdataviewer, STATED, None, {}),
    (bigdataviewer_coarse, TWICE, None, {"values": COARSE}),
    (one_channel_and_time_point, STATED, None, {}),
    (axes_named_otherwise, STATED, None, {"stored": "xyz"}),
    (table_beside_it, None, None, {}),
]


@pytest.mark.parametrize(
    ("make", "spacing", "unit", "about"), READ, ids=[row[0].__name__ for row in READ]
)
def test_is_read_right(make, spacing, unit, about, tmp_path):
    volume = open_volume(make(tmp_path))
    values = about.get("values", A)
    assert volume.shape == values.shape
    for place in ((0, 0, 0), (1, 2, 3), (2, 4, 5)):
        assert volume.read(place, tuple(i + 1 for i in place)).item() == values[place]
    np.testing.assert_array_equal(volume.read((1, 0, 1), (3, 5, 4)), values[1:3, 0:5, 1:4])
    np.testing.assert_array_equal(volume.read((0, 0, 0), volume.shape), values)
    assert volume.spacing_known == (spacing is not None)
    assert volume.spacing == pytest.approx(spacing or (1, 1, 1))
    assert volume.units == unit
    assert volume.translate == pytest.approx(about.get("translate", (0, 0, 0)))
    assert volume.stored_axes == about.get("stored", "zyx")
    assert len(volume.notes) == ("note" in about)
    assert re.search(about.get("note", ""), " ".join(volume.notes))


def two_datasets(folder):
    write(root(folder) / "left")
    write(root(folder) / "right")
    return str(folder / "a.n5")


def two_time_points(folder):
    bigdataviewer(folder)
    write(folder / "a.n5" / "setup0" / "timepoint1" / "s0")
    return str(folder / "a.n5")


def no_such_dataset(folder):
    return f"{one_dataset(folder)}::other"


def time_series(folder):
    return write(root(folder) / "raw", np.stack([A, A]))


def a_plane(folder):
    return write(root(folder) / "raw", A[0])


def damaged_attributes(folder):
    source = one_dataset(folder)
    (folder / "a.n5" / "raw" / "attributes.json").write_text("{")
    return f"{source}::raw"


def unknown_compression(folder):
    source = one_dataset(folder)
    say(folder / "a.n5" / "raw", {"compression": {"type": "lz77"}})
    return source


REFUSED = [
    (two_datasets, r"holds 2 volumes \(left, right\); say which one with .*a\.n5::left\.$"),
    (two_time_points, r"holds 2 volumes \(setup0/timepoint0/s0, setup0/timepoint1/s0\)"),
    (no_such_dataset, r"no N5 dataset in .*::other; .* holds raw\.$"),
    (time_series, r"holds 2 entries along its axis 'number 4'"),
    (a_plane, r"the axes x and y; a volume has Z, Y and X once each"),
    (damaged_attributes, r"attributes\.json seems to be damaged"),
    (unknown_compression, r"compression 'lz77'"),
]


@pytest.mark.parametrize(("make", "pattern"), REFUSED, ids=[row[0].__name__ for row in REFUSED])
def test_is_refused_in_a_sentence(make, pattern, tmp_path):
    with pytest.raises(DataError) as caught:
        open_volume(make(tmp_path))
    text = str(caught.value)
    assert re.search(pattern, text), text
    assert text.endswith(".")
    assert "\n" not in text


def test_a_missing_block_is_void(tmp_path):
    source = one_dataset(tmp_path)
    (tmp_path / "a.n5" / "raw" / "0" / "0" / "0").unlink()
    volume = open_volume(source)
    assert not volume.read((0, 0, 0), (4, 4, 4)).any()
    assert volume.read((0, 0, 4), (4, 4, 8)).all()


@pytest.mark.parametrize("damage", ["empty", "cut", "folder", "link"])
def test_an_unreadable_block_is_an_error(damage, tmp_path):
    source = one_dataset(tmp_path)
    block = tmp_path / "a.n5" / "raw" / "0" / "0" / "0"
    whole = block.read_bytes()
    block.unlink()
    if damage == "folder":
        block.mkdir()
    elif damage == "link":
        if sys.platform == "win32":
            pytest.skip("making links needs rights there")
        block.symlink_to("gone")
    else:
        block.write_bytes(whole[: len(whole) // 2] if damage == "cut" else b"")
    volume = open_volume(source)
    with pytest.raises(DataError, match="cannot be read at voxels") as caught:
        volume.read((0, 0, 0), (4, 4, 4))
    assert "\n" not in str(caught.value)
    assert volume.read((0, 0, 4), (4, 4, 8)).all()


def test_a_url_reads_the_same(tmp_path):
    pytest.importorskip("fsspec")
    levels(tmp_path)
    volume = open_volume(f"{(tmp_path / 'a.n5').as_uri()}::scan")
    np.testing.assert_array_equal(volume.read((0, 0, 0), SHAPE), A)
    assert (volume.spacing, volume.units) == (STATED, UM)


def test_without_tensorstore_a_sentence_names_the_extra(tmp_path, monkeypatch):
    source = one_dataset(tmp_path)
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(DataError, match=r'pip install "napari-surfseg\[n5\]"'):
        open_volume(source)
