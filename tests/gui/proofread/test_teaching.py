"""Decided places become labels: of the run under way, or of the next one."""

import numpy as np
import pytest
from napari.components import ViewerModel

from napari_surfseg.config import Experiment
from napari_surfseg.gui.proofread.controller import ProofreadController
from napari_surfseg.gui.proofread.finding import FoundPlaces
from napari_surfseg.gui.proofread.mend_controller import Mended
from napari_surfseg.gui.proofread.teach_controller import find_offset
from napari_surfseg.gui.proofread.view import ProofreadView
from napari_surfseg.proofreading.places import DoubtfulPlace
from napari_surfseg.runs.folder import RunFolder, RunState
from napari_surfseg.runs.follow import RunSnapshot

SHAPE = (32, 48, 48)
BOX = ((10, 20, 20), (12, 23, 23))
PLACES = [
    DoubtfulPlace("hole", (10, 21, 21), *BOX, 18, 0.9, "A hole."),
    DoubtfulPlace("hole", (10, 40, 40), (10, 39, 39), (12, 42, 42), 18, 0.8, "A hole."),
]
PLACE = {"scale": (4, 2, 2), "units": ("um",) * 3, "axis_labels": ("z", "y", "x")}


def make_sheet():
    sheet = np.zeros(SHAPE, np.uint16)
    sheet[10:12] = 5
    sheet[10:12, 20:23, 20:23] = sheet[10:12, 39:42, 39:42] = 0
    return sheet


@pytest.fixture
def viewer(qapp):
    viewer = ViewerModel()
    viewer.add_image(np.zeros((40, 60, 60), np.uint8), name="scan", translate=(8, 0, 0), **PLACE)
    return viewer


@pytest.fixture
def result(viewer, tmp_path):
    """A prediction of a part of the scan, which begins at its voxel 2, 4, 6."""
    about = {"surfseg": "prediction", "part": "surface", "folder": str(tmp_path), "network": "best"}
    return viewer.add_labels(
        make_sheet(), name="sheet", translate=(8 + 2 * 4, 8, 12), metadata=about, **PLACE
    )


@pytest.fixture
def dock(qtbot, viewer, result, session, jobs):
    view = ProofreadView()
    qtbot.addWidget(view)
    controller = ProofreadController(viewer, view, session, jobs=jobs)
    controller._mended = Mended(result, result.name)
    controller._source = result
    controller.show_places(FoundPlaces(PLACES, (4.0, 2.0, 2.0)))
    yield controller
    controller.close()


@pytest.fixture
def view(dock):
    return dock._view


def test_what_is_decided_becomes_labels_of_the_next_run(viewer, view, session, dock, result):
    opened = []
    dock.teaching.open_training = lambda: opened.append(True)
    assert not view.panel.teach.isEnabled()
    dock.teaching.teach()
    assert view.error.text() == "Nothing is decided yet that could be taught."
    view.panel.buttons["reject"].click()
    view.panel.teach.click()
    taught = session.take_lesson()
    assert (taught.image.name, taught.labels.name) == ("scan", "scan lessons")
    assert (taught.network, opened) == ("best", [True])
    labels = taught.labels
    assert labels.data.shape == (40, 60, 60)
    # The place's box and 4 voxels around it, at its place in the scan.
    seen = (slice(8, 18), slice(20, 31), slice(22, 33))
    assert np.count_nonzero(labels.data) == np.count_nonzero(labels.data[seen]) == 10 * 11 * 11
    assert (labels.data[12:14, 20:31, 22:33] == 1).all()
    assert (labels.data[14:18, 20:31, 22:33] == 2).all()
    assert "1 place is labelled in 'scan lessons', 1,210 voxels." in view.panel.message.text()
    # Again: the second place comes into the same layer, and one taken back is unlabelled.
    view.panel.buttons["mark unsure"].click()
    view.panel.teach.click()
    assert session.take_lesson().labels is labels
    assert np.count_nonzero(labels.data) == 10 * 11 * 11
    assert len([layer for layer in viewer.layers if "lessons" in layer.name]) == 1


def test_a_run_under_way_takes_them_up_as_strokes(viewer, view, session, dock, tmp_path):
    run = RunFolder(tmp_path / "run")
    copy = str(run.inputs / "labels_0.zarr")
    values = np.full((40, 60, 60), 9, np.uint8)
    data = {
        "train": [{"image": "scan.tif", "labels": copy}],
        "labels": {"foreground": [7], "background": [4], "ignore": [9]},
    }
    run.create(Experiment.model_validate({"data": data}))
    labels = viewer.add_labels(values, name="painted", translate=(8, 0, 0), **PLACE)
    session.run_dir, session.snapshot = run.path, RunSnapshot(state=RunState.RUNNING)
    session.link_layer(str(copy), labels)
    painted = []
    labels.events.paint.connect(lambda event: painted.append(event))
    view.panel.buttons["reject"].click()
    view.panel.teach.click()
    assert set(np.unique(labels.data)) == {4, 7, 9}
    assert (labels.data[12:14, 20:31, 22:33] == 7).all()
    assert len(painted) == 1
    assert session.take_lesson() is None
    assert "labels of the run under way, which takes them up" in view.panel.message.text()
    labels.undo()
    assert (labels.data == 9).all()


def test_a_layer_lies_over_another_voxel_by_voxel_or_not_at_all(viewer, result):
    scan = viewer.layers["scan"]
    assert find_offset(result, scan) == (2, 4, 6)
    assert find_offset(scan, result) is None
    result.scale = (4, 2, 2.1)
    assert find_offset(result, scan) is None
    result.scale = (4, 2, 2)
    result.translate = (16, 8, 13)
    assert find_offset(result, scan) is None
