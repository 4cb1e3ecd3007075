"""What people see while a command runs: a bar on a terminal, plain lines anywhere else."""

from __future__ import annotations

import contextlib
import os
import select
import sys
import time
from typing import TYPE_CHECKING, Any, TextIO

from napari_surfseg import events
from napari_surfseg.time_left import TimeLeft
from napari_surfseg.wording import describe_scores, format_duration

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from napari_surfseg.runs.worker.worker import Console

__all__ = [
    "PlainConsole",
    "TerminalConsole",
    "choose_console",
    "counting",
    "is_terminal",
    "reporting_stages",
    "say",
    "say_error",
]

#: Between two plain progress lines, so that a log file stays short.
PLAIN_SECONDS = 10.0
#: A bar counts in thousandths of the whole, since a run may be bounded by time or by epochs.
BAR_UNITS = 1000
#: A slow connection gets so long to take a line; then it goes without, the log has it.
LINE_WAIT_SECONDS = 0.5
MAX_LINE = 500
BAR_FORMAT = "{desc} {percentage:3.0f}% |{bar}| {postfix}"


def say(text: str) -> None:
    """Write a line to standard output."""
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


def say_error(text: str) -> None:
    """Write a line to standard error, which may be a terminal that was closed."""
    with contextlib.suppress(OSError, ValueError):
        sys.stderr.write(text + "\n")
        sys.stderr.flush()


def is_terminal(stream: TextIO) -> bool:
    """Whether a stream is a terminal that can redraw a line; ``TERM=dumb`` cannot."""
    with contextlib.suppress(ValueError, AttributeError):
        return stream.isatty() and os.environ.get("TERM") != "dumb"
    return False


def takes_output(stream: TextIO, seconds: float) -> bool:
    """Whether a stream takes a line within so many seconds, so that writing does not wait.

    A pipe that nobody reads fills up, and so does a terminal halted with Ctrl-S. Where the system
    cannot say, it does.
    """
    try:
        return bool(select.select([], [stream.fileno()], [], seconds)[1])
    except (OSError, ValueError, AttributeError):  # Windows, no file, or closed
        return True


def _fit(text: str, stream: TextIO) -> str:
    """Replace the characters that a stream has no code for, and bound the length of a line.

    A pipe that takes output takes 4,096 bytes without waiting (POSIX's PIPE_BUF is less on macOS).
    """
    encoding = getattr(stream, "encoding", None) or "utf-8"
    return text[:MAX_LINE].encode(encoding, errors="replace").decode(encoding)


class PlainConsole:
    """Shows the log's lines as they come.

    It keeps the standard output it finds when it is made: while a run lasts,
    ``sys.stdout`` is redirected into the run's log.
    """

    def __init__(self) -> None:
        self._out = sys.stdout

    def show_line(self, text: str) -> None:
        """Write the line; training continues where nothing reads its output."""
        with contextlib.suppress(OSError):
            if takes_output(self._out, LINE_WAIT_SECONDS):
                self._out.write(_fit(text, self._out) + "\n")
                self._out.flush()

    def show_event(self, event: events.Event) -> None:
        """Do nothing: the log's lines say it."""

    def close(self) -> None:
        """Do nothing."""


class TerminalConsole:
    """Shows the log's lines above a progress bar.

    Parameters
    ----------
    description : str
        At the bar's left, until the first epoch.
    """

    def __init__(self, description: str = "starting") -> None:
        from tqdm import tqdm

        self._out = sys.stdout
        self._bar: tqdm[Any] = tqdm(
            total=BAR_UNITS,
            desc=description,
            bar_format=BAR_FORMAT,
            file=sys.stderr,
            dynamic_ncols=True,
            leave=False,
        )
        self._max_epochs: int | None = None
        self._best = ""

    def show_line(self, text: str) -> None:
        """Write the line above the bar."""
        if self._is_read(LINE_WAIT_SECONDS):
            self._bar.write(_fit(text, self._out), file=self._out)

    def show_event(self, event: events.Event) -> None:
        """Move the bar."""
        if not self._is_read(0.0):
            return
        match event:
            case events.RunStarted():
                self._max_epochs = event.max_epochs
            case events.StepFinished():
                of = f"/{self._max_epochs}" if self._max_epochs else ""
                self._bar.set_description_str(f"epoch {event.epoch}{of}", refresh=False)
                self._bar.n = round(BAR_UNITS * min(event.progress or 0, 1))
                self._bar.set_postfix_str(self._describe(event), refresh=False)
                self._bar.update(0)
                self._bar.refresh()
            case events.ValidationFinished():
                whole = describe_scores(event.metrics, ["surface_dice"])
                strokes = describe_scores(event.metrics, ["dice"])
                if whole:
                    self._best = f", {whole[0]}"
                elif strokes:
                    self._best = f", {strokes[0]} on strokes"
            case events.TuningProgressed():
                of = f", step {event.stage} of {event.num_stages}" if event.num_stages else ""
                self._bar.set_description_str(f"choosing post-processing{of}", refresh=False)
                self._bar.n = round(BAR_UNITS * event.done / max(event.total, 1))
                self._bar.set_postfix_str(event.name, refresh=False)
                self._bar.refresh()
            case events.RunPaused():
                self._bar.set_description_str("paused")
            case _:
                pass

    def close(self) -> None:
        """Remove the bar."""
        if not self._is_read(LINE_WAIT_SECONDS):
            self._bar.disable = True
        with contextlib.suppress(OSError, ValueError):  # the terminal is closed
            self._bar.close()

    def _is_read(self, seconds: float) -> bool:
        return takes_output(self._out, seconds) and takes_output(self._bar.fp, 0.0)

    def _describe(self, event: events.StepFinished) -> str:
        left = ""
        if event.progress and event.elapsed_seconds:
            seconds = event.elapsed_seconds * max(0.0, 1 - event.progress) / event.progress
            left = f", {format_duration(seconds)} left"
        return f"loss {event.total:.3f}{self._best}, {event.steps_per_second:.2g} steps/s{left}"


@contextlib.contextmanager
def choose_console(log_path: Path) -> Iterator[Console | None]:
    """Provide the console for where standard output goes; None if that is the log itself."""
    if _leads_to(sys.stdout, log_path):
        yield None
        return
    fits_bar = is_terminal(sys.stdout) and is_terminal(sys.stderr)
    console = TerminalConsole() if fits_bar else PlainConsole()
    try:
        yield console
    finally:
        console.close()


class _Counter:
    """Called with (done, total); shows a bar on a terminal, else a line every few seconds."""

    def __init__(self, description: str) -> None:
        self._description = description
        self._last = time.monotonic()
        self._time_left = TimeLeft()
        self._bar: Any = None
        self._is_terminal = is_terminal(sys.stderr)

    def __call__(self, done: int, total: int) -> None:
        left = self._time_left.estimate(self._description, done / max(total, 1))
        if self._is_terminal:
            if self._bar is None:
                from tqdm import tqdm

                self._bar = tqdm(total=total, desc=self._description, dynamic_ncols=True)
            self._bar.total = total
            self._bar.update(done - self._bar.n)
        elif done == total or time.monotonic() - self._last > PLAIN_SECONDS:
            self._last = time.monotonic()
            rest = "" if left is None else f", {format_duration(left)} left"
            share = 100 * done / max(total, 1)
            say_error(f"{self._description}: {share:.0f} % ({done} of {total}){rest}")

    def close(self) -> None:
        if self._bar is not None:
            self._bar.close()


class _Stages:
    """Called with (stage, share); shows a bar, or a line for each stage and every few seconds.

    No line is shown in the first seconds: a short job needs none.
    """

    def __init__(self) -> None:
        self._begun = self._last = time.monotonic()
        self._stage = ""
        self._bar: Any = None
        self._is_terminal = is_terminal(sys.stderr)

    def __call__(self, stage: str, share: float) -> None:
        if self._is_terminal:
            self._move_bar(stage, share)
            return
        now = time.monotonic()
        if now - self._begun < PLAIN_SECONDS:
            return
        if stage != self._stage or now - self._last > PLAIN_SECONDS:
            self._stage, self._last = stage, now
            say_error(f"{stage}: {100 * share:.0f} %")

    def _move_bar(self, stage: str, share: float) -> None:
        if self._bar is None:
            from tqdm import tqdm

            self._bar = tqdm(
                total=BAR_UNITS,
                desc=stage,
                bar_format=BAR_FORMAT,
                file=sys.stderr,
                dynamic_ncols=True,
                leave=False,
            )
        self._bar.set_description_str(stage, refresh=False)
        self._bar.n = round(BAR_UNITS * min(share, 1))
        self._bar.refresh()

    def close(self) -> None:
        if self._bar is not None:
            self._bar.close()


@contextlib.contextmanager
def reporting_stages() -> Iterator[_Stages]:
    """Provide a ``report(stage, share)`` that shows the progress on standard error."""
    stages = _Stages()
    try:
        yield stages
    finally:
        stages.close()


@contextlib.contextmanager
def counting(description: str) -> Iterator[_Counter]:
    """Provide a ``progress(done, total)`` that shows the progress on standard error."""
    counter = _Counter(description)
    try:
        yield counter
    finally:
        counter.close()


def _leads_to(stream: TextIO, path: Path) -> bool:
    """Whether a stream writes into this file, as a launched worker's does."""
    try:
        return os.path.samestat(os.fstat(stream.fileno()), path.stat())
    except (OSError, ValueError, AttributeError):
        return False
