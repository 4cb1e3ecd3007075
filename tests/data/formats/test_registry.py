"""One suite for every format: a new one gets all of it by a class that writes its files."""

from __future__ import annotations

import concurrent.futures
from typing import TYPE_CHECKING, ClassVar

import h5py
import imagecodecs
import mrcfile
import nibabel
import nrrd
import numpy as np
import pytest
import tifffile
import zarr

from napari_surfseg.data.formats.registry import FORMATS, list_formats
from napari_surfseg.data.open import open_volume
from napari_surfseg.data.volume import ArrayVolume, Volume

if TYPE_CHECKING:
    from pathlib import Path

SHAPE = (7, 11, 13)
DTYPES = ("uint8", "uint16", "uint32", "int8", "int16", "int32", "float32", "float64", ">u2", ">f4")


def make_values(dtype="uint8", shape=SHAPE):
    values = np.random.default_rng(0).integers(0, 120, shape)
    return values.astype(dtype)


class VolumeSuite:
    """What every format must do; a subclass says how its files are written."""

    format_name = ""
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
    format_name = "npy"

    def write(self, folder, values):
        folder.mkdir(exist_ok=True)
        np.save(folder / "a.npy", values)
        return str(folder / "a.npy")


class TestMrc(VolumeSuite):
    format_name = "mrc"
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


class TestTiffMapped(VolumeSuite):
    format_name = "TIFF"

    def write(self, folder, values):
        folder.mkdir(exist_ok=True)
        tifffile.imwrite(folder / "a.tif", values, byteorder=_byteorder(values))
        return str(folder / "a.tif")


class TestTiffCompressed(VolumeSuite):
    format_name = "TIFF"
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


class TestTiffTiled(TestTiffCompressed):
    options: ClassVar[dict] = {"compression": "lzw", "tile": (16, 16), "predictor": 2}
    dtypes = ("uint8", "uint16", "int16", ">u2")


class TestTiffUncompressedTiles(TestTiffCompressed):
    options: ClassVar[dict] = {"tile": (16, 16)}


class TestZarr2(VolumeSuite):
    format_name = "zarr, OME-Zarr"
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


class TestTiffSlices(VolumeSuite):
    format_name = "a folder of TIFF, PNG or JPEG 2000 slices"

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


class TestHdf5(VolumeSuite):
    format_name = "HDF5"

    def write(self, folder, values):
        folder.mkdir(exist_ok=True)
        with h5py.File(folder / "a.h5", "w") as file:
            file.create_dataset("raw", data=values, chunks=(4, 4, 4), compression="gzip")
        return str(folder / "a.h5")


class TestHdf5InOnePiece(TestHdf5):
    def write(self, folder, values):
        folder.mkdir(exist_ok=True)
        with h5py.File(folder / "a.h5", "w") as file:
            file["raw"] = values
        return str(folder / "a.h5")


class TestBigDataViewer(VolumeSuite):
    format_name = "BigDataViewer"
    dtypes = ("uint16", "uint8", ">u2")

    def write(self, folder, values):
        folder.mkdir(exist_ok=True)
        with h5py.File(folder / "a.h5", "w") as file:
            file["s00/resolutions"] = np.ones((1, 3))
            file["t00000/s00/0/cells"] = values
        loader = '<ImageLoader format="bdv.hdf5"><hdf5>a.h5</hdf5></ImageLoader>'
        (folder / "a.xml").write_text(
            f"<SpimData><SequenceDescription>{loader}</SequenceDescription></SpimData>"
        )
        return str(folder / "a.xml")


class TestNifti(VolumeSuite):
    format_name = "NIfTI"
    suffix = ".nii"

    def write(self, folder, values):
        folder.mkdir(exist_ok=True)
        stored = values.transpose(2, 1, 0)
        image = nibabel.Nifti1Image(stored, None, dtype=values.dtype)
        if values.dtype.byteorder == ">":
            image = nibabel.Nifti1Image(stored, None, image.header.as_byteswapped(">"))
        nibabel.save(image, folder / f"a{self.suffix}")
        return str(folder / f"a{self.suffix}")


class TestNiftiCompressed(TestNifti):
    suffix = ".nii.gz"


class TestNrrd(VolumeSuite):
    format_name = "NRRD"
    encoding = "raw"

    def write(self, folder, values):
        folder.mkdir(exist_ok=True)
        header = {
            "encoding": self.encoding,
            "endian": "big" if _byteorder(values) == ">" else "little",
        }
        nrrd.write(str(folder / "a.nrrd"), values, header, index_order="C")
        return str(folder / "a.nrrd")


class TestNrrdCompressed(TestNrrd):
    encoding = "gzip"


def _byteorder(values):
    return ">" if values.dtype.byteorder == ">" else "<"


def test_every_registered_format_is_in_the_suite():
    def named(suite):
        yield suite.format_name
        for below in suite.__subclasses__():
            yield from named(below)

    assert {known.name for known in FORMATS} == set(named(VolumeSuite)) - {""}


def test_suffixes_are_lower_case_and_of_one_format_each():
    suffixes = [suffix for known in FORMATS for suffix in known.suffixes]
    assert len(suffixes) == len(set(suffixes))
    assert all(suffix == suffix.lower() and suffix.startswith(".") for suffix in suffixes)


def test_formats_are_listed_for_a_sentence():
    assert list_formats() == (
        "zarr, OME-Zarr, TIFF, a folder of TIFF, PNG or JPEG 2000 slices, npy, mrc, HDF5, "
        "BigDataViewer, NIfTI or NRRD"
    )
