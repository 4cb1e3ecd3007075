"""Score a predicted volume against labels, and list where its topology is wrong.

``surfseg evaluate`` and the window's "Topology errors" both call it.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_surfseg.data.units import format_sizes, is_same_size
from napari_surfseg.errors import DataError
from napari_surfseg.geometry import whole_box
from napari_surfseg.metrics.score import compute_metrics
from napari_surfseg.metrics.topology_errors import find_topology_errors

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from napari_surfseg.data.volume import Volume
    from napari_surfseg.geometry import Box, Size3, Spacing3
    from napari_surfseg.metrics.error_table import TopologyError


__all__ = ["Evaluation", "EvaluationSettings", "evaluate_volume"]

#: What is not scored, whatever values the label file uses for it.
IGNORED = 2

#: Relative difference up to which two voxel sizes count as the same: headers are rounded.
SIZE_TOLERANCE = 0.01


@dataclass(frozen=True)
class EvaluationSettings:
    """What is compared and how.

    Attributes
    ----------
    spacing, tolerance
        As in ``compute_metrics``.
    foreground : tuple of int, optional
        Label values that are surface; by default every other than 0 and ``ignore``.
    ignore : tuple of int
        Label values that are not scored.
    threshold : float, optional
        The prediction holds probabilities, surface is above it.
    box : (start, stop), optional
        Only this part; the errors' places are counted from its start.
    """

    spacing: Spacing3 = (1.0, 1.0, 1.0)
    tolerance: float = 2.0
    foreground: tuple[int, ...] | None = None
    ignore: tuple[int, ...] = (IGNORED,)
    threshold: float | None = None
    box: Box | None = None


@dataclass(frozen=True)
class Evaluation:
    """What an evaluation found.

    Attributes
    ----------
    scores : dict
        Those of ``compute_metrics``.
    errors : list of TopologyError
        The largest first; empty unless ``with_errors``.
    warnings : list of str
        Sentences.
    """

    scores: dict[str, float]
    errors: list[TopologyError] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)


def evaluate_volume(
    pred: Volume,
    label: Volume,
    settings: EvaluationSettings | None = None,
    *,
    with_errors: bool = False,
    report: Callable[[str, float], None] = lambda _stage, _share: None,
) -> Evaluation:
    """Score a prediction volume against a label volume; both are read whole.

    Parameters
    ----------
    pred, label : Volume
        Of one shape.
    settings : EvaluationSettings, optional
        What is compared and how.
    with_errors : bool
        Also list where the topology is wrong.
    report : callable
        Called with the stage and its share, 0 to 1.

    Raises
    ------
    DataError
        If the shapes differ or there are NaN.
    """
    if pred.shape != label.shape:
        raise DataError(
            f"{pred.source} has the shape {_by(pred.shape)}, but {label.source} has "
            f"{_by(label.shape)}; the two must be the same."
        )
    settings = settings or EvaluationSettings()
    box = settings.box or whole_box(label.shape)
    report("reading the prediction", 0.0)
    pred_values, warnings = _read_prediction(pred, box, settings.threshold)
    warnings = [*pred.notes, *label.notes, *_compare_voxels(pred, label), *warnings]
    report("reading the labels", 0.0)
    label_values = label.read(*box)
    _require_numbers(label_values, label.source)
    ignored = np.isin(label_values, settings.ignore)
    if settings.foreground is None:
        is_surface = label_values != 0
    else:
        is_surface = np.isin(label_values, settings.foreground)
    # 0, 1 and 2 whatever the file uses, so that one rule is applied, the metrics' own.
    classes = np.where(ignored, np.uint8(IGNORED), is_surface.astype(np.uint8))
    report("scoring", 0.0)
    scores = compute_metrics(
        pred_values,
        classes,
        spacing=settings.spacing,
        tolerance=settings.tolerance,
        progress=lambda share: report("scoring", share),
    )
    errors: list[TopologyError] = []
    if with_errors:
        errors = find_topology_errors(
            pred_values,
            classes,
            IGNORED,
            progress=lambda share: report("finding topology errors", share),
        )
    return Evaluation(scores, errors, warnings)


def _compare_voxels(pred: Volume, label: Volume) -> list[str]:
    """Say so where the two files state voxels of different sizes."""
    if not (pred.spacing_known and label.spacing_known) or is_same_size(
        pred.spacing, pred.units, label.spacing, label.units, tolerance=SIZE_TOLERANCE
    ):
        return []
    return [
        f"The voxels of {pred.source} are {format_sizes(pred.spacing, pred.units)}, those of "
        f"{label.source} {format_sizes(label.spacing, label.units)}: one of the two states a wrong "
        "size."
    ]


def _read_prediction(
    volume: Volume, box: Box, threshold: float | None
) -> tuple[NDArray[np.bool_], list[str]]:
    values = volume.read(*box)
    _require_numbers(values, volume.source)
    if threshold is not None:
        top = 255 if values.dtype.kind in "iu" else 1
        return np.asarray(values > threshold * top), []
    is_probability = values.dtype.kind == "f" and bool(((values > 0) & (values < 1)).any())
    if is_probability or (values.dtype == np.uint8 and len(np.unique(values)) > 200):
        warning = (
            f"{volume.source} looks like probabilities; every non-zero voxel counts as surface "
            "unless a threshold is given."
        )
        return np.asarray(values != 0), [warning]
    return np.asarray(values != 0), []


def _require_numbers(values: NDArray[Any], source: str) -> None:
    if values.dtype.kind == "f":
        bad = int(np.count_nonzero(np.isnan(values)))
        if bad:
            raise DataError(f"{source} holds {bad} NaN voxels; scores need numbers everywhere.")


def _by(shape: Size3) -> str:
    return " x ".join(map(str, shape))
