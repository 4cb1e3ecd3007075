"""``train.log``: the run as lines a person reads, every one made from an event.

Because the lines come from the events, the log, the terminal, the window and
the report can never tell different stories. What other libraries print goes
into the log as well (:class:`LineStream` stands in for ``sys.stdout``).
"""

from __future__ import annotations

import contextlib
import io
import sys
import threading
import time
from typing import TYPE_CHECKING, Any

from napari_surfseg import events
from napari_surfseg.config import LOSS_TERMS
from napari_surfseg.wording import (
    describe_basis,
    format_bytes,
    format_duration,
    format_number,
    format_percent,
    format_size,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

__all__ = ["LineStream", "TrainLog", "describe_event", "describe_tuning"]

#: In an epoch of hours a line now and then shows that the run is well.
STEP_LINE_SECONDS = 60.0

#: Scores that a validation line names, in this order; the others stay in events.jsonl.
SHOWN_METRICS = (
    "score",
    "surface_dice",
    "topo_score",
    "voi_score",
    "dice",
    "precision",
    "recall",
    "b0_pred",
    "b1_pred",
    "b2_pred",
)


class LineStream(io.TextIOBase):
    """A text stream that hands over whole lines; a stand-in for ``sys.stdout``."""

    def __init__(self, show: Callable[[str], None]) -> None:
        super().__init__()
        self._show = show
        self._pending = ""
        self._lock = threading.Lock()

    def writable(self) -> bool:
        """Say yes."""
        return True

    def write(self, text: str) -> int:
        """Take text; lines are passed on as they are finished."""
        with self._lock:
            *lines, self._pending = (self._pending + text).split("\n")
        for line in lines:
            # A progress bar of some library rewrites its line; its last state is enough.
            self._show(line.rsplit("\r", 1)[-1])
        return len(text)

    def finish(self) -> None:
        """Pass on what is left of an unfinished line."""
        with self._lock:
            rest, self._pending = self._pending, ""
        if rest:
            self._show(rest)


class TrainLog:
    """Append dated lines to ``train.log`` and show them where asked.

    Parameters
    ----------
    path : Path
        The log file.
    show : callable, optional
        Also given every line, without the date: a terminal.
    """

    def __init__(self, path: Path, show: Callable[[str], None] | None = None) -> None:
        self.path = path
        self._show = show
        self._last_step_line = time.monotonic()
        self._last_stage: int | None = None

    def write(self, text: str, *, show: bool = True) -> None:
        """Append one or more lines. A full disk must not stop a run for want of a log line."""
        stamp = time.strftime("%Y-%m-%d %H:%M:%S")
        lines = text.splitlines() or [""]
        with contextlib.suppress(OSError), self.path.open("a", encoding="utf-8") as file:
            file.write("".join(f"{stamp}  {line}\n" for line in lines))
        if show and self._show is not None:
            for line in lines:
                self._show(line)

    def write_event(self, event: events.Event) -> None:
        """Append the lines of an event, if it is worth one."""
        if isinstance(event, events.StepFinished):
            now = time.monotonic()
            if now - self._last_step_line < STEP_LINE_SECONDS:
                return
            self._last_step_line = now
        if isinstance(event, events.TuningProgressed):
            if event.stage == self._last_stage:
                return
            self._last_stage = event.stage
        lines = describe_event(event)
        if isinstance(event, events.EpochFinished):
            self._last_step_line = time.monotonic()
        if lines:
            # Why it failed is shown by whoever started the run, as its last word.
            self.write("\n".join(lines), show=not isinstance(event, events.RunFailed))

    @contextlib.contextmanager
    def captured_output(self) -> Iterator[None]:
        """Send what Python code prints meanwhile into the log."""
        stream = LineStream(self.write)
        with contextlib.redirect_stdout(stream), contextlib.redirect_stderr(stream):
            try:
                yield
            finally:
                stream.finish()
                sys.stdout.flush()


def describe_tuning(event: events.TuningProgressed) -> str:
    """Say how far the choice of post-processing is."""
    place = f", step {event.stage} of {event.num_stages}" if event.num_stages else ""
    tried = f" ({event.done} of {event.total} settings)" if event.done else ""
    return f"choosing post-processing{place}: {event.name}{tried}"


def describe_event(event: events.Event) -> list[str]:
    """Return the lines that tell an event; none for those that only machines care about."""
    match event:
        case events.RunStarted():
            return _describe_start(event)
        case events.DataChecked():
            rows = [_describe_volume(row) for row in event.volumes]
            return [*rows, *(f"    {note}" for note in event.notes)]
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
            best = "  ** best so far **" if event.is_best else ""
            kind = "strokes, voxel by voxel" if event.is_sparse else ""
            basis = describe_basis(event.num_annotated, event.num_surface)
            parts = [part for part in (basis, kind, format_duration(event.seconds)) if part]
            return [
                f"    validation  {scores}  at threshold {event.threshold:.2f}, "
                f"{', '.join(parts)}{best}"
            ]
        case events.TuningProgressed():
            return [f"    {describe_tuning(event)}"]
        case events.PostprocessTuned():
            kept = ", ".join(step["name"] for step in event.steps[1:] if step["kept"])
            return [
                f"    post-processing: score {format_number(event.score_before, 4)} to "
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
                return []  # every turn of the viewer sends one; the other has its own event
            details = ", ".join(f"{key} {value}" for key, value in event.details.items())
            return [f"command {event.command} applied{': ' + details if details else ''}"]
        case events.CommandRefused():
            return [f"command {event.command} refused: {event.message}"]
        case events.WarningIssued():
            return [f"warning: {event.message}"]
        case events.RunCompleted() | events.RunStopped():
            done = "completed" if isinstance(event, events.RunCompleted) else "stopped as asked"
            best = "".join(
                f", best {name} {format_number(value, 4)}"
                for name, value in (event.best or {}).items()
                if name in {"surface_dice", "score"}
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
    """Say what an epoch's patches held."""
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
    """Say how the volume cache did."""
    if not cache:
        return ""
    text = ", ".join(
        f"{cache[key]} {key}" for key in ("hits", "misses", "evictions") if key in cache
    )
    if cache.get("num_bytes") is not None and cache.get("max_bytes"):
        text += f", {format_bytes(cache['num_bytes'])} of {format_bytes(cache['max_bytes'])}"
    return text
