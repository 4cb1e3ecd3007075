"""How far a training is, and the learning rate that goes with it.

The rate rises once and falls once over the length of a run. Where that length is changed, the
rate goes on from where it is, smoothly, instead of jumping to where a run of the new length
would be.
"""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = [
    "WARMUP_SHARE",
    "Bounds",
    "Cycle",
    "RateSchedule",
    "Turn",
    "compute_ema_decay",
]

#: Share of the training in which the learning rate rises.
WARMUP_SHARE = 0.15
#: A run that is made longer near its end, or after it, rises to this share of the peak at most.
LONGER_PEAK = 0.3
#: Share of what is left then in which it rises.
LONGER_RISE = 0.15


@dataclass(frozen=True)
class Bounds:
    """Where a training ends: at the first of these that is met.

    Attributes
    ----------
    max_steps : int or None
        Optimizer steps.
    max_seconds : float or None
        Running time, pauses left out.
    """

    max_steps: int | None
    max_seconds: float | None

    @staticmethod
    def of(max_epochs: int | None, max_minutes: float | None, iterations: int) -> Bounds:
        """Turn epochs of so many steps, and minutes, into steps and seconds."""
        return Bounds(
            None if max_epochs is None else max_epochs * iterations,
            None if max_minutes is None else max_minutes * 60,
        )

    def compute_progress(self, step: int, elapsed_seconds: float) -> float:
        """Share of the training that is done, 0 to 1, after so many steps and seconds."""
        shares = [0.0]
        if self.max_steps is not None:
            shares.append(step / self.max_steps)
        if self.max_seconds is not None:
            shares.append(elapsed_seconds / self.max_seconds)
        return min(1.0, max(shares))


def _ease(share: float) -> float:
    """Go from 0 to 1 with level ends: half a cosine."""
    return 0.5 * (1 - math.cos(math.pi * min(1.0, share)))


@dataclass(frozen=True)
class Cycle:
    """One-cycle learning rate (Smith and Topin 2018): a cosine up, a cosine down.

    Attributes
    ----------
    peak, start : float
        Rate at the top, and at the start. It ends at a hundredth of the latter.
    warmup : float
        Share of the whole at which the top comes.
    """

    peak: float
    start: float
    warmup: float = WARMUP_SHARE

    def rate(self, place: float) -> float:
        """Rate at a place of the cycle, 0 to 1."""
        if place < self.warmup:
            return self.start + (self.peak - self.start) * _ease(place / self.warmup)
        end = self.start / 100
        share = (place - self.warmup) / (1 - self.warmup)
        return end + (self.peak - end) * (1 - _ease(share))

    def find_place(self, rate: float) -> float:
        """Where on the way down it has a rate."""
        height = self.peak - self.start / 100
        share = (self.peak - rate) / height if height > 0 else 1.0
        down = math.acos(1 - 2 * min(1.0, max(0.0, share))) / math.pi
        return self.warmup + (1 - self.warmup) * down


@dataclass(frozen=True)
class Turn:
    """Where a schedule was when the length of the run was last changed.

    Attributes
    ----------
    bounds : Bounds
        Those since then.
    progress : float
        Share of the training done by these bounds.
    place : float
        Where on the cycle it went on.
    rise_from : float or None
        Share of the peak that it had then, where that is lower than at ``place``.
    """

    bounds: Bounds
    progress: float = 0.0
    place: float = 0.0
    rise_from: float | None = None

    def as_dict(self) -> dict[str, Any]:
        """Plain values, for ``last.pt``."""
        return asdict(self)

    @staticmethod
    def from_dict(values: Mapping[str, Any]) -> Turn:
        """Go on from :meth:`as_dict`; what is missing or unknown raises KeyError or TypeError."""
        return Turn(**{**values, "bounds": Bounds(**values["bounds"])})


class RateSchedule:
    """The learning rate of a run whose bounds may change while it goes on, or after its end.

    The place on the cycle is kept: what is left of it is spread over what is left of the
    training. Where so little is left that a longer training would learn nothing
    more, the rate first rises again, in :data:`LONGER_RISE` of what is left, to what it would be
    had the run been so long from the start, but to no more than :data:`LONGER_PEAK` of the peak.
    At no change does the rate itself jump.

    Parameters
    ----------
    cycle : Cycle
        Of a run of which nothing is changed.
    turn : Turn
        Where it goes on: of a new run, its bounds.
    quick_steps : int or None
        Reach the peak in so many steps, though the cycle rises more slowly.
    """

    def __init__(
        self,
        cycle: Cycle,
        turn: Turn,
        *,
        quick_steps: int | None = None,
    ) -> None:
        self._cycle = cycle
        self._quick_steps = quick_steps
        #: Where it last went on by other bounds.
        self.turn = turn

    def compute_rate(self, bounds: Bounds, step: int, elapsed_seconds: float) -> float:
        """Return the learning rate of the next step, after so many, of a run with these bounds."""
        place, rate = self._follow(bounds, step, elapsed_seconds)
        if self._quick_steps is not None and place < self._cycle.warmup:
            return max(rate, self._cycle.peak * min(1.0, (step + 1) / self._quick_steps))
        return rate

    def is_warming_up(self, bounds: Bounds, step: int, elapsed_seconds: float) -> bool:
        """Whether the rate has not come to its first peak."""
        place, _ = self._follow(bounds, step, elapsed_seconds)
        waits = self._quick_steps is None or step < self._quick_steps
        return place < self._cycle.warmup and waits

    def _follow(self, bounds: Bounds, step: int, elapsed_seconds: float) -> tuple[float, float]:
        """Locate a step by bounds that may be others than those before."""
        if bounds != self.turn.bounds:
            self._go_on_by(bounds, step, elapsed_seconds)
        return self._locate(bounds.compute_progress(step, elapsed_seconds))

    def _go_on_by(self, bounds: Bounds, step: int, elapsed_seconds: float) -> None:
        place, rate = self._locate(self.turn.bounds.compute_progress(step, elapsed_seconds))
        progress = bounds.compute_progress(step, elapsed_seconds)
        at_most = self._cycle.find_place(LONGER_PEAK * self._cycle.peak)
        target = min(place, max(progress, at_most))
        rise_from = rate / self._cycle.peak if target < place else None
        self.turn = Turn(bounds, progress, target, rise_from)

    def _locate(self, progress: float) -> tuple[float, float]:
        """Return the place on the cycle, and the rate; while it rises again, the place of that."""
        turn, cycle = self.turn, self._cycle
        left = 1 - turn.progress
        share = 1.0 if left <= 0 else min(1.0, max(0.0, (progress - turn.progress) / left))
        if turn.rise_from is not None:
            if share < LONGER_RISE:
                low = turn.rise_from * cycle.peak
                rate = low + (cycle.rate(turn.place) - low) * _ease(share / LONGER_RISE)
                return cycle.find_place(rate), rate
            share = (share - LONGER_RISE) / (1 - LONGER_RISE)
        place = turn.place + (1 - turn.place) * share
        return place, cycle.rate(place)


def compute_ema_decay(num_updates: int, decay: float) -> float:
    """Decay of the averaged weights: short at first, so that the random start is forgotten."""
    return min(decay, (1 + num_updates) / (10 + num_updates))
