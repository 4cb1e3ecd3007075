"""The link from a layer to the labels of a run belongs to the run: whoever attaches paints on."""

from unittest.mock import MagicMock

import numpy as np
import pytest
from napari.components import ViewerModel
from tests.gui.conftest import FakeFeed, sent_commands

from napari_surfseg.config_files import build_experiment
from napari_surfseg.data.open import open_volume
from napari_surfseg.events import UpdateLabels
from napari_surfseg.gui.run_session.run_layers import open_volumes, read_run_layers
from napari_surfseg.gui.run_session.session import Session
from napari_surfseg.gui.training.controller import TrainingController
from napari_surfseg.gui.training.view import TrainingView
from napari_surfseg.runs.folder import RunFolder, RunState
from napari_surfseg.runs.follow import RunSnapshot

SHAPE = (20, 40, 40)


@pytest.fixture
def viewer():
    viewer = ViewerModel()
    viewer.add_image(
        np.random.default_rng(0).integers(0, 255, SHAPE).astype(np.uint8),
        name="scan",
        scale=(3, 2, 2),
        translate=(5, 6, 7),
        units=("nm",) * 3,
    )
    return viewer


class Dock:
    """The training widget without its window, opened and closed at will."""

    def __init__(self, viewer, session, jobs, folder, qtbot):
        self.launched = []
        self.view = TrainingView()
        qtbot.addWidget(self.view)
        for spin in self.view.network.patch:
            spin.setValue(32)
        self.controller = TrainingController(
            viewer,
            self.view,
            session,
            ask=lambda *_: True,
            launch=lambda *call, **options: self.launched.append((call, options)) or 1,
            jobs=jobs,
            runs_folder=folder,
        )

    def close(self):
        self.controller.close()


@pytest.fixture
def open_dock(viewer, session, jobs, tmp_path, qtbot):
    docks = []

    def make(viewer=viewer, session=session):
        docks.append(Dock(viewer, session, jobs, tmp_path, qtbot))
        return docks[-1]

    yield make
    for dock in docks:
        dock.close()


@pytest.fixture
def say(feeds):
    def say(state=RunState.RUNNING, *events, **values):
        feeds[-1].polled.emit(RunSnapshot(state=state, new_events=events, **values))

    return say


def paint(layer, value=1, y=9):
    layer.data_setitem((np.full(6, 10), np.full(6, y), np.arange(10, 16)), value)


def copy_of(session):
    (pair,) = RunFolder(session.run_dir).read_experiment().data.train
    return open_volume(pair.labels)


@pytest.fixture
def started(open_dock, viewer, say):
    """A run from strokes that were begun with the button."""
    dock = open_dock()
    dock.view.data.paint.click()
    paint(viewer.layers[-1])
    paint(viewer.layers[-1], value=2, y=20)
    dock.controller.start()
    say()
    return dock


def test_a_dock_opened_again_goes_on_with_the_strokes(started, open_dock, viewer, session, say):
    layer = viewer.layers[-1]
    started.close()
    paint(layer, y=30)
    again = open_dock()
    strokes = again.view.strokes
    assert not strokes.sending.isHidden()
    assert strokes.open.isHidden()
    again.controller.strokes.send()
    command = sent_commands(session)[-1]
    assert isinstance(command, UpdateLabels)
    # The closed dock follows nothing any more.
    sent = len(sent_commands(session))
    paint(layer, y=35)
    assert not started.controller.strokes._rest.isActive()
    assert len(sent_commands(session)) == sent


def test_a_renamed_layer_goes_on(started, viewer, session):
    viewer.layers[-1].name = "renamed"
    paint(viewer.layers[-1], y=30)
    started.view.strokes.send.click()
    assert isinstance(sent_commands(session)[-1], UpdateLabels)


def test_who_comes_back_to_a_run_finds_its_layers(started, session, tmp_path, say):
    run_dir = session.run_dir
    session.attach(tmp_path / "another")
    assert session.linked == []
    session.attach(run_dir)
    say()
    assert len(session.linked) == 2
    assert started.view.strokes.send.isEnabled()


def test_a_run_at_rest_takes_strokes_into_its_labels(started, viewer, session, say):
    say(RunState.STOPPED)
    assert "Resume learns from it" in started.view.strokes.state.whole_text()
    paint(viewer.layers[-1], y=30)
    assert started.controller.strokes._rest.isActive()
    started.controller.strokes._rest.timeout.emit()
    copy = copy_of(session)
    assert np.array_equal(copy.read((0, 0, 0), SHAPE), viewer.layers[-1].data)
    assert started.view.strokes.state.whole_text().startswith("6 voxels changed")
    assert not any(isinstance(command, UpdateLabels) for command in sent_commands(session))


def test_strokes_wait_for_a_worker_that_is_about_to_end(started, viewer, session, say, monkeypatch):
    strokes = started.controller.strokes
    say(RunState.STOPPED)
    paint(viewer.layers[-1], y=30)
    with monkeypatch.context() as patched:
        patched.setattr(
            "napari_surfseg.gui.strokes.collect_strokes.read_worker", lambda _path: MagicMock()
        )
        patched.setattr("napari_surfseg.gui.strokes.collect_strokes.is_alive", lambda _worker: True)
        strokes.send()
    assert started.view.strokes.error.text() == ""
    assert strokes._rest.isActive()
    strokes._rest.timeout.emit()
    assert np.array_equal(copy_of(session).read((0, 0, 0), SHAPE), viewer.layers[-1].data)


def test_resume_takes_what_is_painted_now(started, viewer, session, say):
    say(RunState.VANISHED, message="It is gone.")
    paint(viewer.layers[-1], y=30)
    started.view.run.resume.click()
    assert started.launched[-1][1]["resume"] is False
    assert np.array_equal(copy_of(session).read((0, 0, 0), SHAPE), viewer.layers[-1].data)


def test_resume_after_a_failed_start_is_a_start_with_what_is_there_now(
    started, viewer, session, say
):
    failed = session.run_dir
    say(RunState.FAILED, message="There is nothing to tell apart.")
    paint(viewer.layers[-1], y=30)
    started.view.run.resume.click()
    assert session.run_dir != failed
    assert len(started.launched) == 2
    assert np.array_equal(copy_of(session).read((0, 0, 0), SHAPE), viewer.layers[-1].data)


def test_tomorrow_the_run_opens_its_volume_and_labels(
    started, viewer, session, open_dock, qapp, say
):
    """Another napari, with nothing open."""
    run_dir = session.run_dir
    image, strokes = viewer.layers
    feeds = []
    other = Session(lambda path: feeds.append(FakeFeed(path)) or feeds[-1])
    tomorrow = ViewerModel()
    dock = open_dock(tomorrow, other)
    other.attach(run_dir)
    feeds[-1].polled.emit(RunSnapshot(state=RunState.STOPPED))
    panel = dock.view.strokes
    assert panel.state.whole_text() == "The labels of this run are not open here."
    assert not panel.open.isHidden()
    panel.open.click()
    assert panel.open.isHidden()
    opened_image, opened = tomorrow.layers
    assert (opened_image.name, opened.name) == ("scan", "scan strokes")
    np.testing.assert_array_equal(opened.data, strokes.data)
    np.testing.assert_array_equal(opened_image.data, image.data)
    for voxel in ((0, 0, 0), (3, 20, 39)):
        for layer in (opened, opened_image):
            np.testing.assert_allclose(layer.data_to_world(voxel), image.data_to_world(voxel))
    assert opened.units == image.units
    assert opened.metadata["surfseg_labels"] == strokes.metadata["surfseg_labels"]
    np.testing.assert_allclose(opened.get_color(2), strokes.get_color(2))
    assert [not button.isHidden() for button in panel.brush.buttons.values()] == [True] * 3
    paint(opened, y=30)
    panel.send.click()
    assert np.array_equal(copy_of(session).read((0, 0, 0), SHAPE), opened.data)
    # One sees where the strokes are, and the live layers find the volume.
    assert tomorrow.dims.point[0] == opened.data_to_world((10, 0, 0))[0]
    (path,) = read_run_layers(run_dir).images
    assert other.layer_of(path) is opened_image
    other.close()


def test_sentences_name_the_layer(started, session, say):
    (path,) = read_run_layers(session.run_dir).copies
    say(RunState.FAILED, message=f"{path} has no background voxels.")
    assert session.snapshot.message == "The layer 'scan strokes' has no background voxels."
    assert "inputs" not in started.view.run.state.text()


def test_every_volume_of_a_table_is_shown_in_its_own_voxel_size(tmp_path):
    rows = ["image,labels,spacing"]
    for name, spacing in (("a", "2 1 1"), ("b", "")):
        for kind in ("image", "labels"):
            np.save(tmp_path / f"{name}_{kind}.npy", np.ones((4, 5, 6), np.uint8))
        rows.append(f"{name}_image.npy,{name}_labels.npy,{spacing}")
    (tmp_path / "pairs.csv").write_text("\n".join(rows))
    experiment = build_experiment({"data": {"train": "pairs.csv"}}, folder=tmp_path)
    run = read_run_layers(RunFolder(tmp_path / "run").create(experiment).path)
    opened = open_volumes(run, run.images)
    scales = [tuple(volume.layer_data[1]["scale"]) for volume in opened]
    assert scales == [(2, 1, 1), (1, 1, 1)]
