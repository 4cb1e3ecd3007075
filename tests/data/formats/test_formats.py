"""One suite for every format, and what is particular to each."""

from __future__ import annotations

import concurrent.futures
import gc
import json
import sys
from pathlib import Path
from typing import ClassVar
from uuid import uuid4

import imagecodecs
import mrcfile
import numpy as np
import pytest
import tifffile
import zarr

from napari_surfseg.data.open import open_volume
from napari_surfseg.data.volume import ArrayVolume, Volume
from napari_surfseg.errors import DataError

SHARED = Path(__file__).parents[3] / ".." / "shared" / "data"
SHAPE = (7, 11, 13)
DTYPES = ("uint8", "uint16", "uint32", "int8", "int16", "int32", "float32", "float64", ">u2", ">f4")


def make_values(dtype="uint8", shape=SHAPE):
    values = np.random.default_rng(0).integers(0, 120, shape)
    return values.astype(dtype)


class VolumeSuite:
    """What every format must do; a subclass says how its files are written."""

    dtypes: tuple[str, ...] = DTYPES

    def write(self, folder: Path, values: np.ndarray) -> str:
        raise NotImplementedError

    def open(self, folder: Path, values: np.ndarray) -> Volume:
        return open_volume(self.write(folder, values))

    def test_describes_itself(self, tmp_path):
        volume = self.open(tmp_path, make_values())
        assert volume.shape == SHAPE
        assert volume.dtype == np.uint8
        assert volume.num_voxels == 7 * 11 * 13
        assert all(1 <= chunk <= size for chunk, size in zip(volume.chunks, SHAPE, strict=True))
        assert volume.spacing == (1.0, 1.0, 1.0)
        assert not volume.spacing_known

    def test_reads_every_dtype(self, tmp_path):
        for dtype in self.dtypes:
            values = make_values(dtype)
            volume = self.open(tmp_path / dtype.replace(">", "big"), values)
            box = volume.read((0, 0, 0), SHAPE)
            assert box.dtype == volume.dtype, dtype
            assert box.dtype.isnative, dtype
            np.testing.assert_array_equal(box, values, err_msg=dtype)

    def test_reads_boxes(self, tmp_path):
        values = make_values("uint16" if "uint16" in self.dtypes else self.dtypes[0])
        volume = self.open(tmp_path, values)
        rng = np.random.default_rng(1)
        for _ in range(12):
            start = rng.integers(0, SHAPE)
            stop = rng.integers(start, np.array(SHAPE) + 1)
            box = volume.read(tuple(map(int, start)), tuple(map(int, stop)))
            expected = values[tuple(map(slice, start, stop))]
            np.testing.assert_array_equal(box, expected)

    def test_gives_arrays_of_the_callers_own(self, tmp_path):
        values = make_values()
        volume = self.open(tmp_path, values)
        box = volume.read((0, 0, 0), (2, 2, 2))
        box[...] = 127
        assert box.flags.c_contiguous
        np.testing.assert_array_equal(volume.read((0, 0, 0), (2, 2, 2)), values[:2, :2, :2])

    def test_reads_from_many_threads(self, tmp_path):
        values = make_values()
        volume = self.open(tmp_path, values)
        boxes = [((z, y, 0), (z + 2, y + 3, 13)) for z in range(6) for y in range(9)] * 3
        with concurrent.futures.ThreadPoolExecutor(6) as pool:
            for (start, stop), box in zip(
                boxes, pool.map(lambda box: volume.read(*box), boxes), strict=True
            ):
                np.testing.assert_array_equal(box, values[tuple(map(slice, start, stop))])

    def test_refuses_boxes_outside(self, tmp_path):
        volume = self.open(tmp_path, make_values())
        with pytest.raises(ValueError, match="does not lie in"):
            volume.read((0, 0, 0), (8, 1, 1))

    def test_spacing_given_wins(self, tmp_path):
        volume = open_volume(self.write(tmp_path, make_values()), spacing=(3, 2, 1))
        assert volume.spacing == (3.0, 2.0, 1.0)
        assert volume.spacing_known


class TestArray(VolumeSuite):
    def open(self, folder, values):
        return ArrayVolume(values)

    def test_spacing_given_wins(self, tmp_path):
        assert ArrayVolume(make_values(), spacing=(3, 2, 1)).spacing == (3.0, 2.0, 1.0)


class TestNpy(VolumeSuite):
    def write(self, folder, values):
        folder.mkdir(exist_ok=True)
        np.save(folder / "a.npy", values)
        return str(folder / "a.npy")


class TestMrc(VolumeSuite):
    dtypes = ("int8", "int16", "uint16", "float32")

    def write(self, folder, values):
        folder.mkdir(exist_ok=True)
        path = folder / "a.mrc"
        with mrcfile.new(path) as mrc:
            mrc.set_data(values.astype(np.int8) if values.dtype == np.uint8 else values)
        return str(path)

    def test_describes_itself(self, tmp_path):
        volume = self.open(tmp_path, make_values("int8"))
        assert volume.shape == SHAPE
        assert volume.dtype == np.int8
        assert not volume.spacing_known

    def test_voxel_size_in_angstrom(self, tmp_path):
        with mrcfile.new(tmp_path / "a.mrc") as mrc:
            mrc.set_data(make_values("float32"))
            mrc.voxel_size = (1.5, 2.5, 3.5)  # X, Y, Z
        volume = open_volume(tmp_path / "a.mrc")
        assert volume.spacing == pytest.approx((3.5, 2.5, 1.5))
        assert volume.units == "angstrom"


class TestTiffMapped(VolumeSuite):
    def write(self, folder, values):
        folder.mkdir(exist_ok=True)
        tifffile.imwrite(folder / "a.tif", values, byteorder=_byteorder(values))
        return str(folder / "a.tif")

    def test_is_mapped(self, tmp_path):
        assert isinstance(self.open(tmp_path, make_values()), ArrayVolume)


class TestTiffCompressed(VolumeSuite):
    options: ClassVar[dict] = {"compression": "zlib", "rowsperstrip": 4}

    def write(self, folder, values):
        folder.mkdir(exist_ok=True)
        tifffile.imwrite(
            folder / "a.tif",
            values,
            byteorder=_byteorder(values),
            photometric="minisblack",
            **self.options,
        )
        return str(folder / "a.tif")

    def test_is_not_mapped(self, tmp_path):
        assert not isinstance(self.open(tmp_path, make_values()), ArrayVolume)


class TestTiffTiled(TestTiffCompressed):
    options: ClassVar[dict] = {"compression": "lzw", "tile": (16, 16), "predictor": 2}
    dtypes = ("uint8", "uint16", "int16", ">u2")


class TestTiffUncompressedTiles(TestTiffCompressed):
    options: ClassVar[dict] = {"tile": (16, 16)}


class TestZarr2(VolumeSuite):
    version = 2
    options: ClassVar[dict] = {}

    def write(self, folder, values):
        path = folder / "a.zarr"
        array = zarr.create_array(
            path,
            shape=values.shape,
            chunks=(4, 4, 4),
            dtype=values.dtype,
            zarr_format=self.version,
            **self.options,
        )
        array[:] = values
        return str(path)


class TestZarr3(TestZarr2):
    version = 3


class TestZarrSharded(TestZarr2):
    version = 3
    options: ClassVar[dict] = {"shards": (8, 8, 8)}

    def test_chunks_are_the_inner_ones(self, tmp_path):
        assert self.open(tmp_path, make_values()).chunks == (4, 4, 4)


class TestTiffSlices(VolumeSuite):
    def write(self, folder, values):
        folder.mkdir(exist_ok=True)
        for z, page in enumerate(values):
            # Not padded with zeros: the natural order is not the alphabetical one.
            tifffile.imwrite(folder / f"slice_{z * 7}.tif", page, compression="zlib")
        (folder / "notes.txt").write_text("not a slice")
        return str(folder)


class TestPngSlices(VolumeSuite):
    dtypes = ("uint8", "uint16")
    suffix, encode = ".png", staticmethod(imagecodecs.png_encode)

    def write(self, folder, values):
        folder.mkdir(exist_ok=True)
        for z, page in enumerate(values):
            (folder / f"{z}{self.suffix}").write_bytes(self.encode(page))
        return str(folder)


class TestJpeg2000Slices(TestPngSlices):
    suffix = ".jp2"
    encode = staticmethod(lambda page: imagecodecs.jpeg2k_encode(page, level=0))


def _byteorder(values):
    return ">" if values.dtype.byteorder == ">" else "<"


# --- what is particular ---------------------------------------------------------------------


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
def test_ome_zarr_levels(tmp_path, version):
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


def test_ome_zarr_level_by_number_where_it_has_another_name(tmp_path):
    write_ome(tmp_path / "a.zarr", make_values(), version="0.5", key="full")
    assert open_volume(f"{tmp_path / 'a.zarr'}::0").shape == SHAPE
    assert open_volume(f"{tmp_path / 'a.zarr'}::full").shape == SHAPE


def test_ome_zarr_scale_of_ones_without_unit_is_unknown(tmp_path):
    write_ome(tmp_path / "a.zarr", make_values(), version="0.4", scale=(1, 1, 1), unit=None)
    assert not open_volume(tmp_path / "a.zarr").spacing_known


def test_ome_zarr_names_what_there_is(tmp_path):
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
    with pytest.raises(DataError, match=r"holds 2 arrays \(mask, raw\); say which one with"):
        open_volume(f"{tmp_path / 'a.zarr'}::deep")
    with pytest.raises(DataError, match="holds no arrays; it holds deep"):
        open_volume(tmp_path / "a.zarr")


def test_missing_zarr_chunks_are_the_fill_value(tmp_path):
    zarr.create_array(
        tmp_path / "a.zarr", shape=SHAPE, chunks=(4, 4, 4), dtype="uint8", fill_value=9
    )
    assert np.all(open_volume(tmp_path / "a.zarr").read((0, 0, 0), SHAPE) == 9)


def test_damaged_zarr_chunk_names_the_file(tmp_path):
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


@pytest.mark.parametrize("compression", [None, "zlib"])
def test_tiff_cut_short(tmp_path, compression):
    path = tmp_path / "a.tif"
    tifffile.imwrite(path, make_values(shape=(20, 40, 40)), compression=compression)
    path.write_bytes(path.read_bytes()[: path.stat().st_size * 2 // 3])
    with pytest.raises(DataError, match=r"a\.tif .*(cut short|damaged)") as caught:
        open_volume(path).read((0, 0, 0), (20, 40, 40))
    assert str(caught.value).count(".") == 2  # the suffix and the full stop


def test_tiff_damaged_strip(tmp_path):
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


def test_imagej_spacing(tmp_path):
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


def test_imagej_hyperstack_with_one_channel(tmp_path):
    values = make_values("uint16")
    tifffile.imwrite(
        tmp_path / "a.tif", values[None, :, None], imagej=True, metadata={"axes": "TZCYX"}
    )
    volume = open_volume(tmp_path / "a.tif")
    np.testing.assert_array_equal(volume.read((0, 0, 0), SHAPE), values)


def test_ome_tiff_spacing(tmp_path):
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


def test_tifffile_spacing(tmp_path):
    tifffile.imwrite(
        tmp_path / "a.tif", make_values(), metadata={"spacing": [3, 2, 1], "unit": "nm"}
    )
    volume = open_volume(tmp_path / "a.tif")
    assert volume.spacing == (3.0, 2.0, 1.0)
    assert volume.units == "nanometer"


def test_printed_resolution_is_no_spacing(tmp_path):
    tifffile.imwrite(tmp_path / "a.tif", make_values(), resolution=(300, 300), resolutionunit=2)
    assert not open_volume(tmp_path / "a.tif").spacing_known


def test_half_and_bool_are_widened(tmp_path):
    np.save(tmp_path / "half.npy", make_values("float16"))
    assert open_volume(tmp_path / "half.npy").dtype == np.float32
    np.save(tmp_path / "bool.npy", make_values() > 60)
    volume = open_volume(tmp_path / "bool.npy")
    assert volume.dtype == np.uint8
    assert set(np.unique(volume.read((0, 0, 0), SHAPE))) == {0, 1}


REFUSED = {
    "complex": (np.zeros(SHAPE, "complex64"), r"holds complex numbers; .* are needed\.$"),
    "two axes": (np.zeros((4, 4)), r"shape 4 x 4, which is not a volume; three axes"),
    "colour": (np.zeros((4, 4, 4, 3), "uint8"), r"looks like a colour image"),
    "four axes": (np.zeros((2, 5, 5, 5)), r"shape 2 x 5 x 5 x 5; only leading axes of length 1"),
    "text": (np.full(SHAPE, "a"), r"holds values of type <U1; integers"),
    "records": (np.zeros(SHAPE, "u1,u1"), r"holds records"),
    "no voxels": (np.zeros((0, 4, 4)), r"holds no voxels"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_refuses(tmp_path, case):
    values, sentence = REFUSED[case]
    np.save(tmp_path / "a.npy", values)
    with pytest.raises(DataError, match=sentence) as caught:
        open_volume(tmp_path / "a.npy")
    assert str(caught.value).endswith(".")
    assert "a.npy" in str(caught.value)


def test_refuses_pickled_objects_unread(tmp_path):
    np.save(tmp_path / "a.npy", np.array([[[{"a": 1}]]], dtype=object), allow_pickle=True)
    with pytest.raises(DataError, match="holds Python objects"):
        open_volume(tmp_path / "a.npy")


def test_refuses_rubbish(tmp_path):
    for name in ("a.npy", "a.tif", "a.mrc", "a.xyz"):
        (tmp_path / name).write_bytes(b"rubbish")
        with pytest.raises(DataError, match=name):
            open_volume(tmp_path / name)


def test_refuses_colour_tiff(tmp_path):
    tifffile.imwrite(tmp_path / "a.tif", np.zeros((4, 8, 8, 3), "uint8"), photometric="rgb")
    with pytest.raises(DataError, match="is a colour image"):
        open_volume(tmp_path / "a.tif")


def test_nothing_there(tmp_path):
    with pytest.raises(DataError, match=r"There is no file or folder .*b\.tif\.$"):
        open_volume(tmp_path / "b.tif")
    with pytest.raises(DataError, match="holds no TIFF, PNG or JPEG 2000 slices"):
        open_volume(tmp_path)
    np.save(tmp_path / "a.npy", make_values())
    with pytest.raises(DataError, match="only a zarr group can be opened with '::'"):
        open_volume(f"{tmp_path / 'a.npy'}::0")


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


def test_spacing_must_be_positive(tmp_path):
    np.save(tmp_path / "a.npy", make_values())
    with pytest.raises(DataError, match="must be three positive numbers"):
        open_volume(tmp_path / "a.npy", spacing=(1, 0, 1))


def test_url_of_a_file_and_of_a_zarr(tmp_path):
    pytest.importorskip("fsspec")
    values = make_values()
    np.save(tmp_path / "a.npy", values)
    TestZarr3().write(tmp_path, values)
    for name in ("a.npy", "a.zarr"):
        volume = open_volume((tmp_path / name).as_uri())
        np.testing.assert_array_equal(volume.read((0, 0, 0), SHAPE), values)
    with pytest.raises(DataError, match=r"There is no file .*b\.npy\.$"):
        open_volume((tmp_path / "b.npy").as_uri())


def test_url_without_fsspec(monkeypatch):
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(DataError, match=r"is a URL, which needs fsspec; install it with"):
        open_volume("https://example.org/a.zarr")


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


def test_palette_tiff_gives_its_indices(tmp_path):
    """ImageJ saves labels with a lookup table; the values are what counts."""
    values = make_values()
    colours = np.random.default_rng(0).integers(0, 2**16, (3, 256)).astype(np.uint16)
    tifffile.imwrite(tmp_path / "a.tif", values, photometric="palette", colormap=colours)
    np.testing.assert_array_equal(open_volume(tmp_path / "a.tif").read((0, 0, 0), SHAPE), values)


def test_bilevel_tiff(tmp_path):
    values = make_values() > 60
    tifffile.imwrite(tmp_path / "a.tif", values, photometric="minisblack", compression="packbits")
    volume = open_volume(tmp_path / "a.tif")
    assert volume.dtype == np.uint8
    np.testing.assert_array_equal(volume.read((0, 0, 0), SHAPE), values)


def test_strips_of_compressed_tiff_are_read_alone(tmp_path):
    values = make_values(shape=(3, 1000, 1000))
    tifffile.imwrite(
        tmp_path / "a.tif", values, compression="zlib", rowsperstrip=50, photometric="minisblack"
    )
    volume = open_volume(tmp_path / "a.tif")
    assert volume.chunks == (1, 400, 1000)
    box = volume.read((1, 120, 30), (2, 260, 70))
    np.testing.assert_array_equal(box, values[1:2, 120:260, 30:70])


def test_small_pages_are_read_together(tmp_path):
    tifffile.imwrite(tmp_path / "a.tif", make_values(shape=(40, 100, 200)), compression="zlib")
    assert open_volume(tmp_path / "a.tif").chunks == (16, 100, 200)


@pytest.mark.parametrize("dtype", ["uint8", "uint16", "int16"])
def test_jpeg2000_is_not_decoded_to_know_its_size(tmp_path, dtype, monkeypatch):
    for z in range(3):
        page = imagecodecs.jpeg2k_encode(make_values(dtype, (21, 34)), level=0)
        (tmp_path / f"{z}.jp2").write_bytes(page)
    monkeypatch.setattr(imagecodecs, "jpeg2k_decode", None)
    volume = open_volume(tmp_path)
    assert volume.shape == (3, 21, 34)
    assert volume.dtype == dtype


def test_ome_tiff_of_several_files(tmp_path):
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


def test_url_that_needs_another_package(monkeypatch):
    fsspec = pytest.importorskip("fsspec")

    def refuse(*_):
        raise ImportError('HTTPFileSystem requires "aiohttp" to be installed')

    monkeypatch.setattr(fsspec, "url_to_fs", refuse)
    monkeypatch.setattr(zarr, "open", lambda *_, **__: refuse())
    for name in ("a.npy", "a.zarr"):
        with pytest.raises(DataError, match=r"needs a package .* \(HTTPFileSystem requires"):
            open_volume(f"https://example.org/{name}")


@pytest.mark.skipif(sys.platform == "win32", reason="a mapped file cannot be removed there")
def test_copies_of_remote_files_do_not_pile_up(tmp_path, monkeypatch):
    pytest.importorskip("fsspec")
    np.save(tmp_path / "a.npy", make_values())
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "temporary"))
    (tmp_path / "temporary").mkdir()
    volume = open_volume((tmp_path / "a.npy").as_uri())
    assert len(list((tmp_path / "temporary").iterdir())) == 1
    del volume
    gc.collect()
    assert not list((tmp_path / "temporary").iterdir())
