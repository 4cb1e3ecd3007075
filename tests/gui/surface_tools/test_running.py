"""A tool in a real process, on a layer in memory."""

import numpy as np
import pytest
from napari.layers import Labels

from napari_surfseg.errors import SurfsegError
from napari_surfseg.gui.background.processes import JobProcess
from napari_surfseg.gui.layers.layer_volume import take_layer
from napari_surfseg.gui.surface_tools.running import ToolRequest, run_layer_tool
from napari_surfseg.surface_tools.registry import find_tool

MODULE = "napari_surfseg.surface_tools.process"


@pytest.fixture(scope="module")
def volume():
    mask = np.zeros((10, 12, 12), np.uint8)
    mask[4:7] = 1
    return take_layer(Labels(mask, name="sheet", scale=(4, 2, 2), translate=(8, 0, 2)))


def test_a_mesh_comes_back_in_voxels(volume):
    stages = []
    process = JobProcess(MODULE, "tool", report=lambda stage, _share: stages.append(stage))
    request = ToolRequest(find_tool("surface-mesh"), {"smoothing": 0})
    result = run_layer_tool(request, {"surface": volume}, process)
    vertices, faces = result.mesh
    assert vertices[:, 0].mean() == pytest.approx(5, abs=0.3)
    assert vertices[:, 1].max() <= 11
    assert len(faces) > 100
    assert "mesh" in stages


def test_an_error_of_the_process_names_the_layer(volume):
    empty = take_layer(Labels(np.zeros((10, 12, 12), np.uint8), name="void"))
    request = ToolRequest(find_tool("surface-mesh"), {})
    with pytest.raises(SurfsegError, match="no surface to mesh"):
        run_layer_tool(request, {"surface": empty}, JobProcess(MODULE, "tool"))


def test_a_cancelled_one_starts_no_process(volume):
    process = JobProcess(MODULE, "tool")
    process.cancel()
    with pytest.raises(SurfsegError, match="cancelled"):
        run_layer_tool(ToolRequest(find_tool("fill-holes"), {}), {"surface": volume}, process)
