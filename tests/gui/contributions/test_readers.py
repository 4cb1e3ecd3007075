"""What the readers make of a run and of a checkpoint; volumes are in the round trips."""

import json
from dataclasses import replace

import numpy as np
import pytest
import tifffile
from napari.layers import Layer, Points

from napari_surfseg.config import Experiment
from napari_surfseg.errors import CheckpointError, RunError
from napari_surfseg.gui.contributions import readers
from napari_surfseg.gui.contributions.writers import write_surface
from napari_surfseg.runs.folder import RunFolder
from napari_surfseg.surfaces.mesh import make_mesh
from napari_surfseg.surfaces.mesh_reading import read_mesh_file
from napari_surfseg.surfaces.mesh_writing import write_mesh
from napari_surfseg.surfaces.tifxyz import GridFile, write_tifxyz


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


@pytest.mark.parametrize("asked", ["sheet.tifxyz", "sheet.tifxyz/meta.json"])
def test_a_grid_of_points_lies_in_place(tmp_path, asked):
    points = np.stack(np.meshgrid([5.0], np.arange(4.0), np.arange(5.0), indexing="ij"), -1)[0]
    points[3, 4] = np.nan
    grid = GridFile(points, None, 1.0, (4.0, 2.0, 2.0), (8.0, 0.0, 2.0), "nanometer")
    write_tifxyz(tmp_path / "sheet.tifxyz", grid)
    reader = readers.get_grid_reader(str(tmp_path / asked))
    [(data, about, kind)] = reader(str(tmp_path / asked))
    layer = Layer.create(data, about, kind)
    assert layer.name == "sheet"
    assert len(layer.vertices) == 19
    assert len(layer.faces) == 2 * (12 - 1)
    assert layer.data_to_world(layer.vertices[0]) == (28, 0, 2)
    assert readers.get_grid_reader(str(tmp_path)) is None
    (tmp_path / "meta.json").write_text("{}")
    assert readers.get_grid_reader(str(tmp_path / "meta.json")) is None


def test_a_mesh_with_thickness_is_coloured(tmp_path):
    mesh = make_mesh(np.eye(3) * 9, np.array([[0, 1, 2]]))
    values = {"thickness": np.array([1, 2, 3], np.float32)}
    write_mesh(tmp_path / "m.ply", replace(mesh, values=values), units="micrometer")
    [(data, about, kind)] = readers.read_mesh_layer(str(tmp_path / "m.ply"))
    layer = Layer.create(data, about, kind)
    assert layer.vertex_values.tolist() == [1, 2, 3]
    assert layer.contrast_limits == pytest.approx([1.04, 2.96])
    # Written again by napari's own menu, it is still there.
    write_surface(str(tmp_path / "n.ply"), *layer.as_layer_data_tuple()[:2])
    assert read_mesh_file(tmp_path / "n.ply").values["thickness"].tolist() == [1, 2, 3]
