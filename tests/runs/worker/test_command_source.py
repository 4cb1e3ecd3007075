"""Which commands a worker is handed, and which are refused."""

import json
import threading

import pytest

from napari_surfseg import events
from napari_surfseg.runs.worker.command_source import CommandSource


@pytest.fixture
def source(folder):
    """Build the source of a worker that took the run with so much of the file written."""

    def build(old_bytes=0):
        said = []
        return CommandSource(folder, threading.Event(), said.append, old_bytes=old_bytes), said

    return build


def send(folder, command):
    return events.append_command(folder.commands_path, command)


def size(folder):
    return folder.commands_path.stat().st_size


def test_a_command_is_handed_out_once(folder, source):
    stop = events.Stop()
    take, said = source()
    send(folder, stop)
    send(folder, stop)
    assert take() == [stop]
    assert take() == []
    folder.commands_path.write_bytes(folder.commands_path.read_bytes()[: size(folder) // 2])
    assert take() == [], "a file that was cut is read again, its commands are not applied again"
    assert said == []


def test_what_was_answered_is_passed_over_and_what_was_not_is_refused(folder, source):
    writer = events.EventWriter(folder.events_path)
    answered = send(folder, events.Stop())
    writer.write(events.CommandApplied(command_id=answered, command="Stop"))
    unanswered = send(folder, events.Pause())
    take, said = source(size(folder))
    new = events.SaveNow()
    send(folder, new)
    assert take() == [new]
    assert [(event.command_id, event.message) for event in said] == [
        (unanswered, "It was sent before this worker started.")
    ]


@pytest.mark.parametrize("seconds", [-7200, -60, 60, 7200])
def test_the_clock_of_a_watcher_does_not_matter(folder, source, seconds):
    old = send(folder, events.Stop(time=1e9 + seconds))
    take, said = source(size(folder))
    new = events.Stop(time=1e9 - seconds)
    send(folder, new)
    assert take() == [new]
    assert [event.command_id for event in said] == [old]


def test_half_a_line_costs_no_other_command(folder, source):
    take, said = source()
    send(folder, events.SaveNow())
    with folder.commands_path.open("ab") as file:
        file.write(b'{"kind":"Pause","id":"half')
    (given,) = take()
    assert isinstance(given, events.SaveNow)
    stop = events.Stop()
    send(folder, stop)
    assert take() == [stop]
    assert [type(event) for event in said] == [events.WarningIssued]


def test_half_a_line_of_an_earlier_watcher(folder, source):
    folder.commands_path.write_bytes(b'{"kind":"Pause","id":"half')
    take, _ = source(size(folder))
    stop = events.Stop()
    send(folder, stop)
    assert take() == [stop]


def test_a_malformed_command_is_refused_and_others_go_through(folder, source):
    take, said = source()
    with folder.commands_path.open("a") as file:
        file.write(json.dumps({"kind": "SetTraining", "id": "one", "max_epochs": "9"}) + "\n")
    stop = events.Stop()
    send(folder, stop)
    assert take() == [stop]
    (refused,) = said
    assert (refused.command_id, refused.command) == ("one", "SetTraining")
    assert 'max_epochs "9"' in refused.message


def test_strokes_with_a_name_too_long_for_the_system_are_refused(folder, source):
    take, said = source()
    send(folder, events.UpdateLabels(labels="a", strokes="x" * 4000))
    assert take() == []
    assert len(said) == 1
