"""What the dock shows of a checkpoint before it is used: network, epoch, score, threshold."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from napari_surfseg.networks.registry import find_network, is_network_name
from napari_surfseg.runs.checkpoints import read_checkpoints
from napari_surfseg.vocabulary import title_of
from napari_surfseg.wording import describe_scores, list_words

if TYPE_CHECKING:
    from napari_surfseg.networks.registry import ShippedNetwork
    from napari_surfseg.runs.checkpoint_summary import CheckpointSummary

__all__ = [
    "CheckpointNote",
    "WeightsNote",
    "describe_checkpoint",
    "describe_shipped",
    "read_weights_note",
]

#: Steps of clean-up, and the setting that switches each on.
CLEAN_UP = (
    ("smoothing", "smoothing"),
    ("smoothing along sheets", "sheet_smoothing"),
    ("hysteresis", "low_threshold"),
    ("plugged holes", "closing_radius"),
    ("closed tears", "tear_layers"),
    ("filled cavities", "fill_holes"),
    ("dropped small sheets", "min_area"),
)


@dataclass(frozen=True)
class CheckpointNote:
    """What is shown of one checkpoint.

    Attributes
    ----------
    text : str
        A sentence.
    title : str
        Step and score, for the list.
    threshold, min_voxels : optional
        What it was tuned to on the validation data.
    """

    text: str
    title: str = ""
    threshold: float | None = None
    min_voxels: int | None = None


@dataclass(frozen=True)
class WeightsNote:
    """What is shown of the checkpoints that a path means.

    Attributes
    ----------
    notes : dict
        A note for ``"best"`` and ``"newest"`` weights, of those that there are; for any
        other checkpoint only ``"best"``.
    remark : str
        A sentence about what makes the choice doubtful.
    """

    notes: dict[str, CheckpointNote] = field(default_factory=dict)
    remark: str = ""


def describe_checkpoint(summary: CheckpointSummary) -> CheckpointNote:
    """Describe a checkpoint in a sentence and in a few words."""
    if not summary.model:
        return CheckpointNote(summary.path.name, summary.path.name)
    scored = _describe_score(summary)
    parts = [
        f"{summary.path.name} of {summary.name or '?'}",
        f"network {summary.model}",
        f"epoch {'?' if summary.epoch is None else summary.epoch}",
        scored,
    ]
    if summary.chosen_by:
        parts.append(f"the best by {title_of(summary.chosen_by)}")
    clean_up = [name for name, key in CLEAN_UP if summary.postprocess.get(key)]
    if clean_up:
        parts.append(f"tuned with {', '.join(clean_up)}")
    min_voxels = None
    if summary.threshold is not None:
        found = summary.postprocess.get("min_voxels", 0)
        min_voxels = int(found) if isinstance(found, int | float) else 0
    step = "" if summary.step is None else f"step {summary.step:,}, "
    return CheckpointNote(", ".join(parts) + ".", step + scored, summary.threshold, min_voxels)


def describe_shipped(network: ShippedNetwork) -> CheckpointNote:
    """Describe a network that comes with the package."""
    text = (
        f"{network.name}: comes with the package, finds {list_words(network.finds)} "
        f"({network.limits})."
    )
    min_voxels = int((network.postprocess or {}).get("min_voxels", 0))
    return CheckpointNote(text, "", network.threshold, min_voxels)


def _describe_score(summary: CheckpointSummary) -> str:
    if summary.surface_dice is not None:
        return describe_scores({"surface_dice": summary.surface_dice})[0]
    on_strokes = summary.metrics.get("dice")
    if isinstance(on_strokes, int | float):
        return f"{describe_scores({'dice': on_strokes})[0]} on strokes"
    return "not scored"


def read_weights_note(text: str) -> WeightsNote:
    """Read what there is to show of a network, a checkpoint or a run folder; waits for the disk.

    Raises
    ------
    CheckpointError
        If there is no checkpoint.
    """
    if is_network_name(text):
        return WeightsNote({"best": describe_shipped(find_network(text))})
    found = read_checkpoints(text)
    summaries = {"best": found.best, "newest": found.newest}
    notes = {key: describe_checkpoint(summary) for key, summary in summaries.items() if summary}
    return WeightsNote(notes, found.remark)
