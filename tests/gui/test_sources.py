import numpy as np
import pytest
import tifffile
from napari.layers import Image, Labels

from napari_surfseg.data.volume import open_volume
from napari_surfseg.errors import DataError, LabelError
from napari_surfseg.gui.sources import (
    count_values,
    find_file,
    take_file,
    take_layer,
    write_layer,
)


def volume(shape=(70, 30, 20), dtype=np.uint8):
    return np.random.default_rng(0).integers(0, 200, shape).astype(dtype)


def test_a_layer_becomes_a_volume_with_its_place():
    taken = take_layer(Image(volume(), name="scan", scale=(2, 0.5, 0.5), units="um"))
    assert taken.shape == (70, 30, 20)
    assert taken.spacing == (2.0, 0.5, 0.5)
    assert taken.units == "micrometer"
    assert not taken.is_labels


@pytest.mark.parametrize(
    ("layer", "sentence"),
    [
        (Image(np.zeros((4, 5)), name="flat"), "has 2 axes"),
        (Image(np.zeros((2, 4, 5, 6)), name="movie"), "has 4 axes"),
        (Image(np.zeros((4, 5, 6, 3), np.uint8), rgb=True, name="photo"), "colour image"),
    ],
)
def test_what_is_no_volume_is_refused(layer, sentence):
    with pytest.raises(DataError, match=sentence) as raised:
        take_layer(layer)
    assert layer.name in str(raised.value)


def test_a_written_layer_is_read_back_with_its_spacing(tmp_path):
    data = volume(dtype=np.uint16)
    shares = []
    taken = take_layer(Image(data, name="scan", scale=(2, 0.5, 0.5), units="um"))
    write_layer(taken, tmp_path / "deep" / "scan.zarr", shares.append)
    found = open_volume(tmp_path / "deep" / "scan.zarr")
    np.testing.assert_array_equal(found.read((0, 0, 0), data.shape), data)
    assert found.spacing == (2.0, 0.5, 0.5)
    assert found.units == "micrometer"
    assert shares == sorted(shares)
    assert shares[-1] == 1.0
    assert [path.name for path in (tmp_path / "deep").iterdir()] == ["scan.zarr"]


def test_a_layer_of_a_file_is_used_where_it_lies(tmp_path):
    data = volume()
    path = tmp_path / "scan.npy"
    np.save(path, data)
    layer = Image(data, name="scan")
    layer._source = layer.source.model_copy(update={"path": str(path)})
    assert find_file(take_layer(layer)) == str(path)
    # Changed in the viewer, or labels that can be painted on: they have to be written.
    layer.data = data[::-1]
    assert find_file(take_layer(layer)) is None
    labels = Labels(data, name="labels")
    labels._source = labels.source.model_copy(update={"path": str(path)})
    assert find_file(take_layer(labels)) is None


def test_a_file_is_a_volume_too(tmp_path):
    data = volume()
    tifffile.imwrite(tmp_path / "scan.tif", data)
    taken = take_file(str(tmp_path / "scan.tif"))
    np.testing.assert_array_equal(taken.read((3, 2, 1), (6, 9, 8)), data[3:6, 2:9, 1:8])
    assert find_file(taken) == str((tmp_path / "scan.tif").resolve())


@pytest.mark.parametrize("dtype", [np.uint8, np.int32, np.uint64, np.bool_])
def test_label_values_are_counted(dtype):
    labels = np.zeros((70, 65, 3), dtype)
    labels[:10] = 1
    taken = take_layer(Labels(labels.astype(np.uint8) if dtype == np.bool_ else labels))
    assert count_values(taken) == {0: 60 * 65 * 3, 1: 10 * 65 * 3}


def test_objects_are_no_labels_and_grey_values_are_none():
    many = take_layer(Labels(np.arange(1000).reshape(10, 10, 10)))
    with pytest.raises(LabelError, match="more than 64 different values"):
        count_values(many)
    grey = take_layer(Image(np.zeros((4, 4, 4), np.float32), name="grey"))
    with pytest.raises(LabelError, match="whole numbers"):
        count_values(grey)


def test_counting_can_be_called_off():
    taken = take_layer(Labels(np.zeros((200, 70, 70), np.uint8)))
    assert count_values(taken, lambda: True) == {}
