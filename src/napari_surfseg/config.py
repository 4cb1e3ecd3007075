"""The schema of an experiment: every setting, with its meaning, unit, default and limits.

An :class:`Experiment` is frozen and holds everything a run needs to be repeated. Unknown keys
and values out of range are refused. Reading, writing and changing experiments is in
:mod:`napari_surfseg.config_files`; what the fields say about themselves, for the settings
page and the documentation, is read by :mod:`napari_surfseg.config_fields`. Nothing here
imports torch or numpy, so a window or a cluster script can use it at once.
"""

from __future__ import annotations

import re
import unicodedata
from typing import TYPE_CHECKING, Annotated, Any, Literal, get_args

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    ValidationInfo,
    create_model,
    field_validator,
    model_validator,
)

from napari_surfseg.vocabulary import LOSS_TERMS, LossTerm

__all__ = [
    "MODEL_PRESETS",
    "MONAI_NETWORKS",
    "NNUNET_NETWORKS",
    "Augmentation",
    "Data",
    "Experiment",
    "ExperimentInfo",
    "Inference",
    "Labels",
    "Loss",
    "Model",
    "Pair",
    "PathText",
    "PhantomData",
    "PositiveSize",
    "PositiveSpacing",
    "Preview",
    "Section",
    "Training",
    "ValidationSlab",
]

#: Model presets, smallest first; ``auto`` takes ``tiny`` on a CPU and ``small`` on a GPU.
MODEL_PRESETS = ("tiny", "small", "base", "exp001")

#: Networks of MONAI that map a volume to a volume, by the names of their classes.
MONAI_NETWORKS = (
    "AttentionUnet",
    "BasicUNet",
    "BasicUNetPlusPlus",
    "DynUNet",
    "FlexibleUNet",
    "MedNeXt",
    "SegResNet",
    "SegResNetDS",
    "SwinUNETR",
    "UNETR",
    "UNet",
    "VNet",
)

#: Networks of nnU-Net v2; one comes with its weights, from what nnU-Net left of a training.
NNUNET_NETWORKS = ("PlainConvUNet", "ResidualEncoderUNet")

#: Networks of others, by the preset they go with.
FOREIGN_NETWORKS = {"monai": MONAI_NETWORKS, "nnunet": NNUNET_NETWORKS}


def _one_is_a_list(value: Any) -> Any:
    """Take ``1`` for ``[1]`` and one pair for a list of one: the brackets may be left out."""
    return (value,) if isinstance(value, int | dict | BaseModel) else value


def _none_is_auto(value: Any) -> Any:
    return "auto" if value is None else value


def _one_size_is_three(value: Any) -> Any:
    """Take one number for all three axes; refuse what is neither a word nor three lengths."""

    def is_length(value: Any) -> bool:
        is_number = isinstance(value, int | float) and not isinstance(value, bool)
        return is_number and 0 < value < float("inf")

    if is_length(value):
        return (value,) * 3
    is_list = isinstance(value, list | tuple)
    is_size = is_list and len(value) == 3 and all(map(is_length, value))
    if not is_size and value not in ("auto", "none"):
        raise ValueError("it must be auto, none or a voxel size: Z, Y, X, each above 0")
    return value


def _none_is_fresh(value: Any) -> Any:
    return "none" if value is None else value


def _about(unit: str, offered: tuple[float, float] | None = None) -> dict[str, Any]:
    """Describe a number: its unit, and the range that a control in a window offers.

    `offered` is given where a limit of the field is missing or is too far away to be useful.
    A value outside it is still allowed in a file.
    """
    return {"unit": unit} if offered is None else {"unit": unit, "offered": list(offered)}


Positive = Annotated[int, Field(gt=0)]
PositiveFloat = Annotated[float, Field(gt=0, allow_inf_nan=False)]
NonNegativeFloat = Annotated[float, Field(ge=0, allow_inf_nan=False)]
NonNegative = Annotated[float, Field(ge=0, allow_inf_nan=False)]
Fraction = Annotated[float, Field(ge=0, le=1)]
Seed = Annotated[int, Field(ge=0, lt=2**32)]
Text = Annotated[str, Field(min_length=1)]


#: Control characters, and what YAML calls the ends of lines and paragraphs.
UNSEEN = frozenset({"Cc", "Zl", "Zp"})


def _is_a_path(path: str) -> str:
    """Refuse tabs and the like, which a path of Windows in YAML's double quotes is full of."""
    found = next((char for char in path if unicodedata.category(char) in UNSEEN), None)
    if found is not None:
        raise ValueError(
            f"a path holds no {found!r}; in double quotes YAML reads a backslash as an escape, so "
            "write a path of Windows in single quotes or with /"
        )
    return path


#: Bounds of what is handed to a network's class: no network of use needs more.
MOST_ARGUMENTS, DEEPEST_ARGUMENT, LARGEST_ARGUMENT = 256, 4, 4096
ARGUMENT_WORD = re.compile(r"[A-Za-z][A-Za-z0-9_ -]{0,39}")


def _are_plain_arguments(arguments: dict[str, Any]) -> dict[str, Any]:
    """Take numbers, words and lists of them: neither code nor the name of a place to import."""
    waiting: list[tuple[str, Any, int]] = [(key, value, 1) for key, value in arguments.items()]
    num_values = 0
    while waiting:
        name, value, depth = waiting.pop(0)
        num_values += 1
        if num_values > MOST_ARGUMENTS or depth > DEEPEST_ARGUMENT:
            raise ValueError(
                f"it holds more than {MOST_ARGUMENTS} values, or lists within lists within lists"
            )
        if not name.isidentifier() or len(name) > 40:
            raise ValueError(f"{name[:40]!r} is no name of an argument, such as init_filters")
        if isinstance(value, list | tuple):
            waiting += [(name, item, depth + 1) for item in value]
        elif isinstance(value, dict):
            waiting += [(str(key), item, depth + 1) for key, item in value.items()]
        else:
            _check_argument(name, value)
    return arguments


def _check_argument(name: str, value: Any) -> None:
    if value is None or isinstance(value, bool):
        return
    if isinstance(value, str):
        if not ARGUMENT_WORD.fullmatch(value):
            raise ValueError(
                f"{name} is {value[:60]!r}, but a text is a word of at most 40 letters, digits, "
                "- and _, such as the name of a layer in MONAI"
            )
    elif not isinstance(value, int | float):
        raise ValueError(
            f"{name} is a {type(value).__name__}, but an argument is a number, a word, true, "
            "false, null, or a list or mapping of these"
        )
    elif not abs(value) <= LARGEST_ARGUMENT:  # which NaN is not, either
        raise ValueError(f"{name} is {value:g}, but numbers go up to {LARGEST_ARGUMENT}")


PathText = Annotated[Text, AfterValidator(_is_a_path)]
LabelValues = Annotated[tuple[int, ...], BeforeValidator(_one_is_a_list)]
LearningRate = Annotated[PositiveFloat | Literal["auto"], BeforeValidator(_none_is_auto)]
#: A :data:`~napari_surfseg.geometry.Size3` and a :data:`~napari_surfseg.geometry.Spacing3`
#: whose three numbers are checked to be above 0.
PositiveSize = tuple[Positive, Positive, Positive]
PositiveSpacing = tuple[PositiveFloat, PositiveFloat, PositiveFloat]


class _Section(BaseModel):
    """Frozen, and strict about unknown keys: a typo is an error, not a silent default."""

    model_config = ConfigDict(frozen=True, extra="forbid", validate_default=True)

    @field_validator("*", mode="before")
    @classmethod
    def _refuse_true_and_false_for_numbers(cls, value: Any, info: ValidationInfo) -> Any:
        """YAML reads ``yes`` and ``on`` as true, which would silently count as 1."""
        annotation = cls.model_fields[info.field_name or ""].annotation
        if isinstance(value, bool) and bool not in (annotation, *get_args(annotation)):
            raise ValueError("it takes no true or false")
        return value


#: What every file that a person writes is checked by.
Section = _Section


class ExperimentInfo(_Section):
    """Name, seed and notes of the run."""

    name: Text = Field(
        default="surfaces",
        description="Shown in tables, titles and the run folder's default name.",
    )
    seed: Seed = Field(
        default=2025,
        description="Seeds weights, sampling and augmentation.",
        json_schema_extra=_about("", offered=(0, 2**31 - 1)),
    )
    notes: str = Field(default="", description="Free text that is printed in the report.")


class Pair(_Section):
    """One volume and its labels, as paths or URLs."""

    image: PathText = Field(
        description="zarr, OME-Zarr, zipped zarr, N5, TIFF, folder of slices, npy, mrc, HDF5, "
        "BigDataViewer, NIfTI or NRRD. `PATH::KEY` picks an array inside a zarr or N5 group "
        "(`scroll.zarr::1` is its second level) or an HDF5 file (`scan.h5::raw`)."
    )
    labels: PathText = Field(
        description="zarr, OME-Zarr, zipped zarr, N5, TIFF, folder of slices, npy, mrc, HDF5, "
        "BigDataViewer, NIfTI or NRRD. `PATH::KEY` picks an array inside a zarr or N5 group "
        "(`scroll.zarr::1` is its second level) or an HDF5 file (`scan.h5::raw`)."
    )
    roi: tuple[tuple[int, int], tuple[int, int], tuple[int, int]] | None = Field(
        default=None,
        description="Only this box is used, in voxels: three (start, stop) pairs, ZYX, half open.",
        json_schema_extra=_about("voxels"),
    )
    weight: PositiveFloat | None = Field(
        default=None,
        description="How often patches are cut from this volume, beside the weights of the others; "
        "by default as many times as it has annotated voxels. Given for all volumes or for none.",
        json_schema_extra=_about("", offered=(0.001, 1000)),
    )
    spacing: PositiveSpacing | None = Field(
        default=None,
        description="Z, Y, X voxel size of this volume, in its file's unit; by default "
        "`data.spacing`, else what the file says.",
    )

    @field_validator("roi")
    @classmethod
    def _roi_is_a_box(cls, roi: Any) -> Any:
        if roi is not None and any(start < 0 or stop <= start for start, stop in roi):
            raise ValueError("each axis needs 0 <= start < stop")
        return roi


class ValidationSlab(_Section):
    """The part of each training volume kept for validation when no pair is named."""

    fraction: Annotated[float, Field(ge=0, lt=0.9)] = Field(
        default=0.15,
        description="Share of the volume's extent along one axis: of the slabs at its six faces "
        "the one whose content is most like the rest. Where only strokes are annotated, about "
        "this share of them, if there are enough. 0 keeps nothing: no validation.",
        json_schema_extra=_about("", offered=(0.05, 0.8)),
    )
    gap: Annotated[int, Field(ge=0)] | None = Field(
        default=None,
        description="Voxels left unused between the two parts; by default 8, less in a volume "
        "too short for that.",
        json_schema_extra=_about("voxels"),
    )


class Labels(_Section):
    """What the values of a label volume mean.

    The three lists must not overlap. A value in none of them is refused before the run starts,
    unless each value is an instance of its own.
    """

    instances: Literal["boundaries"] | None = Field(
        default=None,
        description="`boundaries`: each value is an object of its own (a cell, a neuron), 0 too, "
        "and the surface is where two values meet. The three lists are then empty unless they "
        "are given: `ignore: [0]` where 0 is not annotated, `foreground: [0]` where 0 is the "
        "wall between the objects.",
    )
    foreground: LabelValues = Field(default=(1,), description="Values that mean surface.")
    background: LabelValues = Field(default=(0,), description="Values that mean not surface.")
    ignore: LabelValues = Field(
        default=(2,),
        description="Values that mean not annotated: neither learned from nor scored.",
    )
    thickness: Annotated[int, Field(ge=1, le=16)] = Field(
        default=2,
        description="Of the boundaries between instances, across both sides, in voxels of the "
        "finest axis.",
        json_schema_extra=_about("voxels of the finest axis"),
    )

    @model_validator(mode="before")
    @classmethod
    def _instances_have_no_other_meaning(cls, values: Any) -> Any:
        """1 and 2 are instances like all others, unless a list that is given says otherwise."""
        if isinstance(values, dict) and values.get("instances") is not None:
            return {"foreground": (), "background": (), "ignore": (), **values}
        return values

    @field_validator("foreground")
    @classmethod
    def _something_is_surface(cls, values: tuple[int, ...], info: ValidationInfo) -> Any:
        if not values and info.data.get("instances") is None:
            raise ValueError("it must list at least one value, the surface's")
        return values

    @model_validator(mode="after")
    def _disjoint(self) -> Labels:
        seen: dict[int, str] = {}
        for meaning in ("foreground", "background", "ignore"):
            for value in getattr(self, meaning):
                if value in seen:
                    raise ValueError(
                        f"value {value} is listed as {seen[value]} and as {meaning}; "
                        "each value may have one meaning"
                    )
                seen[value] = meaning
        return self


class Augmentation(_Section):
    """How patches are varied."""

    symmetries: bool | Literal["auto", "axial", "axial_y", "axial_x"] = Field(
        default="auto",
        description="Flips and quarter turns of patches; only those that keep the spacing and "
        "the patch shape are used. `true`: all 48 of the cube. `axial`: the 16 that keep the Z "
        "axis (`axial_y`, `axial_x`: Y or X), for surfaces whose two sides look different "
        "because fibres run along that axis on one and across it on the other, as in a scroll: "
        "the other turns exchange the sides. `auto` measures the texture beside the labelled "
        "surface, takes the one or the other and says so in the log.",
    )
    intensity: Fraction = Field(
        default=0.5,
        description="Strength of contrast, brightness and gamma changes, 0 (none) to 1.",
    )
    noise: Fraction = Field(
        default=0.05,
        description="Greatest standard deviation of added Gaussian noise, as a share of the "
        "intensity range.",
    )
    affine: Fraction = Field(
        default=0.1,
        description="Probability that a patch is rotated, scaled and sheared on the device. More "
        "blurs what the labels mean by the edge of a surface; it may pay off in hours of training.",
    )
    elastic: Fraction = Field(
        default=0.1, description="Probability that a patch is bent on the device."
    )


class PhantomData(_Section):
    """The synthetic scroll that a run makes for itself when no volumes are named."""

    shape: PositiveSize = Field(
        default=(160, 192, 192),
        description="Z, Y, X voxels.",
        json_schema_extra=_about("voxels"),
    )
    seed: Seed = Field(default=7, description="Another seed gives another scroll.")


class Data(_Section):
    """The volumes and how patches are cut from them."""

    train: Annotated[tuple[Pair, ...], BeforeValidator(_one_is_a_list)] = Field(
        default=(),
        description="Volumes trained on: a list of pairs, a table of them (`pairs.csv`), or a "
        "pattern (`{image: images/*.tif, labels: labels/{name}.tif}`).",
    )
    phantom: PhantomData | None = Field(
        default=None,
        description="Where `train` is empty, make this synthetic scroll and train on it.",
    )
    validation: ValidationSlab | tuple[Pair, ...] = Field(
        default=ValidationSlab(),
        description="A part of the training volumes, or volumes of their own.",
    )
    labels: Labels = Field(default=Labels(), description="Meaning of the label values.")
    patch_size: PositiveSize = Field(
        default=(64, 64, 64),
        description="Z, Y, X voxels of a training patch.",
        json_schema_extra=_about("voxels", offered=(8, 1024)),
    )
    spacing: PositiveSpacing | None = Field(
        default=None,
        description="Z, Y, X voxel size for all volumes, in the files' unit; by default as each "
        "file says, else 1.",
    )
    resample: Annotated[
        Literal["auto", "none"] | PositiveSpacing, BeforeValidator(_one_size_is_three)
    ] = Field(
        default="auto",
        description="In voxels of which size the network sees the volumes; results lie on their "
        "own grid. `auto`: where the voxels differ by more than a factor of 1.5 along an axis "
        "from those that the network was trained on before (`model.start_from`, or in a "
        "prediction), in the size of those. `none`: as they are. Z, Y, X: this size, in the "
        "files' unit.",
    )
    void_value: float | None = Field(
        default=None,
        description='Image value that means "outside the scan"; such voxels are ignored. Masked '
        "CT has exactly 0 there.",
    )
    intensity: Literal["auto", "as_is", "match"] = Field(
        default="auto",
        description="Where the grey values of a volume do not fit those of the first. `auto`: "
        "where the ranges of their types explain it (8 and 16 bits, 0 to 1) they are rescaled, "
        "otherwise one warning. `match`: the range of nearly all of its values is mapped onto "
        "that of the first's. `as_is`: they are taken as they are.",
    )
    foreground_share: Fraction = Field(
        default=0.65, description="Share of the patches whose centre lies on the surface."
    )
    pseudo_labels: bool | Literal["auto"] = Field(
        default="auto",
        description="Let a quick classifier on filter responses, trained on the annotated "
        "voxels, label what surrounds them, and learn from that too. `auto`: where labels are "
        "strokes.",
    )
    cache_gib: PositiveFloat = Field(
        default=2.0,
        description="Memory for decoded chunks, in GiB.",
        json_schema_extra=_about("GiB", offered=(0.1, 1024)),
    )
    remote_cache_gib: NonNegativeFloat = Field(
        default=10.0,
        description="Disk for chunks of images behind a URL, in GiB, in the user's cache folder; "
        "all runs of a person share it, what was used longest ago goes first, 0 keeps nothing.",
        json_schema_extra=_about("GiB", offered=(0, 10_000)),
    )
    augmentation: Augmentation = Field(
        default=Augmentation(), description="How patches are varied."
    )

    @field_validator("train")
    @classmethod
    def _all_have_a_weight_or_none(cls, pairs: tuple[Pair, ...]) -> tuple[Pair, ...]:
        without = [index for index, pair in enumerate(pairs) if pair.weight is None]
        if without and len(without) < len(pairs):
            raise ValueError(
                f"pair {without[0]} has no weight and others have; give it for all of them or for "
                "none"
            )
        return pairs

    @field_validator("validation", mode="before")
    @classmethod
    def _pairs_or_slab(cls, value: Any) -> Any:
        """Pick the branch by shape, so that an error speaks of one form, not of both."""
        if isinstance(value, list | tuple):
            if not value:
                raise ValueError("a list of validation pairs must not be empty")
            return tuple(Pair.model_validate(pair) for pair in value)
        return value if isinstance(value, ValidationSlab) else ValidationSlab.model_validate(value)


class Model(_Section):
    """The network: a preset, and changes to it."""

    preset: Literal["auto", "tiny", "small", "base", "exp001", "monai", "nnunet"] = Field(
        default="auto",
        description="`tiny`, `small`, `base`, `exp001`; `auto` chooses by device; `monai` takes "
        "the network of MONAI that `network` names. `nnunet` is what a network of nnU-Net becomes "
        "that `start_from` names.",
    )
    network: Literal[MONAI_NETWORKS + NNUNET_NETWORKS] | None = Field(  # type: ignore[valid-type]
        default=None,
        description="With `preset: monai`: "
        + ", ".join(f"`{name}`" for name in MONAI_NETWORKS[:-1])
        + f" or `{MONAI_NETWORKS[-1]}`.",
    )
    arguments: Annotated[dict[str, Any], AfterValidator(_are_plain_arguments)] | None = Field(
        default=None,
        description="With `preset: monai`: arguments of the network's class, as MONAI documents "
        "them, for example `{init_filters: 16}`. `in_channels`, `out_channels`, `spatial_dims` "
        "and `img_size` are set by the program.",
    )
    base_channels: Positive | None = Field(
        default=None,
        description="Channels of the first stage; by default the preset's.",
        json_schema_extra=_about("channels", offered=(1, 1024)),
    )
    multipliers: Annotated[tuple[Positive, ...], Field(min_length=2, max_length=7)] | None = Field(
        default=None,
        description="Channels of each stage as multiples of the first's, one number a stage; by "
        "default the preset's.",
    )
    blocks_per_stage: Annotated[int, Field(ge=1, le=8)] | None = Field(
        default=None,
        description="Residual blocks in each stage; by default the preset's.",
        json_schema_extra=_about("blocks"),
    )
    dropout: Annotated[float, Field(ge=0, lt=1)] | None = Field(
        default=None,
        description="Probability that a channel is left out of a step; by default the preset's.",
    )
    activation: Literal["mish", "leakyrelu", "relu", "silu"] | None = Field(
        default=None,
        description="Function after each convolution: `mish`, `leakyrelu`, `relu` or `silu`; by "
        "default the preset's.",
    )
    deep_supervision: bool | None = Field(
        default=None,
        description="Also score lower-resolution heads; by default the preset's.",
    )
    start_from: Annotated[PathText, BeforeValidator(_none_is_fresh)] = Field(
        default="auto",
        description="Whose weights the network starts from. `auto`: the network of this size that "
        "comes with the package, if there is one. `none`: fresh weights. The name of a network "
        "that `surfseg networks` lists, a checkpoint, or a run folder (which stands for its "
        "`best.pt`): the weights that fit are taken; `preset: auto` takes its size as well. The "
        "grey values are normalised by the new volumes.",
    )

    @property
    def title(self) -> str:
        """What a person calls the network."""
        if self.network is None:
            return self.preset
        return f"{self.network} of {'MONAI' if self.preset == 'monai' else 'nnU-Net'}"

    @model_validator(mode="after")
    def _one_family(self) -> Model:
        """Refuse what the other family of networks takes, which would mean nothing here."""
        networks = FOREIGN_NETWORKS.get(self.preset)
        if networks is None:
            for name in ("network", "arguments"):
                if getattr(self, name):
                    raise ValueError(f"{name} goes with preset: monai, but preset is {self.preset}")
            return self
        if self.network not in networks:
            raise ValueError(f"preset: {self.preset} needs network, one of {', '.join(networks)}")
        for name in ("base_channels", "multipliers", "blocks_per_stage", "dropout", "activation"):
            if getattr(self, name) is not None:
                raise ValueError(
                    f"{name} is for the program's own networks; with preset: {self.preset} such "
                    "settings are in arguments, by their names there"
                )
        return self


def _weight_field(term: LossTerm) -> Any:
    """Make the setting of a loss term's weight."""
    return (
        NonNegative,
        Field(
            default=term.weight,
            description=f"Weight of {term.title}. {term.note}",
            json_schema_extra=_about("", offered=(0, 10)),
        ),
    )


if TYPE_CHECKING:
    _TermWeights = _Section
else:
    _TermWeights = create_model(
        "_TermWeights",
        __base__=_Section,
        **{term.key: _weight_field(term) for term in LOSS_TERMS.values()},
    )


class Loss(_TermWeights):
    """Weights of the loss terms and their few settings; a term with weight 0 is not computed.

    The weights are fields made from :data:`napari_surfseg.vocabulary.LOSS_TERMS`.
    """

    pos_weight: PositiveFloat = Field(
        default=2.8,
        description="Weight of a surface voxel in `weighted_bce`; 1 where pseudo-labels are "
        "learned from.",
        json_schema_extra=_about("", offered=(0.1, 100)),
    )
    skeleton_iterations: Annotated[int, Field(ge=1, le=32)] = Field(
        default=3,
        description="Erosions of the soft skeleton: half the greatest sheet thickness, in voxels.",
        json_schema_extra=_about("voxels"),
    )
    tolerance: PositiveFloat = Field(
        default=2.0,
        description="Distance beyond which `surface_distance` saturates, and within which a "
        "surface counts as found in validation: in voxels of the finest axis, so that it means "
        "the same for nanometres and millimetres.",
        json_schema_extra=_about("voxels of the finest axis", offered=(0.5, 100)),
    )
    euler_window: Annotated[int, Field(ge=2)] = Field(
        default=16,
        description="Edge of the windows of `toploss_simple`, in voxels.",
        json_schema_extra=_about("voxels", offered=(2, 128)),
    )
    interval: Positive = Field(
        default=1,
        description="Evaluate the terms other than BCE and Dice every so many optimizer steps.",
        json_schema_extra=_about("steps", offered=(1, 100)),
    )

    @property
    def weights(self) -> dict[str, float]:
        """Weight of every term, by key, in the order of the vocabulary."""
        return {term: getattr(self, term) for term in LOSS_TERMS}

    @model_validator(mode="after")
    def _something_to_learn(self) -> Loss:
        if not any(self.weights.values()):
            raise ValueError("at least one loss weight must be above 0")
        return self


class Training(_Section):
    """How long and how the network is trained."""

    max_epochs: Positive | None = Field(
        default=None,
        description="Epochs; 32 where neither this nor `max_minutes` is given.",
        json_schema_extra=_about("epochs", offered=(1, 100000)),
    )
    max_minutes: PositiveFloat | None = Field(
        default=None,
        description="Wall-clock budget of the training; the learning-rate schedule spans it, and "
        "goes on smoothly where it is changed later.",
        json_schema_extra=_about("minutes", offered=(0.1, 100000)),
    )
    train_iterations_per_epoch: Positive = Field(
        default=100,
        description="Optimizer steps an epoch.",
        json_schema_extra=_about("steps", offered=(1, 100000)),
    )
    train_batch_size: Positive = Field(
        default=1,
        description="Patches a batch, of all GPUs together.",
        json_schema_extra=_about("patches", offered=(1, 64)),
    )
    accumulate: Positive = Field(
        default=1,
        description="Batches whose gradients are added before a step.",
        json_schema_extra=_about("batches", offered=(1, 64)),
    )
    gpus: Annotated[int, Field(ge=1, le=64)] | Literal["all"] = Field(
        default=1,
        description="GPUs of this machine that share each batch, one process each: a number, or "
        "`all`. `train_batch_size` is a multiple of it and stays the number of patches in all "
        "of them together, so that a run learns the same with any number. Processes started by "
        "`torchrun` count instead of it.",
        json_schema_extra=_about("GPUs"),
    )
    workers: Annotated[int, Field(ge=0, le=256)] | Literal["auto"] = Field(
        default="auto",
        description="Loader threads; `0` loads in the training thread.",
        json_schema_extra=_about("threads"),
    )
    precision: Literal["auto", "float32", "bf16"] = Field(
        default="auto",
        description="`float32` or `bf16`; `auto` is bf16 on GPUs that compute in it (A100, RTX 30 "
        "and newer), and float32 elsewhere.",
    )
    learning_rate: LearningRate = Field(
        default="auto", description="Start of the one-cycle learning rate of AdamW."
    )
    max_learning_rate: LearningRate = Field(
        default="auto", description="Peak of the one-cycle learning rate of AdamW."
    )
    weight_decay: NonNegative = Field(
        default=1e-2,
        description="AdamW's decoupled weight decay.",
        json_schema_extra=_about("", offered=(0, 1)),
    )
    gradient_clip: PositiveFloat | None = Field(
        default=0.8,
        description="Greatest norm of the gradient.",
        json_schema_extra=_about("", offered=(0, 100)),
    )
    ema_decay: Annotated[float, Field(ge=0, lt=1)] | Literal["auto"] = Field(
        default="auto",
        description="Decay of the averaged weights, which are the ones scored and used.",
    )
    best_by: Literal["mean_dice", "surface_dice", "score"] = Field(
        default="mean_dice",
        description="Validation score that decides which weights are `best.pt`, of the epochs "
        "after the learning rate has risen the newest within 0.005 of the greatest. On strokes it "
        "is Dice on their voxels, within 0.05; without validation `best.pt` is the newest.",
    )
    validation_share: Annotated[float, Field(gt=0, le=1)] = Field(
        default=0.1,
        description="Greatest share of the running time spent on validation; epochs are left "
        "unscored to keep to it (the last one never).",
        json_schema_extra=_about("", offered=(0.01, 1)),
    )
    tuning_share: Fraction = Field(
        default=0.25,
        description="Post-processing is chosen on the validation data at the end, in at most "
        "this share of the running time; 0 leaves it at a threshold.",
    )
    save_minutes: PositiveFloat = Field(
        default=5.0,
        description="Time between two saves of `last.pt`, which is also written after every epoch "
        "and at a stop for any reason; what a kill costs at most.",
        json_schema_extra=_about("minutes", offered=(0.5, 120)),
    )
    early_stopping: Positive | None = Field(
        default=None,
        description="Stop after so many scored epochs without a better score.",
        json_schema_extra=_about("epochs", offered=(1, 1000)),
    )


class PostProcessing(_Section):
    """How the clean-up of a prediction is chosen at the end of a run."""

    goal: Literal["score", "surface_dice", "dice"] = Field(
        default="score",
        description="Validation score that the search for post-processing raises. Whichever it "
        "is, nothing is kept that costs more than 0.002 of surface Dice or Dice, on the validation "
        "data, on their pieces and on training data.",
    )


class Preview(_Section):
    """The live look at a part of a volume while it trains."""

    seconds: NonNegative = Field(
        default=0.0,
        description="Time between previews; 0 makes none until a watcher asks for them.",
        json_schema_extra=_about("seconds", offered=(0, 3600)),
    )
    size: PositiveSize = Field(
        default=(64, 128, 128),
        description="Z, Y, X voxels of the region shown.",
        json_schema_extra=_about("voxels", offered=(8, 1024)),
    )
    keep: Annotated[int, Field(ge=1, le=1000)] = Field(
        default=20,
        description="Earlier previews kept for looking back.",
        json_schema_extra=_about("previews"),
    )


class Inference(_Section):
    """How whole volumes are predicted."""

    overlap: Annotated[float, Field(ge=0, le=0.9)] = Field(
        default=0.25, description="Share of a window that its neighbour sees again."
    )
    flips: bool | Literal["auto"] = Field(
        default="auto",
        description="Average over the eight flips (test-time augmentation): eight times the "
        "work for a better surface. `auto` does it for volumes small enough that it takes a "
        "minute or two.",
    )
    threshold: Annotated[float, Field(gt=0, lt=1)] | None = Field(
        default=None,
        description="Probability above which a voxel is surface; by default the one tuned on "
        "the validation data, which the checkpoint holds.",
    )
    intensity: Literal["auto", "as_is", "match"] = Field(
        default="auto",
        description="Where a volume's grey values do not fit those trained on. `auto`: where the "
        "ranges of their types explain it (8 and 16 bits, 0 to 1) they are rescaled, otherwise "
        "one warning. `match`: the range of nearly all of its values is mapped onto that of the "
        "training's. `as_is`: they are taken as they are.",
    )


class Experiment(_Section):
    """A whole experiment; see the sections for their settings."""

    experiment: ExperimentInfo = ExperimentInfo()
    data: Data = Data()
    model: Model = Model()
    loss: Loss = Loss()
    training: Training = Training()
    postprocess: PostProcessing = PostProcessing()
    inference: Inference = Inference()
    preview: Preview = Preview()
