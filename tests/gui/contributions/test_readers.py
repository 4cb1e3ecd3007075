"""What the readers make of a run and of a checkpoint; volumes are in the round trips."""

import json

import numpy as np
import pytest
import tifffile
from napari.layers import Points

from napari_surfseg.config import Experiment
from napari_surfseg.errors import CheckpointError, RunError
from napari_surfseg.gui.contributions import readers
from napari_surfseg.runs.folder import RunFolder


def test_a_run_folder_and_its_configuration_open_the_run(run_dir):
    ((data, about, kind),) = readers.get_run_reader(str(run_dir))(str(run_dir))
    # Its volumes are not there: the prediction alone, in voxels.
    assert kind == "image"
    assert data.shape == (4, 8, 8)
    assert about["translate"].tolist() == [1, 2, 3]
    config = str(run_dir / "config.yaml")
    assert len(readers.get_run_reader(config)(config)) == 1


def test_what_was_left_out_of_a_volume_is_shown(tmp_path, monkeypatch):
    shown = []
    monkeypatch.setattr(readers, "show_warning", shown.append)
    stack = np.zeros((5, 8, 8), np.uint8)
    tifffile.imwrite(tmp_path / "a.tif", stack[0, ::2, ::2])
    tifffile.imwrite(tmp_path / "a.tif", stack, append=True, photometric="minisblack")
    ((data, about, _),) = readers.read_volume_layer(str(tmp_path / "a.tif"))
    assert data.shape == (5, 8, 8)
    assert "which are left out: 1 of 4 x 4 uint8" in shown[0]
    assert about["metadata"]["surfseg_notes"] == shown


def test_other_folders_are_left_to_other_readers(tmp_path):
    assert readers.get_run_reader(str(tmp_path)) is None
    assert readers.get_checkpoint_reader(str(tmp_path / "scan.tif")) is None


def test_a_run_that_has_nothing_to_show_says_so(tmp_path):
    run = RunFolder(tmp_path / "new").create(Experiment())
    with pytest.raises(RunError, match="no prediction yet, and its volumes are not found"):
        readers.read_run(str(run.path))


def test_a_checkpoint_opens_as_its_summary(tmp_path):
    checkpoint = tmp_path / "best.pt"
    checkpoint.write_bytes(b"not read")
    with pytest.raises(CheckpointError, match="no summary"):
        readers.read_checkpoint(str(checkpoint))
    summary = {
        "name": "first",
        "model": "tiny",
        "epoch": 3,
        "step": 300,
        "threshold": 0.45,
        "patch_size": [64, 64, 64],
        "num_parameters": 1_200_000,
        "metrics": {"surface_dice": 0.97},
    }
    (tmp_path / "best.json").write_text(json.dumps(summary))
    ((data, meta, kind),) = readers.get_checkpoint_reader(str(checkpoint))(str(checkpoint))
    assert kind == "points"
    text = meta["features"]["summary"][0]
    assert "surface dice 0.970" in text
    assert "1.2 million parameters" in text
    assert Points(data, **meta).metadata["checkpoint"] == str(checkpoint)
