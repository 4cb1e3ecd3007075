"""The dock "Surface tools" in a window: what was set comes back when it is opened again."""

import numpy as np
import pytest

from napari_surfseg.gui.surface_tools.widget import SurfaceToolsWidget


@pytest.fixture
def viewer(make_napari_viewer):
    viewer = make_napari_viewer()
    viewer.add_labels(np.ones((4, 5, 6), np.uint8), name="sheet")
    return viewer


def test_a_dock_that_is_opened_again_remembers(viewer, qtbot):
    first = SurfaceToolsWidget(viewer)
    qtbot.addWidget(first)
    first.controller.choose_tool("remove-small-pieces")
    first.view._forms["remove-small-pieces"]._widgets[0].value = 77
    assert first.view.source("surface").layer is viewer.layers["sheet"]
    second = SurfaceToolsWidget(viewer)
    qtbot.addWidget(second)
    assert second.view.tool().name == "remove-small-pieces"
    assert second.view.settings() == {"min_voxels": 77, "min_area": 0.0}
