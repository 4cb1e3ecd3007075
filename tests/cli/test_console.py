import contextlib
import errno
import io
import os
import sys
import time

import pytest

from napari_surfseg import events
from napari_surfseg.cli import console
from napari_surfseg.cli.console import (
    PlainConsole,
    TerminalConsole,
    choose_console,
    counting,
    reporting_stages,
    say_error,
)


class Terminal(io.StringIO):
    def isatty(self):
        return True


@pytest.fixture
def watch(monkeypatch):
    """Return a function that lets a person look at both streams, from within the test."""
    return lambda: pretend(monkeypatch)


def pretend(monkeypatch):
    monkeypatch.setattr(sys, "stdout", Terminal())
    monkeypatch.setattr(sys, "stderr", Terminal())
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("COLUMNS", "120")


def start():
    return events.RunStarted(
        name="a",
        device="cpu",
        precision="float32",
        model="tiny",
        num_parameters=1,
        patch_size=(64, 64, 64),
        epoch=0,
        max_epochs=32,
        max_minutes=None,
        iterations_per_epoch=10,
        loss_weights={},
    )


def step(progress, **changes):
    values = {
        "epoch": 3,
        "losses": {},
        "head_total": 1.0,
        "total": 1.234,
        "learning_rate": 1e-3,
        "gradient_norm": 1.0,
        "steps_per_second": 2.5,
        "elapsed_seconds": 30.0,
        "progress": progress,
    }
    return events.StepFinished(**(values | changes))


def test_the_bar_tells_epoch_loss_score_speed_and_time_left(watch):
    watch()
    bar = TerminalConsole()
    bar.show_event(start())
    metrics = {"surface_dice": 0.91}
    bar.show_event(
        events.ValidationFinished(epoch=2, metrics=metrics, threshold=0.5, is_best=True, seconds=1)
    )
    bar.show_event(step(0.25))
    shown = sys.stderr.getvalue().split("\r")[-1]
    for part in (
        "epoch 3/32",
        "25%",
        "loss 1.234",
        "surface Dice 0.910",
        "2.5 steps/s",
        "1 min 30 s left",
    ):
        assert part in shown
    bar.show_line("a line of the log")
    assert "a line of the log\n" in sys.stdout.getvalue()
    bar.show_event(events.RunPaused())
    assert "paused" in sys.stderr.getvalue().split("\r")[-1]
    bar.close()


def test_the_bar_tells_how_far_the_search_for_post_processing_is(watch):
    watch()
    bar = TerminalConsole()
    bar.show_event(step(1.0))
    bar.show_event(events.TuningProgressed(done=20, total=80, name="closing"))
    shown = sys.stderr.getvalue().split("\r")[-1]
    for part in ("choosing post-processing", "25%", "closing"):
        assert part in shown
    bar.show_event(
        events.TuningProgressed(done=30, total=80, name="closing", stage=6, num_stages=7)
    )
    assert "choosing post-processing, step 6 of 7" in sys.stderr.getvalue().split("\r")[-1]
    bar.close()


def test_the_bar_does_not_run_over(watch):
    watch()
    bar = TerminalConsole()
    bar.show_event(step(0.0, elapsed_seconds=0.0))
    bar.show_event(step(7.0))
    assert "100%" in sys.stderr.getvalue()
    bar.close()


def test_a_terminal_gets_a_bar_and_a_pipe_gets_lines(tmp_path, watch, monkeypatch):
    watch()
    with choose_console(tmp_path / "train.log") as chosen:
        assert isinstance(chosen, TerminalConsole)
    monkeypatch.setenv("TERM", "dumb")
    with choose_console(tmp_path / "train.log") as chosen:
        assert isinstance(chosen, PlainConsole)
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setattr(sys, "stdout", io.StringIO())
    with choose_console(tmp_path / "train.log") as chosen:
        assert isinstance(chosen, PlainConsole)
        chosen.show_line("hello")
        chosen.show_event(step(0.5))
    assert sys.stdout.getvalue() == "hello\n"


def test_a_launched_worker_does_not_write_its_log_twice(tmp_path, monkeypatch):
    log = tmp_path / "train.log"
    with log.open("a") as file:
        monkeypatch.setattr(sys, "stdout", file)
        with choose_console(log) as chosen:
            assert chosen is None
        monkeypatch.undo()


def test_a_reader_that_went_away_does_not_stop_a_training(monkeypatch):
    class Gone(io.StringIO):
        def write(self, text):
            raise BrokenPipeError

    monkeypatch.setattr(sys, "stdout", Gone())
    PlainConsole().show_line("nobody reads this")


def test_stages_in_a_pipe(monkeypatch, capsys):
    moment = [0.0]
    monkeypatch.setattr(console.time, "monotonic", lambda: moment[0])
    with reporting_stages() as report:
        report("reading", 0.0)  # over within the first seconds
        for share in (0.0, 0.25, 0.5, 0.75):
            moment[0] += 6
            report("scoring", share)
        report("finding topology errors", 0.0)
    assert capsys.readouterr().err.splitlines() == [
        "scoring: 25 %",
        "scoring: 75 %",
        "finding topology errors: 0 %",
    ]


def test_stages_on_a_terminal(watch):
    watch()
    with reporting_stages() as report:
        report("reading the labels", 0.0)
        report("scoring", 0.5)
    shown = sys.stderr.getvalue().split("\r")
    assert any("reading the labels" in line for line in shown)
    assert any("scoring" in line and "50%" in line for line in shown)


def test_counting_in_a_pipe(monkeypatch, capsys):
    moment = [0.0]
    monkeypatch.setattr(console.time, "monotonic", lambda: moment[0])
    with counting("working") as progress:
        for done in range(1, 5):
            moment[0] += 6
            progress(done, 4)
    assert capsys.readouterr().err.splitlines() == [
        "working: 50 % (2 of 4)",
        "working: 100 % (4 of 4)",
    ]


def test_counting_on_a_terminal(watch):
    watch()
    with counting("working") as progress:
        progress(1, 4)
        progress(4, 4)
    assert "4/4" in sys.stderr.getvalue()


def test_a_pipe_that_nobody_reads_is_not_waited_for(monkeypatch):
    read, write = os.pipe()
    try:
        with os.fdopen(write, "w") as full, monkeypatch.context() as patch:
            os.set_blocking(write, False)
            with contextlib.suppress(BlockingIOError):
                while True:
                    os.write(write, b"x" * 4096)
            os.set_blocking(write, True)
            patch.setattr("napari_surfseg.cli.console.LINE_WAIT_SECONDS", 0.05)
            patch.setattr(sys, "stdout", full)
            console = PlainConsole()
            begun = time.monotonic()
            console.show_line("epoch 1")
            assert time.monotonic() - begun < 5
            os.read(read, 1 << 20)  # it is read again
            console.show_line("epoch 2")
            assert os.read(read, 100) == b"epoch 2\n"
    finally:
        os.close(read)


def test_a_character_that_a_terminal_cannot_show_is_replaced(monkeypatch):
    out = io.TextIOWrapper(io.BytesIO(), encoding="ascii")
    monkeypatch.setattr(sys, "stdout", out)
    PlainConsole().show_line("64 × 64")
    assert out.buffer.getvalue().decode().rstrip() == "64 ? 64"


class ClosedTerminal(Terminal):
    """What a terminal is after the hang-up."""

    closed_now = False

    def write(self, text):
        if self.closed_now:
            raise OSError(errno.EIO, "Input/output error")
        return super().write(text)


def test_a_closed_terminal_is_no_error_at_the_end(monkeypatch):
    terminal = ClosedTerminal()
    monkeypatch.setattr(sys, "stdout", terminal)
    monkeypatch.setattr(sys, "stderr", terminal)
    console = TerminalConsole()
    terminal.closed_now = True
    console.close()
    say_error("Interrupted.")
