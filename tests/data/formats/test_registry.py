"""One suite for every format: a new one gets all of it by a class that writes its files."""

from __future__ import annotations

import concurrent.futures
import importlib.util
import json
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import ClassVar, NamedTuple

import h5py
import imagecodecs
import mrcfile
import nibabel
import nrrd
import numpy as np
import pytest
import tensorstore
import tifffile
import zarr

from napari_surfseg.data.formats.registry import FORMATS, list_formats
from napari_surfseg.data.open import open_volume
from napari_surfseg.data.volume import ArrayVolume, Volume
from napari_surfseg.errors import DataError

ROOT = Path(__file__).parents[3]
SHAPE = (7, 11, 13)
DTYPES = ("uint8", "uint16", "uint32", "int8", "int16", "int32", "float32", "float64", ">u2", ">f4")


def make_values(dtype="uint8", shape=SHAPE):
    values = np.random.default_rng(0).integers(0, 120, shape)
    return values.astype(dtype)


class Stated(NamedTuple):
    """What a file says of the place of its voxels, Z, Y, X."""

    spacing: tuple[float, float, float] | None = None
    unit: str | None = None
    place: tuple[float, float, float] = (0, 0, 0)


PLACED = Stated((0.5, 0.3, 0.2), "micrometer", (30, 20, 10))

#: Libraries of which a format may import those that its class names, and no other. torch, napari
#: and Qt are of no use to any.
LIBRARIES = (
    "zarr", "tifffile", "imagecodecs", "mrcfile", "h5py", "nibabel", "nrrd", "fsspec", "pint",
    "tensorstore",
    "torch", "napari", "qtpy", "matplotlib", "pandas", "dask", "scipy", "skimage",
)  # fmt: skip


class VolumeSuite:
    """What every format must do; a subclass says how its files are written.

    A format that can state voxel size and place overrides :meth:`write_placed`, one that names
    its axes :meth:`write_turned`.
    """

    format_name = ""
    dtypes: tuple[str, ...] = DTYPES
    #: Libraries that opening may import, those that its own library imports included.
    needs: tuple[str, ...] = ()

    def write(self, folder: Path, values: np.ndarray) -> str:
        raise NotImplementedError

    def write_placed(self, folder: Path, values: np.ndarray) -> tuple[str, Stated]:
        """Write values with a voxel size and place, where the format has a way to state them."""
        return self.write(folder, values), Stated()

    def write_turned(self, folder: Path, values: np.ndarray) -> str:
        """Write values so that the axes are stored in the order X, Y, Z, and say so."""
        return self.write(folder, values)

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

    def test_reads_no_voxels_and_single_ones(self, tmp_path):
        values = make_values(self.dtypes[0])
        volume = self.open(tmp_path, values)
        assert volume.read((3, 4, 5), (3, 4, 5)).shape == (0, 0, 0)
        assert volume.read((3, 0, 0), (3, 11, 13)).shape == (0, 11, 13)
        for voxel in ((0, 0, 0), (6, 10, 12), (6, 0, 12), (3, 5, 7)):
            box = volume.read(voxel, tuple(at + 1 for at in voxel))
            assert box.shape == (1, 1, 1)
            assert box[0, 0, 0] == values[voxel]


class FileSuite(VolumeSuite):
    """What every format of files must do besides."""

    def test_spacing_given_wins(self, tmp_path):
        volume = open_volume(self.write(tmp_path, make_values()), spacing=(3, 2, 1))
        assert volume.spacing == (3.0, 2.0, 1.0)
        assert volume.spacing_known

    def test_takes_spacing_unit_and_place_as_stated(self, tmp_path):
        values = make_values(self.dtypes[0])
        source, stated = self.write_placed(tmp_path, values)
        volume = open_volume(source)
        assert volume.spacing_known == (stated.spacing is not None)
        assert volume.spacing == pytest.approx(stated.spacing or (1, 1, 1), rel=1e-6)
        assert volume.units == stated.unit
        assert volume.translate == pytest.approx(stated.place, rel=1e-6)
        assert volume.notes == []
        np.testing.assert_array_equal(volume.read((0, 0, 0), SHAPE), values)

    def test_takes_axes_in_the_order_of_their_names(self, tmp_path):
        values = make_values(self.dtypes[0])
        volume = open_volume(self.write_turned(tmp_path, values))
        assert volume.shape == SHAPE
        is_turned = type(self).write_turned is not VolumeSuite.write_turned
        assert volume.stored_axes == ("xyz" if is_turned else "zyx")
        assert all(1 <= chunk <= size for chunk, size in zip(volume.chunks, SHAPE, strict=True))
        np.testing.assert_array_equal(volume.read((1, 2, 3), (6, 9, 11)), values[1:6, 2:9, 3:11])

    def test_is_the_same_volume_when_opened_twice(self, tmp_path):
        values = make_values(self.dtypes[0])
        source = self.write(tmp_path, values)
        first, second = open_volume(source), open_volume(source)
        del first
        np.testing.assert_array_equal(second.read((0, 0, 0), SHAPE), values)

    @pytest.mark.parametrize("damage", ["rubbish", "empty", "cut"])
    def test_damage_is_reported_in_one_sentence(self, tmp_path, damage):
        """Of a file that is damaged nothing is read: no traceback, no voxels that are none."""
        rng = np.random.default_rng(5)
        values = rng.integers(0, 120, (16, 32, 32)).astype(self.dtypes[0])  # does not compress
        source = self.write(tmp_path / "a", values)
        largest = max(
            (path for path in (tmp_path / "a").rglob("*") if path.is_file()),
            key=lambda path: path.stat().st_size,
        )
        content = largest.read_bytes()
        kept = {"rubbish": b"rubbish" * 20, "empty": b"", "cut": content[: len(content) // 2]}
        largest.write_bytes(kept[damage])
        with pytest.raises(DataError) as caught:
            _read_all(source)
        sentence = str(caught.value)
        assert str(tmp_path) in sentence
        assert "\n" not in sentence
        assert sentence.endswith(".")
        assert len(sentence) < 400 + len(source)

    def test_what_is_gone_is_reported_in_one_sentence(self, tmp_path):
        source = self.write(tmp_path / "a", make_values(self.dtypes[0]))
        shutil.rmtree(tmp_path / "a")
        with pytest.raises(DataError, match=r"^There is no file or folder [^\n]*\.$"):
            open_volume(source)


class TestArray(VolumeSuite):
    def open(self, folder, values):
        return ArrayVolume(values)

    def test_spacing_given(self):
        assert ArrayVolume(make_values(), spacing=(3, 2, 1)).spacing == (3.0, 2.0, 1.0)


class TestNpy(FileSuite):
    format_name = "npy"

    def write(self, folder, values):
        folder.mkdir(exist_ok=True)
        np.save(folder / "a.npy", values)
        return str(folder / "a.npy")


class TestMrc(FileSuite):
    format_name = "mrc"
    needs = ("mrcfile",)
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

    def write_placed(self, folder, values):
        path = self.write(folder, values)
        with mrcfile.open(path, "r+") as mrc:
            mrc.voxel_size = (0.2, 0.3, 0.5)
        return path, Stated((0.5, 0.3, 0.2), "angstrom")

    def write_turned(self, folder, values):
        path = self.write(folder, values.transpose(2, 1, 0))
        with mrcfile.open(path, "r+") as mrc:
            mrc.header.mapc, mrc.header.mapr, mrc.header.maps = 3, 2, 1
        return path


class TestTiffMapped(FileSuite):
    format_name = "TIFF"
    needs = ("tifffile", "imagecodecs")

    def write(self, folder, values):
        folder.mkdir(exist_ok=True)
        tifffile.imwrite(folder / "a.tif", values, byteorder=_byteorder(values))
        return str(folder / "a.tif")

    def write_placed(self, folder, values):
        folder.mkdir(exist_ok=True)
        origin = {"zorigin": -60, "yorigin": -200 / 3, "xorigin": -50}
        metadata = {"axes": "ZYX", "spacing": 0.5, "unit": "um", **origin}
        resolution = (1 / 0.2, 1 / 0.3)
        path = folder / "a.tif"
        tifffile.imwrite(path, values, imagej=True, resolution=resolution, metadata=metadata)
        return str(path), PLACED


class TestTiffCompressed(FileSuite):
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

    def write_placed(self, folder, values):
        folder.mkdir(exist_ok=True)
        sizes = {"PhysicalSizeZ": 500, "PhysicalSizeY": 0.3, "PhysicalSizeX": 0.2}
        units = {"PhysicalSizeZUnit": "nm", "PhysicalSizeYUnit": "µm", "PhysicalSizeXUnit": "µm"}
        metadata = {"axes": "ZYX", **sizes, **units}
        path = folder / "a.ome.tif"
        tifffile.imwrite(path, values, ome=True, metadata=metadata, photometric="minisblack")
        return str(path), Stated(PLACED.spacing, PLACED.unit)


class TestTiffTiled(TestTiffCompressed):
    options: ClassVar[dict] = {"compression": "lzw", "tile": (16, 16), "predictor": 2}
    dtypes = ("uint8", "uint16", "int16", ">u2")


class TestTiffUncompressedTiles(TestTiffCompressed):
    options: ClassVar[dict] = {"tile": (16, 16)}


class TestZarr2(FileSuite):
    format_name = "zarr, OME-Zarr"
    needs = ("zarr", "fsspec")
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

    def write_level(self, path, values, axes):
        group = zarr.open_group(path, mode="w", zarr_format=self.version)
        group.create_array("0", data=values, chunks=(4, 4, 4))
        sizes = dict(zip("zyx", PLACED.spacing, strict=True))
        places = dict(zip("zyx", PLACED.place, strict=True))
        steps = [
            {"type": "scale", "scale": [sizes[axis] for axis in axes]},
            {"type": "translation", "translation": [places[axis] for axis in axes]},
        ]
        image = {
            "axes": [{"name": axis, "type": "space", "unit": "micrometer"} for axis in axes],
            "datasets": [{"path": "0", "coordinateTransformations": steps}],
            "version": "0.4",
        }
        about = {"multiscales": [image]}
        group.attrs.update(about if self.version == 2 else {"ome": {"version": "0.5", **about}})
        return str(path)

    def write_placed(self, folder, values):
        return self.write_level(folder / "a.zarr", values, "zyx"), PLACED

    def write_turned(self, folder, values):
        return self.write_level(folder / "a.zarr", values.transpose(2, 1, 0), "xyz")


class TestZarr3(TestZarr2):
    version = 3


class TestZarrSharded(TestZarr2):
    version = 3
    options: ClassVar[dict] = {"shards": (8, 8, 8)}


class TestZippedZarr(TestZarr2):
    format_name = "zipped zarr"

    def write(self, folder, values):
        return self.pack(super().write(folder, values))

    def write_level(self, path, values, axes):
        return self.pack(super().write_level(path, values, axes))

    def pack(self, path):
        return shutil.make_archive(f"{path}-packed", "zip", path)


class TestN5(FileSuite):
    """Dimensions are listed X first, whatever is stored."""

    format_name = "N5"
    needs = ("tensorstore",)
    # There is one byte order only.
    dtypes = tuple(dtype for dtype in DTYPES if dtype[0] != ">")

    def write(self, folder, values):
        spec = {
            "driver": "n5",
            "kvstore": {"driver": "file", "path": f"{(folder / 'a.n5').as_posix()}/"},
            "metadata": {"compression": {"type": "gzip"}, "blockSize": [4, 4, 4]},
            "schema": {"dtype": str(values.dtype), "domain": {"shape": values.shape[::-1]}},
        }
        tensorstore.open(spec, create=True).result().write(values.T).result()
        return str(folder / "a.n5")

    def write_placed(self, folder, values):
        path = Path(self.write(folder, values)) / "attributes.json"
        sizes, places = PLACED.spacing[::-1], PLACED.place[::-1]
        about = {"resolution": sizes, "offset": places, "units": ["micrometer"] * 3}
        path.write_text(json.dumps({**json.loads(path.read_text()), **about}))
        return str(path.parent), PLACED


class TestTiffSlices(FileSuite):
    format_name = "a folder of TIFF, PNG or JPEG 2000 slices"
    needs = ("tifffile", "imagecodecs")

    def write(self, folder, values):
        folder.mkdir(exist_ok=True)
        for z, page in enumerate(values):
            # Not padded with zeros: the natural order is not the alphabetical one.
            tifffile.imwrite(folder / f"slice_{z * 7}.tif", page, compression="zlib")
        (folder / "notes.txt").write_text("not a slice")
        return str(folder)


class TestPngSlices(FileSuite):
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


class TestHdf5(FileSuite):
    format_name = "HDF5"
    needs = ("h5py",)

    def write(self, folder, values):
        folder.mkdir(exist_ok=True)
        with h5py.File(folder / "a.h5", "w") as file:
            file.create_dataset("raw", data=values, chunks=(4, 4, 4), compression="gzip")
        return str(folder / "a.h5")

    def write_placed(self, folder, values):
        path = self.write(folder, values)
        with h5py.File(path, "a") as file:
            file["raw"].attrs.update(
                {"resolution": PLACED.spacing, "offset": PLACED.place, "units": "um"}
            )
        return path, PLACED

    def write_turned(self, folder, values):
        path = self.write(folder, values.transpose(2, 1, 0))
        with h5py.File(path, "a") as file:
            file["raw"].attrs["axistags"] = json.dumps({"axes": [{"key": key} for key in "xyz"]})
        return path


class TestHdf5InOnePiece(TestHdf5):
    def write(self, folder, values):
        folder.mkdir(exist_ok=True)
        with h5py.File(folder / "a.h5", "w") as file:
            file["raw"] = values
        return str(folder / "a.h5")


class TestBigDataViewer(FileSuite):
    format_name = "BigDataViewer"
    needs = ("h5py",)
    dtypes = ("uint16", "uint8", ">u2")

    def write(self, folder, values):
        folder.mkdir(exist_ok=True)
        with h5py.File(folder / "a.h5", "w") as file:
            file["s00/resolutions"] = np.ones((1, 3))
            file["t00000/s00/0/cells"] = values
        return self.write_xml(folder)

    def write_xml(self, folder, setup="", registration=""):
        loader = '<ImageLoader format="bdv.hdf5"><hdf5>a.h5</hdf5></ImageLoader>'
        (folder / "a.xml").write_text(
            f"<SpimData><SequenceDescription>{loader}<ViewSetups>{setup}</ViewSetups>"
            f"</SequenceDescription><ViewRegistrations>{registration}</ViewRegistrations></SpimData>"
        )
        return str(folder / "a.xml")

    def write_placed(self, folder, values):
        self.write(folder, values)
        size = "<voxelSize><unit>um</unit><size>0.2 0.3 0.5</size></voxelSize>"
        affine = "<affine>0.2 0 0 10 0 0.3 0 20 0 0 0.5 30</affine>"
        registration = (
            '<ViewRegistration timepoint="0" setup="0"><ViewTransform type="affine">'
            f"{affine}</ViewTransform></ViewRegistration>"
        )
        setup = f"<ViewSetup><id>0</id>{size}</ViewSetup>"
        return self.write_xml(folder, setup, registration), PLACED


class TestNifti(FileSuite):
    format_name = "NIfTI"
    needs = ("nibabel", "scipy")
    suffix = ".nii"

    def write(self, folder, values):
        folder.mkdir(exist_ok=True)
        stored = values.transpose(2, 1, 0)
        image = nibabel.Nifti1Image(stored, None, dtype=values.dtype)
        if values.dtype.byteorder == ">":
            image = nibabel.Nifti1Image(stored, None, image.header.as_byteswapped(">"))
        nibabel.save(image, folder / f"a{self.suffix}")
        return str(folder / f"a{self.suffix}")

    def write_placed(self, folder, values):
        folder.mkdir(exist_ok=True)
        affine = np.diag([0.2, 0.3, 0.5, 1])
        affine[:3, 3] = PLACED.place[::-1]
        image = nibabel.Nifti1Image(values.transpose(2, 1, 0), affine)
        image.header.set_xyzt_units("micron")
        nibabel.save(image, folder / f"a{self.suffix}")
        return str(folder / f"a{self.suffix}"), PLACED


class TestNiftiCompressed(TestNifti):
    suffix = ".nii.gz"


class TestNrrd(FileSuite):
    format_name = "NRRD"
    needs = ("nrrd",)
    encoding = "raw"

    def write(self, folder, values, **fields):
        folder.mkdir(exist_ok=True)
        endian = "big" if _byteorder(values) == ">" else "little"
        header = {"encoding": self.encoding, "endian": endian, **fields}
        nrrd.write(str(folder / "a.nrrd"), values, header, index_order="C")
        return str(folder / "a.nrrd")

    def write_placed(self, folder, values):
        fields = {
            "space dimension": 3,
            "space directions": np.diag(PLACED.spacing[::-1]),
            "space origin": np.array(PLACED.place[::-1], float),
            "space units": ["um", "um", "um"],
        }
        return self.write(folder, values, **fields), PLACED

    def write_turned(self, folder, values):
        return self.write(folder, values.transpose(2, 1, 0), labels=["z", "y", "x"])


class TestNrrdCompressed(TestNrrd):
    encoding = "gzip"


def _byteorder(values):
    return ">" if values.dtype.byteorder == ">" else "<"


def _read_all(source):
    volume = open_volume(source)
    volume.read((0, 0, 0), volume.shape)


def _suites(suite=VolumeSuite):
    yield suite
    for below in suite.__subclasses__():
        yield from _suites(below)


#: The first class of each format.
STANDING = {suite.format_name: suite for suite in reversed([*_suites()]) if suite.format_name}


def test_every_registered_format_is_in_the_suite():
    assert {known.name for known in FORMATS} == set(STANDING)


@pytest.mark.parametrize("name", STANDING)
def test_only_what_a_format_needs_is_imported(name, tmp_path):
    """A window is to open at once, and each of these libraries takes a while to import."""
    suite = STANDING[name]()
    code = (
        "import sys; from napari_surfseg.data.open import open_volume;"
        "volume = open_volume(sys.argv[1]);"
        f"print(*(set({LIBRARIES}) & set(sys.modules)))"
    )
    source = suite.write(tmp_path, make_values(suite.dtypes[0]))
    result = subprocess.run(
        [sys.executable, "-c", code, source], capture_output=True, text=True, check=True
    )
    assert set(result.stdout.split()) <= set(suite.needs)


@pytest.mark.parametrize("known", [one for one in FORMATS if one.package], ids=lambda one: one.name)
def test_a_package_that_is_not_installed_is_named_in_one_sentence(known, tmp_path, monkeypatch):
    suite = STANDING[known.name]()
    source = suite.write(tmp_path, make_values(suite.dtypes[0]))
    find = importlib.util.find_spec
    monkeypatch.setattr(
        importlib.util, "find_spec", lambda name, *_: None if name == known.package else find(name)
    )
    with pytest.raises(DataError) as caught:
        open_volume(source)
    sentence = str(caught.value)
    assert sentence.startswith(source)
    assert f"needs {known.package}; install it with" in sentence
    assert sentence.endswith(f"'pip install \"napari-surfseg[{known.extra}]\"'.")


def test_extras_are_those_of_the_project():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    extras = project["optional-dependencies"]
    needed = {known.extra for known in FORMATS if known.extra}
    assert needed <= set(extras)
    (everything,) = extras["formats"]
    assert set(everything.partition("[")[2].rstrip("]").split(",")) == needed
    assert "napari-surfseg[formats]" in extras["all"]
    (own,) = (extra for extra in extras["dev"] if extra.startswith("napari-surfseg["))
    assert "formats" in own.partition("[")[2].rstrip("]").split(",")


def test_suffixes_are_lower_case_and_of_one_format_each():
    suffixes = [suffix for known in FORMATS for suffix in known.suffixes]
    assert len(suffixes) == len(set(suffixes))
    assert all(suffix == suffix.lower() and suffix.startswith(".") for suffix in suffixes)


def test_formats_are_listed_for_a_sentence():
    assert list_formats() == (
        "zarr, OME-Zarr, zipped zarr, N5, TIFF, a folder of TIFF, PNG or JPEG 2000 slices, npy, "
        "mrc, HDF5, BigDataViewer, NIfTI or NRRD"
    )
