"""Strokes go to the run when the brush rests; the view is a stand-in, no window is needed."""

from unittest.mock import Mock

import numpy as np
import pytest
from tests.gui.conftest import sent_commands

from napari_surfseg.data.strokes.stroke_files import read_strokes
from napari_surfseg.errors import DataError
from napari_surfseg.events import CommandApplied, CommandRefused, LabelsUpdated, UpdateLabels
from napari_surfseg.gui.strokes.controller import StrokesController
from napari_surfseg.gui.strokes.protocols import StrokesPanelProtocol
from napari_surfseg.runs.folder import RunState
from napari_surfseg.runs.follow import RunSnapshot


@pytest.fixture
def view():
    view = Mock(spec=StrokesPanelProtocol)
    view.is_automatic.return_value = True
    return view


def last(setter):
    """What the view shows, as it was set last."""
    return setter.call_args.args[0]


def switch(view, on):
    """Switch "Send while painting"."""
    view.is_automatic.return_value = on
    view.automatic_toggled.connect.call_args.args[0](on)


@pytest.fixture
def controller(viewer, view, session, jobs, layer, copy, tmp_path):
    controller = StrokesController(viewer, view, session, jobs)
    session.attach(tmp_path / "run", own=True)
    controller.follow({copy: layer})
    yield controller
    controller.close()


@pytest.fixture
def report(session, feeds):
    def report(*events, state=RunState.RUNNING):
        feeds[-1].polled.emit(RunSnapshot(state=state, new_events=events))

    return report


def paint(layer, value=1, at=10):
    layer.data_setitem(tuple(np.array([at]) for _ in range(3)), value)


def applied(command):
    return CommandApplied(command_id=command.id, command="UpdateLabels")


def test_a_stroke_is_sent_when_the_brush_rests(controller, view, layer, session, report, copy):
    report()
    assert last(view.set_shown)
    assert not controller._rest.isActive()
    paint(layer)
    assert controller._rest.isActive()
    assert last(view.set_state) == "Painted; taken when the brush rests."
    controller._rest.timeout.emit()
    (command,) = sent_commands(session)
    assert isinstance(command, UpdateLabels)
    assert command.labels == copy
    ((start, values),) = read_strokes(session.run_dir / command.strokes)
    assert start == (0, 0, 0)
    assert np.argwhere(values).tolist() == [[10, 10, 10]]
    assert last(view.set_state) == "Sent; the worker takes it between two steps."
    assert not last(view.set_can_send)
    update = LabelsUpdated(labels=copy, num_changed=1, volumes=[{"num_surface": 41}])
    report(update, applied(command))
    assert last(view.set_state) == "1 voxel changed; 41 are surface."
    assert last(view.set_can_send)
    assert not controller._rest.isActive()


def test_with_the_switch_off_a_person_sends(controller, view, layer, session, report):
    report()
    switch(view, False)
    paint(layer)
    assert not controller._rest.isActive()
    assert last(view.set_state) == "Painted, not sent."
    controller.send()
    assert len(sent_commands(session)) == 1


def test_the_switch_sends_what_waits(controller, view, layer, report):
    report()
    switch(view, False)
    paint(layer)
    switch(view, True)
    assert controller._rest.isActive()


def test_strokes_follow_one_another(controller, view, layer, session, report):
    """What is painted while an answer is awaited goes with the next command."""
    report()
    paint(layer)
    controller.send()
    paint(layer, at=20)
    assert not controller._rest.isActive()
    controller.send()
    (first,) = sent_commands(session)
    report(applied(first))
    assert controller._rest.isActive()
    controller.send()
    assert len(sent_commands(session)) == 2


def test_a_refusal_is_said_and_not_repeated_by_itself(controller, view, layer, session, report):
    report()
    paint(layer, value=9)
    controller.send()
    (command,) = sent_commands(session)
    why = "labels hold the value 9."
    report(CommandRefused(command_id=command.id, command="UpdateLabels", message=why))
    assert last(view.set_error) == why
    assert last(view.set_state) == "Painted, but not taken."
    assert not controller._rest.isActive()
    report()
    assert not controller._rest.isActive()
    layer.undo()
    paint(layer, value=1)
    assert last(view.set_error) == ""
    assert controller._rest.isActive()


def test_an_undo_after_a_stroke_is_noticed(controller, layer, session, report):
    report()
    paint(layer)
    controller.send()
    (command,) = sent_commands(session)
    report(applied(command))
    layer.undo()
    assert controller._rest.isActive()


def test_strokes_wait_for_a_worker(controller, view, layer, session, report):
    report(state=RunState.STARTING)
    paint(layer)
    assert not controller._rest.isActive()
    assert not last(view.set_can_send)
    controller.send()
    assert sent_commands(session) == []
    report(state=RunState.PAUSED)
    assert controller._rest.isActive()


def test_what_a_dead_worker_did_not_answer_goes_to_the_next(
    controller, view, layer, session, report, tmp_path
):
    report()
    paint(layer)
    controller.send()
    report(state=RunState.VANISHED)
    session.attach(tmp_path / "run", own=True)
    report()
    assert controller._rest.isActive()
    controller.send()
    assert len(sent_commands(session)) == 2


def test_another_run_takes_no_strokes(controller, view, layer, session, report, tmp_path):
    session.attach(tmp_path / "other", own=False)
    report()
    assert not last(view.set_shown)
    paint(layer)
    assert not controller._rest.isActive()


def test_a_full_disk_is_a_sentence(controller, view, layer, session, report, monkeypatch):
    def full(*_):
        raise DataError("No space left.")

    monkeypatch.setattr("napari_surfseg.gui.strokes.collect_strokes.write_strokes", full)
    report()
    paint(layer)
    controller.send()
    assert last(view.set_error) == "No space left."
    assert last(view.set_can_send)
    assert sent_commands(session) == []


def test_a_deleted_layer_takes_no_strokes(controller, view, viewer, report):
    report()
    viewer.layers.remove("sheet")
    controller.send()
    report()
    assert not last(view.set_can_send)


def test_nothing_is_offered_to_be_opened_where_all_labels_are_open(controller, view, report):
    report()
    view.set_can_open.assert_called_with(False, busy=False)
