import gc
import weakref

import numpy as np
from napari.layers import Labels

from napari_surfseg.gui.controls.source_choice import SourceChoice


def test_a_choice_lets_its_layer_go():
    layer = Labels(np.zeros((2, 2, 2), np.uint8), name="it")
    choice, other = SourceChoice.of_layer(layer), SourceChoice.of_layer(layer)
    layer.name = "still it"
    assert choice == other
    assert choice.name == "still it"
    ref = weakref.ref(layer)
    del layer
    gc.collect()
    assert ref() is None
    assert choice.layer is None
    assert choice.name == "it"
    assert hash(choice) == hash(other)
    assert choice != SourceChoice.of_file("it")
