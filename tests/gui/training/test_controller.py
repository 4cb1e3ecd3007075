"""The buttons of the training dock, on a mock of the view: no window, no screen."""

from dataclasses import replace
from unittest.mock import Mock

import numpy as np
import pytest
from napari.components import ViewerModel
from tests.gui.training.stand_ins import JobsInPlace, Pairs, mock_session, mock_view

from napari_surfseg.errors import RunError
from napari_surfseg.events import Pause, Resume, SaveNow, Stop
from napari_surfseg.gui.training.controller import TrainingController
from napari_surfseg.gui.training.form import TrainingForm
from napari_surfseg.gui.training.protocols import TrainingViewProtocol
from napari_surfseg.gui.window import preferences
from napari_surfseg.runs.folder import RunState
from napari_surfseg.runs.follow import RunSnapshot

SHAPE = (40, 64, 64)


@pytest.fixture
def viewer():
    viewer = ViewerModel()
    viewer.add_image(np.ones(SHAPE, np.uint8), name="scan")
    labels = np.zeros(SHAPE, np.uint8)
    labels[4] = 1
    viewer.add_labels(labels, name="sheet")
    return viewer


@pytest.fixture
def view(tmp_path):
    view = mock_view(TrainingViewProtocol)
    pairs = Pairs(view.data)
    view.data.labels.configure_mock(is_manual=False, has_values=False, counts={})
    view.data.meanings.return_value = {0: "background", 1: "foreground"}
    settings = {"data.patch_size": [32, 32, 32], "model.preset": "tiny"}
    form = TrainingForm(settings=settings, name="first", folder=str(tmp_path))
    view.form.side_effect = lambda: replace(form, pairs=tuple(pairs.shown))
    return view


@pytest.fixture
def session():
    return mock_session()


@pytest.fixture
def launch():
    return Mock(return_value=1)


@pytest.fixture
def controller(viewer, view, session, launch, tmp_path, monkeypatch):
    monkeypatch.setattr(preferences, "read_preferences", preferences.Preferences)
    controller = TrainingController(
        viewer,
        view,
        session,
        ask=lambda *_: True,
        launch=launch,
        jobs=JobsInPlace(),
        runs_folder=tmp_path,
    )
    yield controller
    controller.close()


def test_the_form_starts_with_the_preferences(controller, view, tmp_path):
    view.set_folder.assert_called_once_with(tmp_path)
    view.set_device.assert_called_once_with("auto")
    view.run.set_box_size.assert_called_once_with((32, 128, 128))


def test_start_launches_a_worker_and_attaches_its_run(
    controller, view, viewer, session, launch, tmp_path
):
    view.run.start_clicked.emit()
    launch.assert_called_once_with(tmp_path / "first", device="auto")
    (run_dir,) = session.attach.call_args.args
    assert run_dir == tmp_path / "first"
    assert viewer.layers["scan"] in session.attach.call_args.kwargs["layers"].values()
    view.data.confirm.assert_called_once_with()
    view.show_error.assert_not_called()
    # Busy while it writes, and free afterwards.
    assert [call.kwargs["busy"] for call in view.set_snapshot.call_args_list] == [
        "Writing the run folder…",
        "",
    ]


def test_what_is_wrong_is_shown_and_nothing_is_launched(controller, view, launch):
    view.data.lost_layers.return_value = ["The layer 'scan' is gone."]
    view.run.start_clicked.emit()
    view.show_error.assert_called_once_with("The layer 'scan' is gone.", "data.train")
    launch.assert_not_called()


def test_a_worker_that_does_not_start_is_said(controller, view, launch, session):
    launch.side_effect = RunError("The worker could not be started.")
    view.run.start_clicked.emit()
    view.show_error.assert_called_once_with("The worker could not be started.", None)
    session.attach.assert_not_called()


def test_a_start_is_given_up_by_the_button(controller, view, launch):
    view.run.set_busy_progress.side_effect = lambda _share: view.run.cancel_clicked.emit()
    view.run.start_clicked.emit()
    launch.assert_not_called()
    assert "cancelled" in view.show_error.call_args.args[0]


@pytest.mark.parametrize(
    ("button", "kind"),
    [("pause_clicked", Pause), ("stop_clicked", Stop), ("save_clicked", SaveNow)],
)
def test_a_button_sends_its_command(controller, view, session, button, kind):
    getattr(view.run, button).emit()
    assert isinstance(session.send.call_args.args[0], kind)


def test_resume_sends_a_command_to_a_paused_worker(controller, view, session, launch, tmp_path):
    session.snapshot, session.run_dir = RunSnapshot(state=RunState.PAUSED), tmp_path / "first"
    view.run.resume_clicked.emit()
    assert isinstance(session.send.call_args.args[0], Resume)
    launch.assert_not_called()


def test_a_run_is_handed_to_the_machine_that_was_chosen(
    controller, view, session, launch, tmp_path
):
    read = view.form.side_effect
    view.form.side_effect = lambda: replace(read(), launcher="slurm")
    view.run.start_clicked.emit()
    launch.assert_called_once_with(tmp_path / "first", device="auto", launcher="slurm")
    launch.reset_mock()
    session.snapshot = RunSnapshot(state=RunState.STOPPED)
    session.run_dir = tmp_path / "first"
    controller.strokes.prepare_for_worker = lambda: lambda _job: None
    view.run.resume_clicked.emit()
    launch.assert_called_once_with(
        tmp_path / "first", device="auto", resume=False, launcher="slurm"
    )


def test_stop_cancels_a_job_that_waits(controller, view, session):
    session.snapshot = RunSnapshot(state=RunState.QUEUED, is_waiting=True)
    view.run.stop_clicked.emit()
    session.cancel_job.assert_called_once_with()
    session.send.assert_not_called()
    session.snapshot = RunSnapshot(state=RunState.STARTING)
    view.run.stop_clicked.emit()
    assert isinstance(session.send.call_args.args[0], Stop)


def test_a_failure_is_said_once_beside_its_setting(controller, view, session):
    view.has_place_for.return_value = True
    failed = RunSnapshot(state=RunState.FAILED, message="Too large.", error_field="data.patch_size")
    session.polled.emit(failed)
    view.run.set_state.assert_called_once_with("Training failed: see beside the setting.")
    view.show_error.assert_called_once_with("Too large.", "data.patch_size")


def test_another_run_starts_with_a_clean_panel(controller, view, session, tmp_path):
    session.attached.emit(tmp_path)
    view.clear_errors.assert_called_once_with()
    view.run.set_previews.assert_called_once_with([])
    view.run.set_shown_preview.assert_called_once_with("newest")


def test_a_closed_controller_follows_no_run(controller, view, session, tmp_path):
    controller.close()
    assert session.attached.slots == session.polled.slots == session.follow_failed.slots == []
