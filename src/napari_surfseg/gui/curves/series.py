"""A run's events as named series and marks, with no window."""

from __future__ import annotations

import math
from array import array
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from napari_surfseg.events import (
    CommandApplied,
    DataChecked,
    Event,
    RunStarted,
    StepFinished,
    ValidationFinished,
)
from napari_surfseg.gui.run_session.kept_events import EvenThinner
from napari_surfseg.vocabulary import SCORES, curve_keys, title_of
from napari_surfseg.wording import format_short

if TYPE_CHECKING:
    from collections.abc import Iterable

    from numpy.typing import NDArray

__all__ = [
    "Curve",
    "CurveStore",
    "Mark",
    "describe_command",
]


#: Points of a curve at most; a screen is narrower.
MOST_POINTS = 8192


@dataclass
class Curve:
    """One growing series; of very many points as many as a screen can show, evenly spaced.

    Attributes
    ----------
    name : str
        As in the events.
    kind : str
        ``"loss"`` or ``"score"``.
    """

    name: str
    kind: str
    _steps: array[float] = field(default_factory=lambda: array("d"))
    _values: array[float] = field(default_factory=lambda: array("d"))
    _thinner: EvenThinner = field(default_factory=lambda: EvenThinner(MOST_POINTS))

    def __len__(self) -> int:
        return len(self._steps)

    def append(self, step: float, value: float | None) -> None:
        """Add a point; a value that JSON could not hold (NaN, infinite) is left out."""
        if value is None or not math.isfinite(value) or not self._thinner.keeps():
            return
        self._steps.append(float(step))
        self._values.append(float(value))
        if self._thinner.is_full(len(self)):
            del self._steps[1::2], self._values[1::2]

    def cut_after(self, step: float) -> None:
        """Forget the points beyond a step: a resumed run takes them again."""
        keep = sum(1 for item in self._steps if item <= step)
        del self._steps[keep:], self._values[keep:]

    def points(self) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Return steps and values."""
        return np.array(self._steps), np.array(self._values)

    def value_at(self, step: float) -> float | None:
        """Value of the point nearest to a step."""
        if not self._steps:
            return None
        steps = np.array(self._steps)
        right = int(np.searchsorted(steps, step))
        best = min(
            (index for index in (right - 1, right) if 0 <= index < len(steps)),
            key=lambda index: abs(steps[index] - step),
        )
        return self._values[best]


@dataclass(frozen=True)
class Mark:
    """A moment worth a vertical line.

    Attributes
    ----------
    step : int
        Optimizer step.
    kind : str
        ``"command"`` or ``"best"``.
    text : str
        What happened.
    """

    step: int
    kind: str
    text: str


class CurveStore:
    """The curves and marks of one run, fed with its events."""

    def __init__(self) -> None:
        self.curves: dict[str, Curve] = {}
        self.marks: list[Mark] = []
        self.last_step = 0
        #: Whether the run is scored on validation data; None before it said so.
        self.has_validation: bool | None = None
        #: The score that decides which weights are the best: on strokes it is another one.
        self.main_score = "mean_dice"

    def extend(self, events: Iterable[Event]) -> set[str]:
        """Take in events and return the names of the curves that grew.

        ``"marks"`` is among them when a mark was added, ``"validation"`` when the run said
        whether it has validation data.
        """
        grown: set[str] = set()
        for event in events:
            grown |= self._add(event)
        return grown

    def _add(self, event: Event) -> set[str]:
        self.last_step = max(self.last_step, event.step)
        if isinstance(event, RunStarted):
            self.last_step = event.step
            for curve in self.curves.values():
                curve.cut_after(event.step)
            self.marks = [mark for mark in self.marks if mark.step <= event.step]
            return {*self.curves, "marks"}
        if isinstance(event, StepFinished):
            values = {"total": event.total, "head_total": event.head_total, **event.losses}
            return self._append(event.step, values, "loss")
        if isinstance(event, DataChecked):
            self.has_validation = any(row.get("role") == "validation" for row in event.volumes)
            return {"validation"}
        if isinstance(event, ValidationFinished):
            scores = {name: event.metrics[name] for name in SCORES if name in event.metrics}
            grown = self._append(event.step, scores, "score")
            self.has_validation = True
            self.main_score = event.scored_by
            if event.is_best:
                value = event.metrics.get(event.scored_by)
                said = (
                    "" if value is None else f": {title_of(event.scored_by)} {format_short(value)}"
                )
                self.marks.append(Mark(event.step, "best", f"best checkpoint so far{said}"))
                grown.add("marks")
            return grown
        if isinstance(event, CommandApplied):
            text = describe_command(event)
            if text:
                self.marks.append(Mark(event.step, "command", text))
                return {"marks"}
        return set()

    def _append(self, step: int, values: dict[str, float], kind: str) -> set[str]:
        for name, value in values.items():
            curve = self.curves.get(name)
            if curve is None:
                curve = self.curves[name] = Curve(name, kind)
            curve.append(step, value)
        return set(values)

    def ordered(self) -> list[Curve]:
        """Return the curves in the order of the legend: totals, terms, scores, others."""
        rank = {key: index for index, key in enumerate(curve_keys())}
        return sorted(self.curves.values(), key=lambda curve: rank.get(curve.name, len(rank)))

    def nearest_mark(self, step: float, within: float) -> Mark | None:
        """Return the mark nearest to a step, or None where none is near enough."""
        near = [mark for mark in self.marks if abs(mark.step - step) <= within]
        return min(near, key=lambda mark: abs(mark.step - step), default=None)


def describe_command(event: CommandApplied) -> str:
    """Say in a few words what a command changed; empty where it changed no course."""
    if event.command == "SetLossWeights":
        weights = event.details.get("weights", event.details)
        if isinstance(weights, dict):
            said = ", ".join(
                f"{title_of(name)} {value:g}"
                for name, value in weights.items()
                if isinstance(value, int | float)
            )
            return f"loss weights: {said}" if said else "loss weights changed"
        return "loss weights changed"
    if event.command == "SetTraining":
        said = ", ".join(
            f"{key.replace('_', ' ')} {value}"
            for key, value in event.details.items()
            if value is not None and key not in {"id", "time"}
        )
        return f"training: {said}" if said else "training settings changed"
    return {"Pause": "paused", "Resume": "resumed"}.get(event.command, "")
