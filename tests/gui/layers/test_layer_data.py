"""A volume file becomes a layer: in place, lazily or at once, and in its levels."""

import dask.array as da
import numpy as np
import zarr
from napari.layers import Image, Layer

from napari_surfseg.gui.layers import layer_data
from napari_surfseg.gui.layers.copies import write_layer
from napari_surfseg.gui.layers.layer_volume import take_layer
from napari_surfseg.gui.layers.locate import locate
from napari_surfseg.inference.output_metadata import VolumeMetadata, ome_zarr_attributes

PLACE = {"scale": (3, 2, 1), "translate": (30, -20, 5.5), "units": "nm"}
SHAPE = (5, 6, 7)


def reopen(path):
    return Layer.create(*layer_data.read_layer_data(str(path)))


def test_a_large_ome_zarr_is_looked_at_lazily_in_its_levels(tmp_path, monkeypatch):
    monkeypatch.setattr(layer_data, "IN_MEMORY_BYTES", 100)
    data = np.random.default_rng(0).integers(0, 255, (16, 16, 16)).astype(np.uint8)
    group = zarr.open_group(str(tmp_path / "a.zarr"), mode="w", zarr_format=2)
    metadata = ome_zarr_attributes(VolumeMetadata((3, 2, 1), "nanometer"), "a")
    metadata["multiscales"][0]["datasets"].append({"path": "1", "coordinateTransformations": []})
    group.attrs.update(metadata)
    for level, part in enumerate((data, data[::2, ::2, ::2])):
        array = group.create_array(str(level), shape=part.shape, dtype="u1", chunks=(8, 8, 8))
        array[:] = part
    layer = reopen(tmp_path / "a.zarr")
    assert layer.multiscale
    assert [level.shape for level in layer.data] == [(16, 16, 16), (8, 8, 8)]
    assert all(isinstance(level, da.Array) for level in layer.data)
    np.testing.assert_array_equal(layer.data[0], data)
    taken = locate(take_layer(layer))
    assert taken.file == str(tmp_path / "a.zarr")


def test_a_small_one_is_read_at_once_and_trained_on_where_it_lies(tmp_path):
    data = np.random.default_rng(0).integers(0, 255, SHAPE).astype(np.uint8)
    write_layer(take_layer(Image(data, **PLACE)), tmp_path / "a.zarr")
    layer = reopen(tmp_path / "a.zarr")
    assert isinstance(layer.data, np.ndarray)
    assert locate(take_layer(layer)).file == str(tmp_path / "a.zarr")
    layer.data[0, 0, 0] += 1
    assert locate(take_layer(layer)).file is None


def test_a_unit_that_is_none_leaves_the_voxel_size_out_and_is_noted(tmp_path):
    write_layer(take_layer(Image(np.zeros(SHAPE), **PLACE)), tmp_path / "a.zarr")
    attributes = zarr.open_group(str(tmp_path / "a.zarr")).attrs
    multiscales = attributes["multiscales"]
    for axis in multiscales[0]["axes"]:
        axis["unit"] = "bogons"
    attributes["multiscales"] = multiscales
    layer = reopen(tmp_path / "a.zarr")
    assert layer.scale.tolist() == [1, 1, 1]
    assert "'bogons'" in layer.metadata["surfseg_notes"][0]
    assert str(layer.units[0]) == "pixel"
