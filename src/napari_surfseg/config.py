"""The experiment: everything a run needs to be repeated, in one frozen object.

An :class:`Experiment` is read from YAML (:func:`load_experiment`), changed with
dotted overrides (:func:`apply_overrides`) and written back resolved
(:func:`dump_experiment`). Unknown keys and values out of range are refused with
a sentence that names the dotted key. Nothing here imports torch or numpy, so a
window or a cluster script can use it at once.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal, get_args

import yaml
from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    ValidationError,
    ValidationInfo,
    field_validator,
    model_validator,
)

from napari_surfseg.config_errors import explain_fault, unknown_key
from napari_surfseg.errors import ConfigError

__all__ = [
    "LOSS_TERMS",
    "MODEL_PRESETS",
    "Augmentation",
    "Data",
    "Experiment",
    "ExperimentInfo",
    "Inference",
    "Labels",
    "Loss",
    "Model",
    "Pair",
    "PhantomData",
    "Preview",
    "Training",
    "ValidationSlab",
    "apply_overrides",
    "build_experiment",
    "dump_experiment",
    "load_experiment",
    "load_preset",
    "preset_names",
    "resolve_paths",
]

#: Loss terms in the order in which they are logged and shown.
LOSS_TERMS = (
    "weighted_bce",
    "soft_dice",
    "cldice",
    "morph_skeleton",
    "surface_distance",
    "toploss_simple",
    "skeleton_recall",
)

#: Model presets, smallest first; ``auto`` takes ``tiny`` on a CPU and ``small`` on a GPU.
MODEL_PRESETS = ("tiny", "small", "base", "exp001")

PRESETS_FOLDER = Path(__file__).parent / "presets"


def _one_is_a_list(value: Any) -> Any:
    """Take ``1`` for ``[1]`` and one pair for a list of one: nobody should trip over brackets."""
    return (value,) if isinstance(value, int | dict | BaseModel) else value


Positive = Annotated[int, Field(gt=0)]
Values = Annotated[tuple[int, ...], BeforeValidator(_one_is_a_list)]
Fraction = Annotated[float, Field(ge=0, le=1)]
NonNegative = Annotated[float, Field(ge=0, allow_inf_nan=False)]
Size3 = tuple[Positive, Positive, Positive]
Spacing3 = tuple[
    Annotated[float, Field(gt=0, allow_inf_nan=False)],
    Annotated[float, Field(gt=0, allow_inf_nan=False)],
    Annotated[float, Field(gt=0, allow_inf_nan=False)],
]


class _Section(BaseModel):
    """Frozen, and strict about unknown keys: a typo is an error, not a silent default."""

    model_config = ConfigDict(frozen=True, extra="forbid", validate_default=True)

    @field_validator("*", mode="before")
    @classmethod
    def _yes_is_no_number(cls, value: Any, info: ValidationInfo) -> Any:
        """YAML reads ``yes`` and ``on`` as true, which would silently count as 1."""
        annotation = cls.model_fields[info.field_name or ""].annotation
        if isinstance(value, bool) and bool not in (annotation, *get_args(annotation)):
            raise ValueError("it takes no true or false")
        return value


class ExperimentInfo(_Section):
    """Who this run is.

    Attributes
    ----------
    name : str
        Shown in tables, titles and the run folder's default name.
    seed : int
        Seeds weights, sampling and augmentation.
    notes : str
        Free text that travels into the report.
    """

    name: Annotated[str, Field(min_length=1)] = "surfaces"
    seed: Annotated[int, Field(ge=0, lt=2**32)] = 2025
    notes: str = ""


class Pair(_Section):
    """One volume and its labels, as paths or URLs.

    Attributes
    ----------
    image, labels : str
        zarr, OME-Zarr, TIFF, folder of slices, npy or mrc. ``PATH::KEY`` picks an
        array inside a zarr group (``scroll.zarr::1`` is its second level).
    roi : tuple of three (start, stop) pairs, optional
        Only this box is used, in voxels, ZYX, half open.
    """

    image: Annotated[str, Field(min_length=1)]
    labels: Annotated[str, Field(min_length=1)]
    roi: tuple[tuple[int, int], tuple[int, int], tuple[int, int]] | None = None

    @field_validator("roi")
    @classmethod
    def _roi_is_a_box(cls, roi: Any) -> Any:
        if roi is not None and any(start < 0 or stop <= start for start, stop in roi):
            raise ValueError("each axis needs 0 <= start < stop")
        return roi


class ValidationSlab(_Section):
    """The part of each training volume kept for validation when no pair is named.

    Attributes
    ----------
    fraction : float
        Share of the volume's extent along one axis: of the slabs at its six faces the
        one whose content is most like the rest. Where only strokes are annotated, about
        this share of them, if there are enough. 0 keeps nothing: no validation.
    gap : int, optional
        Voxels left unused between the two parts; by default 8, less in a
        volume too short for that.
    """

    fraction: Annotated[float, Field(ge=0, lt=0.9)] = 0.15
    gap: Annotated[int, Field(ge=0)] | None = None


class Labels(_Section):
    """What the values of a label volume mean.

    Attributes
    ----------
    foreground, background, ignore : tuple of int
        Values that mean surface, not surface, and not annotated. They must not
        overlap. A value in none of them is refused before the run starts.
    """

    foreground: Annotated[Values, Field(min_length=1)] = (1,)
    background: Values = (0,)
    ignore: Values = (2,)

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
    """How patches are varied.

    Attributes
    ----------
    symmetries : "auto", bool, "axial", "axial_y" or "axial_x"
        Flips and quarter turns of patches; only those that keep the spacing and the
        patch shape are used. ``true``: all 48 of the cube. ``axial``: the 16 that keep
        the Z axis (``axial_y``, ``axial_x``: Y or X), for surfaces whose two sides look
        different because fibres run along that axis on one and across it on the other,
        as in a scroll: the other turns exchange the sides. ``auto`` measures the texture
        beside the labelled surface, takes the one or the other and says so in the log.
    intensity : float
        Strength of contrast, brightness and gamma changes, 0 (none) to 1.
    noise : float
        Greatest standard deviation of added Gaussian noise, as a share of the
        intensity range.
    affine : float
        Probability that a patch is rotated, scaled and sheared on the device.
    elastic : float
        Probability that a patch is bent on the device.
    """

    symmetries: bool | Literal["auto", "axial", "axial_y", "axial_x"] = "auto"
    intensity: Fraction = 0.5
    noise: Fraction = 0.05
    affine: Fraction = 0.5
    elastic: Fraction = 0.3


class PhantomData(_Section):
    """The synthetic scroll that a run makes for itself when no volumes are named.

    Attributes
    ----------
    shape : tuple of int
        Z, Y, X voxels.
    seed : int
        Another seed gives another scroll.
    """

    shape: Size3 = (160, 192, 192)
    seed: Annotated[int, Field(ge=0, lt=2**32)] = 7


class Data(_Section):
    """The volumes and how patches are cut from them.

    Attributes
    ----------
    train : tuple of Pair
        Volumes trained on.
    phantom : PhantomData, optional
        Where ``train`` is empty, make this synthetic scroll and train on it.
    validation : ValidationSlab or tuple of Pair
        A part of the training volumes, or volumes of their own.
    labels : Labels
        Meaning of the label values.
    patch_size : tuple of int
        Z, Y, X voxels of a training patch.
    spacing : tuple of float, optional
        Z, Y, X voxel size for all volumes, in the files' unit; by default as
        each file says, else 1.
    void_value : float, optional
        Image value that means "outside the scan"; such voxels are ignored.
        Masked CT has exactly 0 there.
    foreground_share : float
        Share of the patches whose centre lies on the surface.
    pseudo_labels : bool or "auto"
        Let a quick classifier on filter responses, trained on the annotated voxels, say what
        surrounds them, and learn from that too. ``auto``: where labels are strokes.
    cache_gib : float
        Memory for decoded chunks, in GiB.
    augmentation : Augmentation
        How patches are varied.
    """

    train: Annotated[tuple[Pair, ...], BeforeValidator(_one_is_a_list)] = ()
    phantom: PhantomData | None = None
    validation: ValidationSlab | tuple[Pair, ...] = ValidationSlab()
    labels: Labels = Labels()
    patch_size: Size3 = (64, 64, 64)
    spacing: Spacing3 | None = None
    void_value: float | None = None
    foreground_share: Fraction = 0.65
    pseudo_labels: bool | Literal["auto"] = "auto"
    cache_gib: Annotated[float, Field(gt=0, allow_inf_nan=False)] = 2.0
    augmentation: Augmentation = Augmentation()

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
    """The network: a preset, and changes to it.

    Attributes
    ----------
    preset : str
        ``tiny``, ``small``, ``base``, ``exp001``; ``auto`` chooses by device.
    base_channels, multipliers, blocks_per_stage : optional
        Replace the preset's widths and depths.
    dropout : float, optional
        Channel dropout probability.
    activation : str, optional
        ``mish``, ``leakyrelu``, ``relu`` or ``silu``.
    deep_supervision : bool, optional
        Also score lower-resolution heads.
    start_from : str, optional
        A checkpoint, or a run folder (which stands for its ``best.pt``), whose weights
        the network starts from. Its size must be the same; ``preset: auto`` takes its
        network. The grey values are normalised by the new volumes.
    """

    preset: Literal["auto", "tiny", "small", "base", "exp001"] = "auto"
    base_channels: Positive | None = None
    multipliers: Annotated[tuple[Positive, ...], Field(min_length=2, max_length=7)] | None = None
    blocks_per_stage: Annotated[int, Field(ge=1, le=8)] | None = None
    dropout: Annotated[float, Field(ge=0, lt=1)] | None = None
    activation: Literal["mish", "leakyrelu", "relu", "silu"] | None = None
    deep_supervision: bool | None = None
    start_from: Annotated[str, Field(min_length=1)] | None = None


class Loss(_Section):
    """Weights of the loss terms and their few settings.

    Attributes
    ----------
    weighted_bce, soft_dice, cldice, morph_skeleton, surface_distance,
    toploss_simple, skeleton_recall : float
        Weights; a term with weight 0 is not computed.
    pos_weight : float
        Weight of a surface voxel in ``weighted_bce``; 1 where pseudo-labels are learned from.
    skeleton_iterations : int
        Erosions of the soft skeleton: half the greatest sheet thickness, in voxels.
    tolerance : float
        Distance beyond which ``surface_distance`` saturates, and within which a
        surface counts as found in validation: in voxels of the finest axis, so that
        it means the same for nanometres and millimetres.
    euler_window : int
        Edge of the windows of ``toploss_simple``, in voxels.
    interval : int
        Evaluate the five terms other than BCE and Dice every so many optimizer steps.
    """

    weighted_bce: NonNegative = 0.35
    soft_dice: NonNegative = 0.35
    cldice: NonNegative = 0.10
    morph_skeleton: NonNegative = 0.08
    surface_distance: NonNegative = 0.07
    toploss_simple: NonNegative = 0.05
    skeleton_recall: NonNegative = 0.0
    pos_weight: Annotated[float, Field(gt=0, allow_inf_nan=False)] = 2.8
    skeleton_iterations: Annotated[int, Field(ge=1, le=32)] = 3
    tolerance: Annotated[float, Field(gt=0, allow_inf_nan=False)] = 2.0
    euler_window: Annotated[int, Field(ge=2)] = 16
    interval: Positive = 1

    @property
    def weights(self) -> dict[str, float]:
        """Weight of every term, by name, in the order of :data:`LOSS_TERMS`."""
        return {term: getattr(self, term) for term in LOSS_TERMS}

    @model_validator(mode="after")
    def _something_to_learn(self) -> Loss:
        if not any(self.weights.values()):
            raise ValueError("at least one loss weight must be above 0")
        return self


def _none_is_auto(value: Any) -> Any:
    return "auto" if value is None else value


class Training(_Section):
    """How long and how the network is trained.

    Attributes
    ----------
    max_epochs : int, optional
        Epochs; 32 where neither this nor ``max_minutes`` is given.
    max_minutes : float, optional
        Wall-clock budget of the training; the learning-rate schedule spans it.
    train_iterations_per_epoch : int
        Optimizer steps an epoch.
    train_batch_size : int
        Patches a step.
    accumulate : int
        Batches whose gradients are added before a step.
    workers : int or "auto"
        Loader threads; ``0`` loads in the training thread.
    precision : str
        ``auto``, ``float32`` or ``bf16``.
    learning_rate, max_learning_rate : float or "auto"
        AdamW's start and the peak of the one-cycle schedule.
    weight_decay : float
        AdamW's decoupled weight decay.
    gradient_clip : float, optional
        Greatest norm of the gradient.
    ema_decay : float or "auto"
        Decay of the averaged weights, which are the ones scored and used.
    best_by : str
        Validation score that decides which weights are ``best.pt``. On strokes it is
        Dice on their voxels; without validation ``best.pt`` is the newest.
    validation_share : float
        Greatest share of the running time spent on validation; epochs are left
        unscored to keep to it (the last one never).
    tuning_share : float
        Post-processing is chosen on the validation data at the end, in at most
        this share of the running time; 0 leaves it at a threshold.
    early_stopping : int, optional
        Stop after so many scored epochs without a better score.
    """

    max_epochs: Positive | None = None
    max_minutes: Annotated[float, Field(gt=0, allow_inf_nan=False)] | None = None
    train_iterations_per_epoch: Positive = 100
    train_batch_size: Positive = 1
    accumulate: Positive = 1
    workers: Annotated[int, Field(ge=0, le=256)] | Literal["auto"] = "auto"
    precision: Literal["auto", "float32", "bf16"] = "auto"
    learning_rate: Annotated[
        Annotated[float, Field(gt=0, allow_inf_nan=False)] | Literal["auto"],
        BeforeValidator(_none_is_auto),
    ] = "auto"
    max_learning_rate: Annotated[
        Annotated[float, Field(gt=0, allow_inf_nan=False)] | Literal["auto"],
        BeforeValidator(_none_is_auto),
    ] = "auto"
    weight_decay: NonNegative = 1e-2
    gradient_clip: Annotated[float, Field(gt=0, allow_inf_nan=False)] | None = 0.8
    ema_decay: Annotated[float, Field(ge=0, lt=1)] | Literal["auto"] = "auto"
    best_by: Literal["surface_dice", "score"] = "surface_dice"
    validation_share: Annotated[float, Field(gt=0, le=1)] = 0.1
    tuning_share: Fraction = 0.25
    early_stopping: Positive | None = None


class Preview(_Section):
    """The live look at a part of a volume while it trains.

    Attributes
    ----------
    seconds : float
        Time between previews; 0 makes none until a watcher asks for them.
    size : tuple of int
        Z, Y, X voxels of the region shown.
    keep : int
        Earlier previews kept for looking back.
    """

    seconds: NonNegative = 0.0
    size: Size3 = (64, 128, 128)
    keep: Annotated[int, Field(ge=1, le=1000)] = 20


class Inference(_Section):
    """How whole volumes are predicted.

    Attributes
    ----------
    overlap : float
        Share of a window that its neighbour sees again.
    flips : bool or "auto"
        Average over the eight flips (test-time augmentation): eight times the
        work for a better surface. ``auto`` does it for volumes small enough that
        it takes a minute or two.
    threshold : float, optional
        Probability above which a voxel is surface; by default the one tuned on
        the validation data, which the checkpoint holds.
    """

    overlap: Annotated[float, Field(ge=0, le=0.9)] = 0.25
    flips: bool | Literal["auto"] = "auto"
    threshold: Annotated[float, Field(gt=0, lt=1)] | None = None


class Experiment(_Section):
    """A whole experiment; see the sections for their settings."""

    experiment: ExperimentInfo = ExperimentInfo()
    data: Data = Data()
    model: Model = Model()
    loss: Loss = Loss()
    training: Training = Training()
    inference: Inference = Inference()
    preview: Preview = Preview()


def build_experiment(values: dict[str, Any], *, source: str = "the configuration") -> Experiment:
    """Make an experiment from plain nested values.

    Parameters
    ----------
    values : dict
        As read from YAML.
    source : str
        What to call the values in an error, usually the file's path.

    Raises
    ------
    ConfigError
        With one sentence for the first fault found, naming its dotted key.
    """
    try:
        return Experiment.model_validate(values)
    except ValidationError as error:
        raise explain_fault(error, Experiment, source) from None


def load_experiment(path: str | Path) -> Experiment:
    """Read an experiment from a YAML file; relative data paths are taken from its folder."""
    path = Path(path)
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        raise ConfigError(f"There is no configuration file {path}.") from None
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"The configuration {path} cannot be read: {_cause(error)}.") from None
    try:
        values = yaml.load(text, Loader=_StrictLoader)  # noqa: S506 - it is a SafeLoader
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        where = f" at line {mark.line + 1}, column {mark.column + 1}" if mark else ""
        problem = getattr(error, "problem", None) or "it cannot be parsed"
        raise ConfigError(
            f"The configuration {path} is not valid YAML{where}: {problem}."
        ) from None
    if values is None:
        values = {}
    if not isinstance(values, dict):
        raise ConfigError(
            f"The configuration {path} holds a {type(values).__name__}; it must be a mapping "
            f"with the sections {', '.join(Experiment.model_fields)}."
        )
    return resolve_paths(build_experiment(values, source=str(path)), path.parent)


class _StrictLoader(yaml.SafeLoader):
    """Refuses a key that is given twice, of which YAML would silently take the last."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        seen: set[str] = set()
        for key_node, _ in node.value:
            if not isinstance(key_node, yaml.ScalarNode):
                continue
            if key_node.value in seen:
                raise yaml.constructor.ConstructorError(
                    None, None, f"the key {key_node.value} is given twice", key_node.start_mark
                )
            seen.add(key_node.value)
        return super().construct_mapping(node, deep=deep)


def preset_names() -> tuple[str, ...]:
    """Names of the experiment presets that come with the package."""
    return tuple(sorted(path.stem for path in PRESETS_FOLDER.glob("*.yaml")))


def load_preset(name: str) -> Experiment:
    """Read one of the experiment presets that come with the package."""
    if name not in preset_names():
        raise ConfigError(f"There is no preset {name!r}; there are {', '.join(preset_names())}.")
    return load_experiment(PRESETS_FOLDER / f"{name}.yaml")


def dump_experiment(experiment: Experiment) -> str:
    """Write an experiment as YAML, every setting spelled out."""
    values = experiment.model_dump(mode="json")
    return yaml.safe_dump(values, sort_keys=False, default_flow_style=None, width=100)


def apply_overrides(experiment: Experiment, overrides: list[str]) -> Experiment:
    """Change settings by dotted assignments such as ``training.max_epochs=3``.

    The value is read as YAML, so ``data.patch_size=[32,64,64]`` and
    ``training.max_minutes=null`` work.

    Raises
    ------
    ConfigError
        Naming the assignment, what was found and what is allowed.
    """
    values = experiment.model_dump(mode="python")
    for assignment in overrides:
        key, equals, text = assignment.partition("=")
        key = key.strip()
        if not equals or not key:
            raise ConfigError(
                f"The override {assignment!r} must have the form KEY=VALUE, "
                "for example training.max_epochs=3."
            )
        try:
            value = yaml.safe_load(text)
        except yaml.YAMLError:
            raise ConfigError(
                f"The value of the override {assignment!r} is not valid YAML."
            ) from None
        _assign(values, key, value)
        if isinstance(value, dict):
            # A section that is given in part has its other keys, too, for those that come after.
            values = build_experiment(values, source="--set").model_dump(mode="python")
    return build_experiment(values, source="--set")


def _assign(values: dict[str, Any], key: str, value: Any) -> None:
    parts = key.split(".")
    node: Any = values
    for depth, part in enumerate(parts):
        # A slab and a list of pairs are alternatives: setting a key of the one replaces the other.
        if not isinstance(node, dict) and parts[:depth] == ["data", "validation"]:
            values["data"]["validation"] = node = {}
        known = list(node) if isinstance(node, dict) else []
        if parts[:depth] == ["data", "validation"]:
            known = list(ValidationSlab.model_fields)
        if part not in known:
            raise unknown_key(".".join(parts[: depth + 1]), known)
        if depth == len(parts) - 1:
            node[part] = value
        else:
            node = node[part]


def resolve_paths(experiment: Experiment, folder: Path) -> Experiment:
    """Make relative paths of volumes and of ``model.start_from`` absolute, from ``folder``."""

    def resolved(pair: Pair) -> Pair:
        return pair.model_copy(
            update={"image": _resolve(pair.image, folder), "labels": _resolve(pair.labels, folder)}
        )

    data = experiment.data
    update: dict[str, Any] = {"train": tuple(resolved(pair) for pair in data.train)}
    if isinstance(data.validation, tuple):
        update["validation"] = tuple(resolved(pair) for pair in data.validation)
    model = experiment.model
    if model.start_from is not None:
        start_from = _resolve(model.start_from, folder)
        model = model.model_copy(update={"start_from": start_from})
    return experiment.model_copy(update={"data": data.model_copy(update=update), "model": model})


def _resolve(source: str, folder: Path) -> str:
    if "://" in source:
        return source
    path, separator, key = source.partition("::")
    return str((folder / Path(path).expanduser()).resolve()) + separator + key


def _cause(error: Exception) -> str:
    if isinstance(error, UnicodeDecodeError):
        return "it is not text in UTF-8"
    return getattr(error, "strerror", None) or str(error)
