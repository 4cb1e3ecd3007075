"""What napari sees of the plugin: its manifest, widgets, samples, readers and writers."""

import json
import subprocess
import sys
from fnmatch import fnmatch

import numpy as np
import pytest
import tifffile
from napari.layers import Points
from npe2 import PluginManifest
from qtpy.QtWidgets import (
    QAbstractButton,
    QAbstractSlider,
    QAbstractSpinBox,
    QComboBox,
    QLineEdit,
    QProgressBar,
    QScrollBar,
    QWidget,
)

from napari_surfseg.config import Experiment
from napari_surfseg.errors import CheckpointError, OutputError, RunError
from napari_surfseg.events import EventWriter, PreviewWritten, StepFinished
from napari_surfseg.gui.contributions import readers, samples
from napari_surfseg.gui.contributions.writers import write_labels
from napari_surfseg.gui.predict.view import PredictView
from napari_surfseg.gui.run_table.view import RunsView
from napari_surfseg.gui.topology.view import TopologyView
from napari_surfseg.gui.training.view import TrainingView
from napari_surfseg.runs.folder import RunFolder


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
        "Topology errors",
    ]
    assert len(manifest.contributions.sample_data) == 2
    assert set(manifest.contributions.menus) == {
        "napari/file/io_utilities",
        "napari/layers/measure",
        "napari/layers/segment",
        "napari/layers/visualize",
    }


def test_the_run_reader_leaves_other_files_alone(manifest):
    run_reader, checkpoint_reader, volume_reader, mesh_reader = manifest.contributions.readers
    assert run_reader.filename_patterns == ["config.yaml"]
    assert checkpoint_reader.filename_patterns == ["*.pt"]
    assert not checkpoint_reader.accepts_directories
    # napari asks which reader is meant where two know a name.
    for name in ("scan.tif", "scan.ome.tif", "scan.zarr", "labels.zarr", "labels.tif", "0"):
        assert not any(fnmatch(name, one) for one in volume_reader.filename_patterns)
    assert mesh_reader.filename_patterns == ["*.ply", "*.obj", "*.stl"]


def test_the_window_imports_no_torch():
    code = (
        "import sys, napari_surfseg.gui.training.widget, napari_surfseg.gui.predict.widget, "
        "napari_surfseg.gui.run_table.widget, napari_surfseg.gui.topology.widget, "
        "napari_surfseg.gui.contributions.samples, napari_surfseg.gui.contributions.readers, "
        "napari_surfseg.gui.contributions.writers, napari_surfseg.gui.contributions.menus; "
        "sys.exit('torch' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-W", "ignore", "-c", code], check=False)
    assert done.returncode == 0


@pytest.mark.parametrize("make", [TrainingView, PredictView, RunsView, TopologyView])
def test_every_control_has_a_name_and_a_tooltip(qtbot, make):
    view = make()
    qtbot.addWidget(view)
    kinds = (
        QAbstractButton,
        QAbstractSlider,
        QAbstractSpinBox,
        QComboBox,
        QLineEdit,
        QProgressBar,
    )
    inner = (QAbstractSpinBox, QComboBox, QScrollBar)
    seen = set()
    for control in view.findChildren(QWidget):
        if not isinstance(control, kinds) or isinstance(control, QScrollBar):
            continue
        if isinstance(control.parentWidget(), inner):
            continue
        name = control.objectName()
        if name.startswith("qt_") or name in {"ScrollLeftButton", "ScrollRightButton"}:
            continue  # parts of Qt's own composed widgets
        assert name, f"a {type(control).__name__} has no name"
        assert name == name.lower().replace(" ", "_")
        assert name not in seen, name
        seen.add(name)
        assert control.toolTip(), name
    assert len(seen) > 4


@pytest.mark.parametrize("make", [TrainingView, PredictView, RunsView, TopologyView])
def test_the_widgets_fit_a_small_screen(qtbot, make):
    view = make()
    qtbot.addWidget(view)
    assert view.minimumSizeHint().width() <= 420
    assert view.minimumSizeHint().height() <= 700


@pytest.mark.parametrize("make", [samples.make_dense_sample, samples.make_strokes_sample])
def test_samples_are_a_volume_with_labels(make):
    (image, image_meta, image_kind), (labels, labels_meta, labels_kind) = make()
    assert (image_kind, labels_kind) == ("image", "labels")
    assert image.shape == labels.shape
    assert image_meta["scale"] == labels_meta["scale"]
    present = set(np.unique(labels).tolist())
    assert present == {0, 1, 2}
    assert set(labels_meta["metadata"]["surfseg_labels"]) == present


@pytest.fixture
def run_dir(tmp_path):
    run = RunFolder(tmp_path / "first").create(Experiment())
    run.previews.mkdir()
    shape = (4, 8, 8)
    np.save(run.previews / "p.npy", np.full(shape, 200, np.uint8))
    np.save(run.previews / "s.npy", np.ones(shape, np.uint8))
    writer = EventWriter(run.events_path)
    for number in range(1, 4):
        writer.write(
            StepFinished(
                step=number,
                epoch=1,
                losses={"soft_dice": 0.5},
                head_total=0.5,
                total=0.5,
                learning_rate=0.1,
                gradient_norm=1.0,
                steps_per_second=1.0,
                elapsed_seconds=1.0,
                progress=0.1,
            )
        )
    writer.write(
        PreviewWritten(
            step=3,
            index=0,
            probabilities="previews/p.npy",
            skeleton="previews/s.npy",
            image="scan.zarr",
            origin=(1, 2, 3),
            shape=shape,
            epoch=1,
            seconds=0.1,
        )
    )
    return run.path


def test_a_run_folder_and_its_configuration_open_the_run(run_dir):
    ((data, about, kind),) = readers.get_run_reader(str(run_dir))(str(run_dir))
    # Its volumes are not there: the prediction alone, in voxels.
    assert kind == "image"
    assert data.shape == (4, 8, 8)
    assert about["translate"].tolist() == [1, 2, 3]
    config = str(run_dir / "config.yaml")
    assert len(readers.get_run_reader(config)(config)) == 1


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


def test_flat_labels_are_refused(tmp_path):
    with pytest.raises(OutputError, match="have 2 axes"):
        write_labels(str(tmp_path / "x.tif"), np.zeros((3, 4), np.uint8), {})
    assert not list(tmp_path.iterdir())


def test_boolean_labels_become_numbers(tmp_path):
    write_labels(str(tmp_path / "x.tif"), np.ones((2, 3, 4), bool), {})
    assert tifffile.imread(tmp_path / "x.tif").dtype == np.uint8
