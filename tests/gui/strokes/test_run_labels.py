"""The labels of a run are found by what the session knows or by their file, and opened."""

import numpy as np
import pytest
from napari.components import ViewerModel
from napari.layers import Image, Labels

from napari_surfseg.config import Experiment
from napari_surfseg.gui.layers.copies import write_layer
from napari_surfseg.gui.layers.layer_volume import take_layer
from napari_surfseg.gui.run_session.run_layers import RunLayers
from napari_surfseg.gui.strokes.run_labels import RunLabels, _choose_opened
from napari_surfseg.runs.folder import RunFolder

SHAPE = (6, 16, 16)


@pytest.fixture
def run(tmp_path):
    """A run with labels of its own."""
    folder = RunFolder(tmp_path / "run")
    image = np.random.default_rng(0).integers(0, 255, SHAPE).astype(np.uint8)
    painted = np.zeros(SHAPE, np.uint8)
    painted[4, 2:9, 5] = 1
    pair = {"image": str(tmp_path / "scan.zarr"), "labels": str(folder.inputs / "labels_0.zarr")}
    folder.create(Experiment.model_validate({"data": {"train": [pair]}}))
    write_layer(take_layer(Image(image)), tmp_path / "scan.zarr")
    write_layer(take_layer(Labels(painted)), folder.inputs / "labels_0.zarr")
    return folder


@pytest.fixture
def labels(viewer, session, jobs, run):
    session.attach(run.path)
    labels = RunLabels(viewer, session, jobs)
    yield labels
    labels.close()


@pytest.fixture
def viewer():
    return ViewerModel()


def test_missing_volumes_are_opened_and_found(labels, viewer, session, run):
    found, errors = [], []
    labels.found.connect(found.append)
    labels.failed.connect(errors.append)
    assert not labels.is_known
    labels.read()
    assert labels.is_known
    assert labels.copies == (str(run.inputs / "labels_0.zarr"),)
    assert found == [{}]
    labels.open_missing()
    assert errors == []
    image, painted = viewer.layers
    assert found[-1] == {labels.copies[0]: painted}
    assert session.layer_of(labels.copies[0]) is painted
    assert viewer.dims.point[0] == 4  # the slice with the strokes
    assert isinstance(image, Image)
    labels.open_missing()
    assert len(viewer.layers) == 2


def test_a_volume_that_is_gone_is_said(labels, run, tmp_path):
    errors = []
    labels.failed.connect(errors.append)
    labels.read()
    (tmp_path / "scan.zarr").rename(tmp_path / "elsewhere.zarr")
    labels.open_missing()
    assert len(errors) == 1
    assert "scan.zarr" in errors[0]
    assert not labels.is_opening


def test_another_run_is_read_again(labels):
    labels.read()
    labels.forget()
    assert not labels.is_known
    assert labels.copies == ()


def test_of_hundreds_of_volumes_a_few_are_opened():
    pairs = [(f"i{n}", f"l{n}") for n in range(200)]
    run = RunLayers(pairs=tuple(pairs), copies=("l150",), meanings={}, notes={})
    assert _choose_opened(run) == ["i150", *(f"i{n}" for n in range(7)), "l150"]
    few = RunLayers(pairs=tuple(pairs[:3]), copies=("l0", "l1", "l2"), meanings={}, notes={})
    assert _choose_opened(few) == ["i0", "i1", "i2", "l0", "l1", "l2"]
