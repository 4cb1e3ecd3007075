"""When the averaged weights are validated, which are the best, and what is kept of them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from napari_surfseg.training.report_samples import write_topology_errors, write_validation_samples

if TYPE_CHECKING:
    from pathlib import Path

    import torch

    from napari_surfseg.config import Training
    from napari_surfseg.training.checkpoint_writer import CheckpointWriter
    from napari_surfseg.training.reporting import Reporter
    from napari_surfseg.training.state import TrainingState
    from napari_surfseg.training.validation import ValidationResult, Validator

__all__ = ["Scoring"]

NOTHING_SCORED = (
    "The validation data hold no annotated surface where they are looked at, so nothing was "
    "scored; label some there, or give another volume for validation, to have scores."
)

#: Differences of Dice on strokes that say nothing: there are few voxels, and none of them beside
#: a surface that is too thick or where nobody painted. See ``benchmarks/results/best_epoch.md``.
STROKES_TOLERANCE = 0.05
#: Of dense labels: a slab says no more than this about other places, and of weights that do not
#: differ by it the newest have learned longest. See ``benchmarks/results/quality.md``.
DENSE_TOLERANCE = 0.005


class Scoring:
    """Validates a run as often as its share of the time allows, and keeps the best weights.

    Parameters
    ----------
    validator : Validator
        Scores the weights.
    training : Training
        By which score they are compared, and how much time validation may take.
    state : TrainingState
        Where the scores are recorded.
    checkpoints : CheckpointWriter
        Writes ``best.pt``.
    reporter : Reporter
        Reports the scores.
    """

    def __init__(
        self,
        validator: Validator,
        training: Training,
        state: TrainingState,
        checkpoints: CheckpointWriter,
        reporter: Reporter,
    ) -> None:
        self.validator = validator
        self._training = training
        self._state = state
        self._checkpoints = checkpoints
        self._reporter = reporter
        self._newest: ValidationResult | None = None
        self._best: ValidationResult | None = None
        self._has_warned = False

    def may_validate(self) -> bool:
        """Whether another validation, as long as the newest, keeps within its share of the time."""
        spent = self._state.validation_seconds + self._state.newest_validation_seconds
        return spent <= self._training.validation_share * self._state.elapsed_seconds()

    def validate(self, network: torch.nn.Module, *, is_warming_up: bool = False) -> None:
        """Score the averaged weights; where they are the best so far, save them.

        Those made while the learning rate still rises are the best only until others are scored.
        """
        result = self.validator.run(network)
        self._newest = result
        self._state.validated_step = self._state.step
        self._state.validation_seconds += result.seconds
        self._state.newest_validation_seconds = result.seconds
        self._state.threshold = result.threshold
        # On strokes, since the other scores need to know what lies between them.
        scored_by = "dice" if result.is_sparse else self._training.best_by
        is_scored = scored_by in result.metrics
        is_best = is_scored and self._state.record_scores(
            result.metrics,
            scored_by,
            tolerance=STROKES_TOLERANCE if result.is_sparse else DENSE_TOLERANCE,
            is_warming_up=is_warming_up,
        )
        self._reporter.report_validation(
            result, is_best=is_best, scored_by=scored_by, is_warming_up=is_warming_up
        )
        if not is_scored:
            self._keep_unscored()
        elif is_best:
            self._best = result
            self._checkpoints.save_best(result.metrics, scored_by)

    def _keep_unscored(self) -> None:
        """Save the newest weights, unless older ones were scored; say so once."""
        if not self._has_warned:
            self._has_warned = True
            self._reporter.warn(NOTHING_SCORED)
        if not self._state.best:
            self._checkpoints.save_best({})

    def write_samples(self, folder: Path) -> None:
        """Save what the report shows: the newest prediction, and the errors of the best."""
        if self._newest is not None:
            write_validation_samples(folder, self.validator, self._newest)
        if self._best is not None and not self._best.is_sparse:
            epoch = int(self._state.best["epoch"])
            write_topology_errors(folder, self.validator, self._best, epoch=epoch)
