"""``best.pt`` and ``last.pt`` of a run: what goes into them, and going on from the latter."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from napari_surfseg import events
from napari_surfseg.errors import CheckpointError
from napari_surfseg.model.checkpoint import Checkpoint, load_checkpoint, save_checkpoint
from napari_surfseg.training.background_writer import BackgroundWriter
from napari_surfseg.training.host_copy import copy_to_host
from napari_surfseg.training.kept_settings import KeptSettings
from napari_surfseg.training.reporting import EpochMeans
from napari_surfseg.training.schedule import Turn

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from napari_surfseg.config import Experiment
    from napari_surfseg.training.background_writer import SaveOutcome
    from napari_surfseg.training.learner import Learner
    from napari_surfseg.training.plan import RunFolders
    from napari_surfseg.training.reporting import Reporter
    from napari_surfseg.training.run_data import RunData
    from napari_surfseg.training.state import TrainingState

__all__ = ["CheckpointWriter", "Restored"]


@dataclass(frozen=True)
class Restored:
    """What ``last.pt`` holds for parts of a run that are made after it is read.

    Attributes
    ----------
    experiment : Experiment
        The configuration it was saved with.
    settings : KeptSettings
        Those in use then.
    means : EpochMeans
        Of the steps of the epoch it was saved in.
    patches : dict
        The loader's tally of that epoch.
    turn : Turn
        Where the learning rate last went on by other bounds.
    stroke_start : dict or None
        Where the handover from the pixel classifier was.
    """

    experiment: Experiment
    settings: KeptSettings
    means: EpochMeans
    patches: dict[str, Any]
    turn: Turn
    stroke_start: dict[str, float] | None


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
        self._writer = BackgroundWriter(save_checkpoint)
        self._failed: dict[Path, SaveOutcome] = {}
        #: Of the patches learned from now, which a prediction begins with.
        self.patch_size = data.experiment.data.patch_size

    @property
    def is_writing(self) -> bool:
        """Whether a file is being written, so that another save would have to wait."""
        return self._writer.is_writing

    def save_best(
        self, metrics: Mapping[str, float] | None = None, chosen_by: str | None = None
    ) -> None:
        """Write ``best.pt`` with the scores of its weights and which of them made it the best."""
        checkpoint = self._build(metrics=dict(metrics or {}), chosen_by=chosen_by)
        self._submit(self._folders.best, checkpoint)

    def save_last(
        self,
        settings: KeptSettings,
        means: EpochMeans,
        patches: Mapping[str, Any],
        turn: Turn,
        stroke_start: Mapping[str, float] | None,
    ) -> None:
        """Write ``last.pt`` with all that resuming needs.

        Training waits only for the copy to host memory; a thread writes it.
        """
        self._state.count_time()
        training = {
            **self._learner.state(),
            "counters": self._state.as_dict(),
            "settings": settings.as_dict(),
            "epoch_means": means.as_dict(),
            "patches": dict(patches),
            "turn": turn.as_dict(),
            "stroke_start": stroke_start,
            "cut": self._data.cut,
            "resampling": self._data.resampling_scales,
        }
        self._submit(self._folders.last, self._build(training=training))

    def report_saves(self) -> None:
        """Report what was written since the last call; warn once of what could not be."""
        for outcome in self._writer.take_outcomes():
            path = outcome.path
            name = f"{path.parent.name}/{path.name}"
            if outcome.error is None:
                self._failed.pop(path, None)
                if outcome.note is not None:
                    self._reporter.warn(outcome.note)
                self._reporter.report(
                    events.CheckpointSaved(path=name, epoch=outcome.checkpoint.epoch)
                )
                continue
            if path not in self._failed:
                self._reporter.warn(f"{outcome.error} Training goes on with the earlier {name}.")
            self._failed[path] = outcome

    def finish_saves(self) -> None:
        """Wait for all that is being written.

        Raises
        ------
        OutputError
            If the newest save of a file failed, and fails again now.
        """
        self._writer.wait()
        self.report_saves()
        for path, outcome in list(self._failed.items()):
            save_checkpoint(path, outcome.checkpoint)
            del self._failed[path]

    def wait(self) -> None:
        """Wait for what is being written, whatever becomes of it."""
        self._writer.wait()

    def restore(self) -> Restored:
        """Go on from ``last.pt``; return what other parts of the run go on from.

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
            settings = KeptSettings.from_dict(training["settings"])
            return Restored(
                experiment=checkpoint.experiment,
                settings=settings,
                means=EpochMeans(**training["epoch_means"]),
                patches=dict(training["patches"]),
                turn=_read_turn(training, settings, checkpoint.experiment),
                stroke_start=training["stroke_start"],
            )
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
        chosen_by: str | None = None,
        training: dict[str, object] | None = None,
    ) -> Checkpoint:
        return Checkpoint(
            experiment=self._data.experiment,
            weights=self._learner.average.network.state_dict(),
            intensity=self._data.intensity,
            patch_size=self.patch_size,
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
            chosen_by=chosen_by,
            training=training,
        )

    def _submit(self, path: Path, checkpoint: Checkpoint) -> None:
        """Copy what training will change, and have it written."""
        frozen = replace(
            checkpoint,
            weights=copy_to_host(checkpoint.weights),
            training=copy_to_host(checkpoint.training),
        )
        self._writer.submit(path, frozen)


def _read_turn(training: Mapping[str, Any], settings: KeptSettings, experiment: Experiment) -> Turn:
    """Read where the learning rate was; files of before it was kept hold the bounds alone."""
    if "turn" in training:
        return Turn.from_dict(training["turn"])
    return Turn(settings.bounds(experiment.training.train_iterations_per_epoch))
