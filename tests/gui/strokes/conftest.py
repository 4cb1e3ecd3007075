"""A labels layer with the run's copy of it, and the page on which labels are chosen."""

from unittest.mock import Mock

import numpy as np
import pytest
from napari.components import ViewerModel

from napari_surfseg.gui.controls.source_choice import PairChoice
from napari_surfseg.gui.layers.copies import write_layer
from napari_surfseg.gui.layers.layer_volume import take_layer
from napari_surfseg.gui.strokes.protocols import PaintedPageProtocol


@pytest.fixture
def viewer():
    viewer = ViewerModel()
    viewer.add_labels(np.zeros((70, 64, 130), np.uint8), name="sheet")
    return viewer


@pytest.fixture
def layer(viewer):
    return viewer.layers["sheet"]


@pytest.fixture
def copy(layer, tmp_path):
    """Path of the copy that a run made of the layer."""
    path = tmp_path / "run" / "inputs" / "labels_0.zarr"
    write_layer(take_layer(layer), path)
    return str(path)


@pytest.fixture
def page():
    """Remembers what is chosen; begins with one empty pair."""
    pairs = [PairChoice(None, None)]

    def choose(number, *, image=None, labels=None):
        before = pairs[number]
        pairs[number] = PairChoice(image or before.image, labels or before.labels)

    page = Mock(spec=PaintedPageProtocol)
    page.pairs.side_effect = lambda: tuple(pairs)
    page.add_pair.side_effect = lambda: pairs.append(PairChoice(None, None))
    page.choose.side_effect = choose
    page.meanings.return_value = {0: "background", 1: "foreground", 2: "ignore"}
    return page
