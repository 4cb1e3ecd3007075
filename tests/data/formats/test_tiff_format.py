"""TIFF stacks: mapped or decoded in parts, and what is damaged or no volume."""

import json
from pathlib import Path
from uuid import uuid4

import numpy as np
import pytest
import tifffile

from napari_surfseg.data.open import open_volume
from napari_surfseg.data.volume import ArrayVolume
from napari_surfseg.errors import DataError

SHARED = Path(__file__).parents[3] / ".." / "shared" / "data"
SHAPE = (7, 11, 13)


@pytest.mark.parametrize("compression", [None, "zlib"])
def test_tiff_cut_short(tmp_path, compression, make_values):
    path = tmp_path / "a.tif"
    tifffile.imwrite(path, make_values(shape=(20, 40, 40)), compression=compression)
    path.write_bytes(path.read_bytes()[: path.stat().st_size * 2 // 3])
    with pytest.raises(DataError, match=r"a\.tif .*(cut short|damaged)") as caught:
        open_volume(path).read((0, 0, 0), (20, 40, 40))
    assert str(caught.value).count(".") == 2  # the suffix and the full stop


def test_tiff_damaged_strip(tmp_path, make_values):
    path = tmp_path / "a.tif"
    tifffile.imwrite(path, make_values(), compression="zlib")
    with tifffile.TiffFile(path) as tiff:
        offset = tiff.pages[3].dataoffsets[0]
    content = bytearray(path.read_bytes())
    content[offset : offset + 20] = b"\xff" * 20
    path.write_bytes(content)
    volume = open_volume(path)
    with pytest.raises(DataError, match=r"a\.tif cannot be read"):
        volume.read((0, 0, 0), SHAPE)


def test_imagej_hyperstack_with_one_channel(tmp_path, make_values):
    values = make_values("uint16")
    tifffile.imwrite(
        tmp_path / "a.tif", values[None, :, None], imagej=True, metadata={"axes": "TZCYX"}
    )
    volume = open_volume(tmp_path / "a.tif")
    np.testing.assert_array_equal(volume.read((0, 0, 0), SHAPE), values)


def test_refuses_colour_tiff(tmp_path):
    tifffile.imwrite(tmp_path / "a.tif", np.zeros((4, 8, 8, 3), "uint8"), photometric="rgb")
    with pytest.raises(DataError, match="is a colour image"):
        open_volume(tmp_path / "a.tif")


def test_palette_tiff_gives_its_indices(tmp_path, make_values):
    """ImageJ saves labels with a lookup table; the values are what counts."""
    values = make_values()
    colours = np.random.default_rng(0).integers(0, 2**16, (3, 256)).astype(np.uint16)
    tifffile.imwrite(tmp_path / "a.tif", values, photometric="palette", colormap=colours)
    np.testing.assert_array_equal(open_volume(tmp_path / "a.tif").read((0, 0, 0), SHAPE), values)


def test_bilevel_tiff(tmp_path, make_values):
    values = make_values() > 60
    tifffile.imwrite(tmp_path / "a.tif", values, photometric="minisblack", compression="packbits")
    volume = open_volume(tmp_path / "a.tif")
    assert volume.dtype == np.uint8
    np.testing.assert_array_equal(volume.read((0, 0, 0), SHAPE), values)


def test_strips_of_compressed_tiff_are_read_alone(tmp_path, make_values):
    values = make_values(shape=(3, 1000, 1000))
    tifffile.imwrite(
        tmp_path / "a.tif", values, compression="zlib", rowsperstrip=50, photometric="minisblack"
    )
    volume = open_volume(tmp_path / "a.tif")
    assert volume.chunks == (1, 400, 1000)
    box = volume.read((1, 120, 30), (2, 260, 70))
    np.testing.assert_array_equal(box, values[1:2, 120:260, 30:70])


def test_small_pages_are_read_together(tmp_path, make_values):
    tifffile.imwrite(tmp_path / "a.tif", make_values(shape=(40, 100, 200)), compression="zlib")
    assert open_volume(tmp_path / "a.tif").chunks == (16, 100, 200)


def test_ome_tiff_of_several_files(tmp_path, make_values):
    ids = [f"urn:uuid:{uuid4()}" for _ in range(2)]
    blocks = "".join(
        f'<TiffData IFD="0" FirstZ="{first}" PlaneCount="{count}"><UUID FileName="{name}.ome.tif">'
        f"{uid}</UUID></TiffData>"
        for name, first, count, uid in (("a", 0, 3, ids[0]), ("b", 3, 4, ids[1]))
    )
    for name, count, uid in (("a", 3, ids[0]), ("b", 4, ids[1])):
        xml = (
            f'<?xml version="1.0"?><OME xmlns="http://www.openmicroscopy.org/Schemas/OME/2016-06" '
            f'UUID="{uid}"><Image ID="Image:0"><Pixels ID="Pixels:0" DimensionOrder="XYZCT" '
            f'Type="uint8" SizeX="13" SizeY="11" SizeZ="7" SizeC="1" SizeT="1">'
            f'<Channel ID="Channel:0:0" SamplesPerPixel="1"/>{blocks}</Pixels></Image></OME>'
        )
        tifffile.imwrite(
            tmp_path / f"{name}.ome.tif",
            make_values(shape=(count, 11, 13)),
            description=xml,
            metadata=None,
            compression="zlib",
            photometric="minisblack",
        )
    with pytest.raises(DataError, match="is one of several OME-TIFF files"):
        open_volume(tmp_path / "a.ome.tif")


def test_real_volumes():
    folder = SHARED / "fibsem_gala"
    if not folder.exists():
        pytest.skip("the shared sample volumes are not beside this checkout")
    volume = open_volume(folder / "train_image.tif")
    assert volume.shape == (50, 100, 200)
    np.testing.assert_array_equal(
        volume.read((3, 5, 7), (40, 95, 190)),
        tifffile.imread(folder / "train_image.tif")[3:40, 5:95, 7:190],
    )
    labels = open_volume(folder / "train_membrane.tif")
    assert json.dumps(labels.spacing) == "[1.0, 1.0, 1.0]"


def test_only_what_lies_in_one_piece_is_mapped(tmp_path, make_values):
    values = make_values()
    tifffile.imwrite(tmp_path / "a.tif", values)
    assert isinstance(open_volume(tmp_path / "a.tif"), ArrayVolume)
    for number, options in enumerate(({"compression": "zlib"}, {"tile": (16, 16)})):
        path = tmp_path / f"{number}.tif"
        tifffile.imwrite(path, values, photometric="minisblack", **options)
        assert not isinstance(open_volume(path), ArrayVolume)
