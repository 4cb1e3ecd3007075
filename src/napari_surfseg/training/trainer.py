"""The training loop: check, learn, score, save, tell, listen.

Everything it says goes through ``emit``, everything it is told comes from
``poll_commands`` and takes effect at one place, between two steps.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import torch

from napari_surfseg import events
from napari_surfseg.config import LOSS_TERMS
from napari_surfseg.data.cache import VolumeCache
from napari_surfseg.data.checks import open_pairs
from napari_surfseg.data.intensity import compute_intensity
from napari_surfseg.data.loader import PatchLoader
from napari_surfseg.data.warp import warp_batch
from napari_surfseg.errors import CheckpointError, NonFiniteLossError
from napari_surfseg.losses.combined import (
    compute_combined_loss,
    compute_loss_targets,
    weights_at_step,
)
from napari_surfseg.model.checkpoint import Checkpoint, load_checkpoint, save_checkpoint
from napari_surfseg.model.network import build_unet
from napari_surfseg.model.presets import (
    check_patch_size,
    fit_patch_size,
    resolve_architecture,
)
from napari_surfseg.training.average import WeightAverage
from napari_surfseg.training.hardware import (
    ThreadTuner,
    choose_device,
    choose_precision,
    choose_workers,
)
from napari_surfseg.training.preview import Previewer
from napari_surfseg.training.schedule import compute_learning_rate, compute_progress
from napari_surfseg.training.validation import Validator

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from torch import Tensor

    from napari_surfseg.config import Experiment
    from napari_surfseg.data.checks import CheckedPair
    from napari_surfseg.data.loader import Batch
    from napari_surfseg.losses.combined import LossResult
    from napari_surfseg.training.validation import ValidationResult

__all__ = ["Trainer"]

DEFAULT_EPOCHS = 32

#: Steps quicker than this are not all told one by one; the newest values are.
TELL_SECONDS = 0.1

#: How often a paused worker looks for commands.
PAUSE_SECONDS = 0.1


@dataclass
class _Counters:
    """Where the training is; what ``last.pt`` needs besides tensors."""

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

    def add(self, values: dict[str, float]) -> None:
        self.num_steps += 1
        for name, value in values.items():
            self._sums[name] = self._sums.get(name, 0.0) + value
            self._counts[name] = self._counts.get(name, 0) + 1

    def mean(self, name: str) -> float:
        return self._sums[name] / self._counts[name]

    def means(self, names: tuple[str, ...]) -> dict[str, float]:
        return {name: self.mean(name) for name in names if name in self._sums}


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
        self.experiment = _resolve(experiment, self.device)
        self.architecture = resolve_architecture(self.experiment.model, device=self.device.type)
        check_patch_size(self.experiment.data.patch_size, self.architecture)
        self._emit = emit
        self._poll_commands = poll_commands
        self._checkpoints = checkpoints
        self._previews = previews
        self._samples = samples
        self._resume = resume
        self._counters = _Counters()
        self._loss_weights = self.experiment.loss.weights
        training = self.experiment.training
        self._max_epochs = training.max_epochs
        self._max_minutes = training.max_minutes
        self._rate_scale = 1.0
        self._stopping = False
        self._paused = False
        self._save_wanted = False
        self._clock = time.perf_counter()

    def run(self) -> None:
        """Train; ends in ``RunCompleted`` or ``RunStopped``, or raises."""
        torch.manual_seed(self.experiment.experiment.seed)
        train, validation = self._open_data()
        self._build()
        if self._resume:
            self._restore()
        self._open_loader(train)
        self._open_watchers(train, validation)
        self._announce()
        self._clock = time.perf_counter()
        try:
            while not self._is_over():
                self._run_epoch()
            self._finish()
        finally:
            self._loader.close()

    # -- preparing ---------------------------------------------------------------------

    def _open_data(self) -> tuple[list[CheckedPair], list[CheckedPair]]:
        data = self.experiment.data
        train, validation = open_pairs(data)
        self._cache = VolumeCache(int(data.cache_gib * 2**30))
        self.intensity = compute_intensity([pair.image for pair in train])
        self.spacing = train[0].spacing
        self._tell(events.DataChecked(volumes=[pair.as_row() for pair in [*train, *validation]]))
        for pair in [*train, *validation]:
            for note in pair.notes:
                self._tell(events.WarningIssued(message=note))
        self._fit_patch(train)
        return train, validation

    def _fit_patch(self, train: list[CheckedPair]) -> None:
        """Use no larger patch than the largest extents of the training volumes."""
        data = self.experiment.data
        z, y, x = (max(extents) for extents in zip(*(pair.shape for pair in train), strict=True))
        fitting = fit_patch_size(data.patch_size, (z, y, x), self.architecture.divisor)
        if fitting == data.patch_size:
            return
        self._tell(
            events.WarningIssued(
                message=f"The training volumes reach no further than {[z, y, x]} voxels, so "
                f"patches of {list(fitting)} are used instead of {list(data.patch_size)}."
            )
        )
        self.experiment = self.experiment.model_copy(
            update={"data": data.model_copy(update={"patch_size": fitting})}
        )

    def _build(self) -> None:
        self.network = build_unet(self.experiment.model, device=self.device.type).to(self.device)
        if self.device.type == "cuda":
            self.network = self.network.to(memory_format=torch.channels_last_3d)  # type: ignore[call-overload]
        training = self.experiment.training
        decay = training.ema_decay
        self.average = WeightAverage(
            self.network, self.architecture.ema_decay if decay == "auto" else decay
        )
        self.optimizer = torch.optim.AdamW(
            self.network.parameters(),
            lr=self._peak_rate,
            weight_decay=training.weight_decay,
            fused=self.device.type == "cuda",
        )
        self._threads = ThreadTuner.for_this_machine() if self.device.type == "cpu" else None

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
        )

    def _open_watchers(self, train: list[CheckedPair], validation: list[CheckedPair]) -> None:
        experiment = self.experiment
        self._validator = Validator(
            validation,
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
        )
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
                num_parameters=sum(p.numel() for p in self.network.parameters()),
                patch_size=experiment.data.patch_size,
                epoch=self._counters.epoch,
                max_epochs=self._max_epochs,
                max_minutes=self._max_minutes,
                iterations_per_epoch=experiment.training.train_iterations_per_epoch,
                loss_weights=self._loss_weights,
                resumed=self._resume,
            )
        )

    # -- the loop ----------------------------------------------------------------------

    def _run_epoch(self) -> None:
        counters = self._counters
        means = _EpochMeans()
        elapsed_before = self._elapsed()
        rate = self._start_rate
        step_seconds = 0.0
        told = 0.0
        for _ in range(self.experiment.training.train_iterations_per_epoch):
            self._listen()
            if self._is_over():
                break
            step_begun = time.perf_counter()
            values, rate = self._take_step()
            seconds = time.perf_counter() - step_begun
            step_seconds += seconds
            self._tune_threads(seconds)
            means.add(values)
            if time.perf_counter() - told >= TELL_SECONDS:
                told = time.perf_counter()
                self._tell_step(values, rate, means.num_steps / step_seconds)
            if self._previewer.is_due():
                self._preview()
        if means.num_steps == 0:
            return
        counters.epoch += 1
        is_whole = means.num_steps == self.experiment.training.train_iterations_per_epoch
        self._tell_epoch(means, rate, elapsed_before, step_seconds)
        if not self._stopping and (self._is_over() or (is_whole and self._may_validate())):
            self._validate()
        self._save_last()

    def _take_step(self) -> tuple[dict[str, float], float]:
        """Take one optimizer step and return what is logged of it."""
        experiment, counters = self.experiment, self._counters
        training = experiment.training
        progress = self._progress()
        rate = self._rate_scale * compute_learning_rate(
            progress, start=self._start_rate, peak=self._peak_rate
        )
        for group in self.optimizer.param_groups:
            group["lr"] = rate
        weights = weights_at_step(self._loss_weights, counters.step, experiment.loss.interval)
        if self.architecture.dropout:
            # Tied to the step, so that a resumed run repeats what an unbroken one does.
            torch.manual_seed(experiment.experiment.seed + counters.step)
        self.network.train()
        self.optimizer.zero_grad(set_to_none=True)
        rows: list[Tensor] = []
        names: list[str] = []
        for part in range(training.accumulate):
            result = self._score_batch(next(self._loader), weights, part)
            (result.total / training.accumulate).backward()  # type: ignore[no-untyped-call]
            names = ["total", "head_total", *result.terms]
            rows.append(torch.stack([result.total, result.head_total, *result.terms.values()]))
        clip = training.gradient_clip
        norm = torch.nn.utils.clip_grad_norm_(
            self.network.parameters(), float("inf") if clip is None else clip
        )
        # One transfer a step: the values are wanted for the log and for the check below.
        found = torch.cat([torch.stack(rows).detach().mean(0), norm.detach()[None]]).tolist()
        values = dict(zip([*names, "gradient_norm"], found, strict=True))
        self._refuse_nonfinite(values)
        self.optimizer.step()
        self.average.update(self.network)
        counters.step += 1
        return values, rate

    def _score_batch(self, batch: Batch, weights: dict[str, float], part: int) -> LossResult:
        loss = self.experiment.loss
        augmentation = self.experiment.data.augmentation
        labels = torch.from_numpy(batch.labels).to(self.device, non_blocking=True)
        image = torch.from_numpy(batch.image).to(self.device, non_blocking=True).float()
        image = (image / 255 - self.intensity.mean) / self.intensity.std
        if augmentation.affine or augmentation.elastic:
            seed = self.experiment.experiment.seed * 1_000_003 + self._counters.step * 64 + part
            image, labels = warp_batch(
                image,
                labels,
                affine=augmentation.affine,
                elastic=augmentation.elastic,
                generator=torch.Generator().manual_seed(seed),
                spacing=self.spacing,
            )
        targets = compute_loss_targets(
            labels,
            weights=weights,
            skeleton_iterations=loss.skeleton_iterations,
            tolerance=loss.tolerance,
            spacing=self.spacing,
            euler_window=loss.euler_window,
            head_shapes=self.architecture.head_shapes(self.experiment.data.patch_size),
        )
        with torch.autocast(self.device.type, torch.bfloat16, enabled=self.precision == "bf16"):
            heads = self.network(image)
        return compute_combined_loss(heads, targets, weights, pos_weight=loss.pos_weight)

    def _refuse_nonfinite(self, values: dict[str, float]) -> None:
        bad = [name for name, value in values.items() if not _is_finite(value)]
        if not bad:
            return
        culprit = next((name for name in LOSS_TERMS if name in bad), bad[0])
        raise NonFiniteLossError(
            f"The {culprit.replace('gradient_norm', 'norm of the gradient')} became "
            f"{values[culprit]} at step {self._counters.step + 1}; the weights are as before it. "
            "Lower training.max_learning_rate or the weight of that term, or use "
            "training.precision=float32, and resume."
        )

    def _tune_threads(self, step_seconds: float) -> None:
        if self._threads is None:
            return
        wanted = self._threads.record(step_seconds)
        if wanted != torch.get_num_threads():
            torch.set_num_threads(wanted)

    # -- scoring, saving, showing --------------------------------------------------------

    def _may_validate(self) -> bool:
        """Whether another validation keeps within its share of the time."""
        counters = self._counters
        if not counters.best:
            return True
        num_done = max(1.0, counters.validation_seconds / max(1e-9, self._last_validation_seconds))
        estimate = counters.validation_seconds * (num_done + 1) / num_done
        return estimate <= self.experiment.training.validation_share * self._elapsed()

    def _validate(self) -> None:
        counters = self._counters
        result = self._validator.run(self.average.network)
        self._last_validation_seconds = result.seconds
        counters.validation_seconds += result.seconds
        counters.threshold = result.threshold
        value = result.metrics[self.experiment.training.best_by]
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
            )
        )
        self._newest = result
        if is_best:
            self._save("best.pt", with_training=False)

    def _save_last(self) -> None:
        self._save_wanted = False
        self._save("last.pt", with_training=True)

    def _save(self, name: str, *, with_training: bool) -> None:
        counters = self._counters
        scored = counters.best if not with_training else {}
        self._checkpoints.mkdir(parents=True, exist_ok=True)
        save_checkpoint(
            self._checkpoints / name,
            Checkpoint(
                experiment=self.experiment,
                weights=self.average.network.state_dict(),
                intensity_values=self.intensity.as_dict(),
                patch_size=self.experiment.data.patch_size,
                spacing=self.spacing,
                threshold=counters.threshold,
                epoch=counters.epoch,
                step=counters.step,
                metrics=scored,
                training=self._training_state() if with_training else None,
            ),
        )
        self._tell(
            events.CheckpointSaved(path=f"{self._checkpoints.name}/{name}", epoch=counters.epoch)
        )

    def _training_state(self) -> dict[str, Any]:
        self._counters.elapsed = self._elapsed()
        self._clock = time.perf_counter()
        return {
            "weights": self.network.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "num_updates": self.average.num_updates,
            "counters": vars(self._counters),
            "loss_weights": self._loss_weights,
        }

    def _restore(self) -> None:
        path = self._checkpoints / "last.pt"
        checkpoint = load_checkpoint(path)
        state = checkpoint.training
        try:
            if state is None:
                raise KeyError("training")
            self.network.load_state_dict(state["weights"])
            self.average.network.load_state_dict(checkpoint.weights)
            self.average.num_updates = int(state["num_updates"])
            self.optimizer.load_state_dict(state["optimizer"])
            self._counters = _Counters(**state["counters"])
            self._loss_weights = {term: float(state["loss_weights"][term]) for term in LOSS_TERMS}
        except (KeyError, TypeError, ValueError, RuntimeError) as error:
            reason = str(error).split("\n", 1)[0].rstrip(".:")
            raise CheckpointError(
                f"Training cannot be resumed from {path}: it does not fit this configuration "
                f"({reason})."
            ) from None

    def _preview(self) -> None:
        event = self._previewer.write(
            self.average.network, threshold=self._counters.threshold, epoch=self._counters.epoch
        )
        self._counters.num_previews = event.index + 1
        self._tell(event)

    def _finish(self) -> None:
        counters = self._counters
        if not self._stopping and self._previewer.is_on:
            self._preview()
        if self._newest is not None:
            self._validator.write_samples(self._samples, self._newest)
        kind = events.RunStopped if self._stopping else events.RunCompleted
        if self._stopping or self._save_wanted:
            self._save_last()
        self._tell(
            kind(
                epoch=counters.epoch,
                elapsed_seconds=self._elapsed(),
                best=counters.best or None,
            )
        )

    # -- listening -----------------------------------------------------------------------

    def _listen(self) -> None:
        """Carry out what watchers asked for; while paused, wait here."""
        self._obey_all()
        if not self._paused:
            return
        self._counters.elapsed = self._elapsed()
        self._tell(events.RunPaused())
        while self._paused and not self._stopping:
            if self._save_wanted:
                self._clock = time.perf_counter()  # the pause does not count
                self._save_last()
            if self._previewer.is_due():
                self._preview()
            time.sleep(PAUSE_SECONDS)
            self._obey_all()
        self._clock = time.perf_counter()
        if not self._stopping:
            self._tell(events.RunResumed())

    def _obey_all(self) -> None:
        for command in self._poll_commands():
            refusal = self._obey(command)
            name = type(command).__name__
            if refusal is not None:
                self._tell(
                    events.CommandRefused(command_id=command.id, command=name, message=refusal)
                )
                continue
            details = {
                key: value
                for key, value in vars(command).items()
                if key not in ("id", "time") and value is not None
            }
            self._tell(events.CommandApplied(command_id=command.id, command=name, details=details))
        if self._save_wanted and not self._paused:
            self._save_last()

    def _obey(self, command: events.Command) -> str | None:
        """Carry out one command; return why not, if not."""
        match command:
            case events.Stop():
                self._stopping = True
            case events.Pause():
                self._paused = True
            case events.Resume():
                self._paused = False
            case events.SaveNow():
                self._save_wanted = True
            case events.SetLossWeights():
                return self._set_loss_weights(command.weights)
            case events.SetPreview():
                return self._previewer.look(command)
            case events.SetTraining():
                return self._set_training(command)
            case _:
                return f"This worker does not know the command {type(command).__name__}."
        return None

    def _set_loss_weights(self, weights: dict[str, float]) -> str | None:
        for name, value in weights.items():
            if name not in LOSS_TERMS:
                return f"There is no loss term {name!r}; there are {', '.join(LOSS_TERMS)}."
            if not (isinstance(value, int | float) and _is_finite(value) and value >= 0):
                return f"The weight of {name} is {value}, but it must be a number from 0 up."
        changed = {**self._loss_weights, **weights}
        if not any(changed.values()):
            return "All loss weights would be 0; at least one must be above 0."
        self._loss_weights = changed
        return None

    def _set_training(self, command: events.SetTraining) -> str | None:
        for name in ("max_epochs", "max_minutes", "learning_rate_scale"):
            value = getattr(command, name)
            if value is not None and not value > 0:
                return f"The setting {name} is {value}, but it must be above 0."
        share = command.foreground_share
        if share is not None and not 0 <= share <= 1:
            return f"The setting foreground_share is {share}, but it must be from 0 to 1."
        self._max_epochs = command.max_epochs or self._max_epochs
        self._max_minutes = command.max_minutes or self._max_minutes
        self._rate_scale = command.learning_rate_scale or self._rate_scale
        if share is not None:
            self._loader.set_foreground_share(share)
        return None

    # -- small things ---------------------------------------------------------------------

    _newest: ValidationResult | None = None
    _last_validation_seconds = 0.0

    @property
    def _peak_rate(self) -> float:
        wanted = self.experiment.training.max_learning_rate
        return self.architecture.max_learning_rate if wanted == "auto" else wanted

    @property
    def _start_rate(self) -> float:
        wanted = self.experiment.training.learning_rate
        return self._peak_rate / 10 if wanted == "auto" else wanted

    def _elapsed(self) -> float:
        """Sum up the running time over all resumptions, pauses left out."""
        if self._paused:
            return self._counters.elapsed
        return self._counters.elapsed + time.perf_counter() - self._clock

    def _progress(self) -> float:
        iterations = self.experiment.training.train_iterations_per_epoch
        return compute_progress(
            self._counters.step,
            self._elapsed(),
            max_steps=None if self._max_epochs is None else self._max_epochs * iterations,
            max_seconds=None if self._max_minutes is None else self._max_minutes * 60,
        )

    def _is_over(self) -> bool:
        if self._stopping or self._progress() >= 1:
            return True
        patience = self.experiment.training.early_stopping
        return patience is not None and self._counters.stale_validations >= patience

    def _seconds_left(self) -> float | None:
        progress, elapsed = self._progress(), self._elapsed()
        return elapsed * (1 - progress) / progress if progress > 0 else None

    def _tell(self, event: events.Event) -> None:
        self._emit(type(event)(**{**vars(event), "step": self._counters.step}))

    def _tell_step(self, values: dict[str, float], rate: float, steps_per_second: float) -> None:
        self._tell(
            events.StepFinished(
                epoch=self._counters.epoch + 1,
                losses={term: values[term] for term in LOSS_TERMS if term in values},
                head_total=values["head_total"],
                total=values["total"],
                learning_rate=rate,
                gradient_norm=values["gradient_norm"],
                steps_per_second=steps_per_second,
                elapsed_seconds=self._elapsed(),
                progress=self._progress(),
            )
        )

    def _tell_epoch(
        self,
        means: _EpochMeans,
        rate: float,
        elapsed_before: float,
        step_seconds: float,
    ) -> None:
        elapsed = self._elapsed()
        self._tell(
            events.EpochFinished(
                epoch=self._counters.epoch,
                losses=means.means(LOSS_TERMS),
                head_total=means.mean("head_total"),
                total=means.mean("total"),
                learning_rate=rate,
                epoch_seconds=elapsed - elapsed_before,
                steps_per_second=means.num_steps / step_seconds,
                elapsed_seconds=elapsed,
                patches=self._loader.epoch_stats(),
                cache=self._cache.stats().as_dict(),
                seconds_left=self._seconds_left(),
            )
        )


def _resolve(experiment: Experiment, device: torch.device) -> Experiment:
    """Settle what the configuration leaves open, so that a checkpoint repeats it anywhere."""
    model, training = experiment.model, experiment.training
    if model.preset == "auto":
        preset = "tiny" if device.type == "cpu" else "small"
        model = model.model_copy(update={"preset": preset})
    if training.max_epochs is None and training.max_minutes is None:
        training = training.model_copy(update={"max_epochs": DEFAULT_EPOCHS})
    return experiment.model_copy(update={"model": model, "training": training})


def _is_finite(value: float) -> bool:
    return value == value and abs(value) != float("inf")
