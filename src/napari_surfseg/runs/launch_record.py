"""The job of a run that was started on another machine, and paths between the two.

*Here* is where a person looks at the run, *there* where its worker is. The run folder is the same
disk under, perhaps, another name. Its ``config.yaml`` is written for there, since that is where it
is read first: :meth:`~napari_surfseg.runs.folder.RunFolder.read_experiment` puts its paths into
the words of here. A worker reads it as it is written; it knows that it is one by
:data:`LAUNCHED_VARIABLE`.

The file says which job it is and never which program to run: whoever opens the folder of somebody
else runs the commands of a launcher of their own, or none.
"""

from __future__ import annotations

import json
import os
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path, PurePosixPath, PureWindowsPath
from typing import TYPE_CHECKING

from napari_surfseg.files import written_aside

if TYPE_CHECKING:
    from collections.abc import Iterable

__all__ = [
    "LAUNCHED_VARIABLE",
    "JobState",
    "LaunchRecord",
    "PathPair",
    "is_launched_worker",
    "note_real_paths",
    "read_launch",
    "remove_launch",
    "to_here",
    "to_there",
    "write_launch",
]

LAUNCH_NAME, REAL_PATHS_NAME = "launch.json", "launch_paths.json"
#: Set in the process of a worker that a launcher started.
LAUNCHED_VARIABLE = "SURFSEG_LAUNCHED"

PathPair = tuple[str, str]
"""A folder as it is called here and there."""


class JobState:
    """What is known of a job, as ``launch.json`` writes it."""

    SUBMITTING = "submitting"
    QUEUED = "queued"
    RUNNING = "running"
    ENDED = "ended"
    CANCELLED = "cancelled"


@dataclass(frozen=True)
class LaunchRecord:
    """A run's job on another machine.

    Attributes
    ----------
    launcher, title : str
        The launcher's name and what a person calls it.
    digest : str
        Of the launcher's text, by which the one that was used is found again.
    job : str
        What the other machine calls the job; empty until it has said so.
    submitted : float
        When, in seconds since the Unix epoch.
    submitted_at : str
        The machine it was submitted from.
    paths : tuple of (str, str)
        Folders as they are called here and there.
    events_bytes : int
        Length of ``events.jsonl`` at that time: what lies beyond was written by this job.
    commands_bytes : int
        Of ``commands.jsonl``, meant for an earlier worker.
    log_bytes : int
        Length of ``train.log`` at that time.
    state : str
        One of :class:`JobState`, by the newest answer.
    why : str
        What the newest answer says besides: why it waits, or what it ended with.
    trouble : str
        Why the newest question had no answer; empty if it had one.
    asked : float
        When it was asked last.
    """

    launcher: str
    title: str
    digest: str = ""
    job: str = ""
    submitted: float = 0.0
    submitted_at: str = ""
    paths: tuple[PathPair, ...] = ()
    events_bytes: int = 0
    commands_bytes: int = 0
    log_bytes: int = 0
    state: str = JobState.SUBMITTING
    why: str = ""
    trouble: str = ""
    asked: float = 0.0

    def is_waited_for(self, run_dir: Path) -> bool:
        """Whether the job has not written to the run yet."""
        try:
            return (run_dir / "events.jsonl").stat().st_size <= self.events_bytes
        except OSError:
            return True


def is_launched_worker() -> bool:
    """Whether this process was started by a launcher, so that paths are as they are written."""
    return bool(os.environ.get(LAUNCHED_VARIABLE))


def read_launch(run_dir: Path) -> LaunchRecord | None:
    """Read ``launch.json``; None where there is none or it cannot be understood."""
    try:
        values = json.loads((run_dir / LAUNCH_NAME).read_bytes())
        known = {
            item.name: values[item.name] for item in fields(LaunchRecord) if item.name in values
        }
        paths = tuple((str(here), str(there)) for here, there in known.get("paths", ()))
        record = LaunchRecord(**{**known, "paths": paths})
        return record if record.launcher else None
    except (OSError, ValueError, AttributeError, TypeError):
        return None


def write_launch(run_dir: Path, record: LaunchRecord) -> None:
    """Write or replace ``launch.json``."""
    with written_aside(run_dir / LAUNCH_NAME) as aside:
        aside.write_text(json.dumps(asdict(record), indent=1), encoding="utf-8")


def remove_launch(run_dir: Path) -> None:
    """Forget that the run was started elsewhere; its configuration stays as it is."""
    for name in (LAUNCH_NAME, REAL_PATHS_NAME):
        (run_dir / name).unlink(missing_ok=True)


def note_real_paths(run_dir: Path) -> None:
    """Write down, there, what the folders of the path map really are.

    The worker follows links, and so do the paths in its events.
    """
    record = read_launch(run_dir)
    if record is None:
        return
    real = {there: os.path.realpath(there) for _here, there in record.paths}
    real = {there: path for there, path in real.items() if path != there}
    if real:
        with written_aside(run_dir / REAL_PATHS_NAME) as aside:
            aside.write_text(json.dumps(real, indent=1), encoding="utf-8")


def to_there(source: str, record: LaunchRecord) -> str:
    """Call a path as the worker's machine does; one that is not mapped is the same on both."""
    rows = [*record.paths, *((os.path.realpath(here), there) for here, there in record.paths)]
    return _move(source, rows)


def to_here(source: str, record: LaunchRecord, run_dir: Path) -> str:
    """Call a path as this machine does; one that is not mapped is the same on both."""
    rows = [(there, here) for here, there in record.paths]
    try:
        real = json.loads((run_dir / REAL_PATHS_NAME).read_bytes())
        rows += [(str(real[there]), here) for here, there in record.paths if there in real]
    except (OSError, ValueError, TypeError):
        pass
    return _move(source, rows)


def _move(source: str, rows: Iterable[PathPair]) -> str:
    """Put the end of the longest start that fits in its place; keys and URLs stay."""
    if "://" in source:
        return source
    path, separator, key = source.partition("::")
    for start, end in sorted(rows, key=lambda row: len(row[0]), reverse=True):
        rest = _find_rest(path, start)
        if rest is not None:
            return _join(end, rest) + separator + key
    return source


def _is_windows(path: str) -> bool:
    return PureWindowsPath(path).drive != ""


def _find_rest(path: str, start: str) -> str | None:
    flavour = PureWindowsPath if _is_windows(start) else PurePosixPath
    try:
        rest = flavour(path).relative_to(flavour(start)).as_posix()
    except ValueError:
        return None
    return "" if rest == "." else rest


def _join(folder: str, rest: str) -> str:
    if not rest:
        return folder
    if _is_windows(folder):
        return str(PureWindowsPath(folder) / rest)
    return str(PurePosixPath(folder) / rest)


def with_answer(
    record: LaunchRecord, *, state: str = "", why: str = "", trouble: str = "", asked: float
) -> LaunchRecord:
    """Bring a record up to date with an answer, or with why there was none."""
    if trouble:
        return replace(record, trouble=trouble, asked=asked)
    return replace(record, state=state, why=why, trouble="", asked=asked)
