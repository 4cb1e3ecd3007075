import dask.array as da
import numpy as np
import pytest
import zarr

from napari_surfseg.gui.layers.stored_arrays import (
    find_addresses,
    find_mapped_file,
    find_zarr,
    list_chunks,
)


@pytest.fixture
def array(tmp_path):
    group = zarr.open_group(str(tmp_path / "a.zarr"), mode="w", zarr_format=2)
    return group.create_array("0", shape=(8, 8, 8), chunks=(4, 4, 4), dtype="u1", fill_value=0)


def test_a_zarr_is_found_behind_dask(array, tmp_path):
    lazy = da.from_array(array)
    assert find_zarr(array).is_whole
    assert find_zarr(lazy).is_whole
    assert not find_zarr(lazy[:4]).is_whole
    assert find_zarr(lazy + 1) is None
    assert find_zarr(np.zeros((2, 2, 2))) is None
    addresses, is_whole = find_addresses(lazy)
    group = str(tmp_path / "a.zarr")
    assert addresses == [group, f"{group}::0", f"{group}/0"]
    assert is_whole


def test_written_chunks_are_listed(array):
    assert list_chunks(array) == []
    array[5, 0, 7] = 3
    assert list_chunks(array) == [(1, 0, 1)]


def test_a_mapped_file_is_found_where_the_array_is_all_of_it(tmp_path):
    path = tmp_path / "a.npy"
    np.save(path, np.zeros((4, 4, 4), np.uint8))
    assert find_mapped_file(np.load(path, mmap_mode="r")) == str(path)
    assert find_mapped_file(np.load(path, mmap_mode="c")) is None
    assert find_mapped_file(np.zeros((4, 4, 4))) is None
