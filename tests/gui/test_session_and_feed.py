import time

import numpy as np
import pytest
from napari.components import ViewerModel

from napari_surfseg.config import Experiment
from napari_surfseg.events import (
    DataChecked,
    EventWriter,
    Pause,
    PreviewWritten,
    SetPreview,
    StepFinished,
    Stop,
    read_commands,
)
from napari_surfseg.gui.layers.camera import camera_of
from napari_surfseg.gui.live.controller import LiveController, get_live_controller
from napari_surfseg.gui.run_session.feed import RunFeed
from napari_surfseg.gui.run_session.previews import LivePreview, load_preview
from napari_surfseg.gui.run_table.view import CURVE_ROLE, RunsView
from napari_surfseg.gui.run_table.widget import RunList, RunsController
from napari_surfseg.runs.folder import RunFolder, RunState
from napari_surfseg.runs.follow import RunSnapshot


def step(number):
    return StepFinished(
        step=number,
        epoch=1,
        losses={"soft_dice": 0.5},
        head_total=0.5,
        total=1.0 / number,
        learning_rate=0.1,
        gradient_norm=1.0,
        steps_per_second=1.0,
        elapsed_seconds=float(number),
        progress=0.1,
    )


def write_preview(run, writer, index, value):
    run.previews.mkdir(exist_ok=True)
    shape = (2, 4, 4)
    names = [f"previews/{index}_{what}.npy" for what in ("p", "s")]
    np.save(run.path / names[0], np.full(shape, value, np.uint8))
    np.save(run.path / names[1], np.ones(shape, np.uint8))
    return writer.write(
        PreviewWritten(
            step=index,
            index=index,
            probabilities=names[0],
            skeleton=names[1],
            image="scan.zarr",
            origin=(0, 0, 0),
            shape=shape,
            epoch=1,
            seconds=0.1,
        )
    )


@pytest.fixture
def run(tmp_path):
    return RunFolder(tmp_path / "first").create(Experiment())


@pytest.fixture
def writer(run):
    return EventWriter(run.events_path)


def test_the_feed_hands_over_events_and_previews_in_order(qtbot, run, writer):
    for number in range(1, 30):
        writer.write(step(number))
    write_preview(run, writer, 0, 10)
    feed = RunFeed(run.path)
    steps, shown = [], []
    feed.polled.connect(lambda snapshot: steps.extend(e.step for e in snapshot.new_events))
    feed.preview_loaded.connect(lambda preview: shown.append(int(preview.probabilities.max())))
    feed.start()
    qtbot.waitUntil(lambda: shown == [10], timeout=10000)
    writer.write(step(31))
    write_preview(run, writer, 1, 20)
    qtbot.waitUntil(lambda: shown == [10, 20], timeout=10000)
    feed.show_preview(0)
    qtbot.waitUntil(lambda: shown == [10, 20, 10], timeout=10000)
    write_preview(run, writer, 2, 30)  # looking back is not interrupted
    time.sleep(0.6)
    feed.show_preview(None)
    qtbot.waitUntil(lambda: shown == [10, 20, 10, 30], timeout=10000)
    feed.stop(wait_seconds=5)
    assert steps[:29] == list(range(1, 30))


def test_a_preview_that_is_gone_or_damaged_is_none(run, writer):
    event = write_preview(run, writer, 0, 10)
    assert load_preview(run.path, event).probabilities.shape == (2, 4, 4)
    (run.path / event.skeleton).write_bytes(b"\x93NUMPY torn")
    assert load_preview(run.path, event) is None
    (run.path / event.skeleton).unlink()
    assert load_preview(run.path, event) is None


def test_a_snapshot_never_overtakes_another(session, feeds, tmp_path):
    """A slot that lets the event loop turn must not change the order in which others hear."""
    session.attach(tmp_path)
    heard_first, heard_later = [], []

    def nosy(snapshot):
        heard_first.append(snapshot.step)
        if snapshot.step == 1:
            feeds[-1].polled.emit(RunSnapshot(step=2))

    session.polled.connect(nosy)
    session.polled.connect(lambda snapshot: heard_later.append(snapshot.step))
    feeds[-1].polled.emit(RunSnapshot(step=1))
    assert heard_first == [1, 2]
    assert heard_later == [1, 2]


def test_a_feed_that_was_let_go_is_not_heard(session, feeds, tmp_path):
    session.attach(tmp_path / "a")
    session.attach(tmp_path / "b")
    feeds[0].polled.emit(RunSnapshot(step=99))
    assert session.snapshot is None
    assert not feeds[0].running


def test_commands_keep_their_order(session, run):
    session.attach(run.path)
    for command in (Pause(), SetPreview(seconds=1.0), Stop()):
        session.send(command)
    session._sender.submit(lambda: None).result(5)
    sent = read_commands(run.commands_path)
    assert [type(command) for command in sent] == [Pause, SetPreview, Stop]


# -- live layers that follow the view ----------------------------------------------


@pytest.fixture
def viewer():
    viewer = ViewerModel()
    viewer.add_image(np.zeros((40, 200, 200), np.uint8), name="scan")
    return viewer


@pytest.fixture
def live(viewer, session, run):
    controller = LiveController(viewer, session)
    session.attach(run.path)
    session.link_layer("/data/scan.zarr", viewer.layers["scan"])
    yield controller
    controller.close()


def preview(index=0):
    empty = np.zeros((16, 64, 64), np.uint8)
    return LivePreview(index, "/data/scan.zarr", (0, 0, 0), empty, empty.copy())


def sent(session):
    session._sender.submit(lambda: None).result(5)
    return read_commands(RunFolder(session.run_dir).commands_path)


def test_the_worker_is_asked_for_what_the_view_shows(viewer, session, feeds, live):
    checked = DataChecked(volumes=[{"image": "/data/scan.zarr", "spacing": [1, 1, 1]}])
    feeds[-1].polled.emit(RunSnapshot(state=RunState.RUNNING, new_events=(checked,)))
    feeds[-1].preview_loaded.emit(preview())
    assert live.layers.prediction is not None
    viewer.dims.set_point(0, 20)
    camera_of(viewer).center = (0, 150, 50)
    live.look_here()
    viewer.dims.set_point(0, 21)  # still the same part
    live.look_here()
    viewer.dims.set_point(0, 35)
    live.look_here()
    assert [command.center for command in sent(session)] == [(20, 150, 50), (35, 150, 50)]
    assert {command.image for command in sent(session)} == {"/data/scan.zarr"}


def test_nothing_is_asked_of_a_run_that_is_over(viewer, session, feeds, live):
    feeds[-1].polled.emit(RunSnapshot(state=RunState.COMPLETED))
    live.look_here()
    assert sent(session) == []


def test_live_layers_go_with_their_volume_and_lie_over_no_other(viewer, session, feeds, live):
    missed = []
    live.missed.connect(missed.append)
    feeds[-1].preview_loaded.emit(preview())
    viewer.add_image(np.zeros((40, 200, 200), np.uint8), name="other")
    scan = viewer.layers["scan"]
    scan.name = "renamed"
    feeds[-1].preview_loaded.emit(preview(1))
    assert missed == []
    viewer.layers.remove(scan)
    assert [layer.name for layer in viewer.layers] == ["other"]
    feeds[-1].preview_loaded.emit(preview(2))
    assert [layer.name for layer in viewer.layers] == ["other"]
    assert [shown.index for shown in missed] == [2]
    viewer.layers.append(scan)
    assert live.layers.shown.index == 2
    assert live.layers.source is scan
    viewer.layers.remove("other")
    viewer.layers.remove(scan)
    feeds[-1].preview_loaded.emit(preview(3))
    assert len(viewer.layers) == 0


def test_a_dock_that_is_opened_again_finds_the_controller(viewer, session):
    first = get_live_controller(viewer, session)
    assert get_live_controller(viewer, session) is first
    session.close()
    other = get_live_controller(viewer, session)
    assert other is not first
    other.close()


def test_a_size_that_was_chosen_holds_for_the_next_run(viewer, session, feeds, live, tmp_path):
    told = []
    live.size_changed.connect(told.append)
    feeds[-1].preview_loaded.emit(preview())
    feeds[-1].preview_loaded.emit(preview(1))
    assert told == [(16, 64, 64)]
    feeds[-1].polled.emit(RunSnapshot(state=RunState.RUNNING))
    live.set_size((8, 32, 32))
    assert [command.size for command in sent(session)] == [(8, 32, 32)]
    RunFolder(tmp_path / "next").create(Experiment())
    session.attach(tmp_path / "next", own=True)
    assert [command.size for command in sent(session)] == [(8, 32, 32)]


def test_the_key_shows_and_hides(viewer, session, feeds, live):
    shown = []
    live.enabled_changed.connect(shown.append)
    feeds[-1].preview_loaded.emit(preview())
    live.toggle()
    assert not live.layers.prediction.visible
    feeds[-1].preview_loaded.emit(preview(1))
    live.toggle()
    assert live.layers.prediction.visible
    assert live.layers.shown.index == 1
    assert shown == [False, True]


def test_live_layers_can_be_switched_off_and_on(viewer, session, feeds, live):
    live.set_enabled(False)
    feeds[-1].preview_loaded.emit(preview())
    assert live.layers.prediction is None
    live.set_enabled(True)
    assert live.layers.prediction is not None
    viewer.layers.remove(live.layers.prediction)
    live.set_enabled(False)
    live.set_enabled(True)
    assert live.layers.prediction is not None


def test_removing_the_source_is_harmless(viewer, session, feeds, live):
    viewer.layers.clear()
    feeds[-1].preview_loaded.emit(preview())
    assert live.layers.prediction is not None
    assert live.wish() is None


# -- the table of runs -------------------------------------------------------------


def test_the_table_tells_each_run(qtbot, session, jobs, run, writer, tmp_path):
    for number in range(1, 200):
        writer.write(step(number))
    RunFolder(tmp_path / "second").create(Experiment())
    view = RunsView()
    qtbot.addWidget(view)
    launched = []
    controller = RunsController(
        view, session, launch=lambda *a, **k: launched.append((a, k)), jobs=jobs, folder=tmp_path
    )
    assert view.table.rowCount() == 2
    names = [view.table.item(row, 0).text() for row in range(2)]
    row = names.index("first")
    assert view.table.item(row, 1).text() == "vanished"
    curve = view.table.item(row, 4).data(CURVE_ROLE)
    assert 2 < len(curve) <= 60
    assert curve[0] > curve[-1]
    assert not view.attach.isEnabled()
    view.table.selectRow(row)
    assert view.attach.isEnabled()
    assert not view.compare.isEnabled()
    view.attach.click()
    assert session.run_dir == tmp_path / "first"
    controller.refresh()
    assert view.selected() == [str(tmp_path / "first")]
    view.resume.click()
    assert launched == [((tmp_path / "first",), {"resume": False})]
    controller.close()


def test_two_runs_are_compared(qtbot, session, jobs, run, writer, tmp_path):
    writer.write(step(1))
    other = RunFolder(tmp_path / "second").create(Experiment())
    EventWriter(other.events_path).write(step(7))
    view = RunsView()
    qtbot.addWidget(view)
    controller = RunsController(view, session, jobs=jobs, folder=tmp_path)
    view.table.selectAll()
    assert view.compare.isEnabled()
    with qtbot.waitSignal(controller.comparing) as told:
        view.compare.click()
    second, events = told.args
    assert {session.run_dir.name, second.name} == {"first", "second"}
    assert len(events) == 1
    controller.close()


def test_a_folder_without_runs_says_so(qtbot, session, jobs, tmp_path):
    view = RunsView()
    qtbot.addWidget(view)
    controller = RunsController(view, session, jobs=jobs, folder=tmp_path / "missing")
    assert view.table.rowCount() == 0
    assert view.message.whole_text() == "There are no runs in this folder."
    assert RunList().look(tmp_path / "missing") == []
    controller.close()
