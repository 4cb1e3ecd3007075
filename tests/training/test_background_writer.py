"""Checkpoints are written while training goes on: in order, the newest of each file."""

import threading
from pathlib import Path

from napari_surfseg.training.background_writer import BackgroundWriter

BEST, LAST = Path("best.pt"), Path("last.pt")


def test_a_slow_disk_is_not_waited_for_and_the_newest_of_each_file_is_written():
    may_write, begun = threading.Event(), threading.Event()
    written = []

    def save(path, checkpoint):
        begun.set()
        assert may_write.wait(30)
        written.append((path, checkpoint))

    writer = BackgroundWriter(save)
    writer.submit(LAST, 1)
    assert begun.wait(30)
    for number in (2, 3):
        writer.submit(BEST, number)
        writer.submit(LAST, number)
    assert writer.is_writing
    assert writer.take_outcomes() == []
    may_write.set()
    writer.wait()
    assert written == [(LAST, 1), (BEST, 3), (LAST, 3)]
    assert not writer.is_writing
    assert [outcome.path for outcome in writer.take_outcomes()] == [LAST, BEST, LAST]


def test_an_error_is_handed_over_and_ends_nothing():
    def save(path, _checkpoint):
        if path == BEST:
            raise OSError("no space")
        return "a note"

    writer = BackgroundWriter(save)
    writer.submit(BEST, 1)
    writer.submit(LAST, 2)
    writer.wait()
    failed, saved = writer.take_outcomes()
    assert str(failed.error) == "no space"
    assert saved.error is None
    assert saved.note == "a note"
