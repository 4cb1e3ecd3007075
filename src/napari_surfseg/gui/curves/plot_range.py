"""Where the points of a curve lie on a canvas: smoothing, thinning, ranges and ticks.

A series is thinned to the pixels of a canvas: a curve of thousands of points costs what its
pixels cost, not what its points cost. All of it takes plain arrays.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Iterable

    from numpy.typing import NDArray

__all__ = [
    "LEAST_TICKS",
    "PlotRange",
    "compute_range",
    "compute_running_mean",
    "compute_score_range",
    "compute_ticks",
    "format_ticks",
    "settle",
    "smooth",
    "thin_by_pixel",
]

#: A value axis with fewer is hard to read.
LEAST_TICKS = 4
#: Of the smoothed values, so many per cent at either end may leave the frame: the first steps, and
#: what is left of a spike.
OUTER_PERCENT = (0.5, 98.5)
#: Steps whose median stands for each of them before they are averaged.
MEDIAN_STEPS = 5


def smooth(values: NDArray[np.float64], percent: float) -> NDArray[np.float64]:
    """Smooth a series so that single spikes leave no trace.

    Each value becomes the median of its neighbourhood, then the mean over ``percent`` of the
    series on either side.

    Parameters
    ----------
    values : array of shape (N,)
    percent : float
        0 returns the values as they are. A short series is averaged over 3 points on either
        side at least, but never over more than an eighth of it.
    """
    count = len(values)
    if percent <= 0 or count < 8:
        return values
    side = MEDIAN_STEPS // 2
    padded = np.pad(values, side, mode="edge")
    medians = np.median(np.lib.stride_tricks.sliding_window_view(padded, MEDIAN_STEPS), axis=1)
    radius = min(max(round(count * percent / 100), 3), max(count // 8, 1))
    return compute_running_mean(medians, radius)


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


def compute_range(
    series: Iterable[NDArray[np.float64]], *, log: bool, last_step: int = 0
) -> PlotRange:
    """Return the range for losses: what is usual fills it, a spike does not.

    Parameters
    ----------
    series : iterable of arrays of shape (N,)
        Smoothed values of every loss shown.
    log : bool
        Whether the vertical axis is logarithmic.
    last_step : int
        The step at the right.
    """
    lows, highs = [], []
    for values in series:
        known = values[values > 0] if log else values
        if len(known):
            low, high = np.percentile(known, OUTER_PERCENT)
            # The end is what a person looks for: it is never outside.
            lows.append(min(float(low), float(known[-1])))
            highs.append(max(float(high), float(known[-1])))
    x1 = max(float(last_step), 10.0)
    if not lows:
        return PlotRange(0.0, x1, -2.0, 0.0, True) if log else PlotRange(0.0, x1, 0.0, 1.0)
    low, high = min(lows), max(highs)
    if log:
        low, high = math.log10(low), math.log10(high)
        margin = max(0.08 * (high - low), 0.02)
        return PlotRange(0.0, x1, low - margin, high + margin, True)
    if 0 <= low <= 0.5 * high:
        low = 0.0
    margin = max(0.08 * (high - low), 0.02 * abs(high), 1e-6)
    return PlotRange(0.0, x1, low - (margin if low else 0.0), high + margin)


def compute_score_range(series: Iterable[NDArray[np.float64]], *, last_step: int = 0) -> PlotRange:
    """Return the range for scores: from tenth to tenth, half of 0 to 1 at least."""
    values = np.concatenate([np.zeros(0), *series])
    x1 = max(float(last_step), 10.0)
    if not len(values):
        return PlotRange(0.0, x1, 0.0, 1.0)
    low = math.floor(float(values.min()) * 10 + 1e-9) / 10
    high = math.ceil(float(values.max()) * 10 - 1e-9) / 10
    if high <= 1:
        high = min(max(high, low + 0.5), 1.0)
    low = min(low, high - 0.5)
    if low < 0 <= float(values.min()):
        low, high = 0.0, high - low
    return PlotRange(0.0, x1, low, high)


def settle(old: PlotRange, new: PlotRange) -> PlotRange:
    """Keep the old range while the new one fits: a plot that often changes is hard to read."""
    if old.log != new.log:
        return new
    height = new.y1 - new.y0
    fits = (
        old.y0 <= new.y0 + 0.02 * height
        and new.y1 <= old.y1 + 0.02 * height
        and (old.y1 - old.y0) < 1.3 * height
    )
    reach = new.x1 - new.x0
    fits_x = old.x0 == new.x0 and reach <= (old.x1 - old.x0) <= 1.3 * reach
    x1 = old.x1 if fits_x else new.x0 + 1.15 * reach if reach > 10 else new.x1
    low, high = (old.y0, old.y1) if fits else (new.y0, new.y1)
    return PlotRange(new.x0, x1, low, high, new.log)


def compute_ticks(
    low: float, high: float, most: int, *, log: bool = False, least: int = LEAST_TICKS
) -> list[float]:
    """Round numbers within a range, at least ``least`` and at most about ``most`` of them.

    Parameters
    ----------
    low, high : float
        The range; logarithms where ``log`` is set.
    most : int
        How many fit; where that is fewer than ``least``, they are crowded.

    Returns
    -------
    list of float
        Values (not logarithms).
    """
    if not high > low or most < 1:
        return []
    if log:
        return _compute_log_ticks(low, high, max(most, least), least)
    ticks: list[float] = []
    for step in _round_steps(high - low, max(most, least)):
        first, last = math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9)
        ticks = [index * step for index in range(first, last + 1)]
        if len(ticks) >= least:
            break
    return ticks


def _round_steps(height: float, most: int) -> list[float]:
    """Return round steps, from the one that gives at most ``most`` ticks to finer ones."""
    rough = height / most
    power = 10.0 ** math.floor(math.log10(rough))
    steps = [power * part for part in (0.1, 0.2, 0.25, 0.5, 1, 2, 2.5, 5, 10)]
    coarsest = next(step for step in steps if step >= rough * (1 - 1e-9))
    return sorted((step for step in steps if step <= coarsest), reverse=True)


def _compute_log_ticks(low: float, high: float, most: int, least: int) -> list[float]:
    decades = range(math.floor(low), math.ceil(high) + 1)
    for parts in ((1,), (1, 3), (1, 2, 5), (1, 2, 3, 5, 7)):
        ticks = [part * 10.0**decade for decade in decades for part in parts]
        inside = [tick for tick in ticks if low <= math.log10(tick) <= high]
        if len(inside) >= least:
            return inside[:: math.ceil(len(inside) / (2 * most))]
    # Less than a decade: the axis is almost linear.
    return compute_ticks(10.0**low, 10.0**high, most, least=least)


def format_ticks(ticks: list[float]) -> list[str]:
    """Write the numbers along an axis, all with as many decimals as the finest needs."""
    largest = max((abs(tick) for tick in ticks), default=0.0)
    if largest >= 1e5 or 0 < largest < 1e-3:
        return [f"{tick:.3g}" for tick in ticks]
    for decimals in range(7):
        if all(abs(round(tick, decimals) - tick) <= 1e-6 * largest for tick in ticks):
            break
    return [f"{tick:.{decimals}f}" for tick in ticks]
