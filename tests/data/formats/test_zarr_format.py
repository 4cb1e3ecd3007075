"""zarr arrays and OME-Zarr groups: levels, names, and what is missing or damaged."""

import numpy as np
import pytest
import zarr

from napari_surfseg.data.open import open_volume
from napari_surfseg.errors import DataError

SHAPE = (7, 11, 13)


def write_ome(path, values, *, version, scale=(2.0, 0.5, 0.5), unit="micrometer", key="0"):
    """An OME-Zarr of two levels with leading time and channel axes."""
    group = zarr.open_group(path, mode="w", zarr_format=2 if version == "0.4" else 3)
    axes = [{"name": "t", "type": "time"}, {"name": "c", "type": "channel"}]
    axes += [{"name": name, "type": "space", "unit": unit} for name in "zyx"]
    datasets = []
    for level, data in enumerate((values, values[:, ::2, ::2])):
        name = key if level == 0 else "1"
        array = group.create_array(name, shape=(1, 1, *data.shape), dtype=data.dtype)
        array[:] = data[None, None]
        steps = [1, 1, scale[0], scale[1] * 2**level, scale[2] * 2**level]
        datasets.append(
            {"path": name, "coordinateTransformations": [{"type": "scale", "scale": steps}]}
        )
    multiscales = [{"version": version, "axes": axes, "datasets": datasets}]
    attributes = {"multiscales": multiscales}
    group.attrs.update(
        attributes if version == "0.4" else {"ome": {"version": version, **attributes}}
    )


@pytest.mark.parametrize("version", ["0.4", "0.5"])
def test_ome_zarr_levels(tmp_path, version, make_values):
    values = make_values()
    write_ome(tmp_path / "a.zarr", values, version=version)
    finest = open_volume(tmp_path / "a.zarr")
    np.testing.assert_array_equal(finest.read((0, 0, 0), SHAPE), values)
    assert finest.spacing == (2.0, 0.5, 0.5)
    assert finest.units == "micrometer"
    coarse = open_volume(f"{tmp_path / 'a.zarr'}::1")
    assert coarse.shape == (7, 6, 7)
    assert coarse.spacing == (2.0, 1.0, 1.0)
    assert coarse.name == "a.zarr::1"
    # The path of a level's own folder gives the same.
    inside = open_volume(tmp_path / "a.zarr" / "1")
    assert inside.spacing == (2.0, 1.0, 1.0)
    assert inside.shape == coarse.shape


def test_ome_zarr_level_by_number_where_it_has_another_name(tmp_path, make_values):
    write_ome(tmp_path / "a.zarr", make_values(), version="0.5", key="full")
    assert open_volume(f"{tmp_path / 'a.zarr'}::0").shape == SHAPE
    assert open_volume(f"{tmp_path / 'a.zarr'}::full").shape == SHAPE


def test_ome_zarr_scale_of_ones_without_unit_is_unknown(tmp_path, make_values):
    write_ome(tmp_path / "a.zarr", make_values(), version="0.4", scale=(1, 1, 1), unit=None)
    assert not open_volume(tmp_path / "a.zarr").spacing_known


def test_ome_zarr_names_what_there_is(tmp_path, make_values):
    write_ome(tmp_path / "a.zarr", make_values(), version="0.5")
    with pytest.raises(DataError, match=r"no array '7' in the zarr group .* holds 0, 1\.$"):
        open_volume(f"{tmp_path / 'a.zarr'}::7")
    with pytest.raises(DataError, match=r"There is no array '7'"):
        open_volume(tmp_path / "a.zarr" / "7")


def test_zarr_group_with_one_array_and_with_two(tmp_path):
    group = zarr.open_group(tmp_path / "a.zarr", mode="w")
    group.create_array("deep/raw", shape=SHAPE, dtype="uint8")
    assert open_volume(f"{tmp_path / 'a.zarr'}::deep/raw").shape == SHAPE
    assert open_volume(f"{tmp_path / 'a.zarr'}::deep").shape == SHAPE
    group.create_array("deep/mask", shape=SHAPE, dtype="uint8")
    with pytest.raises(
        DataError, match=r"holds 2 arrays \(deep/mask, deep/raw\); say which one with"
    ):
        open_volume(f"{tmp_path / 'a.zarr'}::deep")
    with pytest.raises(DataError, match="holds no arrays; it holds deep"):
        open_volume(tmp_path / "a.zarr")


def test_missing_zarr_chunks_are_the_fill_value(tmp_path):
    zarr.create_array(
        tmp_path / "a.zarr", shape=SHAPE, chunks=(4, 4, 4), dtype="uint8", fill_value=9
    )
    assert np.all(open_volume(tmp_path / "a.zarr").read((0, 0, 0), SHAPE) == 9)


def test_damaged_zarr_chunk_names_the_file(tmp_path, make_values):
    array = zarr.create_array(tmp_path / "a.zarr", shape=SHAPE, chunks=(4, 4, 4), dtype="uint8")
    array[:] = make_values()
    chunk = tmp_path / "a.zarr" / "c" / "0" / "0" / "0"
    chunk.write_bytes(b"rubbish")
    volume = open_volume(tmp_path / "a.zarr")
    with pytest.raises(DataError, match=r"a\.zarr cannot be read at voxels .* damaged") as caught:
        volume.read((0, 0, 0), (2, 2, 2))
    assert str(caught.value).endswith(".")
    assert "\n" not in str(caught.value)
    assert volume.read((4, 4, 4), (5, 5, 5)).shape == (1, 1, 1)


def test_damaged_zarr_metadata(tmp_path):
    (tmp_path / "a.zarr").mkdir()
    (tmp_path / "a.zarr" / "zarr.json").write_text("{")
    with pytest.raises(DataError, match="metadata are missing or damaged"):
        open_volume(tmp_path / "a.zarr")


def test_chunks_of_a_sharded_array_are_the_inner_ones(tmp_path):
    zarr.create_array(
        tmp_path / "a.zarr", shape=SHAPE, chunks=(4, 4, 4), shards=(8, 8, 8), dtype="uint8"
    )
    assert open_volume(tmp_path / "a.zarr").chunks == (4, 4, 4)
