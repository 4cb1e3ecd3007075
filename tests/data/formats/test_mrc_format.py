"""mrc files."""

import mrcfile
import pytest

from napari_surfseg.data.open import open_volume


def test_voxel_size_in_angstrom(tmp_path, make_values):
    with mrcfile.new(tmp_path / "a.mrc") as mrc:
        mrc.set_data(make_values("float32"))
        mrc.voxel_size = (1.5, 2.5, 3.5)  # X, Y, Z
    volume = open_volume(tmp_path / "a.mrc")
    assert volume.spacing == pytest.approx((3.5, 2.5, 1.5))
    assert volume.units == "angstrom"
