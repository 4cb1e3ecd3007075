"""The training loop: check, learn, score, save, tell, listen.

Everything it says goes through ``emit``, everything it is told comes from
``poll_commands`` and takes effect at one place, between two steps.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from napari_surfseg import events
from napari_surfseg.config import ValidationSlab
from napari_surfseg.data.cache import VolumeCache
from napari_surfseg.data.checks import describe_cut, open_pairs
from napari_surfseg.data.intensity import compute_intensity
from napari_surfseg.data.loader import PatchLoader
from napari_surfseg.data.sides import resolve_symmetries
from napari_surfseg.device import choose_device, choose_precision
from napari_surfseg.errors import CancelledError, CheckpointError
from napari_surfseg.metrics.score import compute_metrics
from napari_surfseg.model.checkpoint import Checkpoint, load_checkpoint, save_checkpoint
from napari_surfseg.model.presets import (
    check_patch_size,
    fit_patch_size,
    resolve_architecture,
)
from napari_surfseg.training.learner import Learner
from napari_surfseg.training.preview import Previewer
from napari_surfseg.training.relabeling import Relabeler
from napari_surfseg.training.schedule import compute_progress
from napari_surfseg.training.start_from import adopt_model, check_start, load_start
from napari_surfseg.training.steering import Steering
from napari_surfseg.training.stroke_start import StrokeStart, open_stroke_start
from napari_surfseg.training.threads import ThreadTuner, choose_workers
from napari_surfseg.training.tuning_progress import TuningStages
from napari_surfseg.training.validation import Validator, in_finest_voxels
from napari_surfseg.vocabulary import LOSS_TERMS

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from napari_surfseg.config import Experiment
    from napari_surfseg.data.checks import CheckedPair
    from napari_surfseg.data.strokes.filled_targets import FilledTargets
    from napari_surfseg.training.validation import ValidationResult

__all__ = ["Trainer"]

DEFAULT_EPOCHS = 32

#: Steps quicker than this are not all told one by one; the newest values are.
TELL_SECONDS = 0.1

#: How often a paused worker looks for commands.
PAUSE_SECONDS = 0.1


NO_VALIDATION = (
    "Too little surface and background is annotated to keep some of it for validation, so the run "
    "trains on all of it and nothing is scored; label more places, or give a volume for "
    "validation, to have scores."
)


@dataclass
class _Counters:
    """Where the training is: what ``last.pt`` needs besides tensors."""

    step: int = 0
    epoch: int = 0
    elapsed: float = 0.0
    validation_seconds: float = 0.0
    threshold: float = 0.5
    best: dict[str, float] = field(default_factory=dict)
    best_value: float = float("-inf")
    stale_validations: int = 0
    num_previews: int = 0


class _EpochMeans:
    """Means over the steps of an epoch; a term counts only the steps that computed it."""

    def __init__(self) -> None:
        self._sums: dict[str, float] = {}
        self._counts: dict[str, int] = {}
        self.num_steps = 0
        self.step_seconds = 0.0

    def add(self, values: dict[str, float], seconds: float) -> None:
        self.num_steps += 1
        self.step_seconds += seconds
        for name, value in values.items():
            self._sums[name] = self._sums.get(name, 0.0) + value
            self._counts[name] = self._counts.get(name, 0) + 1

    @property
    def steps_per_second(self) -> float:
        return self.num_steps / max(1e-9, self.step_seconds)

    def means(self) -> dict[str, float]:
        return {name: total / self._counts[name] for name, total in self._sums.items()}


class Trainer:
    """Trains one experiment to its end, or until it is stopped.

    Parameters
    ----------
    experiment : Experiment
        What to do.
    emit : callable
        Takes every event.
    poll_commands : callable
        Returns the commands that came since the last call.
    checkpoints, previews, samples : Path
        Folders to write to.
    device : str
        ``auto``, ``cpu`` or ``cuda``.
    resume : bool
        Go on from ``last.pt``.
    """

    def __init__(
        self,
        experiment: Experiment,
        *,
        emit: Callable[[events.Event], None],
        poll_commands: Callable[[], list[events.Command]],
        checkpoints: Path,
        previews: Path,
        samples: Path,
        device: str = "auto",
        resume: bool = False,
    ) -> None:
        self.device = choose_device(device)
        self.precision = choose_precision(experiment.training.precision, self.device)
        # A run that is resumed started from other weights once, and has its own now.
        self._start = None if resume else load_start(experiment.model)
        known = self._start
        if resume and experiment.model.preset == "auto":
            known = load_checkpoint(checkpoints / "last.pt")
        self.experiment = _resolve(experiment, self.device, known)
        self.architecture = resolve_architecture(self.experiment.model, device=self.device.type)
        if self._start is not None:
            check_start(self.experiment.model, self.architecture, self._start)
        check_patch_size(self.experiment.data.patch_size, self.architecture)
        self._emit = emit
        self._poll_commands = poll_commands
        self._checkpoints = checkpoints
        self._previews = previews
        self._samples = samples
        self._resume = resume
        self._counters = _Counters()
        self._newest: ValidationResult | None = None
        self._best: ValidationResult | None = None
        self._clock = time.perf_counter()
        self._steering: Steering
        self._strokes: StrokeStart | None = None
        for folder in (checkpoints, previews):
            folder.mkdir(parents=True, exist_ok=True)

    def run(self) -> None:
        """Train; ends in ``RunCompleted`` or ``RunStopped``, or raises."""
        torch.manual_seed(self.experiment.experiment.seed)
        train, validation = self._open_data()
        self.learner = Learner(
            self.experiment,
            self.architecture,
            self.intensity,
            self._proportions,
            device=self.device,
            precision=self.precision,
        )
        weights = self._restore() if self._resume else self.experiment.loss.weights
        if self._start is not None:
            self.learner.start_with(self._start.weights)
        self._open_stroke_start(train)
        self._threads = ThreadTuner.for_this_machine() if self.device.type == "cpu" else None
        self._open_loader(train)
        try:
            self._open_watchers(train, validation, weights)
            self._announce()
            if self._strokes is not None:
                self._tell(events.WarningIssued(message=self._strokes.describe()))
                self._preview_first()
            self._compile_ahead()
            self._clock = time.perf_counter()
            while not self._is_over():
                self._run_epoch()
            self._finish()
        finally:
            self._loader.close()

    # -- preparing ---------------------------------------------------------------------

    def _open_data(self) -> tuple[list[CheckedPair], list[CheckedPair]]:
        data = self.experiment.data
        seed = self.experiment.experiment.seed
        train, validation = open_pairs(data, seed=seed, cut=self._read_cut())
        self._cache = VolumeCache(int(data.cache_gib * 2**30))
        self.intensity = compute_intensity(
            [pair.image for pair in train],
            boxes=[pair.roi for pair in train],
            void_value=data.void_value,
        )
        self.spacing = train[0].spacing
        self._proportions = in_finest_voxels(self.spacing)
        pairs = [*train, *validation]
        self._cut = describe_cut(data, train, validation)
        remarks = [remark for pair in train for remark in pair.remarks]
        remarks += [*self._fit_patch(train), *self._resolve_symmetries(train)]
        self._tell(events.DataChecked(volumes=[pair.as_row() for pair in pairs], notes=remarks))
        for pair in pairs:
            for note in pair.notes:
                self._tell(events.WarningIssued(message=note))
        wanted = not isinstance(data.validation, ValidationSlab) or data.validation.fraction > 0
        if wanted and not validation and not self._resume:
            self._tell(events.WarningIssued(message=NO_VALIDATION))
        return train, validation

    def _resolve_symmetries(self, train: list[CheckedPair]) -> list[str]:
        """Settle which flips and turns are used, so that the checkpoint shows it; return why."""
        data = self.experiment.data
        symmetries, reason = resolve_symmetries(
            data.augmentation.symmetries,
            train,
            data.patch_size,
            seed=self.experiment.experiment.seed,
        )
        augmentation = data.augmentation.model_copy(update={"symmetries": symmetries})
        self.experiment = self.experiment.model_copy(
            update={"data": data.model_copy(update={"augmentation": augmentation})}
        )
        return [reason] if reason else []

    def _read_cut(self) -> dict[str, Any] | None:
        """Find how the volumes were cut when the run that is resumed began."""
        path = self._checkpoints / "last.pt"
        if not self._resume or not path.exists():
            return None
        return (load_checkpoint(path).training or {}).get("cut")

    def _fit_patch(self, train: list[CheckedPair]) -> list[str]:
        """Use no larger patch than the largest extents of the training volumes; say so."""
        data = self.experiment.data
        z, y, x = (max(extents) for extents in zip(*(pair.shape for pair in train), strict=True))
        fitting = fit_patch_size(data.patch_size, (z, y, x), self.architecture.divisor)
        if fitting == data.patch_size:
            return []
        self.experiment = self.experiment.model_copy(
            update={"data": data.model_copy(update={"patch_size": fitting})}
        )
        return [
            f"The training volumes reach no further than {[z, y, x]} voxels, so patches of "
            f"{list(fitting)} are used instead of {list(data.patch_size)}."
        ]

    def _open_stroke_start(self, train: list[CheckedPair]) -> None:
        """Prepare the pixel classifier that leads where labels are strokes."""
        self._strokes = open_stroke_start(
            train,
            self._cache,
            self.intensity,
            wanted=self.experiment.data.pseudo_labels,
            seed=self.experiment.experiment.seed,
        )
        if self._strokes is not None:
            self._strokes.begin_at(self._counters.step, has_learned=self._start is not None)
            self.learner.learn_from_strokes()

    def _preview_first(self) -> None:
        """Show what the pixel classifier finds before the first step, if somebody is watching."""
        with self._loader.held():
            self._obey_all()
            if self._previewer.is_on:
                self._preview()

    def _open_loader(self, train: list[CheckedPair]) -> None:
        training = self.experiment.training
        self._loader = PatchLoader(
            train,
            self.experiment.data,
            self.intensity,
            batch_size=training.train_batch_size,
            seed=self.experiment.experiment.seed,
            workers=choose_workers(training.workers, self.device),
            cache=self._cache,
            start_step=self._counters.step * training.accumulate,
            filled=None if self._strokes is None else self._strokes.filled,
        )

    def _open_watchers(
        self, train: list[CheckedPair], validation: list[CheckedPair], weights: dict[str, float]
    ) -> None:
        experiment = self.experiment
        self._validator = self._open_validator(validation) if validation else None
        self._train = train
        self._previewer = Previewer(
            [*train, *validation],
            self._cache,
            self._previews,
            self.intensity,
            window=experiment.data.patch_size,
            multiple=self.architecture.divisor,
            seconds=experiment.preview.seconds,
            size=experiment.preview.size,
            keep=experiment.preview.keep,
            device=self.device,
            precision=self.precision,
            first_index=self._counters.num_previews,
        )
        self._steering = Steering(
            loss_weights=weights,
            max_epochs=experiment.training.max_epochs,
            max_minutes=experiment.training.max_minutes,
            look=self._previewer.look,
            set_foreground_share=self._loader.set_foreground_share,
            update_labels=Relabeler(
                train,
                validation,
                self._cache,
                self._loader,
                tell=self._tell,
                on_validation=self._forget_best_score,
                fill=self._learn_strokes_again,
            ).update,
        )

    def _learn_strokes_again(self, train: list[CheckedPair]) -> list[FilledTargets] | None:
        if self._strokes is None:
            return None
        self._strokes.learn_again(train, self._counters.step)
        self._previewer.hurry()
        return self._strokes.filled

    def _open_validator(
        self, pairs: list[CheckedPair], *, max_voxels: int | None = None
    ) -> Validator:
        experiment = self.experiment
        return Validator(
            pairs,
            self._cache,
            self.intensity,
            window=experiment.data.patch_size,
            multiple=self.architecture.divisor,
            overlap=experiment.inference.overlap,
            tolerance=experiment.loss.tolerance,
            fixed_threshold=experiment.inference.threshold,
            device=self.device,
            precision=self.precision,
            seed=experiment.experiment.seed,
            max_voxels=max_voxels,
        )

    def _announce(self) -> None:
        experiment = self.experiment
        name = str(self.device)
        if self.device.type == "cuda":
            name = f"{self.device} ({torch.cuda.get_device_name(self.device)})"
        self._tell(
            events.RunStarted(
                name=experiment.experiment.name,
                device=name,
                precision=self.precision,
                model=experiment.model.preset,
                num_parameters=self.learner.num_parameters,
                patch_size=experiment.data.patch_size,
                epoch=self._counters.epoch,
                max_epochs=self._steering.max_epochs,
                max_minutes=self._steering.max_minutes,
                iterations_per_epoch=experiment.training.train_iterations_per_epoch,
                loss_weights=self._steering.loss_weights,
                resumed=self._resume,
            )
        )

    def _compile_ahead(self) -> None:
        """Meet every compiled loop once: after an installation that takes some seconds.

        They belong neither to the time a person gives to training nor to the first step.
        """
        self._loader.build(self._counters.step)
        self.learner.compile_ahead(self._steering.loss_weights)
        sheet = np.zeros((8, 8, 8), np.uint8)
        sheet[3:5] = 1
        compute_metrics(sheet, np.roll(sheet, 1, axis=0))

    # -- the loop ----------------------------------------------------------------------

    def _run_epoch(self) -> None:
        means = _EpochMeans()
        elapsed_before = self._elapsed()
        iterations = self.experiment.training.train_iterations_per_epoch
        rate = told = 0.0
        for _ in range(iterations):
            self._listen()
            if self._is_over():
                break
            begun = time.perf_counter()
            rate = self.learner.compute_rate(
                self._progress(), self._steering.rate_scale, step=self._counters.step
            )
            values = self.learner.take_step(
                self._loader, self._steering.loss_weights, rate, self._counters.step
            )
            self._counters.step += 1
            now = time.perf_counter()
            means.add(values, now - begun)
            self._tune_threads(now - begun)
            if now - told >= TELL_SECONDS:
                told = now
                self._tell_step(values, rate, means.steps_per_second)
            if self._previewer.is_due():
                self._preview()
        if means.num_steps == 0:
            return
        self._counters.epoch += 1
        self._tell_epoch(means, rate, elapsed_before)
        is_due = self._is_over() or (means.num_steps == iterations and self._may_validate())
        if self._validator is None:
            self._save("best.pt", self._checkpoint())  # nothing can say that older ones are better
        elif is_due and not self._steering.is_stopping:
            self._validate(self._validator)
        self._save_last()

    def _tune_threads(self, step_seconds: float) -> None:
        if self._threads is None:
            return
        wanted = self._threads.record(step_seconds)
        if wanted != torch.get_num_threads():
            torch.set_num_threads(wanted)

    # -- scoring, saving, showing --------------------------------------------------------

    def _may_validate(self) -> bool:
        """Whether another validation, as long as the last, keeps within its share of the time."""
        spent = self._counters.validation_seconds + (self._newest.seconds if self._newest else 0.0)
        return spent <= self.experiment.training.validation_share * self._elapsed()

    def _validate(self, validator: Validator) -> None:
        counters = self._counters
        result = validator.run(self.learner.average.network)
        self._newest = result
        counters.validation_seconds += result.seconds
        counters.threshold = result.threshold
        scored_by: str = self.experiment.training.best_by
        if result.is_sparse:
            scored_by = "dice"  # the others need to know what lies between the strokes
        value = result.metrics.get(scored_by, 0.0)
        is_best = value > counters.best_value
        if is_best:
            counters.best_value = value
            counters.best = {**result.metrics, "epoch": float(counters.epoch)}
            counters.stale_validations = 0
        else:
            counters.stale_validations += 1
        self._tell(
            events.ValidationFinished(
                epoch=counters.epoch,
                metrics=result.metrics,
                threshold=result.threshold,
                is_best=is_best,
                seconds=result.seconds,
                num_annotated=result.num_annotated,
                num_surface=result.num_surface,
                is_sparse=result.is_sparse,
                scored_by=scored_by,
            )
        )
        if is_best:
            self._best = result
            self._save("best.pt", self._checkpoint(metrics=result.metrics))

    def _forget_best_score(self) -> None:
        """Let the next validation be the best: the scores so far were by other labels."""
        self._counters.best_value = float("-inf")
        self._counters.stale_validations = 0

    def _save_last(self) -> None:
        self._steering.is_saving = False
        self._counters.elapsed = self._elapsed()
        self._clock = time.perf_counter()
        training = {
            **self.learner.state(),
            "counters": vars(self._counters).copy(),
            "loss_weights": self._steering.loss_weights,
            "cut": self._cut,
        }
        self._save("last.pt", self._checkpoint(training=training))

    def _checkpoint(
        self,
        *,
        metrics: dict[str, float] | None = None,
        training: dict[str, object] | None = None,
    ) -> Checkpoint:
        counters = self._counters
        return Checkpoint(
            experiment=self.experiment,
            weights=self.learner.average.network.state_dict(),
            intensity_values=self.intensity.as_dict(),
            patch_size=self.experiment.data.patch_size,
            spacing=self.spacing,
            threshold=counters.threshold,
            epoch=counters.epoch,
            step=counters.step,
            metrics=metrics or {},
            training=training,
        )

    def _save(self, name: str, checkpoint: Checkpoint) -> None:
        save_checkpoint(self._checkpoints / name, checkpoint)
        path = f"{self._checkpoints.name}/{name}"
        self._tell(events.CheckpointSaved(path=path, epoch=checkpoint.epoch))

    def _restore(self) -> dict[str, float]:
        """Go on from ``last.pt``; return the loss weights it was using."""
        path = self._checkpoints / "last.pt"
        checkpoint = load_checkpoint(path)
        state = checkpoint.training
        try:
            if state is None:
                raise KeyError("training")
            self.learner.restore(state, checkpoint.weights)
            self._counters = _Counters(**state["counters"])
            return {term: float(state["loss_weights"][term]) for term in LOSS_TERMS}
        except (KeyError, TypeError, ValueError, RuntimeError) as error:
            reason = str(error).split("\n", 1)[0].rstrip(".:")
            raise CheckpointError(
                f"Training cannot be resumed from {path}: it does not fit this configuration "
                f"({reason})."
            ) from None

    def _preview(self) -> None:
        share = 0.0 if self._strokes is None else self._strokes.share(self._counters.step)
        event = self._previewer.write(
            self.learner.average.network,
            threshold=self._counters.threshold,
            epoch=self._counters.epoch,
            leading=(self._strokes, share) if self._strokes is not None and share > 0 else None,
        )
        self._counters.num_previews = event.index + 1
        self._tell(event)

    def _finish(self) -> None:
        is_stopping = self._steering.is_stopping
        if not is_stopping:
            if self._validator is not None:
                self._tune(self._validator)
            if self._previewer.is_on:
                self._preview()
        if self._validator is not None and self._newest is not None:
            self._validator.write_samples(self._samples, self._newest)
        if self._validator is not None and self._best is not None and not self._best.is_sparse:
            epoch = int(self._counters.best["epoch"])
            self._validator.write_errors(self._samples, self._best, epoch=epoch)
        if is_stopping:
            self._save_last()
        self._tell(
            (events.RunStopped if is_stopping else events.RunCompleted)(
                epoch=self._counters.epoch,
                elapsed_seconds=self._elapsed(),
                best=self._counters.best or None,
            )
        )

    def _tune(self, validator: Validator) -> None:
        """Choose the post-processing of ``best.pt`` on the validation data, if it is dense."""
        share = self.experiment.training.tuning_share
        path = self._checkpoints / "best.pt"
        if share == 0 or not path.exists() or validator.is_sparse():
            return
        begun = time.perf_counter()
        until = begun + share * self._elapsed()

        def is_over() -> bool:
            self._obey_all()
            return self._steering.is_stopping or time.perf_counter() > until

        def is_stopped() -> bool:
            self._obey_all()
            return self._steering.is_stopping

        stages = TuningStages(self._tell, with_threshold=validator.may_move_threshold)
        stages.predicting()
        checkpoint = load_checkpoint(path)
        network = checkpoint.build_model(self.device)
        witness = self._open_validator(self._train, max_voxels=validator.num_voxels)
        try:
            seen = witness.predict_as_volumes(network, is_stopped)
            probabilities = validator.predict_as_volumes(network, is_stopped)
        except CancelledError:
            return  # nothing was tried: the threshold stays
        settings, history = validator.tune(
            probabilities,
            witness=(seen, witness.read_all_labels()),
            progress=stages,
            should_stop=is_over,
        )
        if len(history) == 1:
            return  # too little data or time to say anything: the threshold stays
        save_checkpoint(path, replace(checkpoint, postprocess=settings.as_dict()))
        self._tell(
            events.PostprocessTuned(
                settings=settings.as_dict(),
                score_before=history[0].score,
                score_after=[step.score for step in history if step.kept][-1],
                steps=[
                    {"name": step.name, "score": step.score, "gain": step.gain, "kept": step.kept}
                    for step in history
                ],
                seconds=time.perf_counter() - begun,
            )
        )

    # -- listening -----------------------------------------------------------------------

    def _listen(self) -> None:
        """Carry out what watchers asked for; while paused, wait here."""
        self._counters.elapsed, self._clock = self._elapsed(), time.perf_counter()
        self._obey_all()
        if not self._is_waiting():
            return
        self._tell(events.RunPaused())
        while self._is_waiting():
            if self._previewer.is_due():
                self._preview()
            time.sleep(PAUSE_SECONDS)
            self._clock = time.perf_counter()  # a pause is no running time
            self._obey_all()
        self._clock = time.perf_counter()
        if not self._steering.is_stopping:
            self._tell(events.RunResumed())

    def _is_waiting(self) -> bool:
        return self._steering.is_paused and not self._steering.is_stopping

    def _obey_all(self) -> None:
        for command in self._poll_commands():
            self._tell(self._steering.obey(command))
        if self._steering.is_saving:
            self._save_last()

    # -- time and telling ------------------------------------------------------------------

    def _elapsed(self) -> float:
        """Sum up the running time over all resumptions, pauses left out."""
        return self._counters.elapsed + time.perf_counter() - self._clock

    def _progress(self) -> float:
        epochs, minutes = self._steering.max_epochs, self._steering.max_minutes
        iterations = self.experiment.training.train_iterations_per_epoch
        return compute_progress(
            self._counters.step,
            self._elapsed(),
            max_steps=None if epochs is None else epochs * iterations,
            max_seconds=None if minutes is None else minutes * 60,
        )

    def _is_over(self) -> bool:
        if self._steering.is_stopping or self._progress() >= 1:
            return True
        patience = self.experiment.training.early_stopping
        return patience is not None and self._counters.stale_validations >= patience

    def _tell(self, event: events.Event) -> None:
        self._emit(type(event)(**{**vars(event), "step": self._counters.step}))

    def _tell_step(self, values: dict[str, float], rate: float, steps_per_second: float) -> None:
        self._tell(
            events.StepFinished(
                epoch=self._counters.epoch + 1,
                losses=_terms(values),
                head_total=values["head_total"],
                total=values["total"],
                learning_rate=rate,
                gradient_norm=values["gradient_norm"],
                steps_per_second=steps_per_second,
                elapsed_seconds=self._elapsed(),
                progress=self._progress(),
            )
        )

    def _tell_epoch(self, means: _EpochMeans, rate: float, elapsed_before: float) -> None:
        values = means.means()
        elapsed, progress = self._elapsed(), self._progress()
        self._tell(
            events.EpochFinished(
                epoch=self._counters.epoch,
                losses=_terms(values),
                head_total=values["head_total"],
                total=values["total"],
                learning_rate=rate,
                epoch_seconds=elapsed - elapsed_before,
                steps_per_second=means.steps_per_second,
                elapsed_seconds=elapsed,
                patches=self._loader.epoch_stats(),
                cache=self._cache.stats().as_dict(),
                seconds_left=elapsed * (1 - progress) / progress if progress > 0 else None,
            )
        )


def _terms(values: dict[str, float]) -> dict[str, float]:
    return {term: values[term] for term in LOSS_TERMS if term in values}


def _resolve(experiment: Experiment, device: torch.device, known: Checkpoint | None) -> Experiment:
    """Settle what the configuration leaves open, so that a checkpoint repeats it anywhere.

    ``known`` is the checkpoint that the run goes on or starts from.
    """
    model, training = experiment.model, experiment.training
    if model.preset == "auto" and known is not None:
        model = adopt_model(model, known)
    elif model.preset == "auto":
        preset = "tiny" if device.type == "cpu" else "small"
        model = model.model_copy(update={"preset": preset})
    if training.max_epochs is None and training.max_minutes is None:
        training = training.model_copy(update={"max_epochs": DEFAULT_EPOCHS})
    return experiment.model_copy(update={"model": model, "training": training})
