"""Runs a command of a launcher, and ends it when it takes too long."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import IO, TYPE_CHECKING

from napari_surfseg.errors import RunError

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["Answer", "StartedCommand", "run_command", "start_command"]

#: What a command prints is read up to here; the rest says nothing about one job.
MAX_BYTES = 1 << 16


@dataclass(frozen=True)
class Answer:
    """What a command said.

    Attributes
    ----------
    code : int
        Its exit status.
    output, errors : str
        What it wrote to standard output and standard error.
    """

    code: int
    output: str
    errors: str

    @property
    def text(self) -> str:
        """Both of them."""
        return f"{self.output}\n{self.errors}".strip("\n")

    @property
    def reason(self) -> str:
        """The last line of what it complained about, else of what it said, else its status."""
        for text in (self.errors, self.output):
            lines = [line.strip() for line in text.splitlines() if line.strip()]
            if lines:
                return lines[-1].rstrip(".")
        return f"exit status {self.code}"


@dataclass(frozen=True)
class StartedCommand:
    """A command that is under way."""

    process: subprocess.Popen[bytes]
    output: IO[bytes]
    errors: IO[bytes]

    def wait(self, seconds: float) -> Answer:
        """Wait for its end.

        Raises
        ------
        RunError
            If it takes longer; it is ended then, with all that it started.
        """
        with self.output, self.errors:
            try:
                code = self.process.wait(seconds)
            except subprocess.TimeoutExpired:
                _end(self.process)
                name = Path(str(self.process.args[0])).name  # type: ignore[index]
                raise RunError(f"{name} did not answer within {seconds:g} s.") from None
            return Answer(code, _read(self.output), _read(self.errors))


def start_command(arguments: Sequence[str], folder: Path) -> StartedCommand:
    """Start a command in a folder; no shell reads its arguments, and nothing is typed into it.

    Files take what it prints, not pipes: what ``ssh`` leaves in the background would hold a pipe
    open long after it has ended.

    Raises
    ------
    RunError
        If there is no such program.
    """
    output, errors = tempfile.TemporaryFile(), tempfile.TemporaryFile()  # noqa: SIM115
    try:
        process = subprocess.Popen(
            list(arguments),
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=errors,
            cwd=folder,
            start_new_session=os.name != "nt",
            creationflags=getattr(subprocess, "CREATE_NO_WINDOW", 0),
        )
    except (OSError, ValueError) as error:
        output.close()
        errors.close()
        reason = getattr(error, "strerror", None) or error
        raise RunError(f"{arguments[0]} cannot be run: {reason}.") from None
    return StartedCommand(process, output, errors)


def run_command(arguments: Sequence[str], folder: Path, *, seconds: float) -> Answer:
    """Run a command to its end.

    Raises
    ------
    RunError
        If there is no such program, or it takes longer than so many seconds.
    """
    return start_command(arguments, folder).wait(seconds)


def _read(file: IO[bytes]) -> str:
    file.seek(0)
    return file.read(MAX_BYTES).decode("utf-8", errors="replace")


def _end(process: subprocess.Popen[bytes]) -> None:
    with contextlib.suppress(OSError):
        if os.name == "nt":
            process.kill()
        else:
            os.killpg(process.pid, signal.SIGKILL)
    with contextlib.suppress(subprocess.TimeoutExpired):
        process.wait(2)
