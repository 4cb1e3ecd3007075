"""A run's snapshot in the words a person reads."""

from __future__ import annotations

from typing import TYPE_CHECKING

from napari_surfseg.runs.event_text import (
    describe_choice,
    describe_start_from,
    describe_tuning,
)
from napari_surfseg.runs.folder import RunState
from napari_surfseg.wording import describe_basis, describe_scores, format_duration

if TYPE_CHECKING:
    from napari_surfseg.events import ValidationFinished
    from napari_surfseg.runs.follow import RunSnapshot

__all__ = [
    "compute_share",
    "describe_all_scores",
    "describe_pace",
    "describe_place",
    "describe_state",
    "describe_validation",
]

#: Scores shown in the status, most important first: two fit into a line.
SHOWN_SCORES = ("surface_dice", "dice")


def describe_state(snapshot: RunSnapshot | None) -> str:
    """Say in a sentence what the run is doing."""
    if snapshot is None:
        return "Choose a volume and its labels, then press Start."
    match snapshot.state:
        case RunState.NEW:
            return "Configured, not started."
        case RunState.QUEUED:
            return snapshot.message or "Queued on another machine."
        case RunState.STARTING if snapshot.message:
            return snapshot.message
        case RunState.STARTING:
            return "Starting: loading the network library and checking the volumes…"
        case RunState.RUNNING if snapshot.tuning is not None:
            said = describe_tuning(snapshot.tuning)
            return f"{said[:1].upper()}{said[1:]}."
        case RunState.RUNNING:
            device = snapshot.started.device if snapshot.started else ""
            where = snapshot.launch
            at = "" if where is None else f" at {where.title}, job {where.job}"
            said = f"Training on {device.upper() if len(device) <= 4 else device}{at}."
            return (
                said
                if snapshot.loaded is None
                else f"{said} {describe_start_from(snapshot.loaded)}"
            )
        case RunState.PAUSED:
            return "Paused; Resume goes on with the next step."
        case RunState.COMPLETED:
            took = format_duration(snapshot.elapsed_seconds)
            return f"Completed in {took}; best.pt is ready to use."
        case RunState.STOPPED if snapshot.is_waiting:
            return f"{snapshot.message} Resume submits it again."
        case RunState.STOPPED:
            return "Stopped and saved; Resume goes on from here."
        case RunState.FAILED:
            return snapshot.message or "Training failed; its log says more."
        case RunState.VANISHED:
            return snapshot.message or "The training process is gone; Resume goes on."


def compute_share(snapshot: RunSnapshot | None) -> float:
    """Share that is done, 0 to 1: of the choice of post-processing while that is under way."""
    if snapshot is None:
        return 0.0
    if snapshot.tuning is not None and snapshot.state is RunState.RUNNING:
        return snapshot.tuning.done / max(snapshot.tuning.total, 1)
    return snapshot.progress


def describe_place(snapshot: RunSnapshot | None) -> str:
    """Say how far it is: epoch and step."""
    if snapshot is None or snapshot.started is None:
        return ""
    epoch = f"Epoch {snapshot.epoch}"
    if snapshot.max_epochs:
        epoch += f" of {snapshot.max_epochs}"
    return f"{epoch}, step {snapshot.step}"


def describe_pace(snapshot: RunSnapshot | None) -> str:
    """Say how fast it goes and how long it will take; empty where it does neither."""
    if snapshot is None or snapshot.state is not RunState.RUNNING or snapshot.tuning:
        return ""
    said = []
    if snapshot.steps_per_second:
        said.append(f"{snapshot.steps_per_second:.2g} steps/s")
    if snapshot.seconds_left is not None:
        said.append(f"{format_duration(snapshot.seconds_left)} left")
    return ", ".join(said)


def describe_all_scores(scored: ValidationFinished | None) -> str:
    """Write every score with a name of its own, one a line, and what they were made on.

    Of the best ones the first line says by which score they are.
    """
    if scored is None:
        return ""
    lines = [describe_choice(scored), *describe_scores(scored.metrics)]
    basis = describe_basis(scored.num_annotated, scored.num_surface)
    if scored.is_sparse:
        basis += ". They are strokes, counted voxel by voxel: between them nothing is known, so "
        basis += "scores of whole surfaces would say nothing"
    return "\n".join([*lines, f"{basis}." if basis else ""]).strip()


def describe_validation(
    scored: ValidationFinished | None, snapshot: RunSnapshot | None, *, only_deciding: bool = False
) -> str:
    """Write scores in a line, most important first, and why there are none where there are none.

    Parameters
    ----------
    scored : ValidationFinished or None
        The scores.
    snapshot : RunSnapshot or None
        Of the run, which may have no validation.
    only_deciding : bool
        Write the one score by which the best weights are chosen.
    """
    if scored is None:
        absent = snapshot is not None and snapshot.is_validated is False
        return "not scored: no validation" if absent else "–"
    shown = (scored.scored_by,) if only_deciding else SHOWN_SCORES
    said = "   ".join(describe_scores(scored.metrics, shown))
    if scored.is_sparse and said:
        said += f" on {scored.num_annotated:,} annotated voxels"
    return said or "–"
