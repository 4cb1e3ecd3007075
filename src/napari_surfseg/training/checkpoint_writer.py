"""``best.pt`` and ``last.pt`` of a run: what goes into them, and going on from the latter."""

from __future__ import annotations

from typing import TYPE_CHECKING

from napari_surfseg import events
from napari_surfseg.errors import CheckpointError, OutputError
from napari_surfseg.model.checkpoint import Checkpoint, load_checkpoint, save_checkpoint
from napari_surfseg.vocabulary import LOSS_TERMS

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from napari_surfseg.training.learner import Learner
    from napari_surfseg.training.plan import RunFolders
    from napari_surfseg.training.reporting import Reporter
    from napari_surfseg.training.run_data import RunData
    from napari_surfseg.training.state import TrainingState

__all__ = ["CheckpointWriter"]


class CheckpointWriter:
    """Saves a learner and its state.

    Parameters
    ----------
    folders : RunFolders
        Where the checkpoints lie.
    data : RunData
        Its experiment, intensity and spacing go into every checkpoint.
    learner : Learner
        Holds the weights.
    state : TrainingState
        Holds the counters.
    reporter : Reporter
        Reports each file written.
    """

    def __init__(
        self,
        folders: RunFolders,
        data: RunData,
        learner: Learner,
        state: TrainingState,
        reporter: Reporter,
    ) -> None:
        self._folders = folders
        self._data = data
        self._learner = learner
        self._state = state
        self._reporter = reporter
        self._failed: dict[str, OutputError] = {}

    def save_best(self, metrics: Mapping[str, float] | None = None) -> None:
        """Write ``best.pt`` with the scores of its weights, if they were scored."""
        self._save(self._folders.best, self._build(metrics=dict(metrics or {})))

    def save_last(self, loss_weights: Mapping[str, float]) -> None:
        """Write ``last.pt`` with all that resuming needs."""
        self._state.count_time()
        training = {
            **self._learner.state(),
            "counters": self._state.as_dict(),
            "loss_weights": dict(loss_weights),
            "cut": self._data.cut,
        }
        self._save(self._folders.last, self._build(training=training))

    def restore(self) -> dict[str, float]:
        """Go on from ``last.pt``; return the loss weights it was using.

        Raises
        ------
        CheckpointError
            If it is missing, or of another network or another version.
        """
        path = self._folders.last
        checkpoint = load_checkpoint(path)
        training = checkpoint.training
        try:
            if training is None:
                raise KeyError("training")
            self._learner.restore(training, checkpoint.weights)
            self._state.restore(training["counters"])
            return {term: float(training["loss_weights"][term]) for term in LOSS_TERMS}
        except (KeyError, TypeError, ValueError, RuntimeError) as error:
            reason = str(error).split("\n", 1)[0].rstrip(".:")
            raise CheckpointError(
                f"Training cannot be resumed from {path}: it does not fit this configuration "
                f"({reason})."
            ) from None

    def _build(
        self,
        *,
        metrics: dict[str, float] | None = None,
        training: dict[str, object] | None = None,
    ) -> Checkpoint:
        return Checkpoint(
            experiment=self._data.experiment,
            weights=self._learner.average.network.state_dict(),
            intensity=self._data.intensity,
            patch_size=self._data.experiment.data.patch_size,
            spacing=self._data.spacing,
            units=self._data.units,
            threshold=self._state.threshold,
            epoch=self._state.epoch,
            step=self._state.step,
            surface_fraction=max(
                pair.census.num_foreground / max(pair.census.num_supervised, 1)
                for pair in self._data.train
            ),
            metrics=metrics or {},
            training=training,
        )

    def require_saved(self) -> None:
        """Make sure that the newest save of each file succeeded: at the end, no later one follows.

        Raises
        ------
        OutputError
            As it was raised by the save that failed.
        """
        for error in self._failed.values():
            raise error

    def _save(self, path: Path, checkpoint: Checkpoint) -> None:
        """Save, or warn: the earlier file is whole, and the next save may succeed."""
        name = f"{path.parent.name}/{path.name}"
        try:
            note = save_checkpoint(path, checkpoint)
        except OutputError as error:
            if name not in self._failed:
                self._reporter.warn(f"{error} Training goes on with the earlier {name}.")
            self._failed[name] = error
            return
        self._failed.pop(name, None)
        if note is not None:
            self._reporter.warn(note)
        self._reporter.report(events.CheckpointSaved(path=name, epoch=checkpoint.epoch))
