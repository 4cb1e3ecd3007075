"""Checkpoints as a person and a window see them: where they lie and what their summaries say.

Nothing here imports torch: the summary is the JSON file beside each checkpoint.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from napari_surfseg.errors import CheckpointError

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["BEST", "NEWEST", "CheckpointSummary", "find_checkpoint", "read_summary"]

BEST, NEWEST = "best.pt", "last.pt"


def find_checkpoint(path: Path, *, newest: bool = False) -> Path:
    """Return the checkpoint file that a path means.

    Parameters
    ----------
    path : Path
        A file, which means itself; a run folder or its folder of checkpoints means ``best.pt``,
        or ``last.pt`` where there is no other.
    newest : bool
        Prefer ``last.pt``; also for a ``best.pt`` that has one beside it.

    Raises
    ------
    CheckpointError
        If there is none.
    """
    if path.is_file():
        beside = path.with_name(NEWEST)
        return beside if newest and path.name == BEST and beside.is_file() else path
    if not path.exists():
        raise CheckpointError(f"There is no checkpoint {path}.")
    for folder in (path / "checkpoints", path):
        for name in (NEWEST, BEST) if newest else (BEST, NEWEST):
            if (folder / name).is_file():
                return folder / name
    raise CheckpointError(
        f"There is no checkpoint in the folder {path}; name a best.pt or last.pt, or a run "
        "folder that was trained."
    )


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
    metrics, postprocess = values.get("metrics"), values.get("postprocess")
    tuned = postprocess if isinstance(postprocess, dict) else {}
    return CheckpointSummary(
        path=path,
        name=str(values.get("name", "")),
        model=str(values.get("model", "")),
        epoch=None if epoch is None else int(epoch),
        step=None if step is None else int(step),
        metrics=metrics if isinstance(metrics, dict) else {},
        threshold=_number(tuned.get("threshold"), threshold),
        postprocess=tuned,
    )


def _number(value: Any, otherwise: float | None = None) -> float | None:
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    return float(value) if is_number else otherwise
