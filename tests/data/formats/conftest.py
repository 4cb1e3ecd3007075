"""What the tables of cases share: how a row that is read, or refused, is checked."""

import numpy as np
import pytest

from napari_surfseg.data.open import open_volume
from napari_surfseg.errors import DataError


@pytest.fixture
def check_read():
    """Compare an opened volume with what a row of a table says of it."""

    def check(source, values, spacing=None, unit=None, place=(0, 0, 0), dtype=None, note=""):
        volume = open_volume(source)
        assert volume.shape == values.shape
        assert volume.dtype == (values.dtype.newbyteorder("=") if dtype is None else dtype)
        assert volume.spacing_known == (spacing is not None)
        assert volume.spacing == pytest.approx(spacing or (1, 1, 1), rel=1e-6)
        assert volume.units == unit
        assert volume.translate == pytest.approx(place, rel=1e-6, abs=1e-9)
        if note:
            assert any(note in sentence for sentence in volume.notes), volume.notes
        else:
            assert volume.notes == []
        z, y, x = values.shape
        for voxel in ((0, 0, 0), (1, 2, 3), (z - 1, 0, x - 1), (z // 2, y - 1, 1)):
            (found,) = volume.read(voxel, tuple(at + 1 for at in voxel)).ravel()
            assert found == pytest.approx(values[voxel]), voxel
        box = volume.read((1, 2, 0), (z - 1, y - 2, x - 3))
        np.testing.assert_allclose(box, values[1:-1, 2:-2, :-3])
        return volume

    return check


@pytest.fixture
def check_refused():
    """Require one sentence, with the file's name and some words, on opening and reading."""

    def check(source, *words):
        with pytest.raises(DataError) as caught:
            _read_all(source)
        sentence = str(caught.value)
        for word in words:
            assert word in sentence
        assert "\n" not in sentence
        assert sentence.endswith(".")
        return sentence

    return check


def _read_all(source):
    volume = open_volume(source)
    volume.read((0, 0, 0), volume.shape)
