"""A tool in a real process, on a layer in memory."""

from pathlib import Path
from unittest.mock import Mock

import dask.array
import numpy as np
import pytest
from napari.layers import Labels

from napari_surfseg.errors import SurfsegError
from napari_surfseg.gui.background.processes import JobProcess
from napari_surfseg.gui.layers import layer_data
from napari_surfseg.gui.layers.layer_volume import take_layer
from napari_surfseg.gui.surface_tools import running
from napari_surfseg.gui.surface_tools.controller import _build_layers
from napari_surfseg.gui.surface_tools.running import ToolRequest, run_layer_tool
from napari_surfseg.inference import pyramid
from napari_surfseg.inference.label_writer import write_array
from napari_surfseg.inference.output_metadata import VolumeMetadata
from napari_surfseg.inference.process_protocol import read_job
from napari_surfseg.surface_tools.files import ToolRun, run_tool
from napari_surfseg.surface_tools.registry import TOOLS, Tool, find_tool
from napari_surfseg.surface_tools.results import FolderContents
from napari_surfseg.surfaces.mesh import build_mesh
from napari_surfseg.surfaces.mesh_writing import write_mesh

PLACED = VolumeMetadata((3.0, 2.0, 2.0), "nanometer", (30.0, 0.0, 4.0), "labels")
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
    vertices, faces, _, _ = result.mesh
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


@pytest.fixture
def lazy(tmp_path):
    """A labels layer that is read as it is looked at, of a file."""
    mask = np.zeros((10, 12, 12), np.uint8)
    mask[4:7] = 1
    write_array(tmp_path / "in.zarr", mask, VolumeMetadata((4.0, 2.0, 2.0)), name="in.zarr")
    data = dask.array.from_zarr(str(tmp_path / "in.zarr"), component="0")
    return take_layer(Labels(data, name="lazy", scale=(4, 2, 2), translate=(8, 0, 2)))


def test_a_large_result_lies_on_the_disk_and_is_opened_there(
    lazy, tmp_path, monkeypatch, no_process
):
    monkeypatch.setattr(running, "IN_MEMORY_BYTES", 0)
    monkeypatch.setattr(layer_data, "IN_MEMORY_BYTES", 0)
    folder = tmp_path / "made" / "tools"
    request = ToolRequest(find_tool("medial-surface"), {}, folder=str(folder))
    names = ["lazy_middle.zarr", "lazy_middle_2.zarr"]
    for name in names:
        result = run_layer_tool(request, {"surface": lazy}, no_process)
        assert result.path == folder / name
        assert isinstance(result.labels, dask.array.Array)
        assert np.asarray(result.labels[5]).all()
        assert no_process.job.inputs["surface"] == str(tmp_path / "in.zarr")
    assert sorted(item.name for item in folder.iterdir()) == [
        "lazy_middle.zarr",
        "lazy_middle_2.zarr",
    ]


def test_a_large_result_has_levels_and_is_read_where_it_lies(
    lazy, tmp_path, monkeypatch, no_process
):
    for module in (running, layer_data):
        monkeypatch.setattr(module, "IN_MEMORY_BYTES", 0)
    monkeypatch.setattr(pyramid, "COARSEST", 6)
    monkeypatch.setattr(pyramid, "LEAST", 1)
    request = ToolRequest(find_tool("threshold-surface"), {}, folder=str(tmp_path))
    result = run_layer_tool(request, {"surface": lazy}, no_process)
    (layer,) = _build_layers(request.tool, result, None)
    assert layer.multiscale
    assert [level.shape for level in layer.data] == [(10, 12, 12), (5, 6, 6)]
    assert (layer.scale == (4, 2, 2)).all()
    again = run_layer_tool(request, {"surface": take_layer(layer)}, no_process)
    assert no_process.job.inputs["surface"] == str(result.path)
    assert np.array_equal(np.asarray(again.labels[0]), np.asarray(layer.data[0]))


def test_of_one_that_fails_nothing_stays_in_the_folder(lazy, tmp_path, monkeypatch, no_process):
    monkeypatch.setattr(running, "IN_MEMORY_BYTES", 0)
    folder = tmp_path / "tools"
    request = ToolRequest(find_tool("fill-holes"), {"radius": 99}, folder=str(folder))
    with pytest.raises(SurfsegError, match="radius is 99"):
        run_layer_tool(request, {"surface": lazy}, no_process)
    assert list(folder.iterdir()) == []
    (tmp_path / "file").write_text("")
    request = ToolRequest(find_tool("fill-holes"), {}, folder=str(tmp_path / "file" / "x"))
    with pytest.raises(SurfsegError, match="cannot be made"):
        run_layer_tool(request, {"surface": lazy}, no_process)


def test_a_tool_without_layers_opens_what_it_wrote(tmp_path, monkeypatch, no_process):
    def make_balls(*, folder: Path) -> FolderContents:
        """Make balls."""
        write_array(folder / "a.zarr", np.ones((4, 4, 4), np.uint8), PLACED, name="a.zarr")
        write_mesh(folder / "b.ply", build_mesh(np.ones((3, 3, 3), np.uint8)))
        return FolderContents(("a.zarr", "b.ply"), annotated=("a.zarr",), hidden=("a.zarr",))

    tool = Tool("Balls", make_balls, {}, "folder", "balls")
    monkeypatch.setitem(TOOLS, tool.name, tool)
    request = ToolRequest(tool, {}, folder=str(tmp_path))
    result = run_layer_tool(request, {}, no_process)
    assert result.path == tmp_path / "make-balls_balls"
    assert [kind for _, _, kind in result.opened] == ["labels", "surface"]
    about = result.opened[0][1]
    assert about["scale"] == (3, 2, 2)
    assert (about["name"], about["visible"]) == ("a", False)
    assert about["metadata"]["surfseg_labels"][2] == "ignore"


@pytest.mark.parametrize("tool", ["sheet-meshes", "sheet-grids"])
def test_files_of_sheets_open_exactly_over_their_layer(volume, tmp_path, tool):
    """Without a process: what is written, and the layers that are made of it."""
    source = Labels(
        np.asarray(volume.data), name="sheet", scale=(4, 2, 2), translate=(8, 0, 2), rotate=30
    )

    def run(job_path, _names):
        return run_tool(read_job(job_path, lambda values: ToolRun(**values)))

    process = JobProcess(MODULE, "tool")
    process.run = Mock(side_effect=run)
    settings = {"step": 2} if tool == "sheet-grids" else {"smoothing": 0}
    request = ToolRequest(find_tool(tool), settings, folder=str(tmp_path))
    result = run_layer_tool(request, {"surface": volume}, process)
    assert result.path.parent == tmp_path
    assert [row["label"] for row in result.table] == [1]
    [layer] = _build_layers(request.tool, result, source)
    assert layer.vertices[:, 0].mean() == pytest.approx(5, abs=0.3)
    assert layer.vertices[:, 1:].max() <= 12
    for at in ((0, 0, 0), (5, 11, 3)):
        assert layer.data_to_world(at) == pytest.approx(source.data_to_world(at))
