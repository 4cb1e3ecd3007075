"""Hands a run over to a launcher, asks after its job, and cancels it."""

from __future__ import annotations

import contextlib
import platform
import re
import time
from dataclasses import replace
from pathlib import Path, PurePosixPath, PureWindowsPath
from typing import TYPE_CHECKING

from napari_surfseg.errors import ConfigError, RunBusyError, RunError, SurfsegError
from napari_surfseg.events import Stop, append_command
from napari_surfseg.files import written_aside
from napari_surfseg.runs.launch_record import (
    JobState,
    LaunchRecord,
    read_launch,
    remove_launch,
    to_there,
    with_answer,
    write_launch,
)
from napari_surfseg.runs.launchers.commands import run_command, start_command
from napari_surfseg.runs.launchers.library import find_used_launcher, keep_used_launcher
from napari_surfseg.runs.launchers.template import fill_arguments, fill_line
from napari_surfseg.runs.lock import is_alive, read_worker

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from napari_surfseg.runs.folder import RunFolder
    from napari_surfseg.runs.launchers.commands import Answer, StartedCommand
    from napari_surfseg.runs.launchers.library import FoundLauncher
    from napari_surfseg.runs.launchers.schema import Launcher

__all__ = [
    "ask_job",
    "bring_here",
    "cancel_job",
    "describe_end",
    "describe_job",
    "find_last_output",
    "refresh_job",
    "require_no_job",
    "submit_run",
    "worker_arguments",
]

SCRIPT_NAME, JOB_LOG_NAME = "launch.sh", "launch.log"
#: No scheduler calls a job anything else, and no program takes it for an option.
JOB = re.compile(r"\w[\w.\[\]@:-]{0,99}")
#: What is quoted of a log.
TAIL_BYTES, MOST_QUOTED = 4096, 300
#: Reasons that say nothing.
EMPTY_REASONS = frozenset({"", "none", "(none)", "-", "null"})


def worker_arguments(config: str, run_dir: str, *, device: str, resume: bool) -> list[str]:
    """Return the command line, without the program's name, that trains a run."""
    arguments = ["train", config, "--run-dir", run_dir, "--device", device]
    return [*arguments, "--resume"] if resume else arguments


def submit_run(
    folder: RunFolder, found: FoundLauncher, *, device: str = "auto", resume: bool = False
) -> LaunchRecord:
    """Write a run's configuration for the other machine and start its job; waits for the command.

    Parameters
    ----------
    folder : RunFolder
        A configured run that nobody works on.
    found : FoundLauncher
        A valid launcher.
    device : str
        ``auto``, ``cpu`` or ``cuda``, there.
    resume : bool
        Go on from ``last.pt``.

    Raises
    ------
    RunError
        If the job could not be started, in one sentence; the folder is then as it was.
    """
    launcher = found.launcher
    if launcher is None:
        raise ConfigError(found.error, field="launcher")
    experiment = folder.read_experiment()
    record = LaunchRecord(
        launcher=found.name,
        title=found.title,
        digest=keep_used_launcher(found),
        submitted=time.time(),
        submitted_at=platform.node(),
        paths=tuple((one.here, one.there) for one in launcher.paths),
        events_bytes=_count_bytes(folder.events_path),
        # In a folder where nothing happened yet, all commands are meant for this job.
        commands_bytes=_count_bytes(folder.commands_path) if folder.has_started() else 0,
        log_bytes=_count_bytes(folder.log_path),
    )
    try:
        write_launch(folder.path, record)
        folder.write_experiment(experiment)
        (folder.path / JOB_LOG_NAME).unlink(missing_ok=True)
        job = _start(folder, launcher, record, device=device, resume=resume)
    except BaseException:
        with contextlib.suppress(OSError, SurfsegError):
            remove_launch(folder.path)
            folder.write_experiment(experiment)
        raise
    state = JobState.RUNNING if launcher.queued is None else JobState.QUEUED
    record = replace(record, job=job, state=state)
    write_launch(folder.path, record)
    return record


def _start(
    folder: RunFolder, launcher: Launcher, record: LaunchRecord, *, device: str, resume: bool
) -> str:
    """Start the job; returns its number."""
    run = to_there(str(folder.path), record)
    values = _fill_places(folder.path, run, launcher)
    command = [
        *launcher.program,
        *worker_arguments(_join(run, "config.yaml"), run, device=device, resume=resume),
        "--launched",
    ]
    if launcher.script is not None:
        path = folder.path / SCRIPT_NAME
        with written_aside(path) as aside:
            aside.write_text(fill_line(launcher.script, values, command), "utf-8", newline="\n")
            aside.chmod(0o755)
    arguments = fill_arguments(launcher.start, values, command)
    try:
        answer = run_command(arguments, folder.path, seconds=launcher.patience)
    except RunError as error:
        raise RunError(f"{record.title}: {error}", field="launcher") from None
    program = Path(arguments[0]).name
    if answer.code:
        reason = answer.reason.removeprefix(f"{program}: ").removeprefix("error: ")
        raise RunError(f"{record.title}: {program} failed: {reason}.", field="launcher")
    match = re.search(launcher.job, answer.text, re.MULTILINE)
    job = (match.group(1) or "") if match else ""
    if not JOB.fullmatch(job):
        raise RunError(
            f"{record.title}: {program} printed no job number that fits {launcher.job} of "
            f"the launcher, but: {answer.reason}; if a job was started, end it there.",
            field="launcher",
        )
    return job


def _fill_places(here: Path, run: str, launcher: Launcher) -> dict[str, str]:
    return {
        "run": run,
        "folder": launcher.folder or run,
        "log": _join(run, "train.log"),
        "job_log": _join(run, JOB_LOG_NAME),
        "script": _join(run, SCRIPT_NAME),
        "run_here": str(here),
        "script_here": str(here / SCRIPT_NAME),
        "name": re.sub(r"[^A-Za-z0-9_-]+", "_", here.name).strip("_-") or "run",
    }


def _join(folder: str, name: str) -> str:
    flavour = PureWindowsPath if PureWindowsPath(folder).drive else PurePosixPath
    return str(flavour(folder) / name)


def ask_job(run_dir: Path, record: LaunchRecord, launcher: Launcher) -> LaunchRecord:
    """Ask what a job is doing; waits for the command. Trouble is part of the answer."""
    try:
        answer = _start_about(run_dir, record, launcher, launcher.ask).wait(launcher.patience)
    except RunError as error:
        return with_answer(record, trouble=str(error).rstrip("."), asked=time.time())
    for state, pattern in (
        (JobState.QUEUED, launcher.queued),
        (JobState.RUNNING, launcher.running),
        (JobState.ENDED, launcher.ended),
    ):
        match = _find(pattern, record.job, answer)
        if match is not None:
            return with_answer(record, state=state, why=_reason_of(match), asked=time.time())
    if answer.code == 0 and launcher.ended is None:
        return with_answer(record, state=JobState.ENDED, asked=time.time())
    program = Path(launcher.ask[0]).name
    trouble = f"{program} says: {answer.reason}"
    return with_answer(record, trouble=trouble, asked=time.time())


def refresh_job(
    run_dir: Path, *, ask: Callable[..., LaunchRecord] = ask_job
) -> LaunchRecord | None:
    """Ask after the job that a run waits for, and write the answer down; waits for the command.

    Returns
    -------
    LaunchRecord or None
        As it is now; None where the run was not started elsewhere. Nothing is asked where the
        launcher is not one that this person used on this machine.
    """
    record = read_launch(run_dir)
    if record is None or not record.job or not record.is_waited_for(run_dir):
        return record
    if record.state not in {JobState.QUEUED, JobState.RUNNING}:
        return record
    launcher = find_used_launcher(record.digest)
    if launcher is None:
        return record
    answered = ask(run_dir, record, launcher)
    newest = read_launch(run_dir)
    if newest is None or newest.job != record.job or newest.state == JobState.CANCELLED:
        return newest
    # A disk that is full or away now takes the next answer.
    with contextlib.suppress(SurfsegError):
        write_launch(run_dir, answered)
    return answered


def cancel_job(run_dir: Path) -> Callable[[], None]:
    """Start to cancel the job that a run waits for.

    The command goes on when this process ends. A worker that came to life meanwhile is stopped as
    any other.

    Returns
    -------
    callable
        Waits for the command and writes the end down; raises RunError if it failed.

    Raises
    ------
    RunError
        If nothing can be cancelled.
    """
    record = read_launch(run_dir)
    if record is None or not record.job:
        raise RunError(f"The run {run_dir} waits for no job.", field="run_dir")
    launcher = find_used_launcher(record.digest)
    if launcher is None:
        raise RunError(
            f"Job {record.job} was submitted with the launcher {record.launcher} by somebody else "
            f"or on another machine ({record.submitted_at}); cancel it there."
        )
    started = _start_about(run_dir, record, launcher, launcher.stop)

    def finish() -> None:
        try:
            answer = started.wait(launcher.patience)
        except RunError as error:
            raise RunError(f"Job {record.job} could not be cancelled: {error}") from None
        if answer.code:
            raise RunError(f"Job {record.job} could not be cancelled: {answer.reason}.")
        worker = read_worker(run_dir / "worker.json")
        if worker is not None and is_alive(worker):
            append_command(run_dir / "commands.jsonl", Stop())
        else:
            gone = with_answer(record, state=JobState.CANCELLED, asked=time.time())
            write_launch(run_dir, gone)

    return finish


def bring_here(folder: RunFolder) -> None:
    """Make a run that was started elsewhere one of this machine; does nothing for any other.

    Raises
    ------
    RunBusyError
        If its job may still start.
    """
    record = refresh_job(folder.path)
    if record is None:
        return
    require_no_job(folder, record)
    experiment = folder.read_experiment()
    remove_launch(folder.path)
    folder.write_experiment(experiment)


def require_no_job(folder: RunFolder, record: LaunchRecord | None) -> None:
    """Refuse a run whose job may still start.

    Raises
    ------
    RunBusyError
        Naming the job.
    """
    may_start = {JobState.SUBMITTING, JobState.QUEUED, JobState.RUNNING}
    if record is None or record.state not in may_start or not record.is_waited_for(folder.path):
        return
    raise RunBusyError(
        f"The run {folder.path} waits for a job ({describe_job(record)}); cancel that first, or "
        f"remove {folder.path / 'launch.json'} if there is no such job any more.",
        field="run_dir",
    )


def describe_job(record: LaunchRecord) -> str:
    """Say in a few words what a job is doing, as in "queued at slurm since 10:31, job 4711"."""
    since = _write_time(record.submitted)
    if not record.job:
        return f"being handed over to {record.title}"
    trouble = f"; {record.trouble}" if record.trouble else ""
    why = f" ({record.why})" if record.why else ""
    if record.state == JobState.QUEUED:
        return f"queued at {record.title} since {since}, job {record.job}{why}{trouble}"
    said = {
        JobState.RUNNING: f"started at {record.title}, job {record.job}",
        JobState.CANCELLED: f"job {record.job} at {record.title} was cancelled before it started",
        JobState.ENDED: f"job {record.job} at {record.title} has ended",
    }.get(record.state, f"job {record.job} at {record.title}")
    return f"{said}{why}{trouble}"


def describe_end(run_dir: Path, record: LaunchRecord) -> str:
    """Say why a job ended before it wrote anything to its run."""
    reason = find_last_output(run_dir, record) or record.why
    said = f"its last output is “{reason}”" if reason else "it left no output"
    return f"Job {record.job} at {record.title} ended before the training began: {said}."


def find_last_output(run_dir: Path, record: LaunchRecord) -> str:
    """Return the last line that a job wrote, to its own log or to the run's; else nothing."""
    for name, begin in ((JOB_LOG_NAME, 0), ("train.log", record.log_bytes)):
        try:
            with (run_dir / name).open("rb") as file:
                end = file.seek(0, 2)
                file.seek(max(begin, end - TAIL_BYTES))
                lines = file.read().decode("utf-8", errors="replace").splitlines()
        except OSError:
            continue
        last = next((line.strip() for line in reversed(lines) if line.strip()), "")
        if last:
            return last[:MOST_QUOTED]
    return ""


def _start_about(
    run_dir: Path, record: LaunchRecord, launcher: Launcher, arguments: Sequence[str]
) -> StartedCommand:
    values = _fill_places(run_dir, to_there(str(run_dir), record), launcher)
    if not JOB.fullmatch(record.job):
        raise RunError(f"{record.job[:40]!r} is no number of a job.")
    return start_command(fill_arguments(arguments, {**values, "job": record.job}, ()), run_dir)


def _find(pattern: str | None, job: str, answer: Answer) -> re.Match[str] | None:
    if pattern is None:
        return None
    return re.search(pattern.replace("{job}", re.escape(job)), answer.text, re.MULTILINE)


def _reason_of(match: re.Match[str]) -> str:
    why = (match.groupdict().get("why") or "").strip().rstrip(".")
    return "" if why.lower() in EMPTY_REASONS else why[:MOST_QUOTED]


def _write_time(seconds: float) -> str:
    when = time.localtime(seconds)
    is_today = when[:3] == time.localtime()[:3]
    return time.strftime("%H:%M" if is_today else "%d %b, %H:%M", when)


def _count_bytes(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError:
        return 0
