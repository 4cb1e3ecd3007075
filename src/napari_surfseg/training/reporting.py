"""What a training reports: its events, how often, and with which numbers."""

from __future__ import annotations

import time
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any

import torch

from napari_surfseg import events
from napari_surfseg.vocabulary import LOSS_TERMS

if TYPE_CHECKING:
    from collections.abc import Callable

    from napari_surfseg.config import Experiment
    from napari_surfseg.geometry import Size3
    from napari_surfseg.training.plan import RunPlan
    from napari_surfseg.training.start_from import Start
    from napari_surfseg.training.state import TrainingState
    from napari_surfseg.training.steering import Steering
    from napari_surfseg.training.validation import ValidationResult

__all__ = ["EpochMeans", "Reporter"]

#: Of steps quicker than this only the newest is reported now and then: every event is a line of
#: a file.
REPORT_SECONDS = 0.1


@dataclass
class EpochMeans:
    """Means over the steps of an epoch; a term counts only the steps that computed it.

    Attributes
    ----------
    num_steps : int
        Steps added.
    step_seconds : float
        Time they took.
    rate : float
        Learning rate of the newest.
    begun_at : float
        Seconds of running time when the epoch began.
    is_cut_short : bool
        The epoch was reported before its last step, since the training ended in it. Resumed,
        the training goes on with it.
    """

    num_steps: int = 0
    step_seconds: float = 0.0
    rate: float = 0.0
    begun_at: float = 0.0
    is_cut_short: bool = False
    _sums: dict[str, float] = field(default_factory=dict)
    _counts: dict[str, int] = field(default_factory=dict)

    def as_dict(self) -> dict[str, Any]:
        """Plain values, for ``last.pt``; ``EpochMeans(**values)`` goes on from them."""
        return asdict(self)

    def add(self, values: dict[str, float], seconds: float, *, rate: float = 0.0) -> None:
        """Add the values of a step, the time it took and its learning rate."""
        self.num_steps += 1
        self.step_seconds += seconds
        self.rate = rate
        for name, value in values.items():
            self._sums[name] = self._sums.get(name, 0.0) + value
            self._counts[name] = self._counts.get(name, 0) + 1

    @property
    def steps_per_second(self) -> float:
        """Steps a second, what lies between the steps left out."""
        return self.num_steps / max(1e-9, self.step_seconds)

    def means(self) -> dict[str, float]:
        """Mean of each value."""
        return {name: total / self._counts[name] for name, total in self._sums.items()}


class Reporter:
    """Sends events, each with the step at which it happened.

    Parameters
    ----------
    emit : callable
        Takes every event.
    state : TrainingState
        Of the training; read at each event.
    """

    def __init__(self, emit: Callable[[events.Event], None], state: TrainingState) -> None:
        self._emit = emit
        self._state = state
        self._step_reported = float("-inf")

    def report(self, event: events.Event) -> None:
        """Send an event."""
        self._emit(type(event)(**{**vars(event), "step": self._state.step}))

    def warn(self, message: str) -> None:
        """Report something a person should know that does not stop the run."""
        self.report(events.WarningIssued(message=message))

    def report_start(
        self,
        plan: RunPlan,
        experiment: Experiment,
        steering: Steering,
        *,
        num_parameters: int,
        patch_size: Size3,
        num_processes: int = 1,
    ) -> None:
        """Report what the run will do; ``experiment`` has everything settled."""
        device = _describe(plan.device)
        if num_processes > 1:
            device += f", the first of {num_processes} processes"
        self.report(
            events.RunStarted(
                name=experiment.experiment.name,
                device=device,
                precision=plan.precision,
                model=experiment.model.title,
                num_parameters=num_parameters,
                patch_size=patch_size,
                epoch=self._state.epoch,
                max_epochs=steering.max_epochs,
                max_minutes=steering.max_minutes,
                iterations_per_epoch=experiment.training.train_iterations_per_epoch,
                loss_weights=steering.loss_weights,
                resumed=plan.resume,
            )
        )

    def report_weights_loaded(self, start: Start, num_parameters: int) -> None:
        """Report what the network begins with."""
        self.report(
            events.WeightsLoaded(
                source=start.source,
                num_taken=start.num_taken,
                num_parameters=num_parameters,
                note=start.note,
            )
        )

    def begin_epoch(self) -> None:
        """Report the next step, however soon it comes."""
        self._step_reported = float("-inf")

    def report_step(
        self, values: dict[str, float], *, rate: float, steps_per_second: float, progress: float
    ) -> None:
        """Report a step, unless the last report is less than :data:`REPORT_SECONDS` old."""
        now = time.perf_counter()
        if now - self._step_reported < REPORT_SECONDS:
            return
        self._step_reported = now
        self.report(
            events.StepFinished(
                epoch=self._state.epoch + 1,
                losses=_terms(values),
                head_total=values["head_total"],
                total=values["total"],
                learning_rate=rate,
                gradient_norm=values["gradient_norm"],
                steps_per_second=steps_per_second,
                elapsed_seconds=self._state.elapsed_seconds(),
                progress=progress,
            )
        )

    def report_epoch(
        self,
        means: EpochMeans,
        *,
        progress: float,
        patches: dict[str, Any],
        cache: dict[str, Any],
    ) -> None:
        """Report the epoch that ended."""
        values = means.means()
        elapsed = self._state.elapsed_seconds()
        self.report(
            events.EpochFinished(
                epoch=self._state.epoch,
                losses=_terms(values),
                head_total=values["head_total"],
                total=values["total"],
                learning_rate=means.rate,
                epoch_seconds=elapsed - means.begun_at,
                steps_per_second=means.steps_per_second,
                elapsed_seconds=elapsed,
                patches=patches,
                cache=cache,
                seconds_left=elapsed * (1 - progress) / progress if progress > 0 else None,
            )
        )

    def report_validation(
        self, result: ValidationResult, *, is_best: bool, scored_by: str, is_warming_up: bool
    ) -> None:
        """Report the scores of the averaged weights."""
        self.report(
            events.ValidationFinished(
                epoch=self._state.epoch,
                metrics=result.metrics,
                threshold=result.threshold,
                is_best=is_best,
                seconds=result.seconds,
                num_annotated=result.num_annotated,
                num_surface=result.num_surface,
                is_sparse=result.is_sparse,
                scored_by=scored_by,
                is_warming_up=is_warming_up,
                volumes=result.volumes,
            )
        )

    def report_end(self, *, is_stopped: bool) -> None:
        """Report that the run is completed, or was stopped as asked."""
        kind = events.RunStopped if is_stopped else events.RunCompleted
        self.report(
            kind(
                epoch=self._state.epoch,
                elapsed_seconds=self._state.elapsed_seconds(),
                best=self._state.best or None,
            )
        )


def _describe(device: torch.device) -> str:
    """Name a device for a person, a GPU with its model."""
    if device.type == "cuda":
        return f"{device} ({torch.cuda.get_device_name(device)})"
    return str(device)


def _terms(values: dict[str, float]) -> dict[str, float]:
    return {term: values[term] for term in LOSS_TERMS if term in values}
