"""The two checkpoints of a run, best and newest, and what to think of them before using one."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from napari_surfseg.events import DataChecked, LabelsUpdated, ValidationFinished, parse_events
from napari_surfseg.model.checkpoint_summary import CheckpointSummary, read_summary
from napari_surfseg.runs.folder import RunFolder

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["RunWeights", "read_run_weights"]

#: With less surface than this a score of the validation data is mostly chance.
FEW_SURFACE_VOXELS = 1000

#: A best epoch in the first fifth of a run of some length is early.
EARLY_SHARE = 0.2
SHORT_EPOCHS = 5

#: Beginnings of the lines that are looked at; most of a run's events are steps.
KINDS = tuple(
    f'{{"kind":"{kind.__name__}"'.encode()
    for kind in (DataChecked, LabelsUpdated, ValidationFinished)
)


@dataclass(frozen=True)
class RunWeights:
    """What can be predicted with.

    Attributes
    ----------
    best, newest : CheckpointSummary, optional
        Of ``best.pt`` and ``last.pt``; None where there is no such file.
    remark : str
        A sentence about what makes the choice doubtful; empty if nothing does.
    """

    best: CheckpointSummary | None
    newest: CheckpointSummary | None
    remark: str = ""


def read_run_weights(run_dir: Path) -> RunWeights:
    """Look at a run folder; waits for the disk."""
    folder = RunFolder(run_dir)
    best, newest = (
        read_summary(path) if path.is_file() else None
        for path in (folder.best_checkpoint, folder.last_checkpoint)
    )
    rows: dict[tuple[str, str, str], dict[str, Any]] = {}
    scores: dict[int, dict[str, float]] = {}
    for event in parse_events(_read_lines(folder.events_path)):
        if isinstance(event, ValidationFinished):
            scores[event.epoch] = event.metrics
        elif isinstance(event, DataChecked | LabelsUpdated):
            if isinstance(event, DataChecked):
                rows.clear()
            for row in event.volumes:
                rows[str(row.get("role")), str(row.get("image")), str(row.get("roi"))] = row
    if newest is not None and newest.epoch in scores and not newest.metrics:
        newest = replace(newest, metrics=scores[newest.epoch])
    validation = [row for (role, *_), row in rows.items() if role == "validation"]
    surface = sum(int(row.get("num_surface") or 0) for row in validation)
    is_known = bool(rows)
    return RunWeights(best, newest, _remark(best, newest, surface if is_known else None))


def _read_lines(path: Path) -> list[bytes]:
    try:
        with path.open("rb") as file:
            return [line for line in file if line.startswith(KINDS)]
    except OSError:
        return []


def _remark(
    best: CheckpointSummary | None, newest: CheckpointSummary | None, surface: int | None
) -> str:
    if best is not None and not best.metrics:
        return "Nothing was scored in this run: best.pt holds its newest weights."
    doubts = []
    if best is not None and newest is not None:
        at, of = best.epoch or 0, newest.epoch or 0
        if of >= SHORT_EPOCHS and at <= EARLY_SHARE * of:
            doubts.append(f"the best weights are of epoch {at} of {of}")
    if best is not None and surface is not None and surface < FEW_SURFACE_VOXELS:
        doubts.append(f"validation had only {surface:,} voxels of surface")
    if not doubts:
        return ""
    text = " and ".join(doubts)
    return f"{text[0].upper()}{text[1:]}: compare best and newest before you rely on one of them."
