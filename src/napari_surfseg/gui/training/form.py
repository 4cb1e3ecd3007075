"""What the training form holds, and how it becomes an experiment, with no window."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from napari_surfseg.config import Experiment, Loss
from napari_surfseg.config_files import build_experiment
from napari_surfseg.errors import ConfigError
from napari_surfseg.geometry import from_ranges
from napari_surfseg.gui.controls.label_schemes import LABEL_SCHEMES, NOT_ANNOTATED
from napari_surfseg.vocabulary import LOSS_TERMS

if TYPE_CHECKING:
    from collections.abc import Mapping

    from napari_surfseg.geometry import Box, Spacing3
    from napari_surfseg.gui.controls.source_choice import PairChoice, SourceChoice
    from napari_surfseg.gui.training.many_pairs import ManyChoice

__all__ = [
    "TrainingForm",
    "build_form_experiment",
    "nest_settings",
    "read_roi",
]


@dataclass(frozen=True)
class TrainingForm:
    """Everything the form says.

    Attributes
    ----------
    pairs : tuple of PairChoice
        What to learn from.
    many : tuple of ManyChoice
        Tables and patterns of pairs, besides.
    validation : str
        ``"automatic"`` (parts of each volume), ``"none"``, ``"box"`` (a drawn box) or
        ``"pairs"`` (pairs marked for validation).
    meanings : dict
        Label value to ``"foreground"``, ``"background"`` or ``"ignore"``.
    instances : int, optional
        Thickness of the boundaries between objects, where each value is one; then without
        ``meanings``.
    loss_weights : dict
        Weight of every loss term; 0 for one switched off.
    settings : dict
        Dotted configuration keys of every other control.
    device, launcher : str
        What to train on, and the launcher that reaches its machine; empty for this computer.
    """

    pairs: tuple[PairChoice, ...] = ()
    many: tuple[ManyChoice, ...] = ()
    validation: str = "automatic"
    validation_fraction: float = 0.15
    validation_layer: SourceChoice | None = None
    meanings: dict[int, str] = field(default_factory=lambda: dict(LABEL_SCHEMES["dense"]))
    instances: int | None = None
    loss_weights: dict[str, float] = field(default_factory=lambda: Loss().weights)
    settings: dict[str, Any] = field(default_factory=dict)
    device: str = "auto"
    launcher: str = ""
    name: str = "surfaces"
    folder: str = ""


def build_form_experiment(
    form: TrainingForm,
    train: list[dict[str, Any]],
    validation: list[dict[str, Any]],
    *,
    spacing: Spacing3 | None = None,
) -> Experiment:
    """Turn a form and its resolved pairs into an experiment.

    Parameters
    ----------
    form : TrainingForm
        As filled in.
    train, validation : list of dict
        ``image``, ``labels`` and optionally ``roi`` of each pair, as paths.
    spacing : tuple of float, optional
        Z, Y, X voxel size from the layers, written into the configuration.

    Raises
    ------
    ConfigError
        Naming the setting, so that it can be shown beside its control.
    """
    labels: dict[str, Any] = {"foreground": [], "background": [], "ignore": []}
    for value, meaning in sorted(form.meanings.items()):
        labels[meaning].append(value)
    if form.instances is not None:
        labels = {"instances": "boundaries", "thickness": form.instances}
    elif not labels["ignore"] and NOT_ANNOTATED not in form.meanings:
        # Nobody has painted it yet, but may while the run trains.
        labels["ignore"] = [NOT_ANNOTATED]
    fraction = 0.0 if form.validation == "none" else form.validation_fraction
    values: dict[str, Any] = {
        "experiment": {"name": form.name},
        "data": {
            "train": train,
            "validation": validation or {"fraction": fraction},
            "labels": labels,
            "spacing": spacing,
        },
        "loss": {term: float(form.loss_weights.get(term, 0.0)) for term in LOSS_TERMS},
    }
    _merge(values, nest_settings(form.settings))
    return build_experiment(values, source="the form")


def nest_settings(settings: Mapping[str, Any]) -> dict[str, Any]:
    """Turn dotted keys into nested mappings."""
    nested: dict[str, Any] = {}
    for key, value in settings.items():
        node = nested
        *sections, name = key.split(".")
        for section in sections:
            node = node.setdefault(section, {})
        node[name] = value
    return nested


def _merge(values: dict[str, Any], settings: dict[str, Any]) -> None:
    """Put settings over values; one left empty is no answer to what the layers say."""
    for name, value in settings.items():
        known = values.get(name)
        if isinstance(value, dict):
            # Pairs for validation stand where the settings of the part would.
            if not isinstance(known, list):
                _merge(values.setdefault(name, {}), value)
        elif value is not None or known is None:
            values[name] = value


def read_roi(text: str) -> Box | None:
    """Read a box as a person writes it: ``0:64, 0:128, 0:128``; None where it is empty.

    Raises
    ------
    ConfigError
        If it is no box.
    """
    if not text.strip():
        return None
    ranges = []
    for part in text.replace(",", " ").split():
        start, colon, stop = part.partition(":")
        if not (colon and start.isdigit() and stop.isdigit() and int(start) < int(stop)):
            break
        ranges.append((int(start), int(stop)))
    else:
        if len(ranges) == 3:
            return from_ranges(ranges)
    raise ConfigError(
        f"The box {text!r} must be three ranges of voxels along Z, Y and X, each from less to "
        "more, as 0:64, 0:128, 0:128."
    )
