"""How many threads: of the loader, and of the CPU while its steps are timed."""

from __future__ import annotations

import functools
import os
import statistics

import torch

__all__ = ["ThreadTuner", "choose_workers"]

#: Most threads of which one is tried first.
FEW_THREADS = 4


def choose_workers(wanted: int | str, device: torch.device) -> int:
    """Turn ``auto`` into a number of loader threads."""
    if isinstance(wanted, int):
        return wanted
    # On a CPU the network needs the cores; one thread keeps up with it many times over.
    return 1 if device.type == "cpu" else max(1, min(4, (os.cpu_count() or 2) - 1))


class ThreadTuner:
    """Find the number of CPU threads that steps are quickest with, and keep looking.

    Two threads on two idle cores are nearly twice as fast as one; with another
    program on one of the cores they can be ten times slower, because each waits
    for the other at every operation. So a few steps are timed with each number,
    now and then again, a number that lost clearly less and less often. The first
    number leaves a core to others: a run that begins on a busy machine would else
    stand still for its first seconds.

    Parameters
    ----------
    candidates : sequence of int
        Numbers of threads to choose from.
    trial_steps : int
        Steps timed with each.
    interval_seconds : float
        Training time between two rounds of trials.
    """

    def __init__(
        self,
        candidates: tuple[int, ...],
        *,
        trial_steps: int = 3,
        interval_seconds: float = 20.0,
    ) -> None:
        self._candidates = _order(set(candidates))
        self._trial_steps = trial_steps
        self._interval = interval_seconds
        self._trials: list[int] = list(self._candidates) if len(self._candidates) > 1 else []
        self._times: dict[int, list[float]] = {}
        self._results: dict[int, float] = {}
        self._patience = dict.fromkeys(self._candidates, 1)
        self._rounds = 0
        self._clock = 0.0
        self._warm = False
        self.num_threads = self._candidates[0]

    @staticmethod
    def for_this_machine() -> ThreadTuner:
        """Choose between one, all but one and all of the threads torch was given."""
        most = max(torch.get_num_threads(), _find_given())
        return ThreadTuner(tuple(n for n in {1, most - 1, most} if n > 0))

    def begin(self) -> None:
        """Let torch use the number of threads for the first step."""
        torch.set_num_threads(self.num_threads)

    def apply(self, step_seconds: float) -> None:
        """Take the time of a step and let torch use the number of threads for the next one."""
        wanted = self.record(step_seconds)
        if wanted != torch.get_num_threads():
            torch.set_num_threads(wanted)

    def record(self, step_seconds: float) -> int:
        """Take the time of a step and return the number of threads for the next one."""
        if not self._warm:  # the first step pays for memory and code caches
            self._warm = True
            return self.num_threads
        self._clock += step_seconds
        if not self._trials:
            if len(self._candidates) > 1 and self._clock >= self._interval:
                self._begin_round()
            return self.num_threads
        times = self._times.setdefault(self.num_threads, [])
        times.append(step_seconds)
        # A trial that is hopeless is not prolonged.
        best = min(self._results.values(), default=float("inf"))
        if len(times) >= self._trial_steps or step_seconds > 2 * best:
            self._results[self.num_threads] = statistics.median(times)
            self._trials.remove(self.num_threads)
            if not self._trials:
                self._end_round()
                return self.num_threads
        self.num_threads = self._trials[0]
        return self.num_threads

    def _begin_round(self) -> None:
        self._rounds += 1
        current = self.num_threads
        others = [
            n for n in self._candidates if n != current and self._rounds % self._patience[n] == 0
        ]
        self._clock = 0.0
        if others:
            self._times, self._results = {}, {}
            self._trials = [current, *others]

    def _end_round(self) -> None:
        best = min(self._results.values())
        for number, seconds in self._results.items():
            lost = seconds > 1.3 * best
            self._patience[number] = min(16, self._patience[number] * 2) if lost else 1
        self.num_threads = min(self._results, key=lambda number: self._results[number])
        self._clock = 0.0


@functools.cache
def _find_given() -> int:
    """Return the threads that torch was given, whatever an earlier run of this process left it."""
    return torch.get_num_threads()


def _order(numbers: set[int]) -> tuple[int, ...]:
    """Put numbers of threads into the order in which they are tried.

    Up to four from one on, which costs little where more are quicker. Of many, all but the most
    first: one thread would take its trial too long.
    """
    most = max(numbers)
    if most <= FEW_THREADS:
        return tuple(sorted(numbers))
    below = sorted(numbers - {most}, reverse=True)
    return (*below[:1], most, *below[1:])
