"""npy files."""

import numpy as np
import pytest

from napari_surfseg.data.open import open_volume
from napari_surfseg.errors import DataError

SHAPE = (7, 11, 13)


def test_half_and_bool_are_widened(tmp_path, make_values):
    np.save(tmp_path / "half.npy", make_values("float16"))
    assert open_volume(tmp_path / "half.npy").dtype == np.float32
    np.save(tmp_path / "bool.npy", make_values() > 60)
    volume = open_volume(tmp_path / "bool.npy")
    assert volume.dtype == np.uint8
    assert set(np.unique(volume.read((0, 0, 0), SHAPE))) == {0, 1}


def test_refuses_pickled_objects_unread(tmp_path):
    np.save(tmp_path / "a.npy", np.array([[[{"a": 1}]]], dtype=object), allow_pickle=True)
    with pytest.raises(DataError, match="holds Python objects"):
        open_volume(tmp_path / "a.npy")


VALUES = np.random.default_rng(1).integers(0, 120, SHAPE).astype(np.int16)
KINDS = {
    "in order of Fortran": np.asfortranarray(VALUES),
    "turned in memory": VALUES.transpose(2, 0, 1).copy().transpose(1, 2, 0),
    "big endian": VALUES.astype(">i2"),
    "big endian, real": VALUES.astype(">f8"),
    "64 bits": VALUES.astype(np.int64),
    "one channel in front": VALUES[None],
    "one time point and channel in front": VALUES[None, None],
}


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("version", [(1, 0), (2, 0)])
def test_kinds_of_arrays(tmp_path, kind, version):
    with (tmp_path / "a.npy").open("wb") as file:
        np.lib.format.write_array(file, KINDS[kind], version=version)
    volume = open_volume(tmp_path / "a.npy")
    assert volume.shape == SHAPE
    assert volume.dtype.isnative
    np.testing.assert_array_equal(volume.read(*volume.box), VALUES)
    np.testing.assert_array_equal(volume.read((1, 2, 3), (5, 9, 12)), VALUES[1:5, 2:9, 3:12])
    assert not volume.spacing_known
    assert volume.notes == []
