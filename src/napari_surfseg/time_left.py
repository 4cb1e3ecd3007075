"""How long a stage of work will still take, from the share of it that is done."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["TimeLeft"]

#: Before that, an estimate would jump about.
LEAST_SECONDS = 2.0
LEAST_SHARE = 0.02


class TimeLeft:
    """Estimates it for one stage of work after another, from the shares that are reported.

    Parameters
    ----------
    clock : callable
        Returns seconds; replaced in tests.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._stage = ""
        self._begun = 0.0
        self._first = 0.0

    def estimate(self, stage: str, share: float) -> float | None:
        """Return the seconds that a stage will still take, or None while that is not known.

        ``share`` is 0 to 1. The first one of a stage is where the count begins: the time
        before it, loading the network for example, says nothing about the stage's speed.
        """
        now = self._clock()
        if stage != self._stage or share < self._first:
            self._stage, self._begun, self._first = stage, now, share
        spent, done = now - self._begun, share - self._first
        if spent < LEAST_SECONDS or done < LEAST_SHARE or share >= 1:
            return None
        return spent * (1 - share) / done
