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
