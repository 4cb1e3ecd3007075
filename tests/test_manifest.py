"""The manifest that napari reads."""

from fnmatch import fnmatch

import pytest
from npe2 import PluginManifest

from napari_surfseg.surface_tools.registry import TOOLS


@pytest.fixture(scope="module")
def manifest():
    return PluginManifest.from_distribution("napari-surfseg")


def test_the_manifest_names_things_that_are_there(manifest):
    manifest.validate_imports()
    assert manifest.display_name == "Surface segmentation"
    names = [widget.display_name for widget in manifest.contributions.widgets]
    assert names == [
        "Surface training",
        "Predict surfaces",
        "Runs",
        "Loss curves",
        "Proofread",
        "Surface tools",
    ]
    assert len(manifest.contributions.sample_data) == 2
    assert set(manifest.contributions.menus) == {
        "napari/file/io_utilities",
        "napari/layers/filter",
        "napari/layers/measure",
        "napari/layers/segment",
        "napari/layers/visualize",
    }


def test_entries_of_the_layers_menu_for_tools_are_in_one_place_each(manifest):
    tools = {
        command.id
        for command in manifest.contributions.commands
        if "tool_menus" in command.python_name
    }
    listed = [item.command for menu in manifest.contributions.menus.values() for item in menu]
    assert len(listed) == len(set(listed))
    assert tools == {f"napari-surfseg.{name.replace('-', '_')}" for name in TOOLS}
    assert tools <= set(listed)


def test_the_run_reader_leaves_other_files_alone(manifest):
    run_reader, checkpoint_reader, volume_reader, mesh_reader, grid_reader = (
        manifest.contributions.readers
    )
    assert run_reader.filename_patterns == ["config.yaml"]
    assert checkpoint_reader.filename_patterns == ["*.pt"]
    assert not checkpoint_reader.accepts_directories
    # napari asks which reader is meant where two know a name.
    for name in ("scan.tif", "scan.ome.tif", "scan.zarr", "labels.zarr", "labels.tif", "0"):
        assert not any(fnmatch(name, one) for one in volume_reader.filename_patterns)
    assert mesh_reader.filename_patterns == ["*.ply", "*.obj", "*.stl"]
    assert grid_reader.filename_patterns == ["*.tifxyz", "meta.json"]
