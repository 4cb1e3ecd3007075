"""What a worker writes to ``events.jsonl``, over a week and on a disk that takes nothing."""

import errno
import itertools
import math
import time

import numpy as np
import pytest

from napari_surfseg import events
from napari_surfseg.lines import iterate_lines
from napari_surfseg.runs.folder import RunFolder
from napari_surfseg.runs.history import read_history
from napari_surfseg.runs.worker.event_log import LONGEST_SECONDS, WRITTEN_STEPS, EventLog

MINUTE, HOUR, WEEK = 60, 3600, 7 * 24 * 3600
TERMS = ("weighted_bce", "soft_dice", "cldice", "morph_skeleton", "surface_distance")


def step(number, elapsed, **losses):
    return events.StepFinished(
        step=number,
        epoch=1 + number // 600,
        losses=losses or dict.fromkeys(TERMS, math.pi / (1 + number)),
        head_total=math.pi / (1 + number),
        total=math.e / (1 + number),
        learning_rate=1e-3 / 3,
        gradient_norm=1 / 3,
        steps_per_second=10 / 3,
        elapsed_seconds=elapsed,
        progress=elapsed / WEEK,
    )


def validation(number):
    return events.ValidationFinished(
        step=number * 600,
        epoch=number,
        metrics=dict.fromkeys(("surface_dice", "dice", "voi_split", "voi_merge", "b0"), 1 / 3),
        threshold=0.5,
        is_best=False,
        seconds=1 / 3,
    )


def epoch(number, elapsed):
    return events.EpochFinished(
        step=number * 600,
        epoch=number,
        losses=dict.fromkeys(TERMS, math.pi / (1 + number)),
        head_total=math.pi / (1 + number),
        total=math.e / (1 + number),
        learning_rate=1e-3 / 3,
        epoch_seconds=MINUTE / 0.97,
        steps_per_second=10 / 3,
        elapsed_seconds=elapsed / 0.97,
        patches={
            "foreground_fraction": 0.2 / 3,
            "foreground_centred_share": 0.65 / 3,
            "ignored_fraction": 0.1 / 3,
            "sources": {"/a/path/to/an/image.zarr": 400, "/a/path/to/another/image.zarr": 200},
        },
        cache={"hits": 10**6, "misses": 10**4, "evictions": 0, "num_bytes": 2**30},
        seconds_left=(WEEK - elapsed) / 0.97,
    )


def preview(index):
    return events.PreviewWritten(
        index=index,
        probabilities=f"previews/{index:06d}_probabilities.npy",
        skeleton=f"previews/{index:06d}_skeleton.npy",
        image="/a/path/to/an/image.zarr",
        origin=(0, 0, 0),
        shape=(64, 128, 128),
        epoch=1,
        seconds=1 / 3,
    )


@pytest.fixture
def folder(tmp_path):
    return RunFolder(tmp_path)


class Kept:
    """Stands in for the writer: keeps the events, in the memory of the test."""

    def __init__(self):
        self.found, self.path, self.error = [], "events.jsonl", None

    def write(self, event, *, at=None):
        if self.error is not None:
            raise self.error
        self.found.append(event)
        return event

    def of(self, kind):
        return [event for event in self.found if isinstance(event, kind)]


@pytest.fixture
def kept():
    return Kept()


@pytest.fixture
def said():
    return []


@pytest.fixture
def log(kept, said):
    return EventLog(kept, said.append)


def test_a_short_run_is_told_in_full(log, kept):
    for number in range(1000):
        log.write(step(number, number / 10))
    assert len(kept.found) == 1000


def test_curves_stay_smooth_as_the_run_grows(log, kept):
    """No gap is longer than a pixel of a wide plot, or than a person waits for news."""
    for number in range(200_000):
        log.write(step(number, number))
    written = np.array([event.elapsed_seconds for event in kept.found])
    gaps = np.diff(written)
    longest = np.minimum(written[1:] / WRITTEN_STEPS, LONGEST_SECONDS)
    assert (gaps <= np.maximum(1.0, longest) + 1).all()
    assert len(written) > 10_000


def test_a_term_that_few_steps_compute_is_not_missed(log, kept):
    for number in range(100_000, 101_000):
        losses = {"cldice": float(number)} if number % 7 == 3 else {"soft_dice": 1.0}
        log.write(step(number, number, **losses))
    written = kept.of(events.StepFinished)[1:]
    assert len(written) > 30
    assert all("cldice" in event.losses for event in written)
    newest = written[-1]
    assert 0 <= newest.step - newest.losses["cldice"] < 14


def test_the_preview_after_a_command_is_told_at_once(log, kept):
    log.write(step(1, 100_000))
    for index in range(5):
        log.write(preview(index))
    log.write(events.CommandApplied(command_id="a", command="SetPreview"))
    log.write(preview(5))
    log.write(preview(6))
    assert [event.index for event in kept.of(events.PreviewWritten)] == [0, 5]


@pytest.mark.slow
def test_a_week_stays_under_50_mb_and_opens_in_a_second(folder):
    """A step a tenth of a second, an epoch a minute with its validation, a preview in ten."""
    log = EventLog(events.EventWriter(folder.events_path), print)
    started = {
        "name": "a", "device": "cpu", "precision": "float32", "model": "tiny", "num_parameters": 1,
        "patch_size": (64, 64, 64), "epoch": 0, "max_epochs": None, "max_minutes": WEEK / 60,
        "iterations_per_epoch": 600, "loss_weights": dict.fromkeys(TERMS, 0.2),
    }  # fmt: skip
    log.write(events.RunStarted(**started))
    num_epochs = WEEK // MINUTE
    for tenth in range(1, 10 * WEEK + 1):
        log.write(step(tenth, tenth / 10))
        if tenth % 100 == 0:
            log.write(preview(tenth // 100))
        if tenth % (10 * MINUTE) == 0:
            number = tenth // (10 * MINUTE)
            log.write(epoch(number, tenth / 10))
            log.write(validation(number))
            log.write(events.CheckpointSaved(path="checkpoints/last.pt", epoch=number))
    size = folder.events_path.stat().st_size
    seconds = min(time_reading(folder) for _ in range(5))
    history = read_history(folder.path)
    assert len(history.epochs) == len(history.validations) == num_epochs
    assert size < 50e6
    assert len(history.steps) < 35_000
    assert seconds < 1.0


def time_reading(folder):
    """Seconds of this process alone: others are at work beside the tests."""
    begun = time.process_time()
    read_history(folder.path)
    return time.process_time() - begun


def test_a_long_file_of_an_earlier_version_is_thinned_as_it_is_read(folder, monkeypatch):
    monkeypatch.setattr(events, "LONG_FILE_BYTES", 20_000)
    writer = events.EventWriter(folder.events_path)
    for number in range(1000):
        writer.write(step(number, number))
        if number % 100 == 0:
            writer.write(validation(number))
    thinner = events.StepThinner(folder.events_path)
    lines = [line for line in iterate_lines(folder.events_path) if thinner.keep(line)]
    assert sum(map(len, lines)) < 20_000
    assert sum(b"ValidationFinished" in line for line in lines) == 10


def test_a_disk_that_takes_nothing_for_a_while_ends_nothing(log, kept, said):
    log.write(step(1, 1))
    kept.error = OSError(errno.ENOSPC, "No space left on device")
    for number in range(2, 5):
        log.write(step(number, number))
        log.write(validation(number))
    kept.error = None
    log.write(step(9, 9))
    assert [event.epoch for event in kept.of(events.ValidationFinished)] == [2, 3, 4]
    assert [event.step for event in kept.of(events.StepFinished)] == [1, 9]
    (warning,) = kept.of(events.WarningIssued)
    assert "No space left on device" in warning.message
    assert len(said) == 2


def test_what_follows_later_keeps_its_time_and_its_number(folder, monkeypatch):
    writer = events.EventWriter(folder.events_path)
    log = EventLog(writer, print)
    real = events.EventWriter.write

    def refuse(self, event, *, at=None):
        raise PermissionError(errno.EACCES, "Permission denied")

    monkeypatch.setattr(events.EventWriter, "write", refuse)
    before = time.time()
    log.write(validation(1))
    after = time.time()
    monkeypatch.setattr(events.EventWriter, "write", real)
    time.sleep(0.05)
    log.write(validation(2))
    found = events.read_events(folder.events_path)
    assert [event.seq for event in found] == [0, 1, 2]
    assert before <= found[0].time <= after


def test_the_last_event_that_cannot_be_written_is_an_error(log, kept):
    kept.error = OSError(errno.ENOSPC, "No space left on device")
    log.write(validation(1))
    with pytest.raises(OSError, match="No space"):
        log.write(events.RunCompleted(epoch=1, elapsed_seconds=1.0))


def test_what_is_held_back_is_bounded(log, kept, monkeypatch):
    monkeypatch.setattr("napari_surfseg.runs.worker.event_log.MAX_HELD", 3)
    kept.error = OSError(errno.EIO, "Input/output error")
    for number in itertools.islice(itertools.count(), 10):
        log.write(validation(number))
    kept.error = None
    log.write(step(1, 1))
    assert len(kept.of(events.ValidationFinished)) == 3
