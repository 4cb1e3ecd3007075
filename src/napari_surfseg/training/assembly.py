"""Puts a run together: volumes, network, loader, validation, previews, and what steers them."""

from __future__ import annotations

from dataclasses import dataclass, replace
from math import prod
from typing import TYPE_CHECKING

import torch

from napari_surfseg import events
from napari_surfseg.data.patches.loader import PatchLoader
from napari_surfseg.geometry import box_shape, in_finest_voxels, to_index
from napari_surfseg.inference.settings import PredictionSettings, WindowLimit
from napari_surfseg.model.networks import count_network_parameters, estimate_network_bytes
from napari_surfseg.model.presets import check_patch_size
from napari_surfseg.training.checkpoint_writer import CheckpointWriter
from napari_surfseg.training.gradients import GradientComputer
from napari_surfseg.training.kept_settings import KeptSettings
from napari_surfseg.training.lead import Lead
from napari_surfseg.training.learner import Learner
from napari_surfseg.training.memory_check import MemoryCheck
from napari_surfseg.training.memory_estimate import RunMemory
from napari_surfseg.training.preview import Previewer
from napari_surfseg.training.rank_place import share_batch
from napari_surfseg.training.reporting import EpochMeans
from napari_surfseg.training.run_data import open_run_data
from napari_surfseg.training.rung import Rung
from napari_surfseg.training.schedule import Cycle, RateSchedule, Turn
from napari_surfseg.training.scoring import Scoring
from napari_surfseg.training.steering import Steering
from napari_surfseg.training.stroke_start import open_stroke_start
from napari_surfseg.training.stroke_updates import StrokeUpdates
from napari_surfseg.training.threads import ThreadTuner, choose_workers
from napari_surfseg.training.validation import Validator

if TYPE_CHECKING:
    from napari_surfseg.config import Experiment
    from napari_surfseg.model.networks import AnyArchitecture
    from napari_surfseg.training.checkpoint_writer import Restored
    from napari_surfseg.training.plan import RunPlan
    from napari_surfseg.training.ranks import Ranks
    from napari_surfseg.training.reporting import Reporter
    from napari_surfseg.training.run_data import RunData
    from napari_surfseg.training.state import TrainingState
    from napari_surfseg.training.stroke_start import StrokeStart

__all__ = ["RunParts", "assemble_run"]

#: Steps in which the learning rate reaches its peak where somebody paints and waits, however
#: long the training may last.
QUICK_STEPS = 30
#: Of a voxel in the cache of decoded chunks: image and labels.
CACHED_BYTES = 2


@dataclass(frozen=True)
class RunParts:
    """What the training loop works with.

    Attributes
    ----------
    experiment : Experiment
        Everything in it settled.
    data : RunData
        The volumes.
    learner : Learner
        Takes the steps.
    schedule : RateSchedule
        Gives the learning rates.
    loader : PatchLoader
        Gives the batches; to be closed at the end.
    scoring : Scoring or None
        Validates the averaged weights, if some data are kept for that.
    previewer : Previewer
        Writes the live predictions.
    stroke_start : StrokeStart or None
        Leads where the labels are strokes.
    checkpoints : CheckpointWriter
        Writes ``best.pt`` and ``last.pt``.
    steering : Steering
        What watchers asked for.
    means : EpochMeans
        Of the epoch that a resumed run goes on with.
    rung : Rung
        What a step takes at once.
    limit : WindowLimit
        What fitted into memory when the network was applied.
    threads : ThreadTuner or None
        Finds the best number of CPU threads; None on a GPU.
    memory : MemoryCheck
        Measures what the first steps take of the memory that was estimated.
    lead : Lead or None
        Leads the other processes that compute parts of each batch, if there are any.
    """

    experiment: Experiment
    data: RunData
    learner: Learner
    schedule: RateSchedule
    loader: PatchLoader
    scoring: Scoring | None
    previewer: Previewer
    stroke_start: StrokeStart | None
    checkpoints: CheckpointWriter
    steering: Steering
    means: EpochMeans
    rung: Rung
    limit: WindowLimit
    threads: ThreadTuner | None
    memory: MemoryCheck
    lead: Lead | None = None


def assemble_run(
    plan: RunPlan, state: TrainingState, reporter: Reporter, ranks: Ranks | None = None
) -> RunParts:
    """Open the data and build what a run needs; where it is resumed, go on from ``last.pt``.

    Raises
    ------
    SurfsegError
        For the first thing that cannot be used.
    """
    torch.manual_seed(plan.experiment.experiment.seed)
    data = open_run_data(plan, reporter)
    num_patches = share_batch(
        data.experiment.training.train_batch_size, 1 if ranks is None else ranks.place.count
    )
    memory = MemoryCheck(_describe_memory(plan, data, num_patches), plan.device, reporter)
    gradients = GradientComputer(
        data.experiment,
        plan.architecture,
        data.intensity,
        in_finest_voxels(data.spacing),
        device=plan.device,
        precision=plan.precision,
    )
    learner = Learner(gradients, data.experiment.training, ema_decay=plan.architecture.ema_decay)
    checkpoints = CheckpointWriter(plan.folders, data, learner, state, reporter)
    restored = checkpoints.restore() if plan.resume else None
    settings = _choose_settings(data.experiment, restored, state)
    if plan.start is not None:
        learner.start_with(plan.start.weights)
        reporter.report_weights_loaded(plan.start, learner.num_parameters)
    stroke_start = _begin_with_strokes(plan, data, learner, state)
    if stroke_start is not None and restored is not None and restored.stroke_start is not None:
        stroke_start.restore(restored.stroke_start)
    rung = _find_rung(data.experiment, settings, plan.architecture, num_patches)
    limit = WindowLimit()
    if settings.largest_window is not None:
        limit.window = to_index(settings.largest_window)
    memory.warn_if_short(rung)
    prediction = _choose_prediction_settings(plan, data, limit)
    scoring = None
    if data.validation:
        validator = _build_validator(data, prediction)
        scoring = Scoring(validator, data.experiment.training, state, checkpoints, reporter)
    previewer = Previewer(
        data.pairs,
        data.cache,
        plan.folders.previews,
        prediction,
        data.experiment.preview,
        first_index=state.num_previews,
    )
    if restored is not None:
        _show_kept_place(previewer, settings)
    # Last of what can fail: its threads are to be stopped.
    loader = _build_loader(plan, data, state, stroke_start, settings, rung, num_patches)
    lead = None
    if ranks is not None:
        lead = learner.lead = Lead(ranks, learner.network, loader)
        lead.prepare_others(plan, data)
    if restored is not None:
        loader.restore_tally(restored.patches)
    updates = StrokeUpdates(
        data,
        loader,
        state,
        reporter,
        stroke_start=stroke_start,
        previewer=previewer,
        lead=lead,
    )
    steering = Steering(
        loss_weights=settings.loss_weights,
        max_epochs=settings.max_epochs,
        max_minutes=settings.max_minutes,
        rate_scale=settings.rate_scale,
        is_paused=settings.is_paused,
        set_preview=previewer.apply,
        set_foreground_share=loader.set_foreground_share,
        update_labels=updates.apply,
    )
    return RunParts(
        experiment=data.experiment,
        data=data,
        learner=learner,
        schedule=_build_schedule(
            data.experiment, plan.architecture, restored, is_quick=stroke_start is not None
        ),
        loader=loader,
        scoring=scoring,
        previewer=previewer,
        stroke_start=stroke_start,
        checkpoints=checkpoints,
        steering=steering,
        means=EpochMeans() if restored is None else restored.means,
        rung=rung,
        limit=limit,
        # Processes that wait for each other are not made quicker one by one.
        threads=ThreadTuner.for_this_machine()
        if plan.device.type == "cpu" and lead is None
        else None,
        memory=memory,
        lead=lead,
    )


def _describe_memory(plan: RunPlan, data: RunData, num_patches: int) -> RunMemory:
    """Collect what the memory of the run depends on, besides what a step takes at once."""
    training = data.experiment.training
    voxels = sum(prod(box_shape(pair.roi)) for pair in data.pairs)
    architecture, patch_size = plan.architecture, data.experiment.data.patch_size

    def estimate(num_patches: int) -> int:
        return estimate_network_bytes(
            architecture,
            patch_size,
            batch_size=num_patches,
            bytes_per_value=2 if plan.precision == "bf16" else 4,
        )

    return RunMemory.fit(
        estimate,
        patch_size,
        num_parameters=count_network_parameters(architecture),
        divisor=None if architecture.has_fixed_size else architecture.divisor,
        device=plan.device.type,
        batch_size=num_patches,
        num_ready=2 + choose_workers(training.workers, plan.device),
        chunk_bytes=min(data.cache.max_bytes, CACHED_BYTES * voxels),
    )


def _find_rung(
    experiment: Experiment, settings: KeptSettings, architecture: AnyArchitecture, num_patches: int
) -> Rung:
    """Find what a step takes at once: less than configured, once memory ran out.

    ``num_patches`` of a batch are computed in this process.
    """
    patch_size = to_index(settings.patch_size or experiment.data.patch_size)
    check_patch_size(patch_size, architecture)
    return Rung(patch_size, min(settings.patches_at_once or num_patches, num_patches))


def _choose_settings(
    experiment: Experiment, restored: Restored | None, state: TrainingState
) -> KeptSettings:
    """Choose between what the configuration says and what was changed while the run went on."""
    configured = KeptSettings.of(experiment)
    if restored is None:
        return configured
    settings = restored.settings.updated(restored.experiment, experiment)
    iterations = experiment.training.train_iterations_per_epoch

    def is_met(kept: KeptSettings) -> bool:
        return state.progress(kept.bounds(iterations)) >= 1

    if is_met(settings) and not is_met(configured):
        # Made shorter while it went on, and ended: who resumes it wants the rest.
        settings = replace(
            settings, max_epochs=configured.max_epochs, max_minutes=configured.max_minutes
        )
    return settings


def _build_schedule(
    experiment: Experiment,
    architecture: AnyArchitecture,
    restored: Restored | None,
    *,
    is_quick: bool,
) -> RateSchedule:
    """Build what gives the learning rates; it goes on from where it was."""
    training = experiment.training
    peak, start = training.max_learning_rate, training.learning_rate
    if peak == "auto":
        peak = architecture.max_learning_rate
    if start == "auto":
        start = peak / 10
    if restored is None:
        bounds = KeptSettings.of(experiment).bounds(training.train_iterations_per_epoch)
    turn = Turn(bounds) if restored is None else restored.turn
    return RateSchedule(Cycle(peak, start), turn, quick_steps=QUICK_STEPS if is_quick else None)


def _show_kept_place(previewer: Previewer, settings: KeptSettings) -> None:
    size, center = to_index(settings.preview_size), settings.preview_center
    place = events.SetPreview(size=size, seconds=settings.preview_seconds)
    if center is not None:
        place = replace(place, image=settings.preview_image, center=to_index(center))
    previewer.apply(place)  # refused where the volume is no longer part of the run


def _begin_with_strokes(
    plan: RunPlan, data: RunData, learner: Learner, state: TrainingState
) -> StrokeStart | None:
    """Prepare the pixel classifier that leads where labels are strokes."""
    stroke_start = open_stroke_start(
        data.train,
        data.cache,
        data.intensity,
        wanted=data.experiment.data.pseudo_labels,
        seed=data.experiment.experiment.seed,
    )
    if stroke_start is not None:
        stroke_start.begin_at(state.step, has_learned=plan.start is not None)
        learner.learn_from_strokes()
    return stroke_start


def _choose_prediction_settings(
    plan: RunPlan, data: RunData, limit: WindowLimit
) -> PredictionSettings:
    """Choose how validation and previews predict."""
    return PredictionSettings(
        intensity=data.intensity,
        window=data.experiment.data.patch_size,
        overlap=data.experiment.inference.overlap,
        multiple=plan.architecture.window_multiple,
        device=plan.device,
        precision=plan.precision,
        limit=limit,
    )


def _build_validator(data: RunData, settings: PredictionSettings) -> Validator:
    return Validator(
        data.validation,
        data.cache,
        settings,
        tolerance=data.experiment.loss.tolerance,
        fixed_threshold=data.experiment.inference.threshold,
        seed=data.experiment.experiment.seed,
        flips=data.experiment.inference.flips,
    )


def _build_loader(
    plan: RunPlan,
    data: RunData,
    state: TrainingState,
    stroke_start: StrokeStart | None,
    settings: KeptSettings,
    rung: Rung,
    num_patches: int,
) -> PatchLoader:
    training = data.experiment.training
    return PatchLoader(
        data.train,
        data.experiment.data.model_copy(update={"patch_size": rung.patch_size}),
        data.intensity,
        batch_size=training.train_batch_size,
        part=(0, num_patches),
        seed=data.experiment.experiment.seed,
        workers=choose_workers(training.workers, plan.device),
        cache=data.cache,
        start_step=state.step * training.accumulate,
        filled=None if stroke_start is None else stroke_start.filled,
        foreground_shares=[(int(begin), share) for begin, share in settings.foreground_shares],
    )
