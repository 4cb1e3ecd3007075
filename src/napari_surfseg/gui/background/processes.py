"""A job in a process of its own: started from a thread, read line by line, ended at any time."""

from __future__ import annotations

import contextlib
import json
import subprocess
import sys
import threading
from typing import TYPE_CHECKING, Any

from napari_surfseg.errors import CancelledError, RunError, SurfsegError
from napari_surfseg.gui.background.messages import name_layers
from napari_surfseg.runs.launch import build_environment

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

__all__ = ["JobProcess"]


class JobProcess:
    """Runs one process from a thread and reads what it writes.

    Parameters
    ----------
    module : str
        Run with the job's file; it writes a JSON object a line, as
        :mod:`napari_surfseg.inference.process_protocol` says.
    what : str
        What sentences and the log call the job: ``"prediction"``.
    report : callable
        Called with each stage and its share, 0 to 1; from the thread of :meth:`run`.
    ask : callable
        Puts a question to the person and returns whether to go on.
    """

    def __init__(
        self,
        module: str,
        what: str,
        *,
        report: Callable[[str, float], None] = lambda _stage, _share: None,
        ask: Callable[[str], bool] = lambda _question: True,
    ) -> None:
        self._module = module
        self._what = what
        self.report = report
        self.ask = ask
        self._process: subprocess.Popen[str] | None = None
        self._lock = threading.Lock()
        self._cancelled = False

    @property
    def is_cancelled(self) -> bool:
        """Whether the job was cancelled."""
        return self._cancelled

    def cancel(self) -> None:
        """End the process, if there is one, and start none any more."""
        with self._lock:
            self._cancelled = True
            if self._process is not None and self._process.poll() is None:
                self._process.kill()

    def check_cancelled(self) -> None:
        """Raise if the job was cancelled; called between the steps before the process starts.

        Raises
        ------
        CancelledError
            If it was.
        """
        if self._cancelled:
            raise CancelledError(f"The {self._what} was cancelled.")

    def run(self, job_file: Path, names: Mapping[str, str] | None = None) -> dict[str, Any]:
        """Run a job to its end and return its result.

        Parameters
        ----------
        job_file : Path
            What to do; the process's log is written beside it.
        names : mapping, optional
            Name of the layer by the path that the process reads for it: errors of the
            process then name the layer.

        Raises
        ------
        SurfsegError
            With the process's sentence, or saying that it ended without a result.
        """
        log_path = job_file.with_name(f"{self._what}.log")
        with log_path.open("wb") as log:
            with self._lock:
                self.check_cancelled()
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
                return self._read(self._process, log_path)
            except SurfsegError as error:
                raise type(error)(name_layers(str(error), names or {}), field=error.field) from None

    def _read(self, process: subprocess.Popen[str], log_path: Path) -> dict[str, Any]:
        """Report what the process writes, until it ends."""
        result: dict[str, Any] | None = None
        message = ""
        if process.stdout is None:
            raise RunError(f"The {self._what} gives no answer.")
        with process.stdout as lines:
            for line in lines:
                try:
                    values = json.loads(line)
                except ValueError:
                    continue  # a library printed something
                if "stage" in values:
                    self.report(str(values["stage"]), float(values.get("share", 0)))
                message = str(values.get("error", message))
                result = values.get("result", result)
        code = process.wait()
        self.check_cancelled()
        if message:
            raise SurfsegError(message)
        if result is None:
            raise RunError(
                f"The {self._what} ended without a result (exit code {code}"
                f"{_quote_last_line(log_path)})."
            )
        return result


def _quote_last_line(path: Path) -> str:
    """Quote the last line of a log, which is deleted with its folder."""
    with contextlib.suppress(OSError):
        lines = path.read_text(encoding="utf-8", errors="replace").split("\n")
        last = next((line.strip() for line in reversed(lines) if line.strip()), "")
        return f'; its last words are "{last}"' if last else ""
    return ""
