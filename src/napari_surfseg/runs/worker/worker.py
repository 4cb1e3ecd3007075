"""Train the run of a folder: hold the folder, train, and end in exactly one terminal event.

The trainer knows nothing of run folders. The worker gives it a function for its
events (``emit``), one that returns new commands (``poll_commands``) and folders
to write to, and does everything around it: the lock, the log, signals, errors
turned into sentences, and the report.
"""

from __future__ import annotations

import contextlib
import os
import threading
import traceback
from typing import TYPE_CHECKING, Protocol

from napari_surfseg import events
from napari_surfseg.errors import (
    CancelledError,
    CheckpointError,
    ConfigError,
    OutputError,
    RunError,
    SurfsegError,
)
from napari_surfseg.files import guarded, remove_leftovers
from napari_surfseg.networks.registry import AUTO, FRESH
from napari_surfseg.runs.checkpoints import find_trained
from napari_surfseg.runs.folder import RunFolder
from napari_surfseg.runs.launch_record import is_launched_worker, note_real_paths, read_launch
from napari_surfseg.runs.lock import WorkerLock
from napari_surfseg.runs.worker.command_source import CommandSource
from napari_surfseg.runs.worker.environment import note_device, write_environment
from napari_surfseg.runs.worker.event_log import EventLog
from napari_surfseg.runs.worker.failures import explain_failure, is_foreseen
from napari_surfseg.runs.worker.interrupt import InterruptWatch
from napari_surfseg.runs.worker.train_log import LOST_OUTPUT, TrainLog
from napari_surfseg.training.stop_listener import StopListener, answer_before_the_start

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from napari_surfseg.config import Experiment

__all__ = ["Console", "Runnable", "TrainerFactory", "run_training"]

#: What a shell reports for a process ended by Ctrl-C.
INTERRUPTED_EXIT_CODE = 130


class Runnable(Protocol):
    """A trainer, as the worker sees it."""

    def run(self) -> object:
        """Train to the end and report everything through ``emit``."""


class TrainerFactory(Protocol):
    """Makes a trainer; ``training.trainer.Trainer`` is one."""

    def __call__(
        self,
        experiment: Experiment,
        *,
        emit: Callable[[events.Event], None],
        poll_commands: Callable[[], list[events.Command]],
        checkpoints: Path,
        previews: Path,
        samples: Path,
        device: str,
        resume: bool,
    ) -> Runnable:
        """Make it ready to run."""


class Console(Protocol):
    """Where a run shows itself while it runs: a terminal, for example."""

    def show_line(self, text: str) -> None:
        """Show a line of the log."""

    def show_event(self, event: events.Event) -> None:
        """Bring a progress bar up to date."""


def run_training(
    run_dir: str | Path,
    *,
    device: str = "auto",
    resume: bool = False,
    experiment: Experiment | None = None,
    console: Console | None = None,
    build_trainer: TrainerFactory | None = None,
    with_report: bool = True,
) -> None:
    """Train the run of a folder in this process, to its end.

    Parameters
    ----------
    run_dir : path-like
        A run folder with a ``config.yaml``.
    device : str
        ``auto``, ``cpu`` or ``cuda``.
    resume : bool
        Go on from ``last.pt``.
    experiment : Experiment, optional
        Replaces ``config.yaml``, once the folder is held.
    console : Console, optional
        Also shown the log's lines and the events.
    build_trainer : callable, optional
        What makes the trainer; by default ``training.trainer.Trainer``.
    with_report : bool
        Write ``report.md`` at the end.

    Raises
    ------
    RunError
        If the folder holds no run or nothing to resume, or another worker is on
        it (RunBusyError). Nothing is written then. Also if another worker takes the run while
        this one works on it; nothing is written from then on.
    SurfsegError
        If training could not go on; the sentence is in the run's ``RunFailed``.
        Anything unexpected becomes one as well, its traceback kept in the log.
    """
    folder = RunFolder(run_dir)
    written = folder.read_experiment()
    if resume and not folder.last_checkpoint.exists():
        raise RunError(
            f"The run {folder.path} cannot be resumed: there is no {folder.last_checkpoint}.",
            field="run_dir",
        )
    with WorkerLock(folder.worker_path) as lock, guarded(folder.path, lock.check):
        for place in (folder.path, folder.checkpoints, folder.previews):
            remove_leftovers(place)
        if experiment is None:
            experiment = written
        elif experiment != written:
            folder.write_experiment(experiment)
        session = _Session(folder, experiment, lock, console)
        session.run(device, resume, build_trainer, with_report)


class _Session:
    """One worker's work on a run folder that it holds."""

    def __init__(
        self,
        folder: RunFolder,
        experiment: Experiment,
        lock: WorkerLock,
        console: Console | None,
    ) -> None:
        self._folder = folder
        self._experiment = experiment
        self._lock = lock
        self._console = console
        worker = lock.worker
        # In a folder where nothing happened yet, all commands are meant for this worker.
        is_old = worker is not None and folder.has_started()
        self._old_commands = worker.commands_bytes if worker and is_old else 0
        self._launch = read_launch(folder.path) if is_launched_worker() else None
        if self._launch is not None:
            # What was sent while the job waited is meant for it.
            self._old_commands = self._launch.commands_bytes
            note_real_paths(folder.path)
        self._log = TrainLog(folder.log_path, console.show_line if console else None)
        self._events = EventLog(events.EventWriter(folder.events_path), self._log.write)
        # Events come from the trainer, and at a second Ctrl-C from the thread that watches for it.
        self._emitting = threading.RLock()
        self._ended = False
        self._epochs_finished = 0
        self._step = 0

    def run(
        self,
        device: str,
        resume: bool,
        build_trainer: TrainerFactory | None,
        with_report: bool,
    ) -> None:
        error: BaseException | None = None
        failure: SurfsegError | None = None
        watch = InterruptWatch(on_first=self._announce_stop, on_second=self._end_at_once)
        with self._log.captured_output(), watch:
            commands = CommandSource(
                self._folder,
                watch.requested,
                self.emit,
                old_bytes=self._old_commands,
                launch=self._launch,
            )
            try:
                stops = StopListener(lambda: self._poll(commands))
                try:
                    self._provide_data(stops.is_stopped)
                except CancelledError:
                    answer_before_the_start(stops(), self.emit)
                    self.emit(events.RunStopped(epoch=0, elapsed_seconds=0.0))
                else:
                    self._train(device, resume, build_trainer, lambda: list(stops()))
                if not self._ended:
                    raise RunError("The trainer ended without saying how; this is a program error.")
            except (Exception, KeyboardInterrupt) as caught:  # noqa: BLE001 - it must end in an event
                error, failure = caught, self._fail(caught)
            if with_report and self._epochs_finished and not self._lock.is_lost:
                self._report()
        if failure is not None and failure is not error:
            raise failure from error
        if failure is not None:
            raise failure

    def emit(self, event: events.Event) -> None:
        """Write, log and show an event; after a terminal one, do nothing."""
        with self._emitting:
            if self._ended:
                return
            self._lock.check()
            self._step = max(self._step, event.step)
            written = self._events.write(event)
            self._ended = isinstance(event, events.TERMINAL_EVENTS)
            self._epochs_finished += isinstance(event, events.EpochFinished)
        if isinstance(event, events.RunStarted):
            try:
                note_device(self._folder.environment_path, event.device, event.precision)
            except (OutputError, OSError, ValueError) as error:
                self._log.write(f"warning: the device could not be noted: {error}")
        self._log.write_event(written)
        if self._console is not None:
            with contextlib.suppress(*LOST_OUTPUT):
                self._console.show_event(written)

    def _provide_data(self, should_stop: Callable[[], bool]) -> None:
        """Make the synthetic scroll, if the experiment asks for one and names no volumes.

        Raises
        ------
        CancelledError
            If ``should_stop`` said so; nothing is left of the scroll.
        """
        data = self._experiment.data
        if data.train:
            return
        if data.phantom is None:
            raise ConfigError(
                f"In {self._folder.config_path}, data.train is empty; name at least one pair of "
                "image and labels.",
                field="data.train",
            )
        from napari_surfseg.runs.worker.phantom import make_training_phantom

        self._log.write(
            f"no volumes are named: making a synthetic scroll in {self._folder.phantom}"
        )
        self._experiment = make_training_phantom(
            self._experiment, self._folder.phantom, should_stop=should_stop
        )
        self._folder.write_experiment(self._experiment)

    def _train(
        self,
        device: str,
        resume: bool,
        build_trainer: TrainerFactory | None,
        poll_commands: Callable[[], list[events.Command]],
    ) -> None:
        for place in (self._folder.checkpoints, self._folder.previews):
            place.mkdir(exist_ok=True)
        write_environment(self._folder.environment_path, self._experiment, device=device)
        if build_trainer is None:
            # Imported only here: torch takes seconds to import and nothing else needs it.
            from napari_surfseg.training.trainer import Trainer

            build_trainer = Trainer
        trainer = build_trainer(
            self._experiment if resume else _find_start(self._experiment),
            emit=self.emit,
            poll_commands=poll_commands,
            checkpoints=self._folder.checkpoints,
            previews=self._folder.previews,
            samples=self._folder.samples,
            device=device,
            resume=resume,
        )
        trainer.run()

    def _poll(self, commands: CommandSource) -> list[events.Command]:
        """Return the new commands, unless another worker took the run: they are meant for it."""
        found = commands()
        if found:
            self._lock.check()
        return found

    def _fail(self, error: BaseException) -> SurfsegError:
        """End the run with a ``RunFailed``, and return the error to raise.

        A run that another worker has taken is its own to end.
        """
        failure = explain_failure(error, self._folder, self._experiment)
        if self._lock.is_lost:
            self._ended = True
            return failure
        if not is_foreseen(error):
            self._log.write("".join(traceback.format_exception(error)), show=False)
        try:
            self.emit(events.RunFailed(message=str(failure), field=failure.field, step=self._step))
        except OSError:
            # The folder is full or gone. The lock is released, so a watcher sees that the
            # worker vanished, and the error is still raised to the caller.
            self._ended = True
            self._log.write(f"failed: {failure}")
        return failure

    def _report(self) -> None:
        try:
            # Brings in the plotting library, which a run does not need before its end.
            from napari_surfseg.runs.report.page import write_report

            path = write_report(self._folder.path)
        except Exception as error:  # noqa: BLE001 - the training is done and must not fail by this
            self._log.write(f"warning: the report could not be written: {error}")
            self._log.write("".join(traceback.format_exception(error)), show=False)
        else:
            self._log.write(f"report: {path}")

    def _announce_stop(self) -> None:
        self._log.write("stopping; interrupt again to end at once")

    def _end_at_once(self) -> None:
        """End the process from the thread that heard the second signal."""
        step = self._step
        with contextlib.suppress(OSError, RunError):
            self.emit(
                events.RunFailed(
                    message="Training was ended at once by a second interrupt; resuming goes on "
                    "from the last checkpoint, if there is one.",
                    step=step,
                )
            )
        self._lock.release()
        os._exit(INTERRUPTED_EXIT_CODE)


def _find_start(experiment: Experiment) -> Experiment:
    """Name the checkpoint where ``model.start_from`` is a run folder: the trainer knows none."""
    model = experiment.model
    if model.start_from in (AUTO, FRESH):
        return experiment
    try:
        start = find_trained(model.start_from)
    except CheckpointError as error:
        raise CheckpointError(
            f"The network cannot start from model.start_from: {error}", field="model.start_from"
        ) from None
    return experiment.model_copy(
        update={"model": model.model_copy(update={"start_from": str(start)})}
    )
