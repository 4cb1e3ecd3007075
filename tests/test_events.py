import dataclasses
import errno
import json
import math
import threading

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from napari_surfseg import events
from napari_surfseg.errors import RunError
from napari_surfseg.events import (
    Command,
    Event,
    EventWriter,
    append_command,
    parse_events,
    read_commands,
    read_events,
)
from napari_surfseg.lines import LineReader, iterate_lines


@pytest.fixture
def path(tmp_path):
    return tmp_path / "events.jsonl"


def epoch(**changes):
    values = {
        "epoch": 1,
        "losses": {"cldice": 0.5},
        "head_total": 1.0,
        "total": 1.5,
        "learning_rate": 1e-3,
        "epoch_seconds": 2.0,
        "steps_per_second": 5.0,
        "elapsed_seconds": 2.0,
        "patches": {"sources": {"a": 3}},
        "cache": {"hits": 1},
    }
    return events.EpochFinished(**(values | changes))


EXAMPLES = {
    str: "text",
    int: 3,
    float: 0.25,
    bool: True,
    "dict[str, float]": {"cldice": 0.5},
    "dict[str, Any]": {"deep": {"a": 1}},
    "list[str]": ["a sentence."],
    "list[dict[str, Any]]": [{"image": "a.tif"}],
    "Index3": (1, 2, 3),
    "Size3": (1, 2, 3),
    "str": "text",
    "int": 3,
    "float": 0.25,
    "bool": True,
}


def make_example(cls):
    values = {}
    for item in dataclasses.fields(cls):
        kind = str(item.type).removesuffix(" | None")
        if item.name not in ("seq", "time", "id"):
            values[item.name] = EXAMPLES[kind]
    return cls(**values)


@pytest.mark.parametrize("cls", Event.kinds.values(), ids=lambda cls: cls.__name__)
def test_every_event_comes_back_as_it_was(path, cls):
    written = EventWriter(path).write(make_example(cls))
    (found,) = read_events(path)
    assert found == written
    assert type(found) is cls


@pytest.mark.parametrize("cls", Command.kinds.values(), ids=lambda cls: cls.__name__)
def test_every_command_comes_back_as_it_was(path, cls):
    command = make_example(cls)
    assert append_command(path, command) == command.id
    assert read_commands(path) == [command]


def test_names_say_what_they_are():
    """Events are in the past tense, commands are imperatives."""
    assert all(name.endswith(("ed", "Written")) for name in Event.kinds)
    assert not any(name.endswith("ed") for name in Command.kinds)
    assert not set(Event.kinds) & set(Command.kinds)


def test_numbers_and_times_are_the_writers(path):
    writer = EventWriter(path)
    first, second = writer.write(epoch(seq=99, time=99.0)), writer.write(epoch())
    assert (first.seq, second.seq) == (0, 1)
    assert first.time > 1e9


def test_a_later_writer_goes_on_counting_and_cuts_a_torn_line(path):
    EventWriter(path).write(epoch())
    with path.open("ab") as file:
        file.write(b'{"kind":"EpochFini')
    EventWriter(path).write(epoch(epoch=2))
    assert [(event.seq, event.epoch) for event in read_events(path)] == [(0, 1), (1, 2)]


def test_a_line_that_does_not_fit_on_the_disk_is_taken_back(path, monkeypatch):
    writer = EventWriter(path)
    writer.write(epoch())
    whole = path.read_bytes()
    opened = type(path).open

    class Full:
        def __init__(self, file):
            self._file = file

        def __enter__(self):
            return self

        def __exit__(self, *_):
            self._file.close()

        def __getattr__(self, name):
            return getattr(self._file, name)

        def write(self, data):
            return self._file.write(data[:10])  # as much as there was room for

    monkeypatch.setattr(type(path), "open", lambda self, *a, **k: Full(opened(self, *a, **k)))
    with pytest.raises(OSError, match="No space left") as caught:
        writer.write(epoch(epoch=2))
    assert caught.value.errno == errno.ENOSPC
    monkeypatch.undo()
    assert path.read_bytes() == whole
    assert writer.write(epoch(epoch=3)).seq == 1
    assert [event.epoch for event in read_events(path)] == [1, 3]


def test_numbers_that_are_none_become_null(path):
    EventWriter(path).write(epoch(losses={"cldice": math.nan}, total=math.inf))
    line = json.loads(path.read_text(), parse_constant=lambda name: pytest.fail(name))
    assert line["losses"] == {"cldice": None}
    (found,) = read_events(path)
    assert found.total is None


def test_a_reader_follows_and_waits_for_whole_lines(path):
    reader = LineReader(path)
    assert read_events(reader) == []
    writer = EventWriter(path)
    writer.write(epoch(epoch=1))
    assert [event.epoch for event in read_events(reader)] == [1]
    writer.write(epoch(epoch=2))
    data = path.read_bytes()
    path.write_bytes(data[:-5])
    assert read_events(reader) == []
    path.write_bytes(data)
    assert [event.epoch for event in read_events(reader)] == [2]
    assert read_events(reader) == []


def test_a_replaced_file_is_read_from_its_start(path):
    reader = LineReader(path)
    writer = EventWriter(path)
    for number in range(5):
        writer.write(epoch(epoch=number))
    assert len(read_events(reader)) == 5
    path.unlink()
    EventWriter(path).write(epoch(epoch=9))
    assert [event.epoch for event in read_events(reader)] == [9]


def test_reading_in_pieces_makes_progress_even_with_long_lines(path):
    writer = EventWriter(path)
    for number in range(20):
        writer.write(epoch(epoch=number, patches={"sources": {"x" * 300: number}}))
    reader = LineReader(path)
    seen = []
    while lines := reader.read_lines(100):
        seen += parse_events(lines)
    assert [event.epoch for event in seen] == list(range(20))


def test_unknown_kinds_and_fields_of_a_newer_version_are_passed_over(path):
    path.write_text(
        '{"kind":"Invented","seq":0}\n{"kind":"RunPaused","seq":1,"mood":"calm"}\n'
        '{"seq":2}\n"RunPaused"\n[]\nnull\n{"kind":["RunPaused"]}\n{"kind":"StepFinished"}\n'
    )
    (found,) = read_events(path)
    assert isinstance(found, events.RunPaused)
    assert found.seq == 1


@given(st.binary(max_size=300))
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_no_bytes_make_a_reader_raise(path, data):
    path.write_bytes(data)
    assert isinstance(read_events(path), list)
    assert isinstance(read_commands(path), list)


def test_a_failure_of_an_earlier_version_names_no_setting(path):
    path.write_text('{"kind":"RunFailed","seq":0,"time":1.0,"step":2,"message":"It is full."}\n')
    (event,) = read_events(path)
    assert (event.message, event.field) == ("It is full.", None)


def test_watchers_do_not_tear_each_others_lines(path):
    def send(number):
        for _ in range(50):
            append_command(path, events.SetLossWeights(weights={"cldice": float(number)}))

    threads = [threading.Thread(target=send, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    found = read_commands(path)
    assert len(found) == 200
    assert len({command.id for command in found}) == 200


def test_a_command_that_cannot_be_sent(tmp_path):
    with pytest.raises(RunError, match=r"could not be written to .*commands\.jsonl: .*\.$"):
        append_command(tmp_path / "gone" / "commands.jsonl", events.Stop())


def test_a_half_line_is_ended_before_the_next_command(path):
    path.write_bytes(b'{"kind":"Pau')
    stop = events.Stop()
    append_command(path, stop)
    append_command(path, stop)
    assert read_commands(path) == [stop, stop]
    assert path.read_bytes().count(b"\n") == 3


def test_a_long_file_is_read_and_continued_in_pieces(path, monkeypatch):
    monkeypatch.setattr(events, "PIECE_BYTES", 100)
    writer = EventWriter(path)
    for _ in range(20):
        writer.write(epoch())
    with path.open("ab") as file:
        file.write(b'{"kind":' + b"x" * 300)
    assert EventWriter(path).write(epoch()).seq == 20
    assert len(list(iterate_lines(path, max_bytes=50))) == 21
    assert [event.seq for event in read_events(path)] == list(range(21))
