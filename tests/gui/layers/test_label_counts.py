import numpy as np
import pytest
import zarr
from napari.layers import Image, Labels

from napari_surfseg.errors import LabelError
from napari_surfseg.gui.layers.label_counts import count_values
from napari_surfseg.gui.layers.layer_volume import take_layer


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


@pytest.mark.parametrize("sharded", [False, True])
def test_of_a_huge_sparse_zarr_only_what_is_stored_is_read(sharded, monkeypatch):
    size = 20_000
    array = zarr.create_array(
        zarr.storage.MemoryStore(),
        name="labels",
        shape=(size,) * 3,
        chunks=(50, 64, 100),
        shards=(100, 128, 200) if sharded else None,
        dtype=np.uint8,
    )
    array[149:151, 300:310, 7] = 1
    array[19_990:, 19_999, 19_999] = 2
    taken = take_layer(Labels(array))
    counts = count_values(taken)
    assert counts == {0: size**3 - 30, 1: 20, 2: 10}
