"""What the processes that a window launches share: a job read from JSON, answers as lines.

``python -m MODULE JOB.json`` reads what to do, writes its results beside that file and one
JSON object a line to standard output::

    {"stage": "predicting", "share": 0.42}
    {"result": {"probabilities": "probabilities.zarr", "threshold": 0.45, ...}}
    {"error": "one sentence"}

A process that is ended early leaves nothing but the job's folder, which whoever launched it
removes.
"""

from __future__ import annotations

import json
import sys
import time
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from napari_surfseg.errors import SurfsegError

if TYPE_CHECKING:
    from collections.abc import Callable

    from _typeshed import DataclassInstance

__all__ = ["JOB_NAME", "ProgressReporter", "read_job", "run_process", "write_job"]

JOB_NAME = "job.json"

#: Progress is reported no more often than this: more cannot be seen.
REPORT_SECONDS = 0.1

Job = TypeVar("Job")


def write_job(folder: Path, job: DataclassInstance) -> Path:
    """Write a job into its folder and return the file."""
    path = folder / JOB_NAME
    path.write_text(json.dumps(asdict(job), indent=2) + "\n", encoding="utf-8")
    return path


def read_job(path: Path, build: Callable[[dict[str, Any]], Job]) -> Job:
    """Read what :func:`write_job` wrote.

    Parameters
    ----------
    path : Path
        The job's file.
    build : callable
        Makes the job of the values in it.

    Raises
    ------
    SurfsegError
        If it is damaged.
    """
    try:
        return build(json.loads(path.read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError, KeyError, AttributeError) as error:
        raise SurfsegError(f"The job {path} cannot be read: {error}.") from None


def run_process(
    arguments: list[str] | None, carry_out: Callable[[Path, ProgressReporter], dict[str, Any]]
) -> int:
    """Carry out the job named on the command line and write the result or the error.

    Parameters
    ----------
    arguments : list of str, optional
        By default those of this process.
    carry_out : callable
        ``carry_out(job_file, report)`` returns the result.

    Returns
    -------
    int
        The exit code.
    """
    given = sys.argv[1:] if arguments is None else arguments
    if len(given) != 1:
        _write_line({"error": "One job file must be named."})
        return 2
    try:
        result = carry_out(Path(given[0]), ProgressReporter())
    except SurfsegError as error:
        _write_line({"error": str(error)})
        return error.exit_code
    _write_line({"result": result})
    return 0


class ProgressReporter:
    """Writes progress lines: every new stage and every end, the shares between now and then."""

    def __init__(self) -> None:
        self._last = 0.0
        self._stage = ""

    def __call__(self, stage: str, share: float) -> None:
        """Report the stage and its share, 0 to 1."""
        now = time.monotonic()
        if stage != self._stage or share >= 1 or now - self._last >= REPORT_SECONDS:
            self._stage, self._last = stage, now
            _write_line({"stage": stage, "share": round(share, 4)})


def _write_line(values: dict[str, Any]) -> None:
    sys.stdout.write(json.dumps(values) + "\n")
    sys.stdout.flush()
