"""``train.log``: the run as lines a person reads, every one made from an event.

Because the lines are made from the events, the log, the terminal, the window and
the report always agree. What other libraries print goes into the log as well
(:class:`LineStream` stands in for ``sys.stdout``).
"""

from __future__ import annotations

import contextlib
import io
import sys
import threading
import time
from typing import TYPE_CHECKING

from napari_surfseg import events
from napari_surfseg.runs.event_text import describe_event

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

__all__ = ["LOST_OUTPUT", "LineStream", "TrainLog"]

#: What writing to a terminal or a pipe raises once that is closed (OSError, ValueError for a
#: stream of Python's own), or if it cannot show a character (UnicodeError, a ValueError).
LOST_OUTPUT = (OSError, ValueError)

#: In an epoch of hours, a line every so often shows that the run is alive.
STEP_LINE_SECONDS = 60.0


class LineStream(io.TextIOBase):
    """A text stream that hands over whole lines; a stand-in for ``sys.stdout``."""

    def __init__(self, show: Callable[[str], None]) -> None:
        super().__init__()
        self._show = show
        self._pending = ""
        self._lock = threading.Lock()

    def writable(self) -> bool:
        """Say yes."""
        return True

    def write(self, text: str) -> int:
        """Take text; lines are passed on as they are finished."""
        with self._lock:
            *lines, self._pending = (self._pending + text).split("\n")
        for line in lines:
            # A progress bar of some library rewrites its line; its last state is enough.
            self._show(line.rsplit("\r", 1)[-1])
        return len(text)

    def finish(self) -> None:
        """Pass on what is left of an unfinished line."""
        with self._lock:
            rest, self._pending = self._pending, ""
        if rest:
            self._show(rest)


class TrainLog:
    """Append dated lines to ``train.log`` and show them where asked.

    Parameters
    ----------
    path : Path
        The log file.
    show : callable, optional
        Also given every line, without the date: a terminal.
    """

    def __init__(self, path: Path, show: Callable[[str], None] | None = None) -> None:
        self.path = path
        self._show = show
        self._last_step_line = time.monotonic()
        self._last_stage: int | None = None

    def write(self, text: str, *, show: bool = True) -> None:
        """Append one or more lines. No full disk and no closed terminal stops a run for one."""
        stamp = time.strftime("%Y-%m-%d %H:%M:%S")
        lines = text.splitlines() or [""]
        with (
            contextlib.suppress(OSError),
            self.path.open("a", encoding="utf-8", errors="backslashreplace") as file,
        ):
            file.write("".join(f"{stamp}  {line}\n" for line in lines))
        if show and self._show is not None:
            for line in lines:
                with contextlib.suppress(*LOST_OUTPUT):
                    self._show(line)

    def write_event(self, event: events.Event) -> None:
        """Append the lines of an event, if it is worth one."""
        if isinstance(event, events.StepFinished):
            now = time.monotonic()
            if now - self._last_step_line < STEP_LINE_SECONDS:
                return
            self._last_step_line = now
        if isinstance(event, events.TuningProgressed):
            if event.stage == self._last_stage:
                return
            self._last_stage = event.stage
        lines = describe_event(event)
        if isinstance(event, events.EpochFinished):
            self._last_step_line = time.monotonic()
        if lines:
            # The caller shows why the run failed.
            self.write("\n".join(lines), show=not isinstance(event, events.RunFailed))

    @contextlib.contextmanager
    def captured_output(self) -> Iterator[None]:
        """Send what Python code prints meanwhile into the log."""
        stream = LineStream(self.write)
        with contextlib.redirect_stdout(stream), contextlib.redirect_stderr(stream):
            try:
                yield
            finally:
                stream.finish()
                sys.stdout.flush()
