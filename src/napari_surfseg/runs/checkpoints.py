"""A run's checkpoint: which file a path means, best or newest, and what is doubtful about it."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from napari_surfseg.errors import CheckpointError
from napari_surfseg.events import DataChecked, LabelsUpdated, ValidationFinished, parse_events
from napari_surfseg.model.network_kinds import (
    find_shared_network,
    is_nnunet_folder,
    split_class,
)
from napari_surfseg.networks.registry import is_network_name, list_networks
from napari_surfseg.runs.checkpoint_summary import CheckpointSummary, read_summary
from napari_surfseg.runs.folder import BEST_CHECKPOINT, LAST_CHECKPOINT, RunFolder
from napari_surfseg.wording import list_words

__all__ = ["RunCheckpoints", "find_checkpoint", "find_trained", "read_checkpoints"]

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
class RunCheckpoints:
    """The checkpoints of a run that there are, and whether its best one can be relied on.

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


def find_checkpoint(path: str | Path, *, newest: bool = False) -> Path:
    """Return the checkpoint file that a path means: the one rule for all who use a network.

    Parameters
    ----------
    path : path-like
        A file, which means itself; a run folder or its folder of checkpoints means ``best.pt``,
        or ``last.pt`` where there is no other; an exported bundle means its weights, and an
        nnU-Net result itself.
    newest : bool
        Prefer ``last.pt``; also for a ``best.pt`` that has one beside it.

    Raises
    ------
    CheckpointError
        If there is none.
    """
    if path == "":
        raise CheckpointError("Choose a checkpoint or a run folder.")
    path = Path(path).expanduser()
    if path.is_file():
        beside = path.with_name(LAST_CHECKPOINT)
        return beside if newest and path.name == BEST_CHECKPOINT and beside.is_file() else path
    folder_of_class, surface = split_class(path)
    if surface is not None and is_nnunet_folder(folder_of_class):
        return path
    if not path.exists():
        raise CheckpointError(f"There is no checkpoint {path}.")
    names = (LAST_CHECKPOINT, BEST_CHECKPOINT) if newest else (BEST_CHECKPOINT, LAST_CHECKPOINT)
    for folder in (RunFolder(path).checkpoints, path):
        for name in names:
            if (folder / name).is_file():
                return folder / name
    shared = find_shared_network(path)
    if shared is not None:
        return shared
    raise CheckpointError(
        f"There is no checkpoint in the folder {path}; name a best.pt or last.pt, a run folder "
        "that was trained, or an exported bundle."
    )


def find_trained(source: str | Path, *, newest: bool = False) -> str | Path:
    """Return what ``model.open_network`` opens where a person names a trained network.

    Parameters
    ----------
    source : path-like
        The name of a network that comes with the package, which means itself, or what
        :func:`find_checkpoint` takes.
    newest : bool
        As for :func:`find_checkpoint`.

    Raises
    ------
    CheckpointError
        If there is none.
    """
    if is_network_name(source):
        return source
    try:
        return find_checkpoint(source, newest=newest)
    except CheckpointError as error:
        known = [network.name for network in list_networks()]
        if Path(source).exists() or Path(source).name != str(source) or not known:
            raise
        named = list_words(known, "or")
        raise CheckpointError(
            f"{str(error).rstrip('.')}, nor a network of that name; {named} comes with the package."
        ) from None


def read_checkpoints(path: str | Path) -> RunCheckpoints:
    """Read what is known of the checkpoints that a path means; waits for the disk.

    Parameters
    ----------
    path : path-like
        As :func:`find_checkpoint` takes it. A file of another name than ``best.pt`` and
        ``last.pt`` stands alone, and counts as the best.

    Raises
    ------
    CheckpointError
        If there is none.
    """
    chosen = find_checkpoint(path)
    if chosen.name not in (BEST_CHECKPOINT, LAST_CHECKPOINT):
        return RunCheckpoints(read_summary(chosen), None)
    best, newest = (
        read_summary(file) if file.is_file() else None
        for file in (chosen.with_name(BEST_CHECKPOINT), chosen.with_name(LAST_CHECKPOINT))
    )
    folder = RunFolder(chosen.parent.parent)
    if folder.checkpoints != chosen.parent:  # copied out of their run
        return RunCheckpoints(best, newest)
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
    return RunCheckpoints(best, newest, _remark(best, newest, surface if is_known else None))


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
