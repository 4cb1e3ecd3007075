"""The buttons take the brush, and show what it paints."""

from unittest.mock import Mock

import numpy as np
import pytest
from napari.components import ViewerModel

from napari_surfseg.gui.controls.source_choice import SourceChoice
from napari_surfseg.gui.strokes.brush_controller import BrushController
from napari_surfseg.gui.strokes.protocols import BrushButtonsProtocol

SHAPE = (4, 16, 16)


@pytest.fixture
def viewer():
    viewer = ViewerModel()
    viewer.add_image(np.zeros(SHAPE, np.uint8), name="scan")
    return viewer


@pytest.fixture
def buttons():
    return Mock(spec=BrushButtonsProtocol)


@pytest.fixture
def controller(viewer, page, buttons, session):
    page.choose(0, image=SourceChoice.of_layer(viewer.layers["scan"]))
    controller = BrushController(viewer, page, buttons, session)
    yield controller
    controller.close()


def shown(buttons):
    """The buttons by meaning, and which one is checked."""
    return buttons.set_buttons.call_args.args


def test_without_labels_there_are_no_buttons(controller, buttons):
    assert shown(buttons) == ({}, None)


def test_the_buttons_choose_what_the_brush_paints(controller, viewer, buttons):
    controller.start()
    layer = viewer.layers[-1]
    found, painted = shown(buttons)
    assert {meaning: button.value for meaning, button in found.items()} == {
        "foreground": 1,
        "background": 2,
        "ignore": 0,
    }
    assert found["ignore"].text == "Erase"
    assert painted == "foreground"
    controller.paint(2)
    assert (layer.mode, layer.selected_label) == ("paint", 2)
    assert shown(buttons)[1] == "background"
    controller.paint(0)
    assert layer.mode == "erase"
    assert shown(buttons)[1] == "ignore"


def test_the_buttons_follow_the_brush_and_the_selection(controller, viewer, buttons):
    controller.start()
    layer = viewer.layers[-1]
    layer.selected_label = 2
    assert shown(buttons)[1] == "background"
    viewer.layers.selection.active = viewer.layers["scan"]
    assert shown(buttons)[1] is None
    controller.paint(1)
    assert viewer.layers.selection.active is layer
    viewer.layers.remove(layer)
    assert shown(buttons) == ({}, None)


def test_dense_labels_have_the_buttons_too(controller, viewer, page, buttons):
    layer = viewer.add_labels(np.ones(SHAPE, np.uint8), name="dense")
    page.choose(0, labels=SourceChoice.of_layer(layer))
    controller.refresh()
    found, _ = shown(buttons)
    assert [button.text for button in found.values()] == ["Surface", "Background", "Not annotated"]
    assert "on the layer 'dense'" in found["ignore"].tip
    controller.paint(found["ignore"].value)
    assert (layer.mode, layer.selected_label) == ("paint", 2)


def test_a_value_that_says_not_annotated_is_offered_where_there_is_none(
    controller, viewer, page, buttons
):
    layer = viewer.add_labels(np.ones(SHAPE, np.uint8), name="dense")
    page.meanings.return_value = {0: "background", 1: "foreground"}
    page.choose(0, labels=SourceChoice.of_layer(layer))
    controller.refresh()
    assert shown(buttons)[0]["ignore"].value == 2
