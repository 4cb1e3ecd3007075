"""Watch a run from its folder, at little cost and without raising for the state of any file.

A :class:`RunFollower` keeps its place in ``events.jsonl``; every
:meth:`~RunFollower.poll` reads what was added, looks whether the worker lives,
and returns a :class:`RunSnapshot`: all that a status line, a table or a pair of
progress bars need. The new events come with it, for curves and layers.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from napari_surfseg import events
from napari_surfseg.errors import SurfsegError
from napari_surfseg.lines import LineReader
from napari_surfseg.runs.folder import RunFolder, RunState
from napari_surfseg.runs.launch_record import JobState, to_here
from napari_surfseg.runs.launchers.job import describe_end, describe_job, find_last_output
from napari_surfseg.runs.launchers.watch import LaunchWatch
from napari_surfseg.runs.lock import Worker, is_alive, read_worker

if TYPE_CHECKING:
    from pathlib import Path

    from napari_surfseg.runs.launch_record import LaunchRecord

__all__ = ["RunFollower", "RunSnapshot", "read_snapshot", "read_state"]

#: Looking a process up costs a few system calls, and its end need not be seen within a second.
LIVENESS_SECONDS = 1.0
#: What a job wrote last may reach this machine later than the word that it has ended.
END_SECONDS = 6.0


@dataclass(frozen=True, kw_only=True)
class RunSnapshot:
    """What is known of a run at one moment.

    Attributes
    ----------
    state : RunState
        What it is doing.
    name : str
        From its ``RunStarted``, its configuration, or the folder's name.
    message : str
        Why it failed or vanished, or the newest warning; empty if all is well.
    error_field : str, optional
        Dotted configuration key that the message of a failed run is about.
    epoch, step : int
        The newest.
    max_epochs : int, optional
        None where only a time bounds the run.
    progress : float
        0 to 1.
    steps_per_second, elapsed_seconds, seconds_left : float, optional
        Rates and times of the training itself, pauses left out.
    losses : dict
        Raw terms of the newest epoch or step.
    total, head_total, learning_rate : float, optional
        The newest.
    metrics, best_metrics : dict
        Scores of the newest validation, and of the best one.
    best_epoch : int, optional
        When the best scores were made.
    validation, best_validation : ValidationFinished, optional
        The same with what they were made on.
    is_validated : bool, optional
        Whether there is validation data; None where it is not known yet.
    started : RunStarted, optional
        The newest start: device, model, parameters, patch size, weights.
    loaded : WeightsLoaded, optional
        What its network began with; None where it began from scratch.
    loss_weights : dict
        Loss weights in force.
    preview : PreviewWritten, optional
        The newest.
    tuning : TuningProgressed, optional
        How far the choice of post-processing is, while it is under way.
    launch : LaunchRecord, optional
        Of a run that was started on another machine.
    is_waiting : bool
        Whether its job has not written anything yet, and no worker lives.
    worker : Worker, optional
        Who holds the folder, living or not.
    new_events : tuple of Event
        What came since the last poll.
    """

    state: RunState = RunState.NEW
    name: str = ""
    message: str = ""
    error_field: str | None = None
    epoch: int = 0
    step: int = 0
    max_epochs: int | None = None
    max_minutes: float | None = None
    progress: float = 0.0
    steps_per_second: float | None = None
    elapsed_seconds: float = 0.0
    seconds_left: float | None = None
    losses: dict[str, float] = field(default_factory=dict)
    total: float | None = None
    head_total: float | None = None
    learning_rate: float | None = None
    metrics: dict[str, float] = field(default_factory=dict)
    best_metrics: dict[str, float] = field(default_factory=dict)
    best_epoch: int | None = None
    validation: events.ValidationFinished | None = None
    best_validation: events.ValidationFinished | None = None
    is_validated: bool | None = None
    started: events.RunStarted | None = None
    loaded: events.WeightsLoaded | None = None
    loss_weights: dict[str, float] = field(default_factory=dict)
    preview: events.PreviewWritten | None = None
    tuning: events.TuningProgressed | None = None
    worker: Worker | None = None
    launch: LaunchRecord | None = None
    is_waiting: bool = False
    new_events: tuple[events.Event, ...] = ()

    @property
    def can_resume(self) -> bool:
        """Whether resuming makes sense: nobody is on it, and it was not finished."""
        return self.state in {RunState.STOPPED, RunState.FAILED, RunState.VANISHED}


class RunFollower:
    """Follow one run.

    Parameters
    ----------
    run_dir : path-like
        The run folder; it need not exist yet.
    steps : bool
        Also read every single step. A table of runs does without all but the last.
    max_bytes : int, optional
        Read at most so much of the events at a poll, so that attaching to a long
        run does not hold up a window; a few polls later it has caught up.
    asks : bool
        Ask after the job of a run that another machine is to train, from a thread.
    """

    def __init__(
        self,
        run_dir: str | Path,
        *,
        steps: bool = True,
        max_bytes: int | None = None,
        asks: bool = True,
    ) -> None:
        self.folder = RunFolder(run_dir)
        self._steps = steps
        self._max_bytes = max_bytes
        self._reader = LineReader(self.folder.events_path)
        self._thinner = events.StepThinner(self.folder.events_path)
        self._seen = RunSnapshot()
        self._ending: events.Event | None = None
        self._paused = False
        self._liveness = _Liveness(self.folder.worker_path)
        self._launch = LaunchWatch(self.folder.path, asks=asks)

    @property
    def is_behind(self) -> bool:
        """Whether more events lie in the file than were read (with ``max_bytes``)."""
        try:
            return self.folder.events_path.stat().st_size > self._reader.offset
        except OSError:
            return False

    def poll(self) -> RunSnapshot:
        """Read the new events and return the state of the run; never raises for any content."""
        worker, alive = self._liveness.look()
        launch = self._launch.look(is_needed=not alive)
        fresh = self._read(launch)
        seen = self._seen
        for event in fresh:
            seen = self._update(seen, event)
        if not seen.name:
            seen = replace(seen, name=self._find_name())
        waits = launch is not None and launch.is_waited_for(self.folder.path)
        state = self._find_state(seen, worker, alive)
        message, error_field = seen.message, seen.error_field
        if launch is not None and waits:
            state, message = self._find_waiting(launch, alive)
            error_field = None
        elif state is RunState.VANISHED:
            message = self._explain_vanished(worker, launch)
        elif state is RunState.STARTING:
            message, error_field = "", None  # an earlier worker's message no longer holds
        self._seen = seen
        return replace(
            seen,
            state=state,
            message=message,
            error_field=error_field,
            worker=worker,
            launch=launch,
            is_waiting=waits and not alive,
            new_events=tuple(fresh),
        )

    def _read(self, launch: LaunchRecord | None) -> list[events.Event]:
        try:
            lines = self._reader.read_lines(self._max_bytes)
        except OSError:
            return []
        if self._steps:
            lines = [line for line in lines if self._thinner.keep(line)]
        else:
            step_lines = [line for line in lines if line.startswith(events.STEP_LINE)]
            skipped = set(map(id, step_lines[:-1]))
            lines = [line for line in lines if id(line) not in skipped]
        found = events.parse_events(lines)
        if launch is None or not launch.paths:
            return found
        return [_call_as_here(event, launch, self.folder.path) for event in found]

    def _find_waiting(self, launch: LaunchRecord, alive: bool) -> tuple[RunState, str]:
        """Find out what a run is doing whose job has written nothing yet."""
        said = describe_job(launch)
        sentence = f"{said[:1].upper()}{said[1:]}."
        if alive:
            return RunState.STARTING, ""
        if launch.state == JobState.CANCELLED:
            return RunState.STOPPED, sentence
        if launch.state == JobState.ENDED:
            if 0 <= time.time() - launch.asked < END_SECONDS:
                return RunState.STARTING, sentence
            return RunState.FAILED, describe_end(self.folder.path, launch)
        if launch.state == JobState.RUNNING:
            return RunState.STARTING, f"{sentence} The worker loads its libraries there."
        return RunState.QUEUED, sentence

    def _find_name(self) -> str:
        try:
            return self.folder.read_experiment().experiment.name
        except (SurfsegError, OSError):
            return self.folder.path.name

    def _update(self, seen: RunSnapshot, event: events.Event) -> RunSnapshot:
        """Bring a snapshot up to date with one event; damaged values are passed over."""
        changes: dict[str, Any] = {}
        match event:
            case events.RunStarted():
                # A warning about the volumes comes before the start and still holds.
                message = "" if self._ending is not None else seen.message
                self._ending, self._paused = None, False
                changes = {
                    "started": event,
                    "tuning": None,
                    "name": event.name,
                    "epoch": event.epoch,
                    "max_epochs": event.max_epochs,
                    "max_minutes": event.max_minutes,
                    "loss_weights": dict(event.loss_weights or {}),
                    "message": message,
                    "error_field": None,
                }
            case events.StepFinished():
                changes = _read_progress(event, seen) | {
                    "progress": event.progress or seen.progress,
                    "seconds_left": _estimate_left(event),
                }
            case events.EpochFinished():
                changes = _read_progress(event, seen) | {"seconds_left": event.seconds_left}
            case events.ValidationFinished():
                changes = {"metrics": event.metrics or {}, "validation": event}
                if event.is_best:
                    changes |= {
                        "best_metrics": event.metrics or {},
                        "best_epoch": event.epoch,
                        "best_validation": event,
                    }
            case events.DataChecked():
                roles = {row.get("role") for row in event.volumes or []}
                changes = {"is_validated": "validation" in roles}
            case events.WeightsLoaded():
                changes = {"loaded": event}
            case events.PreviewWritten():
                changes = {"preview": event}
            case events.TuningProgressed():
                changes = {"tuning": event}
            case events.PostprocessTuned():
                changes = {"tuning": None}
            case events.WarningIssued():
                changes = {"message": event.message}
            case events.RunPaused() | events.RunResumed():
                self._paused = isinstance(event, events.RunPaused)
            case events.CommandApplied():
                changes = _read_applied(event, seen)
            case events.RunCompleted() | events.RunStopped():
                self._ending = event
                changes = {"epoch": event.epoch, "seconds_left": None, "tuning": None}
                if isinstance(event, events.RunCompleted):
                    changes["progress"] = 1.0
            case events.RunFailed():
                self._ending = event
                changes = {
                    "message": event.message,
                    "error_field": event.field,
                    "seconds_left": None,
                    "tuning": None,
                }
        return replace(seen, step=max(seen.step, event.step or 0), **changes)

    def _find_state(self, seen: RunSnapshot, worker: Worker | None, alive: bool) -> RunState:
        if self._ending is not None:
            # The same worker may still be writing the report; a newer one is resuming the run.
            if alive and worker is not None and worker.started > self._ending.time:
                return RunState.STARTING
            if isinstance(self._ending, events.RunCompleted):
                return RunState.COMPLETED
            if isinstance(self._ending, events.RunStopped):
                return RunState.STOPPED
            return RunState.FAILED
        if alive and worker is not None:
            if seen.started is None or worker.started > seen.started.time:
                return RunState.STARTING
            return RunState.PAUSED if self._paused else RunState.RUNNING
        if worker is None and seen.started is None and seen.step == 0 and not self._has_begun():
            return RunState.NEW
        return RunState.VANISHED

    def _has_begun(self) -> bool:
        try:
            return self.folder.events_path.stat().st_size > 0
        except OSError:
            return False

    def _explain_vanished(self, worker: Worker | None, launch: LaunchRecord | None) -> str:
        who = f"The worker (process {worker.pid} on {worker.host})" if worker else "The worker"
        last = self._last_log_line()
        if launch is not None:  # what ended the job is in the job's own output
            who = f"The worker of job {launch.job} at {launch.title}"
            last = find_last_output(self.folder.path, launch) or last
        quoted = f' The last line of its log is "{last}".' if last else ""
        return f"{who} is gone without having ended the run; it can be resumed.{quoted}"

    def _last_log_line(self) -> str:
        try:
            with self.folder.log_path.open("rb") as file:
                file.seek(max(0, file.seek(0, 2) - 4096))
                lines = file.read().decode("utf-8", errors="replace").split("\n")
        except OSError:
            return ""
        return next((line.strip() for line in reversed(lines) if line.strip()), "")


def read_snapshot(run_dir: str | Path) -> RunSnapshot:
    """Look at a run once; of its single steps only the last is read."""
    return RunFollower(run_dir, steps=False, asks=False).poll()


def read_state(run_dir: str | Path) -> RunState:
    """Find out what a run is doing, by looking at its folder once."""
    return read_snapshot(run_dir).state


class _Liveness:
    """Whether a worker lives, looked up at most once a second.

    A worker on another machine is judged by its heartbeat. Its age is first taken from the
    clock, and then from how long it has not changed: the clocks of the two machines may differ.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._looked = float("-inf")
        self._answer: tuple[Worker | None, bool] = (None, False)
        self._heartbeat: float | None = None
        self._moved = 0.0

    def look(self) -> tuple[Worker | None, bool]:
        now = time.monotonic()
        if now - self._looked >= LIVENESS_SECONDS:
            self._looked = now
            worker = read_worker(self._path)
            self._answer = (worker, worker is not None and self._is_alive(worker, now))
        return self._answer

    def _is_alive(self, worker: Worker, now: float) -> bool:
        if self._heartbeat is None:
            self._moved = now - max(0.0, time.time() - worker.heartbeat)
        elif self._heartbeat != worker.heartbeat:
            self._moved = now
        self._heartbeat = worker.heartbeat
        return is_alive(worker, now=worker.heartbeat + now - self._moved)


def _call_as_here(event: events.Event, launch: LaunchRecord, run_dir: Path) -> events.Event:
    """Name the volumes of an event as this machine does."""

    def name(source: Any) -> str:
        return to_here(str(source), launch, run_dir)

    match event:
        case events.PreviewWritten():
            return replace(event, image=name(event.image))
        case events.LabelsUpdated():
            return replace(event, labels=name(event.labels))
        case events.DataChecked(volumes=list() as rows):
            places = ("image", "labels")
            return replace(
                event,
                volumes=[
                    {key: name(value) if key in places else value for key, value in row.items()}
                    for row in rows
                ],
            )
    return event


def _read_progress(
    event: events.StepFinished | events.EpochFinished, seen: RunSnapshot
) -> dict[str, Any]:
    return {
        "epoch": event.epoch,
        "losses": event.losses or seen.losses,
        "total": event.total,
        "head_total": event.head_total,
        "learning_rate": event.learning_rate,
        "steps_per_second": event.steps_per_second,
        "elapsed_seconds": event.elapsed_seconds or seen.elapsed_seconds,
    }


def _estimate_left(event: events.StepFinished) -> float | None:
    if not event.progress or not event.elapsed_seconds or not 0 < event.progress <= 1:
        return None
    return float(event.elapsed_seconds * (1 - event.progress) / event.progress)


def _read_applied(event: events.CommandApplied, seen: RunSnapshot) -> dict[str, Any]:
    details = event.details or {}
    if event.command == "SetLossWeights" and isinstance(details.get("weights"), dict):
        return {"loss_weights": seen.loss_weights | details["weights"]}
    return {name: details[name] for name in ("max_epochs", "max_minutes") if details.get(name)}
