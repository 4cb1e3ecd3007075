"""Start painting: a strokes layer in place, chosen as the labels, and the brush in the hand."""

import numpy as np
import pytest
import zarr
from napari.components import ViewerModel

from napari_surfseg.data.checks import open_pairs
from napari_surfseg.data.open import open_volume
from napari_surfseg.gui.controls.source_choice import SourceChoice
from napari_surfseg.gui.layers import label_regions
from napari_surfseg.gui.layers.camera import camera_of
from napari_surfseg.gui.layers.label_regions import region_of
from napari_surfseg.gui.run_session.run_layers import open_volumes, read_run_layers
from napari_surfseg.gui.strokes.start_painting import start_painting
from napari_surfseg.gui.training.controller import TrainingController
from napari_surfseg.runs.folder import RunFolder, RunState
from napari_surfseg.runs.follow import RunSnapshot

SHAPE = (20, 40, 40)
EDGE = 20_000


@pytest.fixture
def viewer():
    viewer = ViewerModel()
    viewer.add_image(
        np.random.default_rng(0).integers(0, 255, SHAPE).astype(np.uint8),
        name="scan",
        scale=(3, 2, 2),
        translate=(5, 6, 7),
        rotate=[[1, 0, 0], [0, 0.8, -0.6], [0, 0.6, 0.8]],
        units=("nm",) * 3,
        axis_labels=("z", "y", "x"),
    )
    return viewer


def begin(viewer, page):
    """Choose the volume and press the button."""
    page.choose(0, image=SourceChoice.of_layer(viewer.layers[0]))
    start_painting(viewer, page)
    return viewer.layers[-1]


def test_a_strokes_layer_lies_over_its_volume_and_the_brush_is_in_the_hand(viewer, page):
    layer = begin(viewer, page)
    image = viewer.layers[0]
    assert layer.name == "scan strokes"
    assert layer.data.shape == SHAPE
    assert layer.data.dtype == np.uint8
    for voxel in ((0, 0, 0), (3, 20, 39)):
        np.testing.assert_allclose(layer.data_to_world(voxel), image.data_to_world(voxel))
    assert layer.units == image.units
    assert layer.axis_labels == image.axis_labels
    assert viewer.layers.selection.active is layer
    assert (layer.mode, layer.selected_label) == ("paint", 1)
    assert page.pairs()[0].labels.layer is layer
    assert layer.metadata["surfseg_labels"] == {0: "ignore", 1: "foreground", 2: "background"}


def test_a_chosen_strokes_layer_is_painted_on_further(viewer, page):
    layer = begin(viewer, page)
    layer.mode = "pan_zoom"
    layer.name = "renamed"
    start_painting(viewer, page)
    assert len(viewer.layers) == 2
    assert layer.mode == "paint"


def test_painting_needs_a_layer(viewer, page):
    start_painting(viewer, page)
    assert page.set_pairs_error.call_args.args[0] == (
        "Painting needs a volume that is a layer; open one in napari."
    )
    page.choose(0, image=SourceChoice.of_file("scan.zarr"))
    start_painting(viewer, page)
    assert "open it in napari" in page.set_pairs_error.call_args.args[0]
    assert len(viewer.layers) == 1


def test_from_3d_it_turns_to_a_slice(viewer, page):
    viewer.dims.ndisplay = 3
    begin(viewer, page)
    assert viewer.dims.ndisplay == 2


def test_multiscale_volumes_are_painted_at_their_finest(page):
    viewer = ViewerModel()
    levels = [np.zeros((16, 32, 32), np.uint8), np.zeros((8, 16, 16), np.uint8)]
    viewer.add_image(levels, multiscale=True, name="pyramid", scale=(4, 4, 4))
    layer = begin(viewer, page)
    assert layer.data.shape == (16, 32, 32)
    np.testing.assert_array_equal(layer.scale, (4, 4, 4))


# -- a part of a volume too large to be labelled as a whole ----------------------------


@pytest.fixture
def scroll(tmp_path, monkeypatch):
    """A viewer with a zarr of 8 TB, of which nothing is stored."""
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


def paint(layer, value, voxel):
    """Paint on voxels of the whole volume."""
    start, stop = region_of(layer)[0]
    layer.data_setitem(tuple(np.arange(voxel, voxel + 6) - first for first in start), value)
    assert start[0] <= voxel < stop[0]


def test_a_part_around_the_view_is_painted_on_in_place(scroll, page):
    layer = begin(scroll, page)
    (start, stop), shape = region_of(layer)
    assert (start, stop) == ((8896,) * 3, (9024,) * 3)
    assert shape == (EDGE,) * 3
    assert layer.data.shape == (128,) * 3
    for voxel in ((0, 0, 0), (5, 20, 127)):
        whole = [a + first for a, first in zip(voxel, start, strict=True)]
        np.testing.assert_allclose(
            layer.data_to_world(voxel), scroll.layers[0].data_to_world(whole)
        )
    assert "covers 128 × 128 × 128 voxels" in page.say.call_args.args[0]
    start_painting(scroll, page)
    assert len(scroll.layers) == 2


def test_another_place_is_another_pair(scroll, page):
    begin(scroll, page)
    look_at(scroll, 500)
    start_painting(scroll, page)
    first, second = (pair.labels.layer for pair in page.pairs())
    assert region_of(first)[0] != region_of(second)[0]
    assert {pair.image.layer for pair in page.pairs()} == {scroll.layers["scroll"]}


def test_the_run_learns_from_the_part_alone(scroll, view, session, feeds, jobs, tmp_path):
    """From the button to the labels that the worker opens."""
    viewer = scroll
    controller = TrainingController(
        viewer,
        view,
        session,
        ask=lambda *_: True,
        launch=lambda *_a, **_o: 1,
        jobs=jobs,
        runs_folder=tmp_path / "runs",
    )
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
    controller.close()
