"""The settings behind "More", page by page: one row a configuration key.

A row says what the window adds to the configuration: a name, the control where the type leaves
a choice, and words for values. Meaning, unit, limits and default come from the field itself.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

from napari_surfseg.config_fields import describe_field

__all__ = [
    "CHOICES",
    "DATA_SETTINGS",
    "LABELS",
    "LIVE_SETTINGS",
    "NETWORK_SETTINGS",
    "SUFFIXES",
    "TRAINING_SETTINGS",
    "Setting",
    "choose_control",
    "default_of",
    "describe_range",
    "describe_setting",
    "offered_range",
]

Control = Literal["choice", "line", "notes", "number"]


@dataclass(frozen=True)
class Setting:
    """One row.

    Attributes
    ----------
    key : str
        Dotted configuration key.
    label : str
        What stands before the control, and what sentences call it.
    control : str
        ``"line"`` for a number that is typed or left empty, ``"notes"`` for lines of text;
        by default what suits the type of the field.
    step, decimals : float, int
        Of a box with a number: what its arrows add, and how exact it is.
    empty : str
        What an empty line means, or the least value of a box for a number that may be left out.
    meaning : str
        What it does, where the field speaks of values by their names in a file.
    """

    key: str
    label: str
    control: Control | None = None
    step: float = 1
    decimals: int = 2
    empty: str = ""
    meaning: str = ""


_GREY_VALUES = {"auto": "rescale by type", "match": "match the range", "as_is": "as they are"}

#: What the values of a choice are called, in the order in which they are offered. Those that
#: the configuration does not know are left out.
CHOICES: dict[str, dict[Any, str]] = {
    "data.intensity": _GREY_VALUES,
    "inference.intensity": _GREY_VALUES,
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
    "training.best_by": {
        "mean_dice": "mean Dice (surface, voxels)",
        "surface_dice": "surface Dice",
        "score": "score (surface, topology, VOI)",
    },
    "postprocess.goal": {
        "score": "score (surface, topology, VOI)",
        "surface_dice": "surface Dice",
        "dice": "Dice",
    },
    "training.precision": {"auto": "automatic", "float32": "float32", "bf16": "bf16"},
}

DATA_SETTINGS: dict[str, tuple[Setting, ...]] = {
    "Volumes": (
        Setting(
            "data.spacing",
            "Voxel size",
            empty="from the layers",
            meaning="Z, Y, X voxel size for all volumes, in the unit of the layers; by default the "
            "layers' scale, or what the files say, else 1.",
        ),
        Setting(
            "data.resample",
            "Resample to",
            empty="automatic",
            meaning="Z, Y, X voxel size in which the network sees the volumes, in the unit of the "
            "layers, or none for as they are. Automatic: where the voxels differ by more than a "
            "factor of 1.5 along an axis from those that the network was trained on before, in "
            "the size of those. Results lie on the volume's own grid.",
        ),
        Setting(
            "data.intensity",
            "Grey values",
            meaning="What is done where the grey values of a volume do not fit those of the first. "
            "Rescale by type: where 8 or 16 bits or 0 to 1 explain it, otherwise a warning. Match "
            "the range: that of nearly all of its values becomes that of the first's.",
        ),
        Setting("data.void_value", "Outside value", "line", empty="none"),
        Setting("data.validation.gap", "Gap", "line", empty="automatic"),
        Setting("data.cache_gib", "Cache", step=0.5, decimals=1),
        Setting("data.remote_cache_gib", "Cache on disk", step=5, decimals=1),
    ),
    "Patches": (
        Setting(
            "data.augmentation.symmetries",
            "Flips and turns",
            meaning="How patches are mirrored and turned. A scroll's two sides look different, a "
            "membrane's alike. Both sides alike takes all 48 flips and quarter turns of the cube, "
            "different sides the 16 that keep the axis along which the fibres of one side run. "
            "Automatic measures the texture beside the labelled surface.",
        ),
        Setting("data.foreground_share", "On surface", step=0.05),
        Setting(
            "data.pseudo_labels",
            "Fill between",
            meaning="Let a quick classifier, trained on the annotated voxels, say what surrounds "
            "them, and learn from that too. Automatic does it where the labels are strokes.",
        ),
        Setting("data.augmentation.intensity", "Contrast", step=0.05),
        Setting("data.augmentation.noise", "Noise", step=0.01),
        Setting("data.augmentation.affine", "Rotate, scale", step=0.05),
        Setting("data.augmentation.elastic", "Bend", step=0.05),
    ),
}

NETWORK_SETTINGS: dict[str, tuple[Setting, ...]] = {
    "Size": (
        Setting("model.base_channels", "First channels", step=4, empty="preset's"),
        Setting("model.multipliers", "Widths", empty="preset's"),
        Setting("model.blocks_per_stage", "Blocks a stage", empty="preset's"),
        Setting("model.dropout", "Dropout", "line", empty="preset's"),
        Setting(
            "model.activation",
            "Activation",
            meaning="Function after each convolution; by default the preset's.",
        ),
        Setting("model.deep_supervision", "Deep supervision"),
    ),
}

TRAINING_SETTINGS: dict[str, tuple[Setting, ...]] = {
    "Optimizer": (
        Setting("training.train_batch_size", "Batch size"),
        Setting("training.accumulate", "Accumulate"),
        Setting(
            "training.gpus",
            "GPUs",
            "line",
            empty="one",
            meaning="GPUs of this machine that share each batch: a number, or all. The batch size "
            "is a multiple of it, and counts the patches in all of them together.",
        ),
        Setting("training.learning_rate", "First rate", "line", empty="automatic"),
        Setting("training.max_learning_rate", "Peak rate", "line", empty="automatic"),
        Setting("training.weight_decay", "Weight decay", step=0.001, decimals=4),
        Setting("training.gradient_clip", "Gradient clip", step=0.1, empty="off"),
        Setting("training.ema_decay", "Averaging", "line", empty="automatic"),
        Setting(
            "training.precision",
            "Precision",
            meaning="Number format of the network's activations; automatic is bf16 on GPUs that "
            "compute in it, and float32 elsewhere.",
        ),
        Setting(
            "training.workers",
            "Loader threads",
            "line",
            empty="automatic",
            meaning="Threads that cut and vary patches; 0 loads in the training thread.",
        ),
        Setting("experiment.seed", "Seed"),
    ),
    "Loss details": (
        Setting(
            "loss.pos_weight",
            "Surface weight",
            step=0.1,
            meaning="Weight of a surface voxel against a background voxel in weighted BCE; 1 where "
            "the labels are filled between strokes.",
        ),
        Setting("loss.skeleton_iterations", "Skeleton depth"),
        Setting(
            "loss.tolerance",
            "Tolerance",
            step=0.5,
            decimals=1,
            meaning="Distance beyond which the surface distance loss grows no more, and within "
            "which a surface counts as found in the scores.",
        ),
        Setting(
            "loss.euler_window",
            "Topology window",
            meaning="Edge of the windows in which the topology loss counts.",
        ),
        Setting("loss.interval", "Evaluate every"),
    ),
    "Validation and preview": (
        Setting(
            "training.best_by",
            "Best by",
            meaning="Validation score that decides which weights are kept as best.pt, of the "
            "epochs after the learning rate has risen. On strokes it is Dice on their voxels; "
            "without validation the newest are kept.",
        ),
        Setting("training.validation_share", "Validation time", step=0.05),
        Setting("training.tuning_share", "Tuning time", step=0.05),
        Setting(
            "postprocess.goal",
            "Tune for",
            meaning="Validation score that the clean-up of predictions is chosen by, at the end of "
            "the run. Whichever it is, nothing is kept that costs more than 0.002 of surface Dice "
            "or Dice.",
        ),
        Setting("training.early_stopping", "Early stopping", empty="off"),
        Setting(
            "training.save_minutes",
            "Save every",
            step=0.5,
            decimals=1,
            meaning="Time between two saves of the newest network, which is also saved after every "
            "epoch and at a stop for any reason; what a kill costs at most.",
        ),
        Setting(
            "preview.seconds",
            "Preview every",
            decimals=1,
            meaning="Time between live predictions; 0 makes none.",
        ),
        Setting("preview.keep", "Previews kept"),
    ),
    "Predicting whole volumes": (
        Setting("inference.overlap", "Overlap", step=0.05),
        Setting(
            "inference.flips",
            "Flips",
            meaning="Average over the eight flips of a volume: eight times slower, a better "
            "surface. Automatic does it where it takes a minute or two.",
        ),
        Setting(
            "inference.intensity",
            "Grey values",
            meaning="What is done where a volume's grey values do not fit those trained on. "
            "Rescale by type: where 8 or 16 bits or 0 to 1 explain it, otherwise a warning. Match "
            "the range: that of nearly all of its values becomes that of the training's.",
        ),
        Setting("inference.threshold", "Threshold", "line", empty="tuned"),
    ),
    "Report": (Setting("experiment.notes", "Notes", "notes", empty="for the report"),),
}

#: What only the program's own networks have: MONAI's are given arguments instead.
OWN_NETWORK_SETTINGS = (
    "model.base_channels",
    "model.multipliers",
    "model.blocks_per_stage",
    "model.dropout",
    "model.activation",
)

#: What the controls in full view are called, by the key that each of them sets.
LABELS = {
    "data.patch_size": "The patch size",
    "data.validation.fraction": "The share for validation",
    "experiment.name": "The run name",
    "model.arguments": "Arguments",
    "model.network": "The network of MONAI",
    "model.preset": "The network's size",
    "model.start_from": "Start from",
    "training.max_epochs": "The length in epochs",
    "training.max_minutes": "The length in minutes",
    "training.train_iterations_per_epoch": "Steps an epoch",
}

#: Where the window differs from a run without one: somebody is looking, and not for long.
WINDOW_DEFAULTS: dict[str, Any] = {"preview.seconds": 5.0, "training.max_minutes": 10.0}
#: Settings a running training takes, by key.
LIVE_SETTINGS = ("data.foreground_share", "preview.seconds")
#: Units that stand in the box, behind the number.
SUFFIXES = {"GiB": " GiB", "seconds": " s", "voxels of the finest axis": " vox"}


def default_of(key: str) -> Any:
    """Return the value of a setting in a form that was not touched."""
    return WINDOW_DEFAULTS.get(key, describe_field(key).default)


def choose_control(setting: Setting) -> Control:
    """Return the kind of control that suits a setting."""
    if setting.control is not None:
        return setting.control
    types = describe_field(setting.key).types
    if not types:
        return "choice"
    return "number" if types <= {int, float} else "line"


def offered_range(key: str) -> tuple[float, float]:
    """Return the least and the greatest number that a box offers for a setting.

    A whole number that may be left out begins one lower, a fraction at its limit: the least
    value then stands for none.
    """
    field = describe_field(key)
    low, high = field.offered
    if low is None or high is None:
        raise ValueError(f"{key} has no range that a box could offer; type it in a line")
    is_optional = None in field.choices and int in field.types
    return (low - 1 if is_optional else low), high


def describe_range(key: str) -> str:
    """Say the range, unit and default of a setting: ``8 to 1024 voxels; 64 by default``."""
    field = describe_field(key)
    low, high = field.offered
    if low is None or high is None or _row(key).control == "line":
        limits = field.limits
    else:
        limits = f"{_show(low)} to {_show(high)}"
    said = f"{limits} {field.unit}".strip()
    default = default_of(key)
    if isinstance(default, tuple) and len(set(default)) == 1:
        default = default[0]
    if isinstance(default, int | float) and not isinstance(default, bool):
        said += f"; {_show(default)} by default"
    return said


def describe_setting(setting: Setting) -> str:
    """Compose the tooltip of a control: what it does, its unit and limits, and its default."""
    key = setting.key
    field = describe_field(key)
    said = setting.meaning or field.meaning
    if range_ := describe_range(key):
        said = f"{said.removesuffix('.')} ({range_})."
    default = default_of(key)
    if setting.control != "notes" and (default is None or isinstance(default, str | bool)):
        word = CHOICES.get(key, {}).get(default, setting.empty)
        if word and "by default" not in said:
            said += f" By default {word}."
    if key in LIVE_SETTINGS:
        said += " It can be changed while it runs."
    return said


def _row(key: str) -> Setting:
    tables = (DATA_SETTINGS, NETWORK_SETTINGS, TRAINING_SETTINGS)
    rows = (row for table in tables for group in table.values() for row in group)
    return next((row for row in rows if row.key == key), Setting(key, LABELS.get(key, key)))


def _show(number: float) -> str:
    return f"{int(number)}" if number == int(number) else f"{number:g}"
