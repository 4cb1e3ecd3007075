"""Volumes too large to be labelled as a whole: strokes on a part, around what is in view."""

import numpy as np
import pytest
import zarr
from napari.components import ViewerModel

from napari_surfseg.data.checks import open_pairs
from napari_surfseg.data.open import open_volume
from napari_surfseg.gui.layers import label_regions
from napari_surfseg.gui.layers.camera import camera_of
from napari_surfseg.gui.layers.label_regions import region_of
from napari_surfseg.gui.run_session.run_layers import open_volumes, read_run_layers
from napari_surfseg.gui.training.controller import TrainingController
from napari_surfseg.runs.folder import RunFolder, RunState
from napari_surfseg.runs.follow import RunSnapshot

EDGE = 20_000


@pytest.fixture
def viewer(tmp_path, monkeypatch):
    """A zarr of 8 TB, of which nothing is stored."""
    monkeypatch.setattr(label_regions, "REGION_EDGE", 128)
    group = zarr.open_group(str(tmp_path / "scroll.zarr"), mode="w", zarr_format=2)
    array = group.create_array("0", shape=(EDGE,) * 3, chunks=(128,) * 3, dtype=np.uint8)
    # The canvas is not the subject: the coarse level is what napari draws.
    coarse = np.zeros((20, 20, 20), np.uint8)
    viewer = ViewerModel()
    viewer.add_image(
        [array, coarse], multiscale=True, name="scroll", contrast_limits=(0, 255), scale=(2, 2, 2)
    )
    look_at(viewer, 9000)
    return viewer


def look_at(viewer, voxel):
    viewer.dims.set_point(0, 2 * voxel)
    camera_of(viewer).center = (2 * voxel,) * 3


@pytest.fixture
def controller(viewer, view, session, jobs, tmp_path):
    controller = TrainingController(
        viewer,
        view,
        session,
        ask=lambda *_: True,
        launch=lambda *_a, **_o: 1,
        jobs=jobs,
        runs_folder=tmp_path / "runs",
    )
    yield controller
    controller.close()


def paint(layer, value, voxel):
    """Paint on voxels of the whole."""
    (start, *_), _ = region_of(layer)
    z, y, x = (np.arange(voxel, voxel + 6) - low for low, _ in region_of(layer)[0])
    layer.data_setitem((z, y, x), value)
    assert start[0] <= voxel < start[1]


def test_strokes_go_on_a_part_in_place(controller, view, viewer):
    view.data.paint.click()
    image, layer = viewer.layers
    box, shape = region_of(layer)
    assert box == ((8896, 9024),) * 3
    assert shape == (EDGE,) * 3
    assert layer.data.shape == (128,) * 3
    for voxel in ((0, 0, 0), (5, 20, 127)):
        at = [a + low for a, (low, _) in zip(voxel, box, strict=True)]
        np.testing.assert_allclose(layer.data_to_world(voxel), image.data_to_world(at))
    assert "covers 128 × 128 × 128 voxels" in view.data.note.text()
    view.data.paint.click()
    assert len(viewer.layers) == 2
    assert view.data.labels.values.rows[1].count.text() == "0 voxels"


def test_another_place_is_another_pair(controller, view, viewer):
    view.data.paint.click()
    look_at(viewer, 500)
    view.data.paint.click()
    first, second = (pair.labels.layer for pair in view.data.pairs())
    assert region_of(first)[0] != region_of(second)[0]
    assert {pair.image.layer for pair in view.data.pairs()} == {viewer.layers["scroll"]}


def test_the_run_learns_from_the_part_alone(controller, view, viewer, session, feeds):
    view.data.paint.click()
    layer = viewer.layers[-1]
    paint(layer, 1, 8950)
    paint(layer, 2, 8980)
    controller.start()
    assert view.data.pairs_error.text() == ""
    run = RunFolder(session.run_dir)
    (pair,) = run.read_experiment().data.train
    assert pair.roi == ((8896, 9024),) * 3
    copy = open_volume(pair.labels)
    assert copy.shape == (EDGE,) * 3
    assert copy.read((8950,) * 3, (8951,) * 3).tolist() == [[[1]]]
    assert sum(1 for path in run.inputs.rglob("*") if path.is_file()) < 20
    # As the worker will find it.
    train, _ = open_pairs(run.read_experiment().data)
    assert train[0].census.num_foreground == train[0].census.num_background == 6

    # Strokes find their place, too.
    feeds[-1].polled.emit(RunSnapshot(state=RunState.STOPPED))
    paint(layer, 1, 8900)
    view.strokes.send.click()
    assert view.strokes.error.text() == ""
    assert copy.read((8900,) * 3, (8901,) * 3).tolist() == [[[1]]]
    # And tomorrow the part is opened, not the whole.
    found = read_run_layers(session.run_dir)
    (opened,) = open_volumes(found, found.copies)
    again = opened.build()
    np.testing.assert_array_equal(again.data, layer.data)
    assert region_of(again) == region_of(layer)
    np.testing.assert_allclose(again.data_to_world((1, 2, 3)), layer.data_to_world((1, 2, 3)))
