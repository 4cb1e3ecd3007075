"""Which chunks of a volume are stored, whatever keeps them."""

import json
import shutil

import h5py
import numpy as np
import pytest
import zarr

from napari_surfseg.data.open import open_volume
from napari_surfseg.data.stored_chunks import StoredChunks, find_chunks_under
from napari_surfseg.data.volume import ArrayVolume, TransposedVolume
from napari_surfseg.geometry import blocks_under

SHAPE, CHUNK = (40, 50, 66), (8, 10, 11)
#: Chunks that are written, and a box that has voxels of the last one only.
WRITTEN = [(0, 0, 0), (1, 4, 2), (4, 4, 5)]
BOX = ((35, 45, 60), (40, 50, 66))


def write(array, axes=(0, 1, 2)):
    """Write the chunks, the axes of the array in an order of its own."""
    for index in WRITTEN:
        place = [0] * array.ndim
        for axis, i, size in zip(axes, index, CHUNK, strict=True):
            place[axis] = slice(i * size, (i + 1) * size)
        array[tuple(place)] = 1
    return array


def make_zarr(path, **options):
    options = {"shape": SHAPE, "chunks": CHUNK, "dtype": "u1", **options}
    return write(zarr.create_array(str(path), **options))


def zarr_v2_flat(path):
    make_zarr(path / "a.zarr", zarr_format=2)
    return path / "a.zarr"


def zarr_v2_nested(path):
    encoding = {"name": "v2", "separator": "/"}
    make_zarr(path / "a.zarr", zarr_format=2, chunk_key_encoding=encoding)
    return path / "a.zarr"


def zarr_v2_nested_without_a_word(path):
    folder = zarr_v2_nested(path)
    about = json.loads((folder / ".zarray").read_text())
    del about["dimension_separator"]
    (folder / ".zarray").write_text(json.dumps(about))
    return folder


def zarr_v3(path):
    make_zarr(path / "a.zarr")
    return path / "a.zarr"


def zarr_v3_flat(path):
    make_zarr(path / "a.zarr", chunk_key_encoding={"name": "default", "separator": "."})
    return path / "a.zarr"


def zarr_v3_named_as_v2(path):
    make_zarr(path / "a.zarr", chunk_key_encoding={"name": "v2", "separator": "."})
    return path / "a.zarr"


def zarr_sharded(path):
    make_zarr(path / "a.zarr", shards=(16, 20, 33))
    return path / "a.zarr"


def zarr_sharded_index_first(path):
    from zarr.codecs import BytesCodec, ShardingCodec

    sharding = ShardingCodec(chunk_shape=CHUNK, index_location="start", index_codecs=[BytesCodec()])
    write(
        zarr.create(
            shape=SHAPE, chunks=(16, 20, 33), dtype="u1", store=str(path / "a.zarr"),
            codecs=[sharding], zarr_format=3, fill_value=0,
        )
    )  # fmt: skip
    return path / "a.zarr"


def zarr_zipped(path):
    folder = zarr_v3(path)
    shutil.make_archive(str(path / "a"), "zip", folder)
    return path / "a.zip"


def zarr_zipped_sharded(path):
    folder = zarr_sharded(path)
    shutil.make_archive(str(path / "a"), "zip", path, "a.zarr")
    shutil.rmtree(folder)
    return path / "a.zip"


def ome_zarr(path):
    """Time and channel before Z, Y, X."""
    group = zarr.open_group(str(path / "a.zarr"), mode="w")
    array = group.create_array("0", shape=(1, 1, *SHAPE), chunks=(1, 1, *CHUNK), dtype="u1")
    write(array, (2, 3, 4))
    axes = [{"name": n, "type": "space" if n in "zyx" else "channel"} for n in "tczyx"]
    axes[0]["type"] = "time"
    scale = [{"type": "scale", "scale": [1, 1, 1, 1, 1]}]
    levels = [{"path": "0", "coordinateTransformations": scale}]
    group.attrs["ome"] = {"version": "0.5", "multiscales": [{"axes": axes, "datasets": levels}]}
    return path / "a.zarr"


def zarr_xyz(path):
    options = {"shape": SHAPE[::-1], "chunks": CHUNK[::-1], "dimension_names": ["x", "y", "z"]}
    write(zarr.create_array(str(path / "a.zarr"), dtype="u1", **options), (2, 1, 0))
    return path / "a.zarr"


def zarr_xyz_sharded(path):
    options = {"shape": SHAPE[::-1], "chunks": CHUNK[::-1], "dimension_names": ["x", "y", "z"]}
    write(
        zarr.create_array(str(path / "a.zarr"), dtype="u1", shards=(33, 20, 16), **options),
        (2, 1, 0),
    )
    return path / "a.zarr"


def zarr_in_memory(path):
    fsspec = pytest.importorskip("fsspec")
    url = f"memory://{path.name}/a.zarr"
    folder = zarr_v3(path)
    files = fsspec.filesystem("memory")
    files.put(str(folder), f"/{path.name}/a.zarr", recursive=True)
    return url


def n5(path):
    tensorstore = pytest.importorskip("tensorstore")
    spec = {
        "driver": "n5",
        "kvstore": {"driver": "file", "path": str(path / "a.n5")},
        "metadata": {
            "dimensions": SHAPE[::-1], "blockSize": CHUNK[::-1], "dataType": "uint8",
            "compression": {"type": "gzip"},
        },
    }  # fmt: skip
    array = tensorstore.open(spec, create=True).result()
    write(array, (2, 1, 0))
    return path / "a.n5"


def hdf5(path):
    with h5py.File(path / "a.h5", "w") as file:
        write(file.create_dataset("a", SHAPE, "u1", chunks=CHUNK))
    return path / "a.h5"


KINDS = [
    zarr_v2_flat, zarr_v2_nested, zarr_v2_nested_without_a_word, zarr_v3, zarr_v3_flat,
    zarr_v3_named_as_v2, zarr_sharded, zarr_sharded_index_first, zarr_zipped,
    zarr_zipped_sharded, ome_zarr, zarr_xyz, zarr_xyz_sharded, zarr_in_memory, n5, hdf5,
]  # fmt: skip


@pytest.mark.parametrize("make", KINDS)
def test_the_chunks_that_are_there_are_listed(make, tmp_path):
    volume = open_volume(str(make(tmp_path)))
    stored = volume.stored_chunks()
    assert stored.chunk == CHUNK
    assert stored.indices.tolist() == [list(index) for index in WRITTEN]
    assert not stored.is_everything
    assert stored.fill == 0
    for box in stored.boxes():
        assert (volume.read(*box) == 1).all()
    only = volume.stored_chunks(BOX)
    assert only.touches(BOX)
    assert only.within(BOX).indices.tolist() == [list(WRITTEN[-1])]


def test_what_gives_no_list_says_so(tmp_path):
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file.create_dataset("a", SHAPE, "u1")
    assert open_volume(tmp_path / "a.h5").stored_chunks() is None
    assert ArrayVolume(np.zeros(SHAPE, np.uint8)).stored_chunks() is None


def test_a_turned_volume_turns_its_list(tmp_path):
    base = open_volume(str(zarr_v3(tmp_path)))
    stored = TransposedVolume(base, "xyz").stored_chunks()
    assert stored.shape == SHAPE[::-1]
    assert sorted(stored.indices[:, ::-1].tolist()) == [list(index) for index in WRITTEN]


def test_places_under_a_box_are_those_that_a_mask_finds():
    rng = np.random.default_rng(0)
    grid = (7, 9, 8)
    mask = rng.random(grid) < 0.2
    places = np.flatnonzero(mask)
    for _ in range(30):
        low = rng.integers(0, grid)
        high = low + rng.integers(0, 6, 3)
        under = (tuple(low.tolist()), tuple(high.tolist()))
        inside = np.zeros(grid, bool)
        inside[tuple(map(slice, low, high))] = True
        found = places[find_chunks_under(places, grid, under)]
        assert found.tolist() == np.flatnonzero(mask & inside).tolist()


def test_neighbours_and_painted_boxes_are_added():
    stored = StoredChunks.of((40, 40, 40), (10, 10, 10), np.array([[0, 0, 0]]), fill=2)
    grown = stored.grown(0)
    assert len(grown) == 8
    box = ((15, 15, 15), (25, 25, 16))
    joined = stored.joined([box])
    start, stop = blocks_under(box, (10, 10, 10))
    assert len(joined) == 1 + np.prod(np.subtract(stop, start))
