"""Score a predicted volume against labels, and list where its topology is wrong.

``surfseg evaluate`` and the window's "Proofread" both call it.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_surfseg.config import Labels
from napari_surfseg.data.instances import BoundaryVolume
from napari_surfseg.data.labels import FOREGROUND, looks_like_instances, looks_like_probabilities
from napari_surfseg.data.units import format_sizes, is_same_size
from napari_surfseg.errors import DataError, LabelError
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
#: Of the scored voxels: more of them than this are no surface, but what lies between.
FILLED_SHARE = 0.6

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
    instances : int, optional
        Each label value is an object; the surface is the boundaries between them, so many
        voxels thick. ``ignore`` then has no default.
    """

    spacing: Spacing3 = (1.0, 1.0, 1.0)
    tolerance: float = 2.0
    foreground: tuple[int, ...] | None = None
    ignore: tuple[int, ...] = (IGNORED,)
    threshold: float | None = None
    box: Box | None = None
    instances: int | None = None


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
    LabelError
        If nothing is annotated, or the labels are instances and nobody said so.
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
    if settings.instances is not None:
        classes = _open_boundaries(label, settings).read(*box)
    else:
        ignored = np.isin(label_values, settings.ignore)
        if settings.foreground is None:
            is_surface = label_values != 0
        else:
            is_surface = np.isin(label_values, settings.foreground)
        # 0, 1 and 2 whatever the file uses, so that one rule is applied, the metrics' own.
        classes = np.where(ignored, np.uint8(IGNORED), is_surface.astype(np.uint8))
        if settings.foreground is None:
            _refuse_instances(label_values, classes, label.source)
    warnings += _check_classes(classes, label.source)
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


def _open_boundaries(label: Volume, settings: EvaluationSettings) -> BoundaryVolume:
    mapping = Labels(
        instances="boundaries",
        thickness=settings.instances or 2,
        foreground=settings.foreground or (),
        # The default, 2, is an instance like any other.
        ignore=() if settings.ignore == (IGNORED,) else settings.ignore,
    )
    return BoundaryVolume(label, mapping)


def _refuse_instances(values: NDArray[Any], classes: NDArray[np.uint8], source: str) -> None:
    """Refuse cells of a value each: taken for surface they would give scores of no meaning.

    Sheets of a value each are surface, and fill a small part only.
    """
    num_surface = int(np.count_nonzero(classes == FOREGROUND))
    if num_surface <= FILLED_SHARE * np.count_nonzero(classes != IGNORED):
        return
    found = np.unique(values)
    if looks_like_instances(found.tolist()):
        raise LabelError(
            f"{source} holds {len(found):,} values that fill {num_surface / classes.size:.0%} of "
            "it, which look like instances, not surfaces: use --instances to score against the "
            "boundaries between them, or --foreground to say which values are surface."
        )


def _check_classes(classes: NDArray[np.uint8], source: str) -> list[str]:
    """Refuse labels of which nothing is scored; warn where one side is missing.

    Returns
    -------
    list of str
        Sentences.
    """
    present = np.bincount(classes.ravel(), minlength=3)
    if not present[0] + present[FOREGROUND]:
        raise LabelError(
            f"{source} has no annotated voxels there: all {classes.size:,} are ignored, so there "
            "is nothing to score."
        )
    if not present[FOREGROUND]:
        return [f"{source} holds no surface there: the scores say only whether any was predicted."]
    if not present[0]:
        return [
            f"{source} holds no background there: every voxel that is scored counts as surface; "
            "say with --foreground and --ignore what the values mean, such as --foreground 2 "
            "--ignore none for a mask of 1 and 2."
        ]
    return []


def _read_prediction(
    volume: Volume, box: Box, threshold: float | None
) -> tuple[NDArray[np.bool_], list[str]]:
    values = volume.read(*box)
    _require_numbers(values, volume.source)
    if threshold is not None:
        top = 255 if values.dtype.kind in "iu" else 1
        return np.asarray(values > threshold * top), []
    if looks_like_probabilities(values):
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
