"""Events as text: the lines of ``train.log`` and of a terminal, and phrases the window shows."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from napari_surfseg import events
from napari_surfseg.vocabulary import LOSS_TERMS, SCORES, title_of
from napari_surfseg.wording import (
    describe_basis,
    format_bytes,
    format_duration,
    format_number,
    format_percent,
    format_size,
    shorten_sources,
)

__all__ = [
    "describe_cache",
    "describe_choice",
    "describe_criterion",
    "describe_event",
    "describe_memory",
    "describe_patches",
    "describe_start_from",
    "describe_tuning",
    "name_network",
]

#: Volumes whose scores the log names; all of them are in events.jsonl and in the report.
MOST_VOLUMES = 6
#: Scores that a validation line names, in this order; the others stay in events.jsonl.
SHOWN_METRICS = (*SCORES, "b0_pred", "b1_pred", "b2_pred")


def describe_tuning(event: events.TuningProgressed) -> str:
    """Describe how far the choice of post-processing is."""
    place = f", step {event.stage} of {event.num_stages}" if event.num_stages else ""
    tried = f" ({event.done} of {event.total} settings)" if event.done else ""
    return f"choosing post-processing{place}: {event.name}{tried}"


def name_network(source: str) -> str:
    """Name a trained network in few words: a checkpoint by its run, as each is called best.pt."""
    path = Path(source)
    if path.parent.name == "checkpoints":
        return f"{path.name} of {path.parent.parent.name}"
    return path.name


def describe_start_from(event: events.WeightsLoaded) -> str:
    """Say in a sentence what a run began with, and what of it did not fit."""
    return " ".join(filter(None, [f"Started from {name_network(event.source)}.", event.note]))


def describe_criterion(scored: events.ValidationFinished) -> str:
    """Name what decides which weights are the best, in the midst of a sentence."""
    by = title_of(scored.scored_by)
    return f"{by} on strokes, the newest of those near the greatest" if scored.is_sparse else by


def describe_choice(scored: events.ValidationFinished) -> str:
    """Say in a sentence by what these weights are the best; empty where they are not."""
    if not scored.is_best:
        return ""
    by = describe_criterion(scored)
    if scored.is_warming_up:
        return (
            f"Kept as best.pt for now, by {by}: the learning rate still rose, so the first epoch "
            "that is scored after that replaces it."
        )
    return f"Kept as best.pt by {by}."


def describe_memory(event: events.MemoryMeasured) -> str:
    """Describe what the first steps took of the memory that was estimated."""
    where = "GPU memory" if event.device == "cuda" else "memory"
    return (
        f"the first steps took {format_bytes(event.measured_bytes)} of {where}, "
        f"{format_bytes(event.estimated_bytes)} were estimated"
    )


def describe_speeds(event: events.SpeedTried) -> str:
    """Describe which way of computing was the quickest."""
    times = ", ".join(f"{name} {1000 * value:.1f} ms" for name, value in event.seconds.items())
    return f"computing is quickest as: {event.chosen} (a step took {times})"


def describe_event(event: events.Event) -> list[str]:
    """Return the lines for an event; none for those that only programs need."""
    match event:
        case events.RunStarted():
            return _describe_start(event)
        case events.DataChecked():
            rows = [_describe_volume(row) for row in event.volumes]
            return [*rows, *(f"    {note}" for note in event.notes)]
        case events.WeightsLoaded():
            note = f"    {event.note}"
            return [f"    starts from {event.source}", *([note] if event.note else [])]
        case events.LabelsUpdated():
            rows = [_describe_volume(row) for row in event.volumes]
            return [f"labels painted: {event.num_changed:,} voxels changed", *rows]
        case events.StepFinished():
            losses = _describe_losses(event.losses)
            return [
                f"epoch {event.epoch} step {event.step}  total {format_number(event.total)}  "
                f"{losses}  {event.steps_per_second:.3g} steps/s"
            ]
        case events.EpochFinished():
            return _describe_epoch(event)
        case events.ValidationFinished():
            scores = "  ".join(
                f"{name} {format_number(event.metrics[name], 4 if '_pred' not in name else 0)}"
                for name in SHOWN_METRICS
                if event.metrics.get(name) is not None
            )
            phase = ", the learning rate still rises" if event.is_warming_up else ""
            best = f"  ** best so far by {event.scored_by}{phase} **" if event.is_best else ""
            kind = "strokes, voxel by voxel" if event.is_sparse else ""
            basis = describe_basis(event.num_annotated, event.num_surface)
            parts = [part for part in (basis, kind, format_duration(event.seconds)) if part]
            return [
                f"    validation  {scores}  at threshold {event.threshold:.2f}, "
                f"{', '.join(parts)}{best}",
                *_describe_volume_scores(event),
            ]
        case events.TuningProgressed():
            return [f"    {describe_tuning(event)}"]
        case events.PostprocessTuned():
            kept = ", ".join(step["name"] for step in event.steps[1:] if step["kept"])
            return [
                f"    post-processing: {event.goal} {format_number(event.score_before, 4)} to "
                f"{format_number(event.score_after, 4)} on the validation data "
                f"({kept or 'nothing beats a plain threshold'}), {format_duration(event.seconds)}"
            ]
        case events.CheckpointSaved():
            return [f"    saved {event.path}"]
        case events.RunPaused():
            return ["paused"]
        case events.RunResumed():
            return ["resumed after the pause"]
        case events.CommandApplied():
            if event.command in {"SetPreview", "UpdateLabels"}:
                return []  # sent at every move of the viewer; the other has its own event
            details = ", ".join(f"{key} {value}" for key, value in event.details.items())
            return [f"command {event.command} applied{': ' + details if details else ''}"]
        case events.CommandRefused():
            return [f"command {event.command} refused: {event.message}"]
        case events.SpeedTried():
            return [f"    {describe_speeds(event)}"]
        case events.MemoryMeasured():
            return [f"    {describe_memory(event)}"]
        case events.WarningIssued():
            return [f"warning: {event.message}"]
        case events.RunCompleted() | events.RunStopped():
            done = "completed" if isinstance(event, events.RunCompleted) else "stopped as asked"
            best = "".join(
                f", best {name} {format_number(value, 4)}"
                for name, value in (event.best or {}).items()
                if (name in SCORES and SCORES[name].decides)
                or (name == "dice" and "surface_dice" not in (event.best or {}))
            )
            return [
                f"{done} after {event.epoch} epochs, {event.step} steps and "
                f"{format_duration(event.elapsed_seconds)} of training{best}"
            ]
        case events.RunFailed():
            return [f"failed: {event.message}"]
        case _:
            return []


def _describe_start(event: events.RunStarted) -> list[str]:
    length = " or ".join(
        part
        for part in (
            f"{event.max_epochs} epochs" if event.max_epochs else "",
            f"{event.max_minutes:g} minutes" if event.max_minutes else "",
        )
        if part
    )
    weights = ", ".join(f"{name} {value:g}" for name, value in event.loss_weights.items() if value)
    return [
        f"run {event.name!r} resumed after epoch {event.epoch}"
        if event.resumed
        else f"run {event.name!r} started",
        f"    model {event.model} with {event.num_parameters / 1e6:.2f} M parameters on "
        f"{event.device}, {event.precision}",
        f"    patches of {format_size(event.patch_size)}, {event.iterations_per_epoch} steps an "
        f"epoch, for {length or 'as long as it takes'}",
        f"    loss {weights}",
    ]


def _describe_volume(row: dict[str, Any]) -> str:
    shape = row.get("shape")
    size = f" {format_size(shape)}" if shape else ""
    return (
        f"    {row.get('role', 'data')}: {row.get('image')}{size}, "
        f"surface {format_percent(row.get('foreground_fraction'))}, "
        f"ignored {format_percent(row.get('ignored_fraction'))}"
    )


def _describe_volume_scores(event: events.ValidationFinished) -> list[str]:
    """Name the scores of single volumes; of many those that are worst."""
    rows = event.volumes
    names = shorten_sources([str(row.get("image")) for row in rows])
    scored = [
        (float(row["metrics"][event.scored_by]), name)
        for row, name in zip(rows, names, strict=True)
        if (row.get("metrics") or {}).get(event.scored_by) is not None
    ]
    worst = sorted(scored)[:MOST_VOLUMES]
    if not worst:
        return []
    said = ", ".join(f"{name} {format_number(score, 4)}" for score, name in worst)
    of = f"the worst of {len(scored)} volumes" if len(scored) > len(worst) else "by volume"
    return [f"        {event.scored_by}, {of}: {said}"]


def _describe_losses(losses: dict[str, float]) -> str:
    order = {name: place for place, name in enumerate(LOSS_TERMS)}
    names = sorted(losses, key=lambda name: order.get(name, len(order)))
    return "  ".join(f"{name} {format_number(losses[name])}" for name in names)


def _describe_epoch(event: events.EpochFinished) -> list[str]:
    left = f", about {format_duration(event.seconds_left)} left" if event.seconds_left else ""
    lines = [
        f"epoch {event.epoch}  total {format_number(event.total)}  "
        f"head_total {format_number(event.head_total)}  {_describe_losses(event.losses)}",
        f"    {format_duration(event.epoch_seconds)} for the epoch, "
        f"{event.steps_per_second:.3g} steps/s, learning rate {event.learning_rate:.2e}, "
        f"{format_duration(event.elapsed_seconds)} so far{left}",
    ]
    patches = describe_patches(event.patches)
    if patches:
        lines.append(f"    patches: {patches}")
    cache = describe_cache(event.cache)
    if cache:
        lines.append(f"    cache: {cache}")
    return lines


def describe_patches(patches: dict[str, Any]) -> str:
    """Describe what an epoch's patches held."""
    parts = [
        f"{label} {format_percent(patches[key])}"
        for key, label in (
            ("foreground_centred_share", "centred on the surface"),
            ("foreground_fraction", "surface voxels"),
            ("ignored_fraction", "ignored voxels"),
        )
        if patches.get(key) is not None
    ]
    sources = patches.get("sources")
    if isinstance(sources, dict) and sources:
        parts.append("from " + ", ".join(f"{name} {count}" for name, count in sources.items()))
    return ", ".join(parts)


def describe_cache(cache: dict[str, Any]) -> str:
    """Describe how often the volume cache had what was asked for, and how full it is."""
    if not cache:
        return ""
    text = ", ".join(
        f"{cache[key]} {key}" for key in ("hits", "misses", "evictions") if key in cache
    )
    if cache.get("num_bytes") is not None and cache.get("max_bytes"):
        text += f", {format_bytes(cache['num_bytes'])} of {format_bytes(cache['max_bytes'])}"
    return text
