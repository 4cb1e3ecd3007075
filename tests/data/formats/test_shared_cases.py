"""The sample files of the shared folder, where it lies beside this checkout."""

import importlib.util
import json
from pathlib import Path

import numpy as np
import pytest

from napari_surfseg.data.open import open_volume
from napari_surfseg.errors import DataError

# Beside the checkout, or beside that of which this one is a work tree.
PLACES = [Path(__file__).parents[3] / steps / "shared" / "cases" for steps in ("..", "../..")]
SCRIPT = next((place / "make_cases.py" for place in PLACES if place.is_dir()), None)


@pytest.fixture(scope="session")
def shared_cases(tmp_path_factory):
    """Write the files and give their folder and what is right for them."""
    if SCRIPT is None:
        pytest.skip("the shared sample cases are not beside this checkout")
    spec = importlib.util.spec_from_file_location("make_cases", SCRIPT)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    folder = tmp_path_factory.mktemp("cases")
    module.main(folder)
    return folder, json.loads((folder / "expected.json").read_text())


NAMES = (
    "imagej_step_one.tif",
    "imagej_zunit.tif",
    "slices_appended.tif",
    "pieces_appended.tif",
    "channels_not_slices.tif",
    "nested_no_separator.zarr",
    "mixed_units.zarr",
    "axes_xyz.zarr",
    "series_level.zarr::0/0",
    "unsigned_bytes.mrc",
    "no_sampling.mrc",
    "gap_in_numbers",
)


def test_all_of_them_are_here(shared_cases):
    assert set(shared_cases[1]) == set(NAMES)


@pytest.mark.parametrize("name", NAMES)
def test_shared_case(shared_cases, name):
    folder, expected = shared_cases
    row = expected[name]
    if row["answer"] == "refuse":
        with pytest.raises(DataError):
            open_volume(f"{folder}/{name}")
        return
    volume = open_volume(f"{folder}/{name}")
    if row["answer"] == "note":
        assert volume.notes
        return
    assert volume.shape == tuple(row["shape"])
    for place, value in row["voxels"]:
        z, y, x = place
        assert volume.read((z, y, x), (z + 1, y + 1, x + 1)).item() == value
    if row["spacing"] is None:
        assert not volume.spacing_known
    else:
        np.testing.assert_allclose(volume.spacing, row["spacing"])
    assert volume.units == row["unit"]
