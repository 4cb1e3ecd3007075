"""Sentences of a worker, as the window says them."""

import gc
from pathlib import Path

import numpy as np
import pytest
from napari.layers import Labels

from napari_surfseg.errors import SurfsegError
from napari_surfseg.events import WarningIssued
from napari_surfseg.gui.background.messages import name_copies, name_layers, name_switches
from napari_surfseg.gui.background.processes import JobProcess
from napari_surfseg.gui.layers.layer_volume import take_layer
from napari_surfseg.gui.topology.comparison import run_comparison
from napari_surfseg.runs.folder import RunState
from napari_surfseg.runs.follow import RunSnapshot


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


def test_what_a_run_says_is_said_in_the_windows_words(session, feeds, tmp_path):
    told = []
    session.polled.connect(told.append)
    session.attach(tmp_path)
    layer = Labels(np.zeros((2, 2, 2), np.uint8), name="my strokes")
    path = str(tmp_path / "inputs" / "labels_0.zarr")
    session.link_layer(path, layer)
    warning = WarningIssued(message=f"{path} holds no surface; continue it with --resume.")
    feeds[-1].polled.emit(
        RunSnapshot(state=RunState.RUNNING, message=warning.message, new_events=(warning,))
    )
    expected = "The layer 'my strokes' holds no surface; continue it with Resume."
    assert told[-1].message == told[-1].new_events[0].message == expected
    del layer
    gc.collect()
    feeds[-1].polled.emit(RunSnapshot(state=RunState.FAILED, message=warning.message))
    assert told[-1].message.startswith("The run's copy of the labels holds no surface")


def test_a_jobs_sentence_names_the_layer():
    values = np.zeros((8, 8, 8), np.float32)
    values[0] = np.nan
    pred = take_layer(Labels(np.zeros((8, 8, 8), np.uint8), name="truth"))
    from napari.layers import Image

    with pytest.raises(SurfsegError, match=r"^The layer 'my scan' holds 64 NaN voxels"):
        run_comparison(
            take_layer(Image(values, name="my scan")),
            pred,
            {1: "foreground"},
            0.5,
            JobProcess("napari_surfseg.inference.evaluation_process", "comparison"),
            lambda *_: None,
        )


def test_a_job_that_dies_is_quoted(tmp_path):
    process = JobProcess("napari_surfseg.no_such_module", "comparison")
    with pytest.raises(SurfsegError, match=r"exit code 1; its last words are .*no_such_module"):
        process.run(tmp_path / "job.json", lambda *_: None)
