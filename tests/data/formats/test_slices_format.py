"""Folders of slices."""

import imagecodecs
import numpy as np
import pytest
import tifffile

from napari_surfseg.data.open import open_volume
from napari_surfseg.errors import DataError


def test_slices_must_match(tmp_path):
    for z in range(4):
        tifffile.imwrite(tmp_path / f"{z}.tif", np.zeros((5, 6 + (z == 2)), "uint8"))
    with pytest.raises(DataError, match=r"2\.tif is 5 x 7 uint8, but the others .* 5 x 6 uint8"):
        open_volume(tmp_path)
    (tmp_path / "2.tif").unlink()
    (tmp_path / "3.tif").write_bytes(b"rubbish")
    with pytest.raises(DataError, match=r"3\.tif cannot be read"):
        open_volume(tmp_path)
    (tmp_path / "3.tif").unlink()
    (tmp_path / "3.png").write_bytes(imagecodecs.png_encode(np.zeros((5, 6), "uint8")))
    with pytest.raises(DataError, match=r"1 PNG files and 2 TIFF files; .* of one format"):
        open_volume(tmp_path)


def test_slices_must_be_grey(tmp_path):
    (tmp_path / "0.png").write_bytes(imagecodecs.png_encode(np.zeros((5, 6, 3), "uint8")))
    with pytest.raises(DataError, match="is a colour image"):
        open_volume(tmp_path)


@pytest.mark.parametrize("dtype", ["uint8", "uint16", "int16"])
def test_jpeg2000_is_not_decoded_to_know_its_size(tmp_path, dtype, monkeypatch, make_values):
    for z in range(3):
        page = imagecodecs.jpeg2k_encode(make_values(dtype, (21, 34)), level=0)
        (tmp_path / f"{z}.jp2").write_bytes(page)
    monkeypatch.setattr(imagecodecs, "jpeg2k_decode", None)
    volume = open_volume(tmp_path)
    assert volume.shape == (3, 21, 34)
    assert volume.dtype == dtype
