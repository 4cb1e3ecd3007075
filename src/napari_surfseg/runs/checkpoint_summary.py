"""What a checkpoint is, without opening it: the summary that lies beside it as JSON.

A checkpoint itself is read with torch, which neither the window nor the run folder imports.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["CheckpointSummary", "read_summary"]


@dataclass(frozen=True)
class CheckpointSummary:
    """What the summary beside a checkpoint says; None or empty where it does not.

    Attributes
    ----------
    path : Path
        The checkpoint.
    name, model : str
        Of the experiment, and the preset of its network.
    epoch, step : int
        Finished when it was saved.
    metrics : dict
        Validation scores of its weights; empty if they were not scored.
    chosen_by : str
        The score by which they were the best of their run; empty where that is not known.
    threshold : float, optional
        Probability above which a voxel is surface.
    postprocess : dict
        Clean-up that was tuned on the validation data.
    """

    path: Path
    name: str = ""
    model: str = ""
    epoch: int | None = None
    step: int | None = None
    metrics: dict[str, float] = field(default_factory=dict)
    chosen_by: str = ""
    threshold: float | None = None
    postprocess: dict[str, Any] = field(default_factory=dict)

    @property
    def surface_dice(self) -> float | None:
        """Of the weights on the validation data, if they were scored."""
        return _number(self.metrics.get("surface_dice"))


def read_summary(path: Path) -> CheckpointSummary:
    """Read the summary beside a checkpoint; what is missing or damaged is left out."""
    try:
        values = json.loads(path.with_suffix(".json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        values = {}
    if not isinstance(values, dict):
        values = {}
    epoch, step = _number(values.get("epoch")), _number(values.get("step"))
    threshold = _number(values.get("threshold"))
    chosen_by = values.get("chosen_by")
    metrics, postprocess = values.get("metrics"), values.get("postprocess")
    tuned = postprocess if isinstance(postprocess, dict) else {}
    return CheckpointSummary(
        path=path,
        name=str(values.get("name", "")),
        model=str(values.get("model", "")),
        epoch=None if epoch is None else int(epoch),
        step=None if step is None else int(step),
        metrics=metrics if isinstance(metrics, dict) else {},
        chosen_by=chosen_by if isinstance(chosen_by, str) else "",
        threshold=_number(tuned.get("threshold"), threshold),
        postprocess=tuned,
    )


def _number(value: Any, otherwise: float | None = None) -> float | None:
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    return float(value) if is_number else otherwise
