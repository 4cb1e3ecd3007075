"""A job in a process of its own: launched from a thread, heard line by line, ended at will."""

from __future__ import annotations

import contextlib
import json
import subprocess
import sys
import threading
from functools import partial
from typing import TYPE_CHECKING, Any, Protocol

from napari.utils import progress
from qtpy.QtCore import QObject, Signal

from napari_surfseg.errors import CancelledError, RunError, SurfsegError
from napari_surfseg.gui.background.messages import name_layers
from napari_surfseg.runs.launch import build_environment
from napari_surfseg.time_left import TimeLeft
from napari_surfseg.wording import format_duration

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

__all__ = ["JobProcess", "Waiting"]


class JobProcess:
    """Runs the process from a thread and hears its lines.

    Parameters
    ----------
    module : str
        Run with the job's file; it writes a JSON object a line, as
        :mod:`napari_surfseg.inference.process_protocol` says.
    what : str
        What sentences and the log call it: ``"prediction"``.
    """

    def __init__(self, module: str, what: str) -> None:
        self._module = module
        self._what = what
        self._process: subprocess.Popen[str] | None = None
        self._lock = threading.Lock()
        self._cancelled = False

    @property
    def is_cancelled(self) -> bool:
        """Whether the job was cancelled."""
        return self._cancelled

    def cancel(self) -> None:
        """End the process, if there is one."""
        with self._lock:
            self._cancelled = True
            if self._process is not None and self._process.poll() is None:
                self._process.kill()

    def require_going(self) -> None:
        """Raise where the job was cancelled.

        Raises
        ------
        CancelledError
            Saying so.
        """
        if self._cancelled:
            raise CancelledError(f"The {self._what} was cancelled.")

    def run(
        self,
        job_file: Path,
        tell: Callable[[str, float], None],
        names: Mapping[str, str] | None = None,
    ) -> dict[str, Any]:
        """Run a job to its end and return its result.

        ``names`` holds the layer's name by the path that the process reads for it; the
        process's sentences then name the layer.

        Raises
        ------
        SurfsegError
            With the process's sentence, or saying that it died.
        """
        log_path = job_file.with_name(f"{self._what}.log")
        with log_path.open("wb") as log:
            with self._lock:
                self.require_going()
                self._process = subprocess.Popen(
                    [sys.executable, "-P", "-m", self._module, str(job_file)],
                    stdin=subprocess.DEVNULL,
                    stdout=subprocess.PIPE,
                    stderr=log,
                    text=True,
                    encoding="utf-8",
                    env=build_environment(),
                )
            try:
                return self._listen(self._process, log_path, tell)
            except SurfsegError as error:
                raise type(error)(name_layers(str(error), names or {}), field=error.field) from None

    def _listen(
        self, process: subprocess.Popen[str], log_path: Path, tell: Callable[[str, float], None]
    ) -> dict[str, Any]:
        result: dict[str, Any] | None = None
        error = ""
        if process.stdout is None:
            raise RunError(f"The {self._what} gives no answer.")
        with process.stdout as lines:
            for line in lines:
                try:
                    said = json.loads(line)
                except ValueError:
                    continue  # a library printed something
                if "stage" in said:
                    tell(str(said["stage"]), float(said.get("share", 0)))
                error = str(said.get("error", error))
                result = said.get("result", result)
        code = process.wait()
        self.require_going()
        if error:
            raise SurfsegError(error)
        if result is None:
            raise RunError(
                f"The {self._what} ended without a result (exit code {code}"
                f"{_quote_last_line(log_path)})."
            )
        return result


def _quote_last_line(path: Path) -> str:
    """Quote the last thing a process said: its log goes with its folder."""
    with contextlib.suppress(OSError):
        lines = path.read_text(encoding="utf-8", errors="replace").split("\n")
        last = next((line.strip() for line in reversed(lines) if line.strip()), "")
        return f'; its last words are "{last}"' if last else ""
    return ""


class WaitingView(Protocol):
    """What a widget shows of a job."""

    def set_busy(self, busy: bool) -> None:
        """Switch between asking and waiting."""

    def set_state(self, text: str, share: float | None = None) -> None:
        """Say what is going on."""


class Waiting(QObject):
    """A window's side of a job: its stages shown in the view and in napari's activity dock.

    Parameters
    ----------
    view : WaitingView
        Shows the stages.
    title : str
        Of the bar in the activity dock.
    """

    told = Signal(str, float)

    def __init__(self, view: WaitingView, title: str) -> None:
        super().__init__()
        self._view = view
        self._title = title
        self._process: JobProcess | None = None
        self._bar: Any = None
        self._time_left = TimeLeft()
        self._is_drawing = False
        self.told.connect(self._on_told)

    @property
    def is_busy(self) -> bool:
        """Whether a job is under way."""
        return self._process is not None

    def begin(self, process: JobProcess) -> None:
        """Wait for a process from now on."""
        self._process = process
        self._time_left = TimeLeft()
        self._view.set_busy(True)
        self._on_told("Preparing", 0.0)

    def cancel(self) -> None:
        """End the process, if there is one; its end is told as ever."""
        if self._process is not None:
            self._process.cancel()

    def tell(self, stage: str, share: float) -> None:
        """Show a stage and its share, 0 to 1; from any thread."""
        with contextlib.suppress(RuntimeError):  # the window is gone
            self.told.emit(stage, share)

    def end(self) -> None:
        """Wait no longer."""
        self._process = None
        self._view.set_busy(False)
        if self._bar is not None:
            self._bar.close()
            self._bar = None

    def _on_told(self, stage: str, share: float) -> None:
        if self._process is None:
            return
        left = self._time_left.estimate(stage, share)
        said = f"{stage[:1].upper()}{stage[1:]}…"
        if left is not None:
            said += f" {format_duration(left)} left."
        self._view.set_state(said, share)
        if not self._is_drawing:
            self._is_drawing = True
            try:
                self._draw(stage, share)
            finally:
                self._is_drawing = False

    def _draw(self, stage: str, share: float) -> None:
        """Draw the bar; napari lets the event loop turn meanwhile, and the job may end in it."""
        process = self._process
        bar = self._bar or progress(total=1000, desc=self._title)
        if self._process is not process:
            bar.close()
            return
        self._bar = bar
        for change in (
            partial(bar.set_description, stage),
            partial(bar.reset, total=1000),
            partial(bar.update, round(1000 * share)),
        ):
            change()
            if self._bar is not bar:
                return
