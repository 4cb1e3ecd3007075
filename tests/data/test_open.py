"""Opening by path: what is found, and what is said where nothing can be opened."""

import numpy as np
import pytest
import zarr

from napari_surfseg.data.open import open_volume
from napari_surfseg.errors import DataError

SHAPE = (7, 11, 13)


def test_nothing_there(tmp_path, make_values):
    with pytest.raises(DataError, match=r"There is no file or folder .*b\.tif\.$"):
        open_volume(tmp_path / "b.tif")
    with pytest.raises(DataError, match="holds no TIFF, PNG or JPEG 2000 slices"):
        open_volume(tmp_path)
    np.save(tmp_path / "a.npy", make_values())
    with pytest.raises(DataError, match=r"only zarr groups, .* can be opened with '::'"):
        open_volume(f"{tmp_path / 'a.npy'}::0")


def test_spacing_must_be_positive(tmp_path, make_values):
    np.save(tmp_path / "a.npy", make_values())
    with pytest.raises(DataError, match="must be three positive numbers"):
        open_volume(tmp_path / "a.npy", spacing=(1, 0, 1))


def test_refuses_rubbish(tmp_path):
    for name in ("a.npy", "a.tif", "a.mrc", "a.xyz"):
        (tmp_path / name).write_bytes(b"rubbish")
        with pytest.raises(DataError, match=name):
            open_volume(tmp_path / name)


def test_a_path_that_leads_into_a_zarr(tmp_path):
    group = zarr.open_group(tmp_path / "a.zarr", mode="w")
    group.create_array("deep/raw", shape=SHAPE, dtype="uint8")
    assert open_volume(tmp_path / "a.zarr" / "deep" / "raw").shape == SHAPE
    with pytest.raises(DataError, match="There is no array 'none'"):
        open_volume(tmp_path / "a.zarr" / "none")
