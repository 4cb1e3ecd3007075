"""Curves as plain arrays: collecting, smoothing, thinning and placing them, with no window.

A :class:`CurveStore` turns a run's events into named series and marks. The
functions below thin a series to the pixels of a canvas: a curve of thousands of
points costs what its pixels cost, not what its points cost.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from napari_surfseg.config import LOSS_TERMS
from napari_surfseg.events import (
    CommandApplied,
    EpochFinished,
    Event,
    RunStarted,
    StepFinished,
    ValidationFinished,
)

if TYPE_CHECKING:
    from collections.abc import Iterable

    from numpy.typing import NDArray

__all__ = [
    "CURVE_COLORS",
    "SCORES",
    "Curve",
    "CurveStore",
    "Mark",
    "PlotRange",
    "compute_range",
    "compute_running_mean",
    "compute_ticks",
    "describe_command",
    "format_value",
    "thin_by_pixel",
    "title_of",
]

#: Validation scores drawn as curves, in the order of the legend.
SCORES = ("surface_dice", "dice", "voi_score", "topo_score", "score", "precision", "recall")

#: One colour a curve, the same in every run, told apart on a dark and on a light canvas.
CURVE_COLORS = {
    "total": "#8c8c8c",
    "head_total": "#e8a33d",
    "weighted_bce": "#4c9bd6",
    "soft_dice": "#e0564a",
    "cldice": "#37a86b",
    "morph_skeleton": "#a371d9",
    "surface_distance": "#c98d5a",
    "toploss_simple": "#e06fb3",
    "skeleton_recall": "#8a9a3a",
    "surface_dice": "#12b5c9",
    "dice": "#f0729a",
    "voi_score": "#7d88f0",
    "topo_score": "#b3a125",
    "score": "#2fb344",
    "precision": "#5f9ea0",
    "recall": "#d2694b",
}

_TITLES = {
    "total": "total",
    "head_total": "finest head",
    "weighted_bce": "weighted BCE",
    "soft_dice": "soft Dice",
    "cldice": "clDice",
    "morph_skeleton": "skeleton difference",
    "surface_distance": "surface distance",
    "toploss_simple": "Euler topology",
    "skeleton_recall": "skeleton recall",
    "surface_dice": "surface Dice",
    "dice": "Dice",
    "voi_score": "VOI score",
    "topo_score": "topology score",
    "score": "score",
    "precision": "precision",
    "recall": "recall",
}


def title_of(name: str) -> str:
    """Words of the field for a curve's name."""
    return _TITLES.get(name, name.replace("_", " "))


@dataclass
class Curve:
    """One growing series.

    Attributes
    ----------
    name : str
        As in the events.
    kind : str
        ``"loss"`` or ``"score"``.
    """

    name: str
    kind: str
    _steps: list[float] = field(default_factory=list)
    _values: list[float] = field(default_factory=list)

    def __len__(self) -> int:
        return len(self._steps)

    def append(self, step: float, value: float | None) -> None:
        """Add a point; a value that JSON could not hold (NaN, infinite) is left out."""
        if value is not None and math.isfinite(value):
            self._steps.append(float(step))
            self._values.append(float(value))

    def cut_after(self, step: float) -> None:
        """Forget the points beyond a step: a resumed run takes them again."""
        keep = sum(1 for item in self._steps if item <= step)
        del self._steps[keep:], self._values[keep:]

    def points(self) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Return steps and values."""
        return np.asarray(self._steps, float), np.asarray(self._values, float)

    def value_at(self, step: float) -> float | None:
        """Value of the point nearest to a step."""
        if not self._steps:
            return None
        steps = np.asarray(self._steps)
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
        self.epochs: list[tuple[int, int]] = []
        self.last_step = 0

    def extend(self, events: Iterable[Event]) -> set[str]:
        """Take in events and return the names of the curves that grew.

        ``"marks"`` is among them when a mark was added.
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
        if isinstance(event, EpochFinished):
            self.epochs.append((event.step, event.epoch))
            return set()
        if isinstance(event, ValidationFinished):
            scores = {name: event.metrics[name] for name in SCORES if name in event.metrics}
            grown = self._append(event.step, scores, "score")
            if event.is_best:
                value = event.metrics.get(event.scored_by)
                said = (
                    "" if value is None else f": {title_of(event.scored_by)} {format_value(value)}"
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
        known = ["total", "head_total", *LOSS_TERMS, *SCORES]
        rank = {name: index for index, name in enumerate(known)}
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


def compute_running_mean(values: NDArray[np.float64], radius: int) -> NDArray[np.float64]:
    """Mean over each point and up to ``radius`` neighbours on either side.

    Parameters
    ----------
    values : array of shape (N,)
    radius : int
        0 returns the values as they are. Near the ends the window is cut, not padded.
    """
    if radius <= 0 or len(values) < 2:
        return values
    sums = np.concatenate([[0.0], np.cumsum(values)])
    index = np.arange(len(values))
    low = np.maximum(index - radius, 0)
    high = np.minimum(index + radius + 1, len(values))
    return np.asarray((sums[high] - sums[low]) / (high - low))


def thin_by_pixel(
    x: NDArray[np.float64], y: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Keep the first, lowest, highest and last point of every pixel column.

    Parameters
    ----------
    x, y : arrays of shape (N,)
        In pixels, x ascending.

    Returns
    -------
    x, y : arrays of at most four points a column
        They draw the same picture as the whole series.
    """
    if len(x) < 4:
        return x, y
    columns = np.floor(x).astype(np.int64)
    starts = np.flatnonzero(np.r_[True, columns[1:] != columns[:-1]])
    if len(starts) * 4 >= len(x):
        return x, y
    ends = np.r_[starts[1:], len(x)] - 1
    order = np.lexsort((y, columns))  # within each column from lowest to highest
    keep = np.unique(np.concatenate([starts, ends, order[starts], order[ends]]))
    return x[keep], y[keep]


@dataclass(frozen=True)
class PlotRange:
    """What part of the values the canvas shows, and how.

    Attributes
    ----------
    x0, x1, y0, y1 : float
        Steps and values at the left, right, bottom and top edge; where ``log`` is
        set, ``y0`` and ``y1`` are decimal logarithms.
    log : bool
        Whether the vertical axis is logarithmic.
    """

    x0: float = 0.0
    x1: float = 1.0
    y0: float = 0.0
    y1: float = 1.0
    log: bool = False

    def to_pixels(
        self, x: NDArray[np.float64], y: NDArray[np.float64], width: float, height: float
    ) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Place values on a canvas whose row 0 is at the top; what has no place is NaN."""
        if self.log:
            y = np.log10(np.where(y > 0, y, np.nan))
        columns = (x - self.x0) / (self.x1 - self.x0) * width
        rows = (self.y1 - y) / (self.y1 - self.y0) * height
        return columns, rows

    def value_at(
        self, column: float, row: float, width: float, height: float
    ) -> tuple[float, float]:
        """Return the step and the value at a pixel."""
        x = self.x0 + column / width * (self.x1 - self.x0)
        y = self.y1 - row / height * (self.y1 - self.y0)
        return x, 10**y if self.log else y

    def zoomed(self, column: float, row: float, x_factor: float, y_factor: float) -> PlotRange:
        """Zoom about a place given as shares of width and height (0 left, 0 top)."""
        x = self.x0 + column * (self.x1 - self.x0)
        y = self.y1 - row * (self.y1 - self.y0)
        return PlotRange(
            x - (x - self.x0) * x_factor,
            x + (self.x1 - x) * x_factor,
            y - (y - self.y0) * y_factor,
            y + (self.y1 - y) * y_factor,
            self.log,
        )

    def moved(self, columns: float, rows: float) -> PlotRange:
        """Drag by shares of width and height."""
        dx = columns * (self.x1 - self.x0)
        dy = rows * (self.y1 - self.y0)
        return PlotRange(self.x0 - dx, self.x1 - dx, self.y0 + dy, self.y1 + dy, self.log)


def compute_range(curves: Iterable[Curve], *, log: bool, last_step: int = 0) -> PlotRange:
    """Return the range that shows all of the curves, with a little room."""
    highest = -math.inf
    lowest = math.inf
    for curve in curves:
        _, values = curve.points()
        if log:
            values = values[values > 0]
        if len(values):
            # The first few losses of a run can be far above the rest; they may leave the frame.
            lowest = min(lowest, float(values.min()))
            highest = max(highest, float(values.max()))
    x1 = max(float(last_step), 10.0)
    if not math.isfinite(lowest):
        return PlotRange(0.0, x1, -2.0, 0.0, True) if log else PlotRange(0.0, x1, 0.0, 1.0)
    if log:
        low, high = math.log10(lowest), math.log10(highest)
        room = max(0.05 * (high - low), 0.02)
        return PlotRange(0.0, x1, low - room, high + room, True)
    low = min(lowest, 0.0)
    room = max(0.05 * (highest - low), 1e-6)
    return PlotRange(0.0, x1, low - (room if low < 0 else 0.0), highest + room)


def compute_ticks(low: float, high: float, most: int, *, log: bool = False) -> list[float]:
    """Round numbers within a range, at most about ``most`` of them.

    Parameters
    ----------
    low, high : float
        The range; logarithms where ``log`` is set.
    most : int
        How many fit.

    Returns
    -------
    list of float
        Values (not logarithms).
    """
    if not high > low or most < 1:
        return []
    if log:
        for parts in ((1, 2, 3, 5, 7), (1, 2, 5), (1, 3), (1,)):
            decades = range(math.floor(low), math.ceil(high) + 1)
            ticks = [part * 10.0**decade for decade in decades for part in parts]
            inside = [tick for tick in ticks if low <= math.log10(tick) <= high]
            if len(inside) <= most:
                return inside
        return inside[:: math.ceil(len(inside) / most)]
    rough = (high - low) / most
    power = 10.0 ** math.floor(math.log10(rough))
    step = next(power * part for part in (1, 2, 5, 10) if power * part >= rough * (1 - 1e-9))
    first = math.ceil(low / step - 1e-9)
    return [index * step for index in range(first, math.floor(high / step + 1e-9) + 1)]


def format_value(value: float) -> str:
    """Three or four significant figures, no exponent where it can be helped."""
    if value == 0:
        return "0"
    size = abs(value)
    if size >= 10000 or size < 0.001:
        return f"{value:.2g}"
    if size >= 100:
        return f"{value:.0f}"
    return f"{value:.3f}" if size < 10 else f"{value:.1f}"
