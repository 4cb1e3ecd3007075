"""Outputs: refused before any work, placed as the image is, whole or not at all."""

import errno
import os
from dataclasses import replace

import numpy as np
import pytest
import tifffile
import zarr
from tests.inference.conftest import noise, read_all

from napari_surfseg.data.open import open_volume
from napari_surfseg.errors import OutputError
from napari_surfseg.inference.output_metadata import VolumeMetadata
from napari_surfseg.inference.volume_writer import VolumeWriter, check_output
from napari_surfseg.surfaces.cleaning import remove_small_components

SHAPE = (40, 50, 60)
METADATA = VolumeMetadata((2.0, 0.5, 0.25), "micrometer", content="labels")


def write(path, metadata=METADATA, pieces=None, **settings):
    writer = VolumeWriter(path, SHAPE, metadata, **settings)
    return writer.write(pieces or [((0, 0, 0), noise(SHAPE))])


@pytest.mark.parametrize("name", ["out.zarr", "out.tif"])
def test_pieces_in_columns_make_one_volume(folder, name):
    image = noise(SHAPE)
    pieces = [
        ((z, 0, x), image[z : z + 7, :, x : x + 30]) for x in (0, 30) for z in range(0, 40, 7)
    ]
    write(folder / name, pieces=pieces, in_order=False)
    np.testing.assert_array_equal(read_all(folder / name), image)


@pytest.mark.parametrize("name", ["out.zarr", "out.tif"])
def test_components_smaller_than_a_bound_become_zero(folder, name):
    image = noise(SHAPE)
    kept = remove_small_components(image > 220, 3)
    assert write(folder / name, min_component=3, component_level=220) > 0
    expected = np.where((image > 220) & ~kept, 0, image)
    np.testing.assert_array_equal(read_all(folder / name), expected)


def test_ome_zarr_says_where_and_how_large(folder):
    write(folder / "out.zarr", replace(METADATA, translate=(10.0, 0.0, -3.5)))
    (image,) = dict(zarr.open_group(folder / "out.zarr", mode="r").attrs)["multiscales"]
    assert image["version"] == "0.4"
    assert [axis["name"] for axis in image["axes"]] == ["z", "y", "x"]
    assert {axis["unit"] for axis in image["axes"]} == {"micrometer"}
    assert image["datasets"] == [
        {
            "path": "0",
            "coordinateTransformations": [
                {"type": "scale", "scale": [2.0, 0.5, 0.25]},
                {"type": "translation", "translation": [10.0, 0.0, -3.5]},
            ],
        }
    ]
    array = zarr.open_array(folder / "out.zarr" / "0", mode="r")
    assert array.chunks == SHAPE  # a small volume is one chunk


def test_imagej_and_ome_tiff_hold_the_voxel_size(folder):
    write(folder / "out.tif")
    with tifffile.TiffFile(folder / "out.tif") as tiff:
        assert tiff.is_imagej
        assert tiff.imagej_metadata["spacing"] == 2.0
        assert tiff.imagej_metadata["unit"] == "um"
        assert tiff.series[0].axes == "ZYX"
        assert len(tiff.pages) == SHAPE[0]
        numerator, denominator = tiff.pages[0].tags["XResolution"].value
        assert numerator / denominator == 4.0
    write(folder / "out.ome.tif")
    with tifffile.TiffFile(folder / "out.ome.tif") as tiff:
        assert tiff.is_ome
        assert 'PhysicalSizeZ="2.0"' in tiff.ome_metadata


def test_an_unknown_spacing_stays_unknown(folder):
    for name in ("out.tif", "out.ome.tif"):
        write(folder / name, VolumeMetadata())
        assert not open_volume(folder / name).spacing_known
    write(folder / "out.zarr", VolumeMetadata())
    assert open_volume(folder / "out.zarr").spacing == (1.0, 1.0, 1.0)


def test_a_tiff_beyond_four_gigabytes_is_big_and_ome(folder, monkeypatch):
    monkeypatch.setattr("napari_surfseg.inference.volume_writer.CLASSIC_TIFF_BYTES", 1000)
    write(folder / "out.tif")
    with tifffile.TiffFile(folder / "out.tif") as tiff:
        assert tiff.is_bigtiff
        assert tiff.is_ome
    np.testing.assert_array_equal(read_all(folder / "out.tif"), noise(SHAPE))


@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EDQUOT])
@pytest.mark.parametrize("name", ["out.zarr", "out.tif"])
def test_a_full_disk_is_one_sentence(folder, name, code, monkeypatch):
    def full(*args, **kwargs):
        raise OSError(code, os.strerror(code))

    if name.endswith(".zarr"):
        monkeypatch.setattr(zarr.Array, "__setitem__", full)
    else:
        monkeypatch.setattr(tifffile.FileHandle, "write", full)
    with pytest.raises(OutputError, match=r"^The disk is full: .*out\..*\.$"):
        write(folder / name)
    assert list(folder.iterdir()) == []


def test_other_write_errors_name_the_cause(folder, monkeypatch):
    def refused(*args, **kwargs):
        raise PermissionError(errno.EACCES, "Permission denied")

    monkeypatch.setattr(zarr.Array, "__setitem__", refused)
    with pytest.raises(OutputError, match=r"could not be written: Permission denied\.$"):
        write(folder / "out.zarr")


@pytest.mark.parametrize(
    ("name", "sentence"),
    [
        ("out.png", r"ends in '\.png'; it must end in \.zarr, \.tif or \.tiff\.$"),
        ("out", r"ends in 'nothing'; it must end in"),
        ("missing/out.zarr", r"The folder .*missing of the output out\.zarr does not exist\.$"),
        ("old.zarr", r"old\.zarr exists already; choose another name or allow overwriting\.$"),
    ],
)
def test_outputs_that_cannot_be(folder, name, sentence):
    zarr.create_array(str(folder / "old.zarr"), shape=(1,), dtype="u1")
    with pytest.raises(OutputError, match=sentence):
        check_output(folder / name)
    assert [p.name for p in folder.iterdir()] == ["old.zarr"]


def test_what_is_no_prediction_is_never_replaced(folder):
    (folder / "thesis.zarr").mkdir()
    (folder / "thesis.zarr" / "thesis.txt").write_text("all my work")
    (folder / "file.zarr").write_text("a file")
    (folder / "pages.tif").mkdir()
    for name in ("thesis.zarr", "file.zarr", "pages.tif"):
        with pytest.raises(OutputError, match=r"is not overwritten; remove it first\.$"):
            check_output(folder / name, overwrite=True)
    assert (folder / "thesis.zarr" / "thesis.txt").read_text() == "all my work"


@pytest.mark.parametrize("output", ["scan.zarr", "scan.zarr/0.zarr", "scans.zarr"])
def test_the_image_is_never_overwritten(folder, output):
    zarr.create_array(str(folder / "scan.zarr"), shape=(4, 4, 4), dtype="u1")
    (folder / "scans.zarr").mkdir()
    source = "scans.zarr/scan.tif" if output == "scans.zarr" else "scan.zarr::0"
    with pytest.raises(OutputError, match="would overwrite the image"):
        check_output(folder / output, overwrite=True, source=f"{folder / source}")
