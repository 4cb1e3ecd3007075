"""Zarr stores as people hold them: units, axes, levels, layouts, and what is missing or damaged.

Each row of :data:`READ` writes a store and says what is right for it: voxels at a few places,
shape, spacing, unit, place and what must be noted. Each row of :data:`REFUSED` says the sentence.
"""

from __future__ import annotations

import json
import re
import shutil
import sys
import zipfile
import zlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import zarr

from napari_surfseg.data.open import open_volume
from napari_surfseg.errors import DataError

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

SHAPE = (6, 10, 12)
A = np.random.default_rng(11).integers(1, 60000, SHAPE, dtype=np.uint16)
PLACES = ((0, 0, 0), (1, 2, 3), (5, 9, 11), (3, 0, 11), (0, 9, 0))
UM, NM = "micrometer", "nanometer"


def space(names="zyx", units: Any = UM) -> list[dict[str, Any]]:
    units = [units] * len(names) if units is None or isinstance(units, str) else units
    axes = []
    for name, unit in zip(names, units, strict=True):
        axes.append({"name": name, "type": "space"} | ({"unit": unit} if unit else {}))
    return axes


CHANNEL, TIME = {"name": "c", "type": "channel"}, {"name": "t", "type": "time", "unit": "second"}


def level(path="0", scale=(0.5, 0.25, 0.2), translation=None) -> dict[str, Any]:
    steps: list[dict[str, Any]] = [] if scale is None else [{"type": "scale", "scale": list(scale)}]
    if translation is not None:
        steps.append({"type": "translation", "translation": list(translation)})
    return {"path": path} | ({"coordinateTransformations": steps} if steps else {})


def image(axes=None, datasets=None, version="0.4", **more) -> dict[str, Any]:
    axes = space() if axes is None else axes
    return {"version": version, "axes": axes, "datasets": datasets or [level()], **more}


def write(path: Path, arrays: dict[str, Any], attributes=None, zarr_format=2, **options) -> str:
    """A group with arrays and attributes; more groups are made as paths need them."""
    group = zarr.open_group(str(path), mode="a", zarr_format=zarr_format)
    options = {"chunks": (4,) * 3, **options}
    for name, values in arrays.items():
        chunks = (1,) * (values.ndim - 3) + options["chunks"]
        group.create_array(name, data=values, **{**options, "chunks": chunks[-values.ndim :]})
    group.attrs.update(attributes or {})
    return str(path)


def write_image(path: Path, values=A, zarr_format=2, **about) -> str:
    about = {"multiscales": [image(**about)]}
    return write(path, {"0": values}, about, zarr_format)


def half(values: Any) -> Any:
    return values[::2, ::2, ::2]


# What is read


def v04(folder):
    return write_image(folder / "a.zarr")


def v05(folder):
    about = image()
    del about["version"]
    attributes = {"ome": {"version": "0.5", "multiscales": [about]}}
    return write(folder / "a.zarr", {"0": A}, attributes, zarr_format=3)


def v01(folder):
    about = {"multiscales": [{"version": "0.1", "datasets": [{"path": "0"}, {"path": "1"}]}]}
    return write(folder / "a.zarr", {"0": A[None, None], "1": half(A)[None, None]}, about)


def v03(folder):
    axes = ["t", "c", "z", "y", "x"]
    about = {"multiscales": [{"version": "0.3", "axes": axes, "datasets": [{"path": "0"}]}]}
    return write(folder / "a.zarr", {"0": A[None, None]}, about)


def mixed_units(folder):
    return write_image(
        folder / "a.zarr", axes=space(units=[UM, NM, NM]), datasets=[level(scale=(0.05, 8, 8))]
    )


def mixed_units_and_place(folder):
    datasets = [level(scale=(0.05, 8, 8), translation=(1, 20, 30))]
    return write_image(folder / "a.zarr", axes=space(units=[UM, NM, NM]), datasets=datasets)


def short_units(folder):
    return write_image(folder / "a.zarr", axes=space(units=["um", "µm", "microns"]))


def angstrom(folder):
    return write_image(folder / "a.zarr", axes=space(units="angstrom"))


def nonsense_units(folder):
    return write_image(folder / "a.zarr", axes=space(units=["second", UM, UM]))


def a_unit_for_two_axes_only(folder):
    return write_image(folder / "a.zarr", axes=space(units=[None, UM, UM]))


def no_units(folder):
    return write_image(folder / "a.zarr", axes=space(units=None))


def ones_of_nothing(folder):
    axes, datasets = space(units=None), [level(scale=(1, 1, 1))]
    return write_image(folder / "a.zarr", axes=axes, datasets=datasets)


def ones_of_micrometers(folder):
    return write_image(folder / "a.zarr", datasets=[level(scale=(1, 1, 1))])


def zero_scale(folder):
    return write_image(folder / "a.zarr", datasets=[level(scale=(0, 0.2, 0.2))])


def mirrored(folder):
    return write_image(folder / "a.zarr", datasets=[level(scale=(-0.5, 0.2, 0.2))])


def scale_of_the_image_and_the_level(folder):
    common = [{"type": "scale", "scale": [2, 0.5, 1]}]
    return write_image(folder / "a.zarr", coordinateTransformations=common)


def scale_in_a_file(folder):
    steps = [{"type": "scale", "path": "numbers"}]
    datasets = [{"path": "0", "coordinateTransformations": steps}]
    return write_image(folder / "a.zarr", datasets=datasets)


def rotated(folder):
    datasets = [level()]
    datasets[0]["coordinateTransformations"].append({"type": "affine", "affine": [[1]]})
    return write_image(folder / "a.zarr", datasets=datasets)


def axes_xyz(folder):
    axes, datasets = space("xyz"), [level(scale=(0.2, 0.25, 0.5))]
    return write_image(folder / "a.zarr", A.transpose(2, 1, 0), axes=axes, datasets=datasets)


def axes_xyz_v05(folder):
    axes, datasets = space("xyz"), [level(scale=(0.2, 0.25, 0.5))]
    about = {"ome": {"version": "0.5", "multiscales": [image(axes, datasets)]}}
    return write(folder / "a.zarr", {"0": A.transpose(2, 1, 0)}, about, zarr_format=3)


def axes_xyz_of_a_later_version(folder):
    about = image(datasets=[{"path": "0"}], coordinateSystems=[{"name": "a", "axes": space("xyz")}])
    del about["axes"]
    attributes = {"ome": {"version": "0.6", "multiscales": [about]}}
    return write(folder / "a.zarr", {"0": A.transpose(2, 1, 0)}, attributes, zarr_format=3)


def compressed_by_imagecodecs(folder):
    path = nested_array(folder, ".")
    fields = json.loads((path / ".zarray").read_text())
    fields["compressor"] = {"id": "imagecodecs_zlib", "level": 1}
    (path / ".zarray").write_text(json.dumps(fields))
    for chunk in path.glob("[0-9]*"):
        z, y, x = (int(part) for part in chunk.name.split("."))
        whole = np.zeros((2, 4, 4), A.dtype)
        piece = A[2 * z : 2 * z + 2, 4 * y : 4 * y + 4, 4 * x : 4 * x + 4]
        whole[: piece.shape[0], : piece.shape[1], : piece.shape[2]] = piece
        chunk.write_bytes(zlib.compress(whole.tobytes()))
    return str(path)


def axes_xyz_units(folder):
    axes = space("xyz", [UM, UM, NM])
    datasets = [level(scale=(0.2, 0.25, 500), translation=(1, 2, 3000))]
    return write_image(folder / "a.zarr", A.transpose(2, 1, 0), axes=axes, datasets=datasets)


def axes_cxyz(folder):
    axes, datasets = [CHANNEL, *space("xyz")], [level(scale=(1, 0.2, 0.25, 0.5))]
    return write_image(folder / "a.zarr", A.transpose(2, 1, 0)[None], axes=axes, datasets=datasets)


def axes_xyzc(folder):
    axes, datasets = [*space("xyz"), CHANNEL], [level(scale=(0.2, 0.25, 0.5, 1))]
    return write_image(
        folder / "a.zarr", A.transpose(2, 1, 0)[..., None], axes=axes, datasets=datasets
    )


def axes_zcyx(folder):
    z, y, x = space()
    datasets = [level(scale=(0.5, 1, 0.25, 0.2))]
    return write_image(folder / "a.zarr", A[:, None], axes=[z, CHANNEL, y, x], datasets=datasets)


def axes_yzx_in_capitals(folder):
    axes, datasets = space("YZX"), [level(scale=(0.25, 0.5, 0.2))]
    return write_image(folder / "a.zarr", A.transpose(1, 0, 2), axes=axes, datasets=datasets)


def axes_xyz_v03(folder):
    about = {
        "multiscales": [{"version": "0.3", "axes": ["x", "y", "z"], "datasets": [{"path": "0"}]}]
    }
    return write(folder / "a.zarr", {"0": A.transpose(2, 1, 0)}, about)


def one_time_point(folder):
    axes, datasets = [TIME, CHANNEL, *space()], [level(scale=(60, 1, 0.5, 0.25, 0.2))]
    return write_image(folder / "a.zarr", A[None, None], axes=axes, datasets=datasets)


def array_dimensions_zyx(folder):
    source = write(folder / "a.zarr", {"raw": A})
    zarr.open_array(f"{source}/raw").attrs["_ARRAY_DIMENSIONS"] = ["z", "y", "x"]
    return source


def array_dimensions_xyz(folder):
    source = write(folder / "a.zarr", {"raw": A.transpose(2, 1, 0)})
    zarr.open_array(f"{source}/raw").attrs["_ARRAY_DIMENSIONS"] = ["x", "y", "z"]
    return source


def dimension_names_xyz(folder):
    path = folder / "a.zarr"
    zarr.create_array(path, data=A.transpose(2, 1, 0), dimension_names=["x", "y", "z"])
    return str(path)


def dimension_names_of_nothing(folder):
    path = folder / "a.zarr"
    zarr.create_array(path, data=A, dimension_names=["dim_0", None, "dim_2"])
    return str(path)


def coordinates_beside_the_array(folder):
    return write(folder / "a.zarr", {"raw": A, **{name: np.arange(4.0) for name in "zyx"}})


def pyramid(folder, *, names=("0", "1"), zarr_format=2):
    scales = (0.5, 0.25, 0.2), (1.0, 0.5, 0.4)
    datasets = [level(name, scale) for name, scale in zip(names, scales, strict=True)]
    arrays = dict(zip(names, (A, half(A)), strict=True))
    return write(
        folder / "a.zarr", arrays, {"multiscales": [image(datasets=datasets)]}, zarr_format
    )


def coarse_first(folder):
    path = folder / "a.zarr"
    datasets = [level("low", (1.0, 0.5, 0.4)), level("high")]
    return write(path, {"low": half(A), "high": A}, {"multiscales": [image(datasets=datasets)]})


def coarse_first_without_scale(folder):
    datasets = [level("low", None), level("high", None)]
    about = {"multiscales": [image(datasets=datasets)]}
    return write(folder / "a.zarr", {"low": half(A), "high": A}, about)


def coarse_first_all_scales_alike(folder):
    datasets = [level("low"), level("high")]
    about = {"multiscales": [image(datasets=datasets)]}
    return write(folder / "a.zarr", {"low": half(A), "high": A}, about)


def level_by_number(folder):
    return f"{pyramid(folder, names=('full', 'low'))}::0"


def coarse_level_by_key(folder):
    return f"{pyramid(folder)}::1"


def coarse_level_by_path(folder):
    return f"{pyramid(folder)}/1"


def finest_level_not_there(folder):
    source = pyramid(folder)
    shutil.rmtree(f"{source}/0")
    return source


def finest_level_without_chunks(folder):
    source = pyramid(folder)
    for chunk in (folder / "a.zarr" / "0").glob("[0-9]*"):
        chunk.unlink()
    return source


def series(folder, count=1):
    path = folder / "a.zarr"
    write(path, {}, {"bioformats2raw.layout": 3})
    for number in range(count):
        write(path / str(number), {"0": A}, {"multiscales": [image()]})
    write(path / "OME", {}, {"series": [str(number) for number in range(count)]})
    return str(path)


def series_of_one(folder):
    return series(folder)


def series_by_key(folder):
    return f"{series(folder, 2)}::1"


def series_level_by_key(folder):
    return f"{series(folder)}::0/0"


def series_level_by_path(folder):
    return f"{series(folder)}/0/0"


def series_level_by_path_and_key(folder):
    return f"{series(folder)}/0::0"


def series_that_are_not_listed(folder):
    shutil.rmtree(f"{series(folder)}/OME")
    return str(folder / "a.zarr")


def plate(folder, wells=("A/1",), fields=("0",)):
    path = folder / "a.zarr"
    write(path, {}, {"plate": {"version": "0.4", "wells": [{"path": well} for well in wells]}})
    for well in wells:
        images = {"well": {"version": "0.4", "images": [{"path": field} for field in fields]}}
        write(path / well.partition("/")[0], {})
        write(path / well, {}, images)
        for field in fields:
            write(path / well / field, {"0": A}, {"multiscales": [image()]})
    return str(path)


def plate_of_one_field(folder):
    return plate(folder)


def plate_field_by_key(folder):
    return f"{plate(folder, ('A/1', 'B/2'), ('0', '1'))}::B/2/1"


def plate_level_by_path(folder):
    return f"{plate(folder, ('A/1', 'B/2'))}/B/2/0/0"


def labelled(folder, names=("cells",), zarr_format=2):
    path = folder / "a.zarr"
    write_image(path, A[None] + 1, axes=[CHANNEL, *space()], datasets=[level(scale=(1,) * 4)])
    write(path / "labels", {}, {"labels": list(names)})
    for name in names:
        about = {"multiscales": [image()], "image-label": {"version": "0.4"}}
        write(path / "labels" / name, {"0": A}, about)
    return str(path)


def labels_group(folder):
    return f"{labelled(folder)}::labels"


def labels_by_name(folder):
    return f"{labelled(folder, ('cells', 'walls'))}::labels/walls"


def labels_level_by_key(folder):
    return f"{labelled(folder)}::labels/cells/0"


def labels_level_by_path(folder):
    return f"{labelled(folder)}/labels/cells/0"


def group_of_one_image(folder):
    path = folder / "a.zarr"
    write(path, {})
    return write_image(path / "scan") and str(path)


def group_without_metadata(folder):
    (folder / "a.zarr").mkdir()
    zarr.create_array(folder / "a.zarr" / "raw", data=A, chunks=(4, 4, 4), zarr_format=2)
    return str(folder / "a.zarr")


def key_in_a_group_without_metadata(folder):
    return f"{group_without_metadata(folder)}::raw"


def level_below_a_group_without_metadata(folder):
    about = {"multiscales": [image(datasets=[level("deep/0")])]}
    source = write(folder / "a.zarr", {"deep/0": A}, about)
    (folder / "a.zarr" / "deep" / ".zgroup").unlink()
    return f"{source}/deep/0"


def hidden_folder(folder):
    return write_image(folder / ".scan.")


def several_multiscales(folder):
    about = {"multiscales": [image(), image(datasets=[level("other")])]}
    return write(folder / "a.zarr", {"0": A, "other": A + 1}, about)


def _without_separator(path):
    fields = json.loads((path / ".zarray").read_text())
    fields.pop("dimension_separator", None)
    (path / ".zarray").write_text(json.dumps(fields))


def nested_array(folder, separator="/"):
    path = folder / "a.zarr"
    encoding = {"name": "v2", "separator": separator}
    zarr.create_array(path, data=A, chunks=(2, 4, 4), zarr_format=2, chunk_key_encoding=encoding)
    return path


def nested_without_saying_so(folder):
    path = nested_array(folder)
    _without_separator(path)
    return str(path)


def nested_but_says_flat(folder):
    path = nested_array(folder)
    fields = json.loads((path / ".zarray").read_text())
    (path / ".zarray").write_text(json.dumps({**fields, "dimension_separator": "."}))
    return str(path)


def flat_but_says_nested(folder):
    path = nested_array(folder, ".")
    fields = json.loads((path / ".zarray").read_text())
    (path / ".zarray").write_text(json.dumps({**fields, "dimension_separator": "/"}))
    return str(path)


def flat_without_saying_so(folder):
    path = nested_array(folder, ".")
    _without_separator(path)
    return str(path)


def nested_with_only_a_late_chunk(folder):
    path = nested_array(folder)
    _without_separator(path)
    shutil.rmtree(path / "0")
    return str(path)


def nested_level_without_saying_so(folder):
    encoding = {"name": "v2", "separator": "/"}
    about = {"multiscales": [image()]}
    source = write(folder / "a.zarr", {"0": A}, about, chunk_key_encoding=encoding)
    _without_separator(folder / "a.zarr" / "0")
    return source


def nested_in_a_zip(folder):
    nested_without_saying_so(folder)
    return pack(folder / "a.zarr")


def consolidated(folder):
    source = pyramid(folder)
    zarr.consolidate_metadata(source, zarr_format=2)
    return source


def consolidated_before_labels_were_added(folder):
    source = pyramid(folder)
    zarr.consolidate_metadata(source, zarr_format=2)
    write(folder / "a.zarr" / "labels", {}, {"labels": ["late"]})
    write_image(folder / "a.zarr" / "labels" / "late")
    return f"{source}::labels/late"


def sharded(folder):
    attributes = {"ome": {"version": "0.5", "multiscales": [image()]}}
    return write(folder / "a.zarr", {"0": A}, attributes, zarr_format=3, shards=(8, 8, 8))


def big_endian_in_columns(folder):
    path = folder / "a.zarr"
    zarr.create_array(
        path, data=A.astype(">u2"), chunks=(4, 4, 4), zarr_format=2, order="F", compressors=None
    )
    return str(path)


def more_axes_than_the_array(folder):
    axes, datasets = [TIME, CHANNEL, *space()], [level(scale=(1, 1, 0.5, 0.25, 0.2))]
    return write_image(folder / "a.zarr", axes=axes, datasets=datasets)


def pack(path: Path, inside="", suffix=".zip") -> str:
    target = path.with_name(path.name + suffix)
    with zipfile.ZipFile(target, "w") as packed:
        for file in sorted(path.rglob("*")):
            if file.is_file():
                packed.write(file, f"{inside}{file.relative_to(path).as_posix()}")
    shutil.rmtree(path)
    return str(target)


def zipped(folder):
    pyramid(folder)
    return pack(folder / "a.zarr")


def zipped_v05(folder):
    v05(folder)
    return pack(folder / "a.zarr", suffix=".ozx")


def zipped_with_its_folder(folder):
    pyramid(folder)
    return pack(folder / "a.zarr", "a.zarr/")


def zipped_on_a_mac(folder):
    source = zipped_with_its_folder(folder)
    with zipfile.ZipFile(source, "a") as packed:
        packed.writestr("__MACOSX/a.zarr/._0", b"")
    return source


def zipped_level(folder):
    pyramid(folder)
    return f"{pack(folder / 'a.zarr')}::1"


def zipped_series_level(folder):
    series(folder)
    return f"{pack(folder / 'a.zarr')}::0/0"


def zipped_axes_xyz(folder):
    axes_xyz(folder)
    return pack(folder / "a.zarr")


def zipped_array(folder):
    zarr.create_array(folder / "a.zarr", data=A, chunks=(4, 4, 4))
    return pack(folder / "a.zarr")


def spaces_and_umlauts(folder):
    return write_image(folder / "größe 5 µm.zarr")


@dataclass(frozen=True)
class Row:
    """What is right for one store."""

    write: Callable[[Path], str]
    spacing: tuple[float, float, float] | None = (0.5, 0.25, 0.2)
    unit: str | None = UM
    values: Any = None
    translate: tuple[float, float, float] = (0.0, 0.0, 0.0)
    note: str = ""
    content: str | None = None


COARSE = half(A)
TWICE = (1.0, 0.5, 0.4)
READ = [
    Row(v04),
    Row(v05),
    Row(v01, None, None),
    Row(v03, None, None),
    Row(mixed_units, (50, 8, 8), NM),
    Row(mixed_units_and_place, (50, 8, 8), NM, translate=(1000, 20, 30)),
    Row(short_units),
    Row(angstrom, unit="angstrom"),
    Row(nonsense_units, None, None, note="voxel size along Z with the unit 'second'"),
    Row(a_unit_for_two_axes_only, None, None, note="voxel size along Z with no unit"),
    Row(no_units, unit=None),
    Row(ones_of_nothing, None, None),
    Row(ones_of_micrometers, (1, 1, 1)),
    Row(zero_scale, None, None),
    Row(mirrored, None, None, note="'mirroring scale' that cannot be read"),
    Row(scale_of_the_image_and_the_level, (1.0, 0.125, 0.2)),
    Row(scale_in_a_file, None, None, note="'scale' that cannot be read"),
    Row(rotated, None, None, note="'affine' that cannot be read"),
    Row(axes_xyz),
    Row(axes_xyz_v05),
    Row(axes_xyz_units, translate=(3, 2, 1)),
    Row(axes_xyz_of_a_later_version, None, None),
    Row(compressed_by_imagecodecs, None, None),
    Row(axes_cxyz),
    Row(axes_xyzc),
    Row(axes_zcyx),
    Row(axes_yzx_in_capitals),
    Row(axes_xyz_v03, None, None),
    Row(one_time_point),
    Row(array_dimensions_zyx, None, None),
    Row(array_dimensions_xyz, None, None),
    Row(dimension_names_xyz, None, None),
    Row(dimension_names_of_nothing, None, None),
    Row(coordinates_beside_the_array, None, None),
    Row(coarse_first),
    Row(coarse_first_without_scale, None, None),
    Row(coarse_first_all_scales_alike),
    Row(level_by_number),
    Row(coarse_level_by_key, TWICE, values=COARSE),
    Row(coarse_level_by_path, TWICE, values=COARSE),
    Row(finest_level_not_there, TWICE, values=COARSE, note="level '0' .* is not there"),
    Row(finest_level_without_chunks, TWICE, values=COARSE, note="level '0' .* holds no chunks"),
    Row(series_of_one),
    Row(series_by_key),
    Row(series_level_by_key),
    Row(series_level_by_path),
    Row(series_level_by_path_and_key),
    Row(series_that_are_not_listed),
    Row(plate_of_one_field),
    Row(plate_field_by_key),
    Row(plate_level_by_path),
    Row(labels_group, content="labels"),
    Row(labels_by_name, content="labels"),
    Row(labels_level_by_key, content="labels"),
    Row(labels_level_by_path, content="labels"),
    Row(group_of_one_image),
    Row(group_without_metadata, None, None),
    Row(key_in_a_group_without_metadata, None, None),
    Row(level_below_a_group_without_metadata),
    Row(hidden_folder),
    Row(several_multiscales, note="describes 2 images; the first is read"),
    Row(nested_without_saying_so, None, None),
    Row(nested_but_says_flat, None, None),
    Row(flat_but_says_nested, None, None),
    Row(flat_without_saying_so, None, None),
    Row(
        nested_with_only_a_late_chunk,
        None,
        None,
        values=np.where(np.arange(6)[:, None, None] < 2, 0, A),
    ),
    Row(nested_level_without_saying_so),
    Row(nested_in_a_zip, None, None),
    Row(consolidated),
    Row(consolidated_before_labels_were_added),
    Row(sharded),
    Row(big_endian_in_columns, None, None),
    Row(more_axes_than_the_array, note="names 5 axes .* has 3"),
    Row(zipped),
    Row(zipped_v05),
    Row(zipped_with_its_folder),
    Row(zipped_on_a_mac),
    Row(zipped_level, TWICE, values=COARSE),
    Row(zipped_series_level),
    Row(zipped_axes_xyz),
    Row(zipped_array, None, None),
    Row(spaces_and_umlauts),
]


@pytest.mark.parametrize("row", READ, ids=lambda row: row.write.__name__)
def test_is_read_right(row, tmp_path):
    values = A if row.values is None else row.values
    volume = open_volume(row.write(tmp_path))
    assert volume.shape == values.shape
    assert all(1 <= one <= size for one, size in zip(volume.chunks, volume.shape, strict=True))
    for place in PLACES:
        at = tuple(min(i, size - 1) for i, size in zip(place, values.shape, strict=True))
        box = volume.read(at, tuple(i + 1 for i in at))
        assert box.item() == values[at], at
    np.testing.assert_array_equal(volume.read((1, 0, 1), (3, 5, 4)), values[1:3, 0:5, 1:4])
    np.testing.assert_array_equal(volume.read((0, 0, 0), volume.shape), values)
    assert volume.spacing_known == (row.spacing is not None)
    assert volume.spacing == pytest.approx(row.spacing or (1, 1, 1), rel=1e-9)
    assert volume.units == row.unit
    assert volume.translate == pytest.approx(row.translate)
    assert volume.content == row.content
    if row.note:
        assert len(volume.notes) == 1
        assert_is_sentence(volume.notes[0], row.note)
    else:
        assert volume.notes == []


# What is refused


def time_series(folder):
    axes, datasets = [TIME, *space()], [level(scale=(1, 1, 1, 1))]
    return write_image(folder / "a.zarr", np.stack([A, A, A]), axes=axes, datasets=datasets)


def two_channels_last(folder):
    axes, datasets = [*space(), CHANNEL], [level(scale=(1, 1, 1, 1))]
    return write_image(folder / "a.zarr", np.stack([A, A], axis=-1), axes=axes, datasets=datasets)


def planes_over_time(folder):
    axes, datasets = [TIME, *space("yx")], [level(scale=(1, 1, 1))]
    return write_image(folder / "a.zarr", axes=axes, datasets=datasets)


def channels_of_a_plane(folder):
    source = write(folder / "a.zarr", {"raw": A})
    zarr.open_array(f"{source}/raw").attrs["_ARRAY_DIMENSIONS"] = ["channel", "y", "x"]
    return source


def two_axes_of_one_name(folder):
    return write_image(folder / "a.zarr", axes=space("zxx"))


def axes_xyz_of_another_array(folder):
    axes, datasets = [CHANNEL, *space("xyz")], [level(scale=(1,) * 4)]
    return write_image(folder / "a.zarr", A.transpose(2, 1, 0), axes=axes, datasets=datasets)


def three_series(folder):
    return series(folder, 3)


def two_wells(folder):
    return plate(folder, ("A/1", "B/2"))


def many_wells(folder):
    return plate(folder, [f"A/{number}" for number in range(1, 13)])


def an_empty_zarr(folder):
    (folder / "a.zarr").mkdir()
    return str(folder / "a.zarr")


def two_fields(folder):
    return plate(folder, fields=("0", "1"))


def two_labels(folder):
    return f"{labelled(folder, ('cells', 'walls'))}::labels"


def two_images(folder):
    write(folder / "a.zarr", {})
    write_image(folder / "a.zarr" / "left")
    write_image(folder / "a.zarr" / "right")
    return str(folder / "a.zarr")


def no_level_is_there(folder):
    source = write_image(folder / "a.zarr")
    shutil.rmtree(f"{source}/0")
    return source


def no_such_series(folder):
    return f"{series(folder)}::4/0"


def a_zip_of_something_else(folder):
    with zipfile.ZipFile(folder / "a.zip", "w") as packed:
        packed.writestr("letter.txt", "no volume")
    return str(folder / "a.zip")


def a_damaged_zip(folder):
    source = zipped(folder)
    (folder / "a.zarr.zip").write_bytes((folder / "a.zarr.zip").read_bytes()[:300])
    return source


def an_unknown_codec(folder):
    path = nested_array(folder, ".")
    fields = json.loads((path / ".zarray").read_text())
    (path / ".zarray").write_text(json.dumps({**fields, "compressor": {"id": "secret"}}))
    return str(path)


def an_unknown_codec_of_version_3(folder):
    source = zarr.create_array(folder / "a.zarr", data=A).store.root
    fields = json.loads((source / "zarr.json").read_text())
    fields["codecs"][-1] = {"name": "secret"}
    (source / "zarr.json").write_text(json.dumps(fields))
    return str(source)


def a_key_too_many(folder):
    return f"{v04(folder)}::0/deeper"


REFUSED = [
    (time_series, r"holds 3 points of time \(.*\); save the one"),
    (two_channels_last, r"holds 2 channels \(.*\); save the one"),
    (planes_over_time, r"the axes t, y and x; a volume has Z, Y and X once each"),
    (channels_of_a_plane, r"the axes c, y and x; a volume has Z, Y and X once each"),
    (two_axes_of_one_name, r"the axes z, x and x; a volume has Z, Y and X once each"),
    (axes_xyz_of_another_array, r"names 4 axes \(c, x, y, z\), but its array has 3"),
    (three_series, r"holds 3 images \(0, 1, 2\); say which one with .*::0"),
    (two_wells, r"holds 2 wells \(A/1, B/2\); say which one with .*::A/1"),
    (many_wells, r"holds 12 wells \(A/1, A/2, .*, …\); say which one with .*::A/1"),
    (an_empty_zarr, r"no readable zarr array or group"),
    (two_fields, r"holds 2 images \(A/1/0, A/1/1\); say which one with .*::A/1/0"),
    (two_labels, r"holds 2 images \(labels/cells, labels/walls\); say which one with"),
    (two_images, r"holds 2 images \(left, right\); say which one with .*::left"),
    (no_level_is_there, r"none of the levels .* \(0\) is there"),
    (no_such_series, r"no array '4/0' in .* holds 0, OME"),
    (a_zip_of_something_else, r"no readable zarr array or group"),
    (a_damaged_zip, r"not a readable zip file"),
    (an_unknown_codec, r"compressed with 'secret', which needs a package"),
    (an_unknown_codec_of_version_3, r"compressed with 'secret', which needs a package"),
    (a_key_too_many, r"no array '0/deeper' in .* is a single array"),
]


def assert_is_sentence(text, pattern):
    assert re.search(pattern, text), text
    assert text.endswith(".")
    assert "\n" not in text


@pytest.mark.parametrize(("make", "pattern"), REFUSED, ids=lambda one: getattr(one, "__name__", ""))
def test_is_refused_in_a_sentence(make, pattern, tmp_path):
    source = make(tmp_path)
    with pytest.raises(DataError) as caught:
        open_volume(source)
    assert_is_sentence(str(caught.value), pattern)


# Void is what the store says is missing; what it cannot read is an error


def chunks_of(folder: Path, **options) -> tuple[str, Path]:
    path = folder / "a.zarr"
    zarr.create_array(path, data=A, chunks=(4, 4, 4), fill_value=7, **options)
    nested = path / "c" / "0" / "0" / "0"
    return str(path), nested if nested.exists() else path / "0.0.0"


PLAIN = {"compressors": None}
KINDS = [{}, PLAIN, {"zarr_format": 2}, {"zarr_format": 2, **PLAIN}, {"shards": (8, 8, 8)}]


@pytest.mark.parametrize("options", KINDS, ids=str)
def test_a_missing_chunk_is_void(options, tmp_path):
    source, chunk = chunks_of(tmp_path, **options)
    chunk.unlink()
    assert np.all(open_volume(source).read((0, 0, 0), (4, 4, 4)) == 7)


@pytest.mark.parametrize("options", KINDS, ids=str)
@pytest.mark.parametrize("damage", ["empty", "cut", "folder", "link"])
def test_an_unreadable_chunk_is_an_error(options, damage, tmp_path):
    source, chunk = chunks_of(tmp_path, **options)
    whole = chunk.read_bytes()
    chunk.unlink()
    if damage == "folder":
        chunk.mkdir()
    elif damage == "link":
        if sys.platform == "win32":
            pytest.skip("making links needs rights there")
        chunk.symlink_to("gone")
    else:
        chunk.write_bytes(whole[: len(whole) // 2] if damage == "cut" else b"")
    volume = open_volume(source)
    with pytest.raises(DataError, match="cannot be read at voxels") as caught:
        volume.read((0, 0, 0), (4, 4, 4))
    assert "\n" not in str(caught.value)


def test_a_damaged_chunk_in_a_zip_is_an_error(tmp_path):
    source = zipped_array(tmp_path)
    packed = bytearray((tmp_path / "a.zarr.zip").read_bytes())
    with zipfile.ZipFile(source) as names:
        place = names.getinfo("c/0/0/0").header_offset + 60
    packed[place] ^= 255
    (tmp_path / "a.zarr.zip").write_bytes(packed)
    with pytest.raises(DataError, match="cannot be read at voxels"):
        open_volume(source).read((0, 0, 0), (4, 4, 4))


@pytest.mark.parametrize("make", [pyramid, series_level_by_key, axes_xyz, nested_without_saying_so])
def test_a_url_reads_the_same(make, tmp_path):
    pytest.importorskip("fsspec")
    path, _, key = make(tmp_path).partition("::")
    here = open_volume(f"{path}::{key}" if key else path)
    uri = f"local://{tmp_path / 'a.zarr'}"
    there = open_volume(f"{uri}::{key}" if key else uri)
    np.testing.assert_array_equal(there.read((0, 0, 0), SHAPE), A)
    assert (there.spacing, there.units) == (here.spacing, here.units)


@pytest.mark.parametrize(
    ("make", "stored"), [(v05, "zyx"), (axes_cxyz, "xyz"), (axes_yzx_in_capitals, "yzx")]
)
def test_the_order_of_the_file_is_kept_for_results(make, stored, tmp_path):
    assert open_volume(make(tmp_path)).stored_axes == stored
