"""Tells how far the choice of post-processing is, stage by stage."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from napari_surfseg.events import TuningProgressed
from napari_surfseg.inference.postprocess_tuning import list_steps

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["PREDICTING", "TuningStages"]

#: The first stage, before any setting is tried.
PREDICTING = "predicting the validation data"
#: A person sees no more than this, and every event is a line of a file.
TELL_SECONDS = 0.25


class TuningStages:
    """Makes an event of each stage that begins, and now and then of what is tried in it.

    Parameters
    ----------
    emit : callable
        Takes the events.
    with_threshold : bool
        As for ``tune_postprocess``: whether the threshold may move.
    """

    def __init__(self, emit: Callable[[TuningProgressed], None], *, with_threshold: bool) -> None:
        self._emit = emit
        self._stages = [PREDICTING, *list_steps(with_threshold)]
        self._stage = 0
        self._told = float("-inf")

    def predicting(self) -> None:
        """Say that the first stage begins."""
        self(0, 1, PREDICTING)

    def __call__(self, done: int, total: int, name: str) -> None:
        """Say how many settings were tried and what is tried now: ``progress`` of the search."""
        # "start" and "done" are no steps of the search: they belong to the first and the last one.
        stage = self._stages.index(name) + 1 if name in self._stages else max(self._stage, 2)
        now = time.perf_counter()
        if stage == self._stage and done not in (0, total) and now - self._told < TELL_SECONDS:
            return
        self._stage, self._told = stage, now
        self._emit(
            TuningProgressed(
                done=done,
                total=total,
                name=self._stages[stage - 1],
                stage=stage,
                num_stages=len(self._stages),
            )
        )
