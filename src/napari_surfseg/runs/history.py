"""The events of a run in order: resumptions joined, steps that were lost left out."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_surfseg import events
from napari_surfseg.errors import ConfigError, RunError
from napari_surfseg.lines import iterate_lines
from napari_surfseg.runs.folder import RunFolder
from napari_surfseg.vocabulary import LOSS_TERMS

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

    from napari_surfseg.config import Experiment

__all__ = ["RunHistory", "read_history"]

#: Beginnings of the lines that say nothing of a run's history; there are tens of thousands.
PASSED_OVER = tuple(
    f'{{"kind":"{kind.__name__}"'.encode()
    for kind in (events.PreviewWritten, events.CheckpointSaved, events.TuningProgressed)
)


@dataclass
class RunHistory:
    """What happened in a run, from its events.

    Attributes
    ----------
    folder : RunFolder
        Where it lies.
    experiment : Experiment, optional
        Its configuration, None if that is damaged.
    environment : dict
        Of the last worker; empty if unknown.
    starts : list of RunStarted
        The start and every resumption.
    data : DataChecked, optional
        The volumes.
    steps : list of StepFinished
        Without those that were lost when a resumption went back to a checkpoint.
    epochs, validations : dict
        By epoch.
    tuned : PostprocessTuned, optional
        How the clean-up was chosen.
    memory : MemoryMeasured, optional
        What the first steps took, after the last start.
    applied : list of CommandApplied
        What was changed while it ran.
    warnings : list of str
        In the order in which they came, each once.
    ending : Event, optional
        The last terminal event; None while it runs.
    """

    folder: RunFolder
    experiment: Experiment | None = None
    environment: dict[str, Any] = field(default_factory=dict)
    starts: list[events.RunStarted] = field(default_factory=list)
    data: events.DataChecked | None = None
    steps: list[events.StepFinished] = field(default_factory=list)
    epochs: dict[int, events.EpochFinished] = field(default_factory=dict)
    validations: dict[int, events.ValidationFinished] = field(default_factory=dict)
    tuned: events.PostprocessTuned | None = None
    memory: events.MemoryMeasured | None = None
    applied: list[events.CommandApplied] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)
    ending: events.Event | None = None

    @property
    def name(self) -> str:
        """The experiment's name."""
        return self.starts[-1].name if self.starts else self.folder.path.name

    @property
    def terms(self) -> list[str]:
        """Loss terms that were ever computed, in their usual order."""
        seen = {name for event in self.epochs.values() for name in event.losses}
        seen |= {name for event in self.steps[-1:] for name in event.losses}
        known = [name for name in LOSS_TERMS if name in seen]
        return known + sorted(seen - set(known))

    @property
    def loss_weights(self) -> dict[str, float]:
        """Loss weights at the end."""
        weights = dict(self.starts[-1].loss_weights) if self.starts else {}
        began = self.starts[-1].seq if self.starts else -1
        for event in self.applied:
            changed = event.details.get("weights")
            if event.command == "SetLossWeights" and isinstance(changed, dict):
                weights |= changed if event.seq > began else {}
        return weights

    @property
    def best(self) -> events.ValidationFinished | None:
        """The validation whose weights are ``best.pt``."""
        chosen = [event for event in self.validations.values() if event.is_best]
        return max(chosen, key=lambda event: event.seq) if chosen else None

    @property
    def elapsed_seconds(self) -> float:
        """Training time over all resumptions, pauses left out."""
        last: list[float] = [event.elapsed_seconds or 0.0 for event in self.steps[-1:]]
        last += [event.elapsed_seconds or 0.0 for event in list(self.epochs.values())[-1:]]
        ending = getattr(self.ending, "elapsed_seconds", None)
        return max([*last, ending or 0.0], default=0.0)

    @property
    def num_steps(self) -> int:
        """Optimizer steps taken."""
        last = [event.step for event in self.steps[-1:]]
        last += [event.step for event in list(self.epochs.values())[-1:]]
        return max(last, default=0)

    def step_values(self, term: str) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Return (epoch as a fraction, value) of a term, ``total``, ``head_total`` or a rate."""
        pairs = [
            (event.step, value)
            for event in self.steps
            if (value := _value_of(event, term)) is not None
        ]
        steps = np.array([step for step, _ in pairs], dtype=float)
        return self.to_epochs(steps), np.array([value for _, value in pairs], dtype=float)

    def epoch_values(self, term: str) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Return (epoch, mean over it) of a term, ``total`` or ``head_total``."""
        pairs = [
            (epoch, value)
            for epoch, event in sorted(self.epochs.items())
            if (value := _value_of(event, term)) is not None
        ]
        values = np.array(pairs, dtype=float).reshape(-1, 2)
        return values[:, 0], values[:, 1]

    def metric_values(self, name: str) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Return (epoch, value) of a validation metric."""
        pairs = [
            (epoch, value)
            for epoch, event in sorted(self.validations.items())
            if (value := event.metrics.get(name)) is not None
        ]
        values = np.array(pairs, dtype=float).reshape(-1, 2)
        return values[:, 0], values[:, 1]

    def to_epochs(self, steps: NDArray[np.float64]) -> NDArray[np.float64]:
        """Say at which epoch, as a fraction, steps were taken."""
        per_epoch = self.starts[-1].iterations_per_epoch if self.starts else 1
        known = sorted({(event.step, epoch) for epoch, event in self.epochs.items()})
        at_steps = np.array([0.0, *(step for step, _ in known)])
        at_epochs = np.array([0.0, *(float(epoch) for _, epoch in known)])
        inside = np.interp(steps, at_steps, at_epochs)
        beyond = np.maximum(steps - at_steps[-1], 0) / max(per_epoch, 1)
        return np.asarray(inside + beyond)


def read_history(run_dir: str | Path) -> RunHistory:
    """Read a run's events and put them in order.

    Raises
    ------
    RunError
        If the folder holds no run, or one in which nothing happened yet.
    """
    folder = RunFolder(run_dir)
    if not folder.events_path.exists():
        folder.require_run()
    history = RunHistory(folder=folder)
    try:
        history.experiment = folder.read_experiment()
    except (ConfigError, RunError):
        history.experiment = None
    history.environment = _read_environment(folder)
    thinner = events.StepThinner(folder.events_path)
    try:
        for line in iterate_lines(folder.events_path):
            if not line.startswith(PASSED_OVER) and thinner.keep(line):
                for event in events.parse_events([line]):
                    _take(history, event)
    except OSError as error:
        raise RunError(f"{folder.events_path} cannot be read: {error.strerror or error}.") from None
    if not history.starts:
        failed = getattr(history.ending, "message", "")
        reason = f"it failed before it began: {failed}" if failed else "nothing happened in it yet."
        raise RunError(f"There is nothing to report of {folder.path}: {reason}")
    return history


def _take(history: RunHistory, event: events.Event) -> None:
    match event:
        case events.RunStarted():
            history.ending = history.tuned = None
            if event.resumed:
                # What was trained after the checkpoint is lost, and done again.
                history.steps = [item for item in history.steps if item.step <= event.step]
                for kept in (history.epochs, history.validations):
                    for epoch in [key for key, item in kept.items() if item.step > event.step]:
                        del kept[epoch]
            else:
                history.starts.clear()
                history.steps.clear()
                history.epochs.clear()
                history.validations.clear()
                history.applied.clear()
            history.starts.append(event)
        case events.DataChecked():
            history.data = event
        case events.StepFinished():
            history.steps.append(event)
        case events.EpochFinished():
            history.epochs[event.epoch] = event
        case events.ValidationFinished():
            history.validations[event.epoch] = event
        case events.PostprocessTuned():
            history.tuned = event
        case events.MemoryMeasured():
            history.memory = event
        case events.CommandApplied():
            history.applied.append(event)
        case events.WarningIssued() if event.message not in history.warnings:
            history.warnings.append(event.message)
        case events.RunCompleted() | events.RunStopped() | events.RunFailed():
            history.ending = event
        case _:
            pass


def _value_of(event: events.StepFinished | events.EpochFinished, name: str) -> float | None:
    value = event.losses.get(name) if name in event.losses else getattr(event, name, None)
    return None if value is None else float(value)


def _read_environment(folder: RunFolder) -> dict[str, Any]:
    try:
        values = json.loads(folder.environment_path.read_bytes())
    except (OSError, ValueError):
        return {}
    return values if isinstance(values, dict) else {}
