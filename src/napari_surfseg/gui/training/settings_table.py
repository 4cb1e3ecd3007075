"""The settings behind "More", page by page: one row a configuration key."""

from __future__ import annotations

import typing
from dataclasses import dataclass
from typing import Any, Literal

from pydantic import BaseModel

from napari_surfseg.config import Experiment

__all__ = [
    "CHOICES",
    "DATA_SETTINGS",
    "LABELS",
    "NETWORK_SETTINGS",
    "TRAINING_SETTINGS",
    "Setting",
    "allowed_values",
    "default_of",
    "find_annotation",
]


@dataclass(frozen=True)
class Setting:
    """One row.

    Attributes
    ----------
    key : str
        Dotted configuration key.
    label : str
        What stands before the control, and what sentences call it.
    tip : str
        What it does, with its unit, range and default.
    kind : str
        ``int`` or ``float``; ``optional_int`` or ``optional_float``, whose least value is
        named `empty`; ``choice`` of :data:`CHOICES`; ``number``, ``numbers`` or ``text``,
        typed or left empty; ``notes``, lines of text.
    low, high, step : float
        Range of a number.
    empty : str
        What the least or the empty value means.
    """

    key: str
    label: str
    tip: str
    kind: str
    low: float = 0
    high: float = 1
    step: float = 1
    decimals: int = 2
    suffix: str = ""
    empty: str = ""


#: What the values of a choice are called, in the order in which they are offered. Those that
#: the configuration does not know are left out.
CHOICES: dict[str, dict[Any, str]] = {
    "data.augmentation.symmetries": {
        "auto": "automatic",
        True: "Both sides of the surface look alike (all flips and turns)",
        "axial": "The two sides of the surface look different (keep the Z axis)",
        "axial_y": "The two sides look different (keep the Y axis)",
        "axial_x": "The two sides look different (keep the X axis)",
        False: "none",
    },
    "data.pseudo_labels": {"auto": "automatic", True: "on", False: "off"},
    "inference.flips": {"auto": "automatic", True: "on", False: "off"},
    "model.activation": {
        None: "preset's",
        "mish": "Mish",
        "leakyrelu": "leaky ReLU",
        "relu": "ReLU",
        "silu": "SiLU",
    },
    "model.deep_supervision": {None: "preset's", True: "on", False: "off"},
    "training.best_by": {"surface_dice": "surface Dice", "score": "score (surface, topology, VOI)"},
    "training.precision": {"auto": "automatic", "float32": "float32", "bf16": "bf16"},
}

DATA_SETTINGS: dict[str, tuple[Setting, ...]] = {
    "Volumes": (
        Setting("data.spacing", "Voxel size", "Voxel size along Z, Y and X of all volumes (three "
                "numbers above 0, in the unit of the layers). By default the layers' scale, or "
                "what the files say, else 1.", "numbers", empty="from the layers"),
        Setting("data.void_value", "Outside value", "Image value that means outside the scan; such "
                "voxels are neither learned from nor scored (grey value; masked CT has 0 there). "
                "By default no value.", "number", empty="none"),
        Setting("data.validation.gap", "Gap", "Voxels left unused between the part that is trained "
                "on and the one kept for validation (voxels, 0 or more; by default 8, less in a "
                "volume too short for that).", "number", empty="automatic"),
        Setting("data.cache_gib", "Cache", "Memory for decoded chunks of the volumes (GiB, 0.1 to "
                "1024; 2 by default).", "float", 0.1, 1024, 0.5, 1, " GiB"),
    ),
    "Patches": (
        Setting("data.augmentation.symmetries", "Flips and turns", "How patches are mirrored and "
                "turned. A scroll's two sides look different, a membrane's alike. Both sides alike "
                "takes all 48 flips and quarter turns of the cube, different sides the 16 that "
                "keep the axis along which the fibres of one side run. Automatic, as by default, "
                "measures the texture beside the labelled surface.", "choice"),
        Setting("data.foreground_share", "On surface", "Share of the patches whose centre lies on "
                "the surface (0 to 1; 0.65 by default). It can be changed while it runs.",
                "float", 0, 1, 0.05),
        Setting("data.pseudo_labels", "Fill between", "Let a quick classifier, trained on the "
                "annotated voxels, say what surrounds them, and learn from that too. Automatic, as "
                "by default, does it where the labels are strokes.", "choice"),
        Setting("data.augmentation.intensity", "Contrast", "Strength of contrast, brightness and "
                "gamma changes (0 none to 1; 0.5 by default).", "float", 0, 1, 0.05),
        Setting("data.augmentation.noise", "Noise", "Greatest standard deviation of added noise "
                "(share of the intensity range, 0 to 1; 0.05 by default).", "float", 0, 1, 0.01),
        Setting("data.augmentation.affine", "Rotate, scale", "Probability that a patch is rotated, "
                "scaled and sheared (0 to 1; 0.2 by default).", "float", 0, 1, 0.05),
        Setting("data.augmentation.elastic", "Bend", "Probability that a patch is bent (0 to 1; "
                "0.1 by default).", "float", 0, 1, 0.05),
    ),
}  # fmt: skip

NETWORK_SETTINGS: dict[str, tuple[Setting, ...]] = {
    "Weights and size": (
        Setting("model.start_from", "Start from", "A checkpoint or a run's folder whose weights "
                "the network starts from, of the same size (path); by default from nothing. An "
                "automatic size takes that network's.", "text", empty="nothing"),
        Setting("model.base_channels", "First channels", "Channels of the first stage (channels, "
                "at least 1; by default the preset's). Twice as many take about four times as "
                "long.", "optional_int", 0, 1024, 4, empty="preset's"),
        Setting("model.multipliers", "Widths", "Channels of each stage as multiples of the first's "
                "(2 to 7 whole numbers, one a stage, as 1, 2, 4, 8; by default the preset's).",
                "numbers", empty="preset's"),
        Setting("model.blocks_per_stage", "Blocks a stage", "Residual blocks in each stage "
                "(blocks, 1 to 8; by default the preset's).", "optional_int", 0, 8,
                empty="preset's"),
        Setting("model.dropout", "Dropout", "Probability that a channel is left out of a step "
                "(0 to below 1; by default the preset's).", "number", empty="preset's"),
        Setting("model.activation", "Activation", "Function after each convolution (no unit); by "
                "default the preset's.", "choice"),
        Setting("model.deep_supervision", "Deep supervision", "Also score predictions at lower "
                "resolutions (on or off; by default the preset's).", "choice"),
    ),
}  # fmt: skip

TRAINING_SETTINGS: dict[str, tuple[Setting, ...]] = {
    "Optimizer": (
        Setting("training.train_batch_size", "Batch size", "Patches in a step (patches, 1 to 64; "
                "1 by default).", "int", 1, 64),
        Setting("training.accumulate", "Accumulate", "Batches whose gradients are added before the "
                "weights change (batches, 1 to 64; 1 by default).", "int", 1, 64),
        Setting("training.learning_rate", "First rate", "Learning rate that the one-cycle schedule "
                "of AdamW starts with (no unit, above 0). By default a part of the peak.",
                "number", empty="automatic"),
        Setting("training.max_learning_rate", "Peak rate", "Peak of the one-cycle learning rate of "
                "AdamW (no unit, above 0). Automatic suits the network's size.",
                "number", empty="automatic"),
        Setting("training.weight_decay", "Weight decay", "AdamW's decoupled decay (no unit, 0 to "
                "1; 0.01 by default).", "float", 0, 1, 0.001, 4),
        Setting("training.gradient_clip", "Gradient clip", "Greatest norm of the gradient (no "
                "unit, 0 to 100; 0 is off, 0.8 by default).", "optional_float", 0, 100, 0.1, 2,
                empty="off"),
        Setting("training.ema_decay", "Averaging", "Decay of the averaged weights, which are the "
                "ones scored and used (no unit, 0 to below 1; 0 averages nothing). Automatic suits "
                "the length of the training.", "number", empty="automatic"),
        Setting("training.precision", "Precision", "Number format of the network's activations; "
                "automatic measures whether bf16 pays on this device.", "choice"),
        Setting("training.workers", "Loader threads", "Threads that cut and vary patches (threads, "
                "0 to 256; 0 loads in the training thread). Automatic suits the machine.",
                "number", empty="automatic"),
        Setting("experiment.seed", "Seed", "Seeds weights, sampling and augmentation (a whole "
                "number from 0; 2025 by default).", "int", 0, 2**31 - 1),
    ),
    "Loss details": (
        Setting("loss.pos_weight", "Surface weight", "Weight of a surface voxel against a "
                "background voxel in weighted BCE (no unit, 0.1 to 100; 2.8 by default).",
                "float", 0.1, 100, 0.1),
        Setting("loss.skeleton_iterations", "Skeleton depth", "Erosions of the soft skeleton: half "
                "the greatest sheet thickness (voxels, 1 to 32; 3 by default).", "int", 1, 32),
        Setting("loss.tolerance", "Tolerance", "Distance within which a surface counts as found, "
                "in the surface distance loss and the scores (voxels of the finest axis, 0.5 to "
                "100; 2 by default).", "float", 0.5, 100, 0.5, 1, " vox"),
        Setting("loss.euler_window", "Topology window", "Edge of the windows in which the topology "
                "loss counts (voxels, 2 to 128; 16 by default).", "int", 2, 128),
        Setting("loss.interval", "Evaluate every", "Evaluate the terms other than BCE and Dice "
                "every so many steps (steps, 1 to 100; 1 by default).", "int", 1, 100),
    ),
    "Validation and preview": (
        Setting("training.best_by", "Best by", "Validation score that decides which weights are "
                "kept as best.pt (surface Dice by default).", "choice"),
        Setting("training.validation_share", "Validation time", "Greatest share of the time "
                "spent on validation (0.01 to 1; 0.1 by default).", "float", 0.01, 1, 0.05),
        Setting("training.tuning_share", "Tuning time", "Greatest share of the training's time in "
                "which, at its end, the post-processing of best.pt is chosen on the validation "
                "data (0 to 1; 0 leaves it at a threshold, 0.25 by default).", "float", 0, 1, 0.05),
        Setting("training.early_stopping", "Early stopping", "Stop after so many scored epochs "
                "without a better score (epochs, 0 to 1000; 0 is off, as by default).",
                "optional_int", 0, 1000, empty="off"),
        Setting("preview.seconds", "Preview every", "Time between live predictions (seconds, 0 to "
                "3600; 0 turns them off, 5 by default). It can be changed while it runs.",
                "float", 0, 3600, 1, 1, " s"),
        Setting("preview.keep", "Previews kept", "Earlier previews kept for looking back "
                "(previews, 1 to 1000; 20 by default).", "int", 1, 1000),
    ),
    "Predicting whole volumes": (
        Setting("inference.overlap", "Overlap", "Share of a window that its neighbour sees again, "
                "in scores and in surfseg predict (0 to 0.9; 0.25 by default).",
                "float", 0, 0.9, 0.05),
        Setting("inference.flips", "Flips", "Average over the eight flips of a volume: eight times "
                "slower, a better surface. Automatic does it where it takes a minute or two.",
                "choice"),
        Setting("inference.threshold", "Threshold", "Probability above which a voxel is surface "
                "(above 0, below 1). By default the one that is tuned on the validation data.",
                "number", empty="tuned"),
    ),
    "Report": (
        Setting("experiment.notes", "Notes", "Free text that travels into the report (none by "
                "default).", "notes", empty="for the report"),
    ),
}  # fmt: skip

#: What the controls in full view are called, by the key that each of them sets.
LABELS = {
    "data.patch_size": "The patch size",
    "data.validation.fraction": "The share for validation",
    "experiment.name": "The run name",
    "model.preset": "The network's size",
    "training.max_epochs": "The length in epochs",
    "training.max_minutes": "The length in minutes",
    "training.train_iterations_per_epoch": "Steps an epoch",
}

#: Where the window differs from a run without one: somebody is looking.
WINDOW_DEFAULTS: dict[str, Any] = {"preview.seconds": 5.0}


def find_annotation(key: str) -> tuple[Any, Any]:
    """Find a setting's type in the configuration, and its default."""
    model: Any = Experiment
    *sections, name = key.split(".")
    for section in sections:
        model = next(_models_in(model.model_fields[section].annotation))
    field = model.model_fields[name]
    return field.annotation, field.default


def _models_in(annotation: Any) -> typing.Iterator[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
    for argument in typing.get_args(annotation):
        yield from _models_in(argument)


def allowed_values(key: str) -> list[Any]:
    """List the values that the configuration allows for a choice."""

    def walk(annotation: Any) -> typing.Iterator[Any]:
        if annotation is bool:
            yield from (True, False)
        elif annotation is type(None):
            yield None
        elif typing.get_origin(annotation) is Literal:
            yield from typing.get_args(annotation)
        else:
            for argument in typing.get_args(annotation):
                yield from walk(argument)

    return list(walk(find_annotation(key)[0]))


def default_of(key: str) -> Any:
    """Value of a setting in a form that was not touched."""
    return WINDOW_DEFAULTS.get(key, find_annotation(key)[1])
