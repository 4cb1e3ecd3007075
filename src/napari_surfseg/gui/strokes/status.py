"""Where the strokes are, in the sentence that the strokes panel shows."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from napari_surfseg.events import LabelsUpdated

__all__ = ["StrokesStatus", "describe_changes", "describe_status", "describe_update"]


@dataclass(frozen=True)
class StrokesStatus:
    """What is known of the strokes of a run.

    Attributes
    ----------
    is_opening : bool
        Whether the run's volume and labels are being opened.
    has_layers : bool
        Whether any layer of the viewer shows labels of the run.
    has_copies : bool
        Whether the run has labels of its own, which take strokes.
    is_collecting : bool
        Whether the layers are being compared with the run's copies.
    is_awaited : bool
        Whether the worker has yet to answer.
    is_refused : bool
        Whether the newest strokes were not taken.
    is_unsent : bool
        Whether something was painted and not sent.
    is_automatic : bool
        Whether strokes are sent as soon as the brush rests.
    is_active : bool
        Whether a worker is at work on the run.
    newest : str
        What came of the newest strokes that were taken.
    """

    is_opening: bool = False
    has_layers: bool = False
    has_copies: bool = False
    is_collecting: bool = False
    is_awaited: bool = False
    is_refused: bool = False
    is_unsent: bool = False
    is_automatic: bool = True
    is_active: bool = False
    newest: str = ""


def describe_status(status: StrokesStatus) -> str:
    """Say in a sentence where the strokes are."""
    if status.is_opening:
        return "Opening the run's volume and labels…"
    if not status.has_layers:
        if status.has_copies:
            return "The labels of this run are not open here."
        return "This run's labels are files of your own, which it does not change."
    if status.is_collecting:
        return "Looking for what was painted…"
    if status.is_awaited:
        return "Sent; the worker takes it between two steps."
    if status.is_refused:
        return "Painted, but not taken."
    if status.is_unsent:
        return (
            "Painted; taken when the brush rests." if status.is_automatic else "Painted, not sent."
        )
    if status.newest:
        return status.newest
    if status.is_active:
        return "Paint on the labels to teach the run more."
    return "Paint on the labels; Resume learns from it."


def describe_update(event: LabelsUpdated) -> str:
    """Say what the worker changed in the run's labels."""
    num_surface = sum(int(row.get("num_surface", 0)) for row in event.volumes)
    return f"{_voxels(event.num_changed)} changed; {num_surface:,} are surface."


def describe_changes(num_changed: int) -> str:
    """Say what the window changed in the labels of a run without a worker."""
    return f"{_voxels(num_changed)} changed in the run's labels, for Resume."


def _voxels(count: int) -> str:
    return f"{count:,} {'voxel' if count == 1 else 'voxels'}"
