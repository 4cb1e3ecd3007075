"""Where a training is: its counters, its running time, and the best scores so far."""

from __future__ import annotations

import math
import time
from dataclasses import dataclass, field, fields
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

    from napari_surfseg.training.schedule import Bounds

__all__ = ["TrainingState"]


@dataclass
class TrainingState:
    """What ``last.pt`` needs besides tensors, and a clock.

    Attributes
    ----------
    step, epoch : int
        Finished.
    elapsed : float
        Running seconds counted so far, over all resumptions; see :meth:`elapsed_seconds`.
    validation_seconds : float
        Of those, spent on validation.
    newest_validation_seconds : float
        Of those, on the newest one.
    threshold : float
        Probability above which a voxel is surface, of the newest validation.
    best : dict
        Scores of the best validation with its ``epoch``; empty before the first.
    best_by : str
        The score by which it is the best; empty before the first, and of older runs.
    best_value : float
        The greatest such score.
    is_best_provisional : bool
        It was made while the learning rate rose: the first one after that replaces it.
    stale_validations : int
        Validations since one was better than all before.
    num_previews : int
        Previews written.
    num_skipped : int
        Steps without a finite loss, which changed nothing.
    validated_step : int
        The step of the newest validation; -1 before the first.
    """

    step: int = 0
    epoch: int = 0
    elapsed: float = 0.0
    validation_seconds: float = 0.0
    newest_validation_seconds: float = 0.0
    threshold: float = 0.5
    best: dict[str, float] = field(default_factory=dict)
    best_by: str = ""
    best_value: float = float("-inf")
    is_best_provisional: bool = False
    stale_validations: int = 0
    num_previews: int = 0
    num_skipped: int = 0
    validated_step: int = -1
    _counted_until: float = field(default_factory=time.perf_counter, init=False, repr=False)

    def elapsed_seconds(self) -> float:
        """Sum up the running time over all resumptions, pauses left out."""
        return self.elapsed + time.perf_counter() - self._counted_until

    def count_time(self) -> None:
        """Add the time since the last call of this or :meth:`skip_time` to ``elapsed``."""
        self.elapsed = self.elapsed_seconds()
        self.skip_time()

    def skip_time(self) -> None:
        """Leave that time out: preparations and pauses are no running time."""
        self._counted_until = time.perf_counter()

    def progress(self, bounds: Bounds) -> float:
        """Share of the training that is done, 0 to 1."""
        return bounds.compute_progress(self.step, self.elapsed_seconds())

    def record_scores(
        self,
        metrics: Mapping[str, float],
        by: str,
        *,
        tolerance: float = 0.0,
        is_warming_up: bool = False,
    ) -> bool:
        """Take the scores of this epoch; return whether it is the best so far.

        An epoch never stays the best for what it was before the learning rate had risen: scores
        are easily high while everything is still in motion. Of scores that do not differ the
        newest is the best, since it has learned longer.

        Parameters
        ----------
        metrics : mapping
            All of them.
        by : str
            The one that decides.
        tolerance : float
            A score so little below the greatest does not differ from it.
        is_warming_up : bool
            Whether the learning rate still rises. The best of these epochs counts until there is
            another.
        """
        value = metrics[by]
        is_first = self.is_best_provisional and not is_warming_up
        top = float("-inf") if is_first else self._find_best_value(metrics, by)
        if value > top or is_warming_up:
            self.stale_validations = 0
        else:
            self.stale_validations += 1
        if not value >= top - tolerance:  # NaN is never the best
            return False
        self.best_by, self.best_value = by, max(value, top)
        self.is_best_provisional = is_warming_up
        self.best = {**metrics, "epoch": float(self.epoch)}
        return True

    def _find_best_value(self, metrics: Mapping[str, float], by: str) -> float:
        """Return the greatest so far of a score, if it can be compared with these."""
        if by == self.best_by or math.isinf(self.best_value):
            return self.best_value
        # Another score decides since. Dice on strokes says nothing beside Dice of whole surfaces.
        is_alike = ("surface_dice" in self.best) == ("surface_dice" in metrics)
        return self.best.get(by, float("-inf")) if is_alike else float("-inf")

    def forget_best_score(self) -> None:
        """Let the next validation be the best: the scores so far were by other labels."""
        self.best_value = float("-inf")
        self.stale_validations = 0

    def as_dict(self) -> dict[str, Any]:
        """Plain values, for ``last.pt``."""
        return {item.name: getattr(self, item.name) for item in fields(self) if item.init}

    def restore(self, values: Mapping[str, Any]) -> None:
        """Go on from :meth:`as_dict`; an unknown name raises TypeError."""
        for name, value in TrainingState(**values).as_dict().items():
            setattr(self, name, value)
