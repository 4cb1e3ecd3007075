import dask.array
import numpy as np
import pytest
from napari.layers import Image, Labels

from napari_surfseg.errors import DataError
from napari_surfseg.gui.layers.layer_volume import take_file, take_layer


def volume(shape=(70, 30, 20), dtype=np.uint8):
    return np.random.default_rng(0).integers(0, 200, shape).astype(dtype)


def test_a_layer_becomes_a_volume_with_its_place():
    taken = take_layer(Image(volume(), name="scan", scale=(2, 0.5, 0.5), units="um"))
    assert taken.shape == (70, 30, 20)
    assert taken.spacing == (2.0, 0.5, 0.5)
    assert taken.units == "micrometer"
    assert taken.spacing_known
    assert not taken.is_labels
    assert not take_layer(Image(volume())).spacing_known


def test_one_time_point_and_one_channel_are_left_out():
    data = volume((1, 1, 7, 30, 20))
    taken = take_layer(Image(data, name="scan", scale=(5, 7, 2, 1, 1)))
    assert taken.shape == (7, 30, 20)
    assert taken.spacing == (2.0, 1.0, 1.0)
    np.testing.assert_array_equal(taken.read((1, 2, 3), (4, 5, 6)), data[0, 0, 1:4, 2:5, 3:6])


@pytest.mark.parametrize(
    ("layer", "sentence"),
    [
        (Image(np.zeros((4, 5)), name="flat"), "has 2 axes"),
        (Image(np.zeros((2, 4, 5, 6)), name="movie"), "has 4 axes of 2 × 4 × 5 × 6 voxels"),
        (Image(np.zeros((4, 5, 6, 3), np.uint8), rgb=True, name="photo"), "colour image"),
    ],
)
def test_what_is_no_volume_is_refused(layer, sentence):
    with pytest.raises(DataError, match=sentence) as raised:
        take_layer(layer)
    assert layer.name in str(raised.value)


def test_a_file_is_a_volume_too(tmp_path):
    data = volume()
    np.save(tmp_path / "scan.npy", data)
    taken = take_file(str(tmp_path / "scan.npy"))
    np.testing.assert_array_equal(taken.read((3, 2, 1), (6, 9, 8)), data[3:6, 2:9, 1:8])
    assert not taken.spacing_known
    assert take_layer(Labels(data)).is_labels


@pytest.mark.parametrize(
    "key",
    [np.s_[3, :, :], np.s_[1:5, 2, ::2], np.s_[::-1, 4:0:-2, 6], np.s_[2:2, :, 1], np.s_[5, 6, 7]],
    ids=str,
)
def test_a_file_is_indexed_like_an_array(tmp_path, key):
    """As a viewer does it, which asks a dask array of it for a plane."""
    values = np.arange(6 * 7 * 8, dtype=np.uint16).reshape(6, 7, 8)
    np.save(tmp_path / "a.npy", values)
    lazy = take_file(str(tmp_path / "a.npy")).data
    assert np.array_equal(lazy[key], values[key])
    found = dask.array.from_array(lazy, chunks=8)[key].compute()
    assert np.array_equal(found, values[key])
