"""Voxel sizes as ImageJ, OME and tifffile write them."""

import pytest
import tifffile

from napari_surfseg.data.open import open_volume


def test_imagej_spacing(tmp_path, make_values):
    tifffile.imwrite(
        tmp_path / "a.tif",
        make_values("uint16"),
        imagej=True,
        resolution=(4, 2),
        metadata={"spacing": 3.0, "unit": "um", "axes": "ZYX"},
    )
    volume = open_volume(tmp_path / "a.tif")
    assert volume.spacing == pytest.approx((3.0, 0.5, 0.25))
    assert volume.units == "micrometer"


def test_ome_tiff_spacing(tmp_path, make_values):
    sizes = {"PhysicalSizeZ": 300, "PhysicalSizeZUnit": "nm", "PhysicalSizeY": 0.2}
    tifffile.imwrite(
        tmp_path / "a.ome.tif",
        make_values(),
        compression="zlib",
        metadata={"axes": "ZYX", "PhysicalSizeX": 0.1, **sizes},
    )
    volume = open_volume(tmp_path / "a.ome.tif")
    assert volume.spacing == pytest.approx((0.3, 0.2, 0.1))
    assert volume.units == "micrometer"


def test_tifffile_spacing(tmp_path, make_values):
    tifffile.imwrite(
        tmp_path / "a.tif", make_values(), metadata={"spacing": [3, 2, 1], "unit": "nm"}
    )
    volume = open_volume(tmp_path / "a.tif")
    assert volume.spacing == (3.0, 2.0, 1.0)
    assert volume.units == "nanometer"


def test_printed_resolution_is_no_spacing(tmp_path, make_values):
    tifffile.imwrite(tmp_path / "a.tif", make_values(), resolution=(300, 300), resolutionunit=2)
    assert not open_volume(tmp_path / "a.tif").spacing_known
