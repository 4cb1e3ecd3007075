"""The folder as VC3D's tools read it, and read back."""

import json

import numpy as np
import pytest
import tifffile

from napari_surfseg.errors import DataError, OutputError
from napari_surfseg.surfaces.tifxyz import GridFile, is_tifxyz, read_tifxyz, write_tifxyz

SPACING, ORIGIN = (4.0, 2.0, 2.0), (8.0, 0.0, 2.0)


def make_grid():
    points = np.stack(np.meshgrid([0.0, 5.0, 10.0], np.arange(4) * 5.0, [7.0], indexing="ij"), -1)
    points = points[:, :, 0].astype(np.float32)
    points[1, 2] = np.nan
    normals = np.zeros_like(points)
    normals[..., 2] = 1
    return GridFile(points, normals, 5.0, SPACING, ORIGIN, "nanometer")


def test_files_are_those_that_other_programs_read(tmp_path):
    path = write_tifxyz(tmp_path / "sheet_0007.tifxyz", make_grid())
    assert is_tifxyz(path)
    assert sorted(file.name for file in path.iterdir()) == sorted(
        ["x.tif", "y.tif", "z.tif", "nx.tif", "ny.tif", "nz.tif", "mask.tif", "meta.json"]
    )
    for name, expected in (("x", 7.0), ("y", 5.0), ("z", 10.0)):
        values = tifffile.memmap(path / f"{name}.tif", mode="r")  # uncompressed, in one piece
        assert values.dtype == np.float32
        assert values.shape == (3, 4)
        assert values[2, 1] == expected
        assert values[1, 2] == -1
        del values
    # What lies at z = 0 would not count.
    z = tifffile.imread(path / "z.tif")
    assert (z[0] == np.float32(1e-3)).all()
    mask = tifffile.imread(path / "mask.tif")
    assert mask.dtype == np.uint8
    assert mask[1, 2] == 0
    assert np.count_nonzero(mask == 255) == 11
    about = json.loads((path / "meta.json").read_text())
    assert about["format"] == "tifxyz"
    assert about["type"] == "seg"
    assert about["uuid"] == "sheet_0007"
    assert about["scale"] == [0.2, 0.2]
    assert np.allclose(about["bbox"], [[7, 0, 0.001], [7, 15, 10]], atol=1e-6)


def test_a_grid_comes_back(tmp_path):
    grid = make_grid()
    found = read_tifxyz(write_tifxyz(tmp_path / "a.tifxyz", grid))
    np.testing.assert_allclose(found.points, grid.points, atol=1.1e-3)
    np.testing.assert_array_equal(found.normals[0], grid.normals[0])
    assert (found.step, found.spacing, found.origin) == (5.0, SPACING, ORIGIN)
    assert found.units == "nanometer"
    with pytest.raises(OutputError, match="exists"):
        write_tifxyz(tmp_path / "a.tifxyz", grid)


def test_a_grid_of_another_program(tmp_path):
    """Compressed tiles, a mask twice as fine, no voxel size."""
    folder = tmp_path / "20230702185753"
    folder.mkdir()
    for number, axis in enumerate("zyx"):
        values = np.full((32, 48), 10.0 * (number + 1), np.float32)
        values[0, 0] = -1
        options = {"tile": (16, 16), "compression": "zlib"}
        tifffile.imwrite(folder / f"{axis}.tif", values, **options)
    mask = np.full((64, 96), 255, np.uint8)
    mask[2, 3] = 0
    tifffile.imwrite(folder / "mask.tif", mask)
    (folder / "meta.json").write_text(json.dumps({"format": "tifxyz", "scale": [0.05, 0.05]}))
    found = read_tifxyz(folder)
    assert found.step == pytest.approx(20)
    assert np.isnan(found.points[0, 0]).all()
    assert np.isnan(found.points[1, 1]).all()
    assert np.isfinite(found.points[..., 0]).sum() == 32 * 48 - 2
    assert found.points[5, 5].tolist() == [10, 20, 30]
    assert found.normals is None
    assert (found.spacing, found.units) == ((1.0, 1.0, 1.0), None)


@pytest.mark.parametrize("damage", ["no scale", "no json", "sizes", "no file", "scale 0"])
def test_what_is_no_grid_is_said_in_a_sentence(tmp_path, damage):
    path = write_tifxyz(tmp_path / "a.tifxyz", make_grid())
    if damage == "no scale":
        (path / "meta.json").write_text("{}")
    elif damage == "scale 0":
        (path / "meta.json").write_text('{"scale": [0, 0]}')
    elif damage == "no json":
        (path / "meta.json").write_text("{")
    elif damage == "sizes":
        tifffile.imwrite(path / "y.tif", np.zeros((2, 2), np.float32))
    else:
        (path / "x.tif").unlink()
    with pytest.raises(DataError, match=r"a\.tifxyz"):
        read_tifxyz(path)
