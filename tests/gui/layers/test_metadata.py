import numpy as np
from napari.layers import Labels

from napari_surfseg.gui.layers.metadata import file_of, kind_of, meanings_of, part_of


def test_a_layer_of_a_person_has_no_kind_whatever_it_is_called():
    layer = Labels(np.zeros((4, 4, 4), np.uint8), name="live skeleton")
    assert kind_of(layer) is None
    assert part_of(layer) is None
    assert file_of(layer) is None
    assert meanings_of(layer) == {}
    assert meanings_of(None) == {}


def test_what_was_noted_is_found_under_any_name():
    noted = {"surfseg": "prediction", "part": "skeleton", "surfseg_labels": {1: "foreground"}}
    layer = Labels(np.zeros((4, 4, 4), np.uint8), metadata={**noted, "surfseg_file": "a.zarr"})
    layer.name = "renamed"
    assert (kind_of(layer), part_of(layer), file_of(layer)) == ("prediction", "skeleton", "a.zarr")
    assert meanings_of(layer) == {1: "foreground"}
