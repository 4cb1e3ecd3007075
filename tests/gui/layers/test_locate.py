"""Where a layer can be read as it is: the kinds of layers a person may have."""

import dask.array as da
import numpy as np
import pytest
import tifffile
import zarr
from napari.layers import Image, Labels
from napari_builtins.io import napari_get_reader

from napari_surfseg.data.open import open_volume
from napari_surfseg.errors import CancelledError
from napari_surfseg.gui.layers.layer_volume import VolumeArray, take_layer
from napari_surfseg.gui.layers.locate import locate
from napari_surfseg.inference.output_metadata import VolumeMetadata, ome_zarr_attributes

SHAPE = (40, 48, 56)
#: Stores that hold a file open.
OPEN = []


@pytest.fixture(autouse=True)
def closing():
    yield
    while OPEN:
        OPEN.pop().close()


def values(dtype=np.uint8, shape=SHAPE):
    return np.random.default_rng(0).integers(0, 200, shape).astype(dtype)


def ome_zarr(path, data, *, version=2, spacing=(30, 10, 10), units="nanometer", chunks=16):
    group = zarr.open_group(str(path), mode="w", zarr_format=version)
    metadata = ome_zarr_attributes(VolumeMetadata(spacing, units), "scan")
    multiscales = metadata["multiscales"]
    multiscales[0]["datasets"].append({"path": "1", "coordinateTransformations": []})
    leading = data.ndim - 3
    axes = [{"name": letter, "type": "time" if letter == "t" else "channel"} for letter in "tc"]
    multiscales[0]["axes"] = [*axes[2 - leading :], *multiscales[0]["axes"]]
    (scale,) = multiscales[0]["datasets"][0]["coordinateTransformations"]
    scale["scale"] = [1.0] * leading + scale["scale"]
    if version == 3:
        metadata = {"ome": {"version": "0.5", **metadata}}
    group.attrs.update(metadata)
    for level, part in enumerate((data, data[..., ::2, ::2, ::2])):
        array = group.create_array(
            str(level), shape=part.shape, dtype=part.dtype, chunks=(1,) * leading + (chunks,) * 3
        )
        array[:] = part
    return path


def opened(path, kind=Image, **options):
    """As napari itself opens a file by default."""
    ((data,),) = napari_get_reader(str(path))(str(path))
    return came_from(kind(data, **options), path)


def came_from(layer, path):
    layer._source = layer.source.model_copy(update={"path": str(path)})
    return layer


def builtin_array(version):
    def make(path):
        data = values()
        array = zarr.create_array(
            str(path / "a.zarr"), shape=SHAPE, chunks=(16,) * 3, dtype="u1", zarr_format=version
        )
        array[:] = data
        return opened(path / "a.zarr"), data

    return make


def builtin_group(version):
    def make(path):
        data = values()
        return opened(ome_zarr(path / "a.zarr", data, version=version)), data

    return make


def builtin_level(path):
    data = values()
    ome_zarr(path / "a.zarr", data)
    return opened(path / "a.zarr" / "0"), data


def list_of_dask(path):
    data = values()
    group = zarr.open_group(str(ome_zarr(path / "a.zarr", data)), mode="r")
    return Image([da.from_zarr(group[name]) for name in "01"]), data


def dask_component(path):
    data = values()
    return Image(da.from_zarr(str(ome_zarr(path / "a.zarr", data)), component="0")), data


def dask_inline(path):
    data = values()
    array = zarr.open_group(str(ome_zarr(path / "a.zarr", data)), mode="r")["0"]
    return Image(da.from_zarr(array, inline_array=True, chunks=(40, 48, 56))), data


def zarr_array(path):
    data = values()
    return Image(zarr.open_group(str(ome_zarr(path / "a.zarr", data)), mode="r")["0"]), data


def nested_group(path):
    data = values()
    zarr.open_group(str(path / "all.zarr"), mode="w", zarr_format=2)
    ome_zarr(path / "all.zarr" / "scans" / "a", data)
    array = zarr.open_group(str(path / "all.zarr"), mode="r")["scans/a/0"]
    return Image(da.from_zarr(array)), data


def one_channel(path):
    data = values(shape=(1, *SHAPE))
    return opened(ome_zarr(path / "a.zarr", data)), data[0]


def one_channel_taken_out(path):
    """napari-ome-zarr makes a layer of each channel so."""
    data = values(shape=(1, 1, *SHAPE))
    group = zarr.open_group(str(ome_zarr(path / "a.zarr", data)), mode="r")
    return Image(da.from_zarr(group["0"])[:, 0]), data[0, 0]


def mapped(path):
    np.save(path / "a.npy", values())
    return Image(np.load(path / "a.npy", mmap_mode="r")), values()


def builtin_tiff(path):
    tifffile.imwrite(path / "a.tif", values())
    return opened(path / "a.tif"), values()


def tiff_as_zarr(path):
    tifffile.imwrite(path / "a.tif", values())
    store = tifffile.imread(path / "a.tif", aszarr=True)
    OPEN.append(store)
    return came_from(Image(da.from_zarr(zarr.open(store, mode="r"))), path / "a.tif"), values()


def lazy_volume(path):
    tifffile.imwrite(path / "a.tif", values())
    return Image(da.from_array(VolumeArray(open_volume(path / "a.tif")), chunks=16)), values()


def of_type(dtype):
    def make(path):
        data = values(dtype)
        return opened(ome_zarr(path / "a.zarr", data)), data

    return make


IN_PLACE = {
    "zarr v2": builtin_array(2),
    "zarr v3": builtin_array(3),
    "OME-Zarr 0.4": builtin_group(2),
    "OME-Zarr 0.5": builtin_group(3),
    "level of an OME-Zarr": builtin_level,
    "multiscale list of dask": list_of_dask,
    "dask.from_zarr(component)": dask_component,
    "dask.from_zarr(inline)": dask_inline,
    "zarr.Array": zarr_array,
    "OME-Zarr in a group": nested_group,
    "one channel": one_channel,
    "one channel taken out": one_channel_taken_out,
    "memmap of npy": mapped,
    "TIFF in memory": builtin_tiff,
    "TIFF as zarr": tiff_as_zarr,
    "volume in dask": lazy_volume,
    "float64": of_type(np.float64),
    "float16": of_type(np.float16),
    "big-endian": of_type(np.dtype(">u2")),
    "bool": of_type(np.bool_),
}
OME = {name for name in IN_PLACE if "OME" in name} | {
    "multiscale list of dask", "dask.from_zarr(component)", "dask.from_zarr(inline)", "zarr.Array",
    "one channel", "one channel taken out", "float64", "float16", "big-endian", "bool",
}  # fmt: skip


@pytest.mark.parametrize("name", IN_PLACE)
def test_a_layer_is_read_where_it_lies(tmp_path, name):
    layer, data = IN_PLACE[name](tmp_path)
    taken = locate(take_layer(layer))
    assert taken.file is not None
    found = open_volume(taken.file)
    assert found.source.startswith(str(tmp_path))
    np.testing.assert_array_equal(found.read((0, 0, 0), SHAPE), data)
    if name in OME:
        # napari shows pixels, the file says 30 × 10 × 10 nm: the worker goes by the file.
        assert taken.spacing == (30, 10, 10)
        assert taken.units == "nanometer"
        assert found.spacing == (30, 10, 10)
        assert "has no voxel size in the viewer; that of its file is used, 30 x 10 x 10 nm" in (
            taken.note
        )
    else:
        assert taken.note == ""


def test_a_group_stands_for_its_finest_level_only(tmp_path):
    path = ome_zarr(tmp_path / "a.zarr", values())
    group = zarr.open_group(str(path), mode="r+")
    other = group.create_array("filtered", shape=SHAPE, dtype="u1", chunks=(16,) * 3)
    other[:] = values()  # alike, voxel for voxel, and yet another array
    level = group["1"]
    files = [
        locate(take_layer(Image(da.from_zarr(array)))).file for array in (group["0"], level, other)
    ]
    assert files == [str(path), f"{path}::1", f"{path}::filtered"]


def test_a_zarr_behind_a_url_is_read_there():
    pytest.importorskip("fsspec")
    url = "memory://volumes/scan.zarr"
    store = zarr.storage.FsspecStore.from_url(url)
    data = values()
    group = zarr.open_group(store, mode="w", zarr_format=2)
    group.attrs.update(ome_zarr_attributes(VolumeMetadata((30, 10, 10), "nanometer"), "scan"))
    array = group.create_array("0", shape=SHAPE, dtype="u1", chunks=(16,) * 3)
    array[:] = data
    level = zarr.open_array(zarr.storage.FsspecStore.from_url(f"{url}/0"), mode="r")
    for shown in (array, level):
        taken = locate(take_layer(Image(da.from_zarr(shown))))
        assert taken.file == url.replace("://", ":///")  # as fsspec writes it
        assert taken.spacing == (30, 10, 10)


def transposed(path):
    data = values(shape=(48, 48, 48))
    return Image(da.from_zarr(str(ome_zarr(path / "a.zarr", data)), component="0").T)


def flipped(path):
    return Image(da.from_zarr(str(ome_zarr(path / "a.zarr", values())), component="0")[::-1])


def sliced(path):
    return Image(da.from_zarr(str(ome_zarr(path / "a.zarr", values())), component="0")[4:20])


def void_and_flipped(path):
    """Two voids are alike wherever they lie, and prove nothing."""
    data = np.zeros(SHAPE, np.uint8)
    data[3, 3, 3] = 1
    return Image(da.from_zarr(str(ome_zarr(path / "a.zarr", data)), component="0")[::-1])


def computed(path):
    return Image(da.from_zarr(str(ome_zarr(path / "a.zarr", values())), component="0") + 1)


def written_to(path):
    array = da.from_zarr(str(ome_zarr(path / "a.zarr", values())), component="0")
    array[3, 3, 3] = 255
    return Image(array)


def one_of_two_channels(path):
    data = values(shape=(2, *SHAPE))
    return Image(da.from_zarr(str(ome_zarr(path / "a.zarr", data)), component="0")[1])


def in_memory_zarr(path):
    array = zarr.create_array(zarr.storage.MemoryStore(), shape=SHAPE, chunks=(16,) * 3, dtype="u1")
    array[:] = values()
    return Image(array)


def mapped_copy(path):
    np.save(path / "a.npy", values())
    return Image(np.load(path / "a.npy", mmap_mode="c"))


def mapped_flipped(path):
    np.save(path / "a.npy", values())
    return Image(np.load(path / "a.npy", mmap_mode="r")[::-1])


def edited_tiff(path):
    layer, _ = builtin_tiff(path)
    layer.data[1, 1, 1] += 1  # one voxel, far from any sample
    return layer


COPIED = {
    function.__name__: function
    for function in (
        transposed, flipped, sliced, void_and_flipped, computed, written_to, one_of_two_channels,
        in_memory_zarr, mapped_copy, mapped_flipped, edited_tiff,
    )
}  # fmt: skip
COPIED["plain numpy"] = lambda _path: Image(values())
COPIED["labels in zarr"] = lambda path: opened(ome_zarr(path / "a.zarr", values()), Labels)


@pytest.mark.parametrize("name", COPIED)
def test_what_no_file_holds_as_it_is_shown_has_to_be_copied(tmp_path, name):
    assert locate(take_layer(COPIED[name](tmp_path))).file is None


def test_a_copy_made_before_is_used_while_it_is_the_same(tmp_path):
    data = values()
    np.save(tmp_path / "copy.npy", data)
    layer = Image(data.copy())
    copies = [str(tmp_path / "copy.npy")]
    assert locate(take_layer(layer), copies=copies).file == copies[0]
    layer.data[-1, -1, -1] += 1
    assert locate(take_layer(layer), copies=copies).file is None


@pytest.mark.parametrize(
    ("options", "spacing", "units", "note"),
    [
        ({}, (30, 10, 10), "nanometer", "no voxel size in the viewer; that of its file"),
        ({"scale": (30, 10, 10)}, (30, 10, 10), "nanometer", ""),
        ({"scale": (0.03, 0.01, 0.01), "units": "um"}, (30, 10, 10), "nanometer", ""),
        (
            {"scale": (8, 4, 4), "units": "nm"},
            (8, 4, 4),
            "nanometer",
            "voxels of 8 x 4 x 4 nm, its",
        ),
        ({"scale": (2, 1, 1)}, (2, 1, 1), None, "file says 30 x 10 x 10 nm; the layer's"),
    ],
)
def test_the_voxel_size_is_the_layers_where_it_says_one_and_else_the_files(
    tmp_path, options, spacing, units, note
):
    path = ome_zarr(tmp_path / "a.zarr", values())
    taken = locate(take_layer(opened(path, name="scan", **options)))
    assert (taken.spacing, taken.units) == (spacing, units)
    assert taken.file is not None
    assert note in taken.note
    assert bool(taken.note) == bool(note)
    assert taken.note.startswith("The layer 'scan' has ") or not note


def test_an_edited_layer_keeps_the_voxel_size_of_its_file(tmp_path):
    tifffile.imwrite(
        tmp_path / "a.tif",
        values(),
        imagej=True,
        resolution=(0.1, 0.1),
        metadata={"axes": "ZYX", "spacing": 30, "unit": "nm"},
    )
    layer = opened(tmp_path / "a.tif")
    layer.data[:2] = 0
    taken = locate(take_layer(layer))
    assert taken.file is None
    assert taken.spacing == (30, 10, 10)


def test_looking_can_be_called_off(tmp_path):
    layer, _ = builtin_tiff(tmp_path)

    def stop():
        raise CancelledError("Enough.")

    with pytest.raises(CancelledError):
        locate(take_layer(layer), check=stop)
