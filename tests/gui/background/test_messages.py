"""A worker's sentences in the window's words."""

from pathlib import Path

from napari_surfseg.gui.background.messages import name_copies, name_layers, name_switches


def test_a_layer_is_named_instead_of_its_path():
    names = {"/runs/a/inputs/labels_1.zarr": "strokes", "/runs/a/inputs/labels_11.zarr": "more"}
    said = name_layers(
        "/runs/a/inputs/labels_11.zarr holds 7, not /runs/a/inputs/labels_1.zarr.", names
    )
    assert said == "The layer 'more' holds 7, not the layer 'strokes'."


def test_a_copy_is_called_one_where_the_layer_is_gone():
    folder = Path("/runs/a/inputs")
    said = name_copies(f"{folder}/labels_0.zarr and {folder}/image_0.zarr differ.", folder)
    assert said == "The run's copy of the labels and the run's copy of the volume differ."
    assert name_copies("/other/labels_0.zarr is gone.", folder) == "/other/labels_0.zarr is gone."


def test_switches_are_called_what_the_window_calls_them():
    assert name_switches("continue it with --resume, or name a --run-dir.") == (
        "continue it with Resume, or name a run name."
    )
    assert name_switches("a--set --settle") == "a--set --settle"
