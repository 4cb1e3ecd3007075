"""The training widget's controller on a viewer model, with no napari window."""

from unittest.mock import Mock

import dask.array
import numpy as np
import pytest
from napari.components import ViewerModel
from napari.layers import Image
from qtpy.QtWidgets import QLabel

from napari_surfseg.config_files import load_experiment
from napari_surfseg.data.open import open_volume
from napari_surfseg.errors import RunError
from napari_surfseg.events import (
    CommandApplied,
    CommandRefused,
    Pause,
    Resume,
    RunStarted,
    SaveNow,
    SetLossWeights,
    SetPreview,
    SetTraining,
    Stop,
    UpdateLabels,
    read_commands,
)
from napari_surfseg.gui.controls.source_choice import SourceChoice
from napari_surfseg.gui.layers.copies import write_layer
from napari_surfseg.gui.layers.layer_volume import take_layer
from napari_surfseg.gui.training.controller import TrainingController
from napari_surfseg.gui.training.network_estimate import describe_network
from napari_surfseg.runs.folder import RunFolder, RunState
from napari_surfseg.runs.follow import RunSnapshot

SHAPE = (40, 64, 64)


class Launcher:
    def __init__(self):
        self.calls = []
        self.error = None

    def __call__(self, run_dir, **options):
        if self.error is not None:
            raise self.error
        self.calls.append((run_dir, options))
        return 1


@pytest.fixture
def viewer():
    viewer = ViewerModel()
    rng = np.random.default_rng(0)
    viewer.add_image(rng.integers(0, 255, SHAPE).astype(np.uint8), name="scan", scale=(2, 1, 1))
    labels = np.zeros(SHAPE, np.uint8)
    labels[10:12] = 1
    labels[30:] = 2
    viewer.add_labels(labels, name="sheet", scale=(2, 1, 1))
    return viewer


@pytest.fixture
def launcher():
    return Launcher()


@pytest.fixture
def ask():
    """Answers the controller's questions."""
    return Mock(return_value=True)


@pytest.fixture
def controller(viewer, view, session, launcher, jobs, ask, tmp_path):
    controller = TrainingController(
        viewer, view, session, ask=ask, launch=launcher, jobs=jobs, runs_folder=tmp_path
    )
    yield controller
    controller.close()


def poll(session, feeds, state, *events, **values):
    feeds[-1].polled.emit(RunSnapshot(state=state, new_events=events, **values))


def commands(session):
    session._sender.submit(lambda: None).result(5)
    return read_commands(RunFolder(session.run_dir).commands_path)


def started():
    return RunStarted(
        name="surfaces", device="cpu", precision="float32", model="tiny", num_parameters=1,
        patch_size=(32, 32, 32), epoch=0, max_epochs=None, max_minutes=10.0,
        iterations_per_epoch=100, loss_weights={},
    )  # fmt: skip


def test_layers_that_fit_are_chosen_and_their_labels_counted(controller, view):
    pair = view.form().pairs[0]
    assert (pair.image.name, pair.labels.name) == ("scan", "sheet")
    assert view.data.labels.meanings() == {0: "background", 1: "foreground", 2: "ignore"}
    assert view.data.labels.values.rows[1].count.text() == "5.0 %"
    assert view.data.labels.scheme.currentData() == "dense"


def test_start_writes_a_whole_run_folder_and_launches(
    controller, view, viewer, session, launcher, tmp_path
):
    view.training.name.setText("first")
    controller.start()
    run_dir = tmp_path / "first"
    assert launcher.calls == [(run_dir, {"device": "auto"})]
    assert session.run_dir == run_dir
    experiment = load_experiment(run_dir / "config.yaml")
    assert experiment.data.spacing == (2.0, 1.0, 1.0)
    assert experiment.data.patch_size == (32, 32, 32)
    assert experiment.training.max_minutes == 10
    assert experiment.preview.seconds == 5.0
    pair = experiment.data.train[0]
    labels = open_volume(pair.labels)
    assert labels.shape == SHAPE
    assert labels.read((10, 0, 0), (12, 64, 64)).all()
    # The worker looks at once where the person looks.
    (first,) = read_commands(run_dir / "commands.jsonl")
    assert isinstance(first, SetPreview)
    assert first.image == pair.image
    assert session.layer_of(pair.image) is viewer.layers["scan"]


def test_a_large_layer_is_copied_only_where_that_is_meant(
    controller, view, launcher, ask, tmp_path, monkeypatch
):
    monkeypatch.setattr("napari_surfseg.gui.layers.copies.ASK_BYTES", 1000)
    ask.return_value = False
    controller.start()
    assert "The layer 'scan' (160 KiB) isn't backed by a file" in ask.call_args.args[0]
    assert "'scan' was not copied" in view.run.error.text()
    assert launcher.calls == []
    assert list(tmp_path.iterdir()) == []
    assert view.run.cancel.isHidden()
    ask.return_value = True
    controller.start()
    assert len(launcher.calls) == 1


def test_a_start_given_up_while_it_copies_leaves_nothing(
    controller, view, launcher, tmp_path, monkeypatch
):
    seen = []

    def give_up(share):
        seen.append(view.run.cancel.isHidden())
        view.run.cancel.click()

    monkeypatch.setattr(view.run, "set_busy_progress", give_up)
    controller.start()
    assert seen == [False]
    assert view.run.cancel.isHidden()
    assert "cancelled" in view.run.error.text()
    assert launcher.calls == []
    assert list(tmp_path.iterdir()) == []


def test_a_zarr_is_read_where_it_lies_with_its_voxel_size(
    controller, view, viewer, launcher, session, tmp_path
):
    data = viewer.layers["scan"].data
    scan = Image(data, scale=(40, 10, 10), units="nm", name="scan")
    write_layer(take_layer(scan), tmp_path / "scan.zarr")
    viewer.layers.clear()
    array = dask.array.from_zarr(str(tmp_path / "scan.zarr"), component="0")
    shown = viewer.add_image(array, name="scroll")
    viewer.add_labels((data > 100).astype(np.uint8), name="sheet")
    controller.start()
    ((run_dir, _options),) = launcher.calls
    experiment = load_experiment(run_dir / "config.yaml")
    (pair,) = experiment.data.train
    assert pair.image == str(tmp_path / "scan.zarr")
    assert experiment.data.spacing == (40, 10, 10)
    assert session.layer_of(pair.image) is shown
    assert [path.name for path in (run_dir / "inputs").glob("*.zarr")] == ["labels_0.zarr"]
    assert open_volume(pair.labels).spacing == (40, 10, 10)


def test_the_labels_that_were_copied_take_strokes(
    controller, view, viewer, session, feeds, launcher
):
    controller.start()
    run = RunFolder(session.run_dir)
    (pair,) = run.read_experiment().data.train
    poll(session, feeds, RunState.RUNNING, started())
    assert not view.strokes.sending.isHidden()
    viewer.layers["sheet"].data_setitem((np.array([0]),) * 3, 1)
    view.strokes.send.click()
    command = commands(session)[-1]
    assert isinstance(command, UpdateLabels)
    assert command.labels == pair.labels
    assert (run.path / command.strokes).exists()


def test_labels_of_a_file_take_none(controller, view, session, feeds, tmp_path, viewer):
    write_layer(take_layer(viewer.layers["sheet"]), tmp_path / "labels.zarr")
    view.data.rows[0].labels.set_choice(SourceChoice.of_file(str(tmp_path / "labels.zarr")))
    controller.start()
    poll(session, feeds, RunState.RUNNING, started())
    assert "are files of your own" in view.strokes.state.whole_text()
    assert not view.strokes.send.isEnabled()


def test_the_second_run_of_a_name_gets_a_folder_of_its_own(controller, launcher, tmp_path):
    controller.start()
    controller.start()
    assert [call[0].name for call in launcher.calls] == ["surfaces", "surfaces_2"]


def test_strokes_turn_the_meaning_round(controller, view, tmp_path):
    view.data.labels.scheme.setCurrentIndex(view.data.labels.scheme.findData("strokes"))
    view.data.labels.scheme.activated.emit(view.data.labels.scheme.currentIndex())
    controller.start()
    labels = load_experiment(tmp_path / "surfaces" / "config.yaml").data.labels
    assert (labels.foreground, labels.background, labels.ignore) == ((1,), (2,), (0,))


def test_a_failed_launch_leaves_nothing_and_says_why(controller, view, launcher, tmp_path):
    launcher.error = RunError("The worker could not be started: no such file.")
    controller.start()
    assert list(tmp_path.iterdir()) == []
    assert view.run.error.text() == "The worker could not be started: no such file."


@pytest.mark.parametrize(
    ("spoil", "place", "sentence"),
    [
        (lambda v: v.data.rows[0].labels.set_choice(None), "data.train", "Choose the labels."),
        (lambda v: v.network.patch[1].setValue(33), "data.patch_size", "divisible by 16"),
        (lambda v: v.training.folder.setText(""), "run_dir", "Choose a folder"),
        (
            lambda v: v.training.name.setText(""),
            "experiment.name",
            "must be a text that is not empty",
        ),
        (
            lambda v: v.data.validation.mode.setCurrentIndex(3),
            "data.validation",
            "No pair is marked for validation",
        ),
        (
            lambda v: v.data.validation.mode.setCurrentIndex(2),
            "data.validation",
            "Press Draw",
        ),
        (
            lambda v: v.data.labels.values.rows[1].meaning.setCurrentIndex(1),
            "data.labels",
            "means surface",
        ),
        (
            lambda v: [row.switch.setChecked(False) for row in v.loss.rows.values()],
            "loss",
            "at least one loss weight",
        ),
    ],
)
def test_what_is_wrong_is_said_beside_its_control(
    controller, view, launcher, tmp_path, spoil, place, sentence
):
    spoil(view)
    controller.start()
    error, _page = view._find_error(place)
    assert sentence in error.text()
    assert error.text().endswith(".")
    assert launcher.calls == []
    assert list(tmp_path.iterdir()) == []


def test_a_volume_of_another_shape_than_its_labels_is_refused(controller, view, viewer, launcher):
    viewer.add_image(np.zeros((8, 9, 10), np.uint8), name="other")
    row = view.data.rows[0]
    row.image.set_choice(SourceChoice.of_layer(viewer.layers["other"]))
    controller.start()
    assert "8 × 9 × 10" in view.data.pairs_error.text()
    assert launcher.calls == []


def test_a_drawn_box_is_validation_and_the_rest_beside_it_training(
    controller, view, viewer, launcher, tmp_path
):
    view.data.validation.mode.setCurrentIndex(2)
    controller.form.draw_box()
    viewer.layers["validation box"].data = [
        np.array([[5, 44, 0], [5, 44, 63], [5, 63, 63], [5, 63, 0]])
    ]
    controller.start()
    data = load_experiment(tmp_path / "surfaces" / "config.yaml").data
    assert data.validation[0].roi == ((0, 40), (44, 64), (0, 64))
    assert data.train[0].roi == ((0, 40), (0, 36), (0, 64))
    assert len(launcher.calls) == 1


def test_the_buttons_send_commands(controller, view, session, feeds):
    controller.start()
    poll(session, feeds, RunState.RUNNING, started(), started=started())
    view.run.pause.click()
    poll(session, feeds, RunState.PAUSED)
    view.run.resume.click()
    poll(session, feeds, RunState.RUNNING)
    view.run.save.click()
    view.run.stop.click()
    kinds = [type(command) for command in commands(session)]
    assert kinds == [SetPreview, Pause, Resume, SaveNow, Stop]


def test_weights_and_length_change_while_it_runs(controller, view, session, feeds):
    controller.start()
    poll(session, feeds, RunState.RUNNING, started(), started=started())
    view.loss.rows["cldice"].spin.setValue(0.3)
    view.loss._settle.timeout.emit()
    view.training.length.setValue(25)
    controller.steering.send_length()
    view.control("data.foreground_share").setValue(0.8)
    sent = commands(session)[1:]
    assert isinstance(sent[0], SetLossWeights)
    assert sent[0].weights["cldice"] == 0.3
    assert sent[1] == SetTraining(id=sent[1].id, time=sent[1].time, max_minutes=25.0)
    assert sent[2].foreground_share == 0.8


def test_a_weight_on_its_way_is_not_pulled_back(controller, view, session, feeds):
    controller.start()
    weights = {"cldice": 0.1}
    poll(session, feeds, RunState.RUNNING, started(), started=started(), loss_weights=weights)
    view.loss.rows["cldice"].spin.setValue(0.5)
    view.loss._settle.stop()
    view.loss._settle.timeout.emit()
    poll(session, feeds, RunState.RUNNING, started=started(), loss_weights=weights)
    assert view.loss.rows["cldice"].weight() == 0.5
    (sent,) = [command for command in commands(session) if isinstance(command, SetLossWeights)]
    applied = CommandApplied(command_id=sent.id, command="SetLossWeights")
    poll(session, feeds, RunState.RUNNING, applied, started=started(), loss_weights={"cldice": 0.4})
    assert view.loss.rows["cldice"].weight() == 0.4


def test_a_refusal_is_shown(controller, view, session, feeds):
    controller.start()
    refused = CommandRefused(command_id="x", command="SetTraining", message="It is over.")
    poll(session, feeds, RunState.RUNNING, refused, started=started())
    assert view.run.error.text() == "It is over."


def test_what_a_running_training_cannot_take_is_fixed_and_says_why(
    controller, view, session, feeds
):
    controller.start()
    tip = view.network.preset.toolTip()
    poll(session, feeds, RunState.RUNNING, started(), started=started())
    assert not view.network.preset.isEnabled()
    assert "Fixed for this run" in view.network.preset.toolTip()
    assert view.loss.rows["cldice"].slider.isEnabled()
    assert view.training.length.isEnabled()
    assert not view.run.start.isVisibleTo(view)
    poll(session, feeds, RunState.COMPLETED, started=started(), progress=1.0)
    assert view.network.preset.isEnabled()
    assert view.network.preset.toolTip() == tip
    assert view.run.start.isVisibleTo(view)


def test_a_vanished_worker_is_one_sentence_and_an_offer(controller, view, session, feeds, launcher):
    controller.start()
    RunFolder(session.run_dir).checkpoints.mkdir()
    RunFolder(session.run_dir).last_checkpoint.write_bytes(b"")
    message = "The worker (process 1 on here) is gone without having ended the run."
    poll(session, feeds, RunState.VANISHED, started=started(), message=message)
    assert view.run.state.text() == message
    assert view.run.resume.isVisibleTo(view)
    view.run.resume.click()
    assert launcher.calls[-1] == (session.run_dir, {"device": "auto", "resume": True})
    # The same feed goes on: nothing is read or drawn twice.
    assert len(feeds) == 1
    assert feeds[0].running
    assert not view.run.resume.isEnabled()
    poll(session, feeds, RunState.VANISHED, started=started(), message=message)
    assert not view.run.resume.isEnabled()
    poll(session, feeds, RunState.RUNNING, started=started())
    assert view.run.pause.isVisibleTo(view)
    assert view.run.state.text().startswith("Training on")


def test_a_worker_that_dies_at_once_can_be_started_again(
    controller, view, session, feeds, launcher
):
    controller.start()
    poll(session, feeds, RunState.VANISHED, started=started(), message="It is gone.")
    view.run.resume.click()
    controller._noticed.timeout.emit()
    assert view.run.resume.isEnabled()
    assert view.run.state.text() == "It is gone."


def test_a_failure_is_said_beside_the_setting_it_names(controller, view, session, feeds):
    controller.start()
    message = "data.patch_size is [32, 32, 32], but the volume is smaller."
    poll(session, feeds, RunState.FAILED, message=message, error_field="data.patch_size")
    said = message.replace("data.patch_size", "The patch size")
    assert view.network.patch_error.text() == said
    shown = [label.text() for label in view.findChildren(QLabel) if "32, 32, 32" in label.text()]
    assert shown == [said]


@pytest.mark.parametrize("field", [None, "device"])
def test_a_failure_without_a_control_of_its_own_is_said_by_the_state(
    controller, view, session, feeds, field
):
    controller.start()
    message = "The disk is full, says data.patch_size."
    poll(session, feeds, RunState.FAILED, message=message, error_field=field)
    assert view.run.state.text() == message
    assert view.run.error.text() == view.network.patch_error.text() == ""


def test_layers_that_come_and_go_are_followed(controller, view, viewer):
    view.data.rows[0].labels.set_choice(None)
    view.data.rows[0].image.set_choice(None)
    viewer.layers.remove("sheet")
    assert view.form().pairs[0].labels is None
    viewer.layers["scan"].name = "renamed"
    viewer.add_labels(np.ones(SHAPE, np.uint8), name="new")
    pair = view.form().pairs[0]
    assert (pair.image.name, pair.labels.name) == ("renamed", "new")


def test_the_estimate_grows_with_the_patch(view):
    view.network.preset.setCurrentIndex(view.network.preset.findData("tiny"))
    small = describe_network(view.form())
    view.network.patch[0].setValue(128)
    large = describe_network(view.form(), free_bytes=1000)
    assert "million parameters" in small
    assert "128 × 32 × 32" in large
    assert "choose a smaller model.preset" in large
