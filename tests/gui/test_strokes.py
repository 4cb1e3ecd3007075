"""Strokes on a labels layer: what is found, what is sent, and what a person is told."""

import numpy as np
import pytest
import zarr
from napari.components import ViewerModel
from napari.layers import Labels

from napari_surfseg.data.strokes.painted import read_strokes
from napari_surfseg.errors import DataError
from napari_surfseg.events import (
    CommandApplied,
    CommandRefused,
    LabelsUpdated,
    UpdateLabels,
    read_commands,
)
from napari_surfseg.gui.layers.copies import write_layer
from napari_surfseg.gui.layers.layer_volume import take_file, take_layer
from napari_surfseg.gui.strokes.changes import find_painted, pack_strokes
from napari_surfseg.gui.strokes.controller import StrokesController
from napari_surfseg.gui.strokes.panel import StrokesPanel
from napari_surfseg.runs.folder import RunFolder, RunState
from napari_surfseg.runs.follow import RunSnapshot

SHAPE = (70, 64, 130)


@pytest.fixture
def viewer():
    viewer = ViewerModel()
    viewer.add_labels(np.zeros(SHAPE, np.uint8), name="sheet")
    return viewer


@pytest.fixture
def layer(viewer):
    return viewer.layers["sheet"]


@pytest.fixture
def copy(layer, tmp_path):
    path = tmp_path / "run" / "inputs" / "labels_0.zarr"
    write_layer(take_layer(layer), path)
    return str(path)


# -- finding ---------------------------------------------------------------------------


def test_of_a_huge_sparse_zarr_only_what_either_stores_is_compared(tmp_path):
    shape = (20_000,) * 3
    array = zarr.create_array(
        zarr.storage.MemoryStore(), shape=shape, chunks=(128,) * 3, dtype="u1"
    )
    array[200, 300:310, 7] = 1
    layer = Labels(array)
    write_layer(take_layer(layer), tmp_path / "copy.zarr")
    copy = take_file(str(tmp_path / "copy.zarr"))
    assert find_painted(take_layer(layer), copy, {}) == []
    array[200, 300:310, 7] = 0  # what is rubbed out may have no chunk any more
    array[19_000, 5, 6] = 2
    (first, erased), (second, painted) = find_painted(take_layer(layer), copy, {})
    assert (first, second) == ((192, 256, 0), (18_944, 0, 0))
    assert not erased.any()
    assert painted[19_000 - 18_944, 5, 6] == 2


def test_only_boxes_that_differ_are_found(layer, copy):
    known = {}
    assert find_painted(take_layer(layer), take_file(copy), known) == []
    assert len(known) == 2 * 1 * 3
    layer.data[65, 3, 129] = 4
    ((start, values),) = find_painted(take_layer(layer), take_file(copy), known)
    assert start == (64, 0, 128)
    assert values.shape == (6, 64, 2)
    assert np.argwhere(values).tolist() == [[1, 3, 1]]


def test_what_is_known_is_not_read_again(layer, copy):
    file = take_file(copy)
    known = {}
    find_painted(take_layer(layer), file, known)
    read = []
    object.__setattr__(file, "read", lambda start, stop: read.append(start) or np.zeros(1))
    layer.data[0, 0, 0] = 1
    find_painted(take_layer(layer), file, known)
    assert read == [(0, 0, 0)]


def test_a_stroke_that_was_undone_is_none(layer, copy):
    known = {}
    layer.data[0, 0, 0] = 1
    assert len(find_painted(take_layer(layer), take_file(copy), known)) == 1
    layer.data[0, 0, 0] = 0
    assert find_painted(take_layer(layer), take_file(copy), known) == []


def test_found_boxes_are_no_views_of_the_layer(layer, copy):
    layer.data[0, 0, 0] = 1
    ((_, values),) = find_painted(take_layer(layer), take_file(copy), {})
    layer.data[0, 0, 0] = 2
    assert values[0, 0, 0] == 1


def test_another_shape_is_refused(viewer, copy):
    other = viewer.add_labels(np.zeros((5, 5, 5), np.uint8), name="other")
    with pytest.raises(
        DataError, match=r"'other' has shape \[5, 5, 5\], but it had \[70, 64, 130\]"
    ):
        find_painted(take_layer(other), take_file(copy), {})


def test_packed_strokes_lie_in_the_run_folder(tmp_path):
    box = ((1, 2, 3), np.ones((2, 2, 2), np.uint8))
    command = pack_strokes(tmp_path, "labels.zarr", [box])
    assert command.labels == "labels.zarr"
    assert command.strokes.startswith("inputs/strokes/")
    ((start, values),) = read_strokes(tmp_path / command.strokes)
    assert (start, values.tolist()) == (box[0], box[1].tolist())


# -- sending ---------------------------------------------------------------------------


@pytest.fixture
def view(qtbot):
    view = StrokesPanel()
    qtbot.addWidget(view)
    return view


@pytest.fixture
def controller(viewer, view, session, jobs, layer, copy, tmp_path):
    controller = StrokesController(viewer, view, session, jobs)
    session.attach(tmp_path / "run", own=True)
    controller.follow({copy: layer})
    yield controller
    controller.close()


@pytest.fixture
def tell(session, feeds):
    def tell(*events, state=RunState.RUNNING):
        feeds[-1].polled.emit(RunSnapshot(state=state, new_events=events))

    return tell


def paint(layer, value=1, at=10):
    layer.data_setitem(tuple(np.array([at]) for _ in range(3)), value)


def sent(session):
    session._sender.submit(lambda: None).result(5)
    return read_commands(RunFolder(session.run_dir).commands_path)


def applied(command):
    return CommandApplied(command_id=command.id, command="UpdateLabels")


def test_a_stroke_is_sent_when_the_brush_rests(controller, view, layer, session, tell, copy):
    tell()
    assert not view.sending.isHidden()
    assert not controller._rest.isActive()
    paint(layer)
    assert controller._rest.isActive()
    assert view.state.whole_text() == "Painted; taken when the brush rests."
    controller._rest.timeout.emit()
    (command,) = sent(session)
    assert isinstance(command, UpdateLabels)
    assert command.labels == copy
    ((start, values),) = read_strokes(session.run_dir / command.strokes)
    assert start == (0, 0, 0)
    assert np.argwhere(values).tolist() == [[10, 10, 10]]
    assert view.state.whole_text() == "Sent; the worker takes it between two steps."
    assert not view.send.isEnabled()
    update = LabelsUpdated(labels=copy, num_changed=1, volumes=[{"num_surface": 41}])
    tell(update, applied(command))
    assert view.state.whole_text() == "1 voxel changed; 41 are surface."
    assert view.send.isEnabled()
    assert not controller._rest.isActive()


def test_with_the_switch_off_a_person_sends(controller, view, layer, session, tell):
    tell()
    view.automatic.setChecked(False)
    paint(layer)
    assert not controller._rest.isActive()
    assert view.state.whole_text() == "Painted, not sent."
    view.send.click()
    assert len(sent(session)) == 1


def test_the_switch_sends_what_waits(controller, view, layer, tell):
    tell()
    view.automatic.setChecked(False)
    paint(layer)
    view.automatic.setChecked(True)
    assert controller._rest.isActive()


def test_strokes_follow_one_another(controller, view, layer, session, tell):
    """What is painted while an answer is awaited goes with the next command."""
    tell()
    paint(layer)
    controller.send()
    paint(layer, at=20)
    assert not controller._rest.isActive()
    controller.send()
    (first,) = sent(session)
    tell(applied(first))
    assert controller._rest.isActive()
    controller.send()
    assert len(sent(session)) == 2


def test_a_refusal_is_said_and_not_repeated_by_itself(controller, view, layer, session, tell):
    tell()
    paint(layer, value=9)
    controller.send()
    (command,) = sent(session)
    why = "labels hold the value 9."
    tell(CommandRefused(command_id=command.id, command="UpdateLabels", message=why))
    assert view.error.text() == why
    assert view.state.whole_text() == "Painted, but not taken."
    assert not controller._rest.isActive()
    tell()
    assert not controller._rest.isActive()
    layer.undo()
    paint(layer, value=1)
    assert view.error.text() == ""
    assert controller._rest.isActive()


def test_an_undo_after_a_stroke_is_noticed(controller, layer, session, tell):
    tell()
    paint(layer)
    controller.send()
    (command,) = sent(session)
    tell(applied(command))
    layer.undo()
    assert controller._rest.isActive()


def test_strokes_wait_for_a_worker(controller, view, layer, session, tell):
    tell(state=RunState.STARTING)
    paint(layer)
    assert not controller._rest.isActive()
    assert not view.send.isEnabled()
    controller.send()
    assert sent(session) == []
    tell(state=RunState.PAUSED)
    assert controller._rest.isActive()


def test_what_a_dead_worker_did_not_answer_goes_to_the_next(
    controller, view, layer, session, tell, tmp_path
):
    tell()
    paint(layer)
    controller.send()
    tell(state=RunState.VANISHED)
    session.attach(tmp_path / "run", own=True)
    tell()
    assert controller._rest.isActive()
    controller.send()
    assert len(sent(session)) == 2


def test_another_run_takes_no_strokes(controller, view, layer, session, tell, tmp_path):
    session.attach(tmp_path / "other", own=False)
    tell()
    assert view.sending.isHidden()
    paint(layer)
    assert not controller._rest.isActive()


def test_a_full_disk_is_a_sentence(controller, view, layer, session, tell, monkeypatch):
    def full(*_):
        raise DataError("No space left.")

    monkeypatch.setattr("napari_surfseg.gui.strokes.controller.pack_strokes", full)
    tell()
    paint(layer)
    controller.send()
    assert view.error.text() == "No space left."
    assert view.send.isEnabled()
    assert sent(session) == []


def test_a_deleted_layer_is_let_go(controller, view, viewer, tell):
    tell()
    viewer.layers.remove("sheet")
    controller.send()
    tell()
    assert not view.send.isEnabled()
