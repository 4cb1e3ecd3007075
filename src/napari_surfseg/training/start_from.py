"""Begin with the weights of a network that was trained before (``model.start_from``)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from napari_surfseg.config_files import build_experiment
from napari_surfseg.errors import CheckpointError, ConfigError
from napari_surfseg.model.networks import find_weights, resolve_network
from napari_surfseg.model.open_network import open_network
from napari_surfseg.networks.registry import AUTO, FRESH, find_start_network
from napari_surfseg.wording import format_percent

if TYPE_CHECKING:
    from torch import Tensor

    from napari_surfseg.config import Model
    from napari_surfseg.geometry import Size3
    from napari_surfseg.model.checkpoint import Checkpoint

__all__ = ["Start", "adopt_model", "load_start", "take_weights"]

#: Settings that decide the others.
SIZE_SETTINGS = (
    "preset",
    "network",
    "arguments",
    "base_channels",
    "multipliers",
    "blocks_per_stage",
)
#: With less than this share of its parameters taken, a network knows nothing of the other.
LEAST_SHARE = 0.05
#: Coarse heads serve training only: whether they fit says nothing of the size.
HEADS = "coarse_heads."


@dataclass(frozen=True)
class Start:
    """What a network starts from.

    Attributes
    ----------
    source : str
        The name of a network of the package, or a checkpoint.
    checkpoint : Checkpoint
        All of it.
    weights : dict of Tensor
        Those of its weights that fit.
    is_whole : bool
        Whether both networks compute the same; coarse heads, which serve training only, may differ.
    note : str
        A sentence on what did not fit; empty where all did.
    """

    source: str
    checkpoint: Checkpoint
    weights: dict[str, Tensor]
    is_whole: bool = True
    note: str = ""

    @property
    def num_taken(self) -> int:
        """Parameters among the weights that fit."""
        return sum(tensor.numel() for tensor in self.weights.values())


def load_start(model: Model, preset: str) -> tuple[str, Checkpoint] | None:
    """Read the network that another one starts from, if it starts from one.

    Parameters
    ----------
    model : Model
        Its ``start_from`` is a file or a name by now, not a run folder.
    preset : str
        The preset, ``auto`` settled by the device: what ``start_from: auto`` goes by.

    Returns
    -------
    (str, Checkpoint) or None
        Its name or file, and what it holds.

    Raises
    ------
    CheckpointError
        Naming ``model.start_from``.
    """
    source = model.start_from
    if source == AUTO:
        shipped = find_start_network(preset)
        source = FRESH if shipped is None else shipped.name
    if source == FRESH:
        return None
    try:
        return source, open_network(source)
    except CheckpointError as error:
        raise CheckpointError(
            f"The network cannot start from model.start_from: {error}", field="model.start_from"
        ) from None


def adopt_model(model: Model, checkpoint: Checkpoint) -> Model:
    """Return what ``preset: auto`` means beside a checkpoint: its network, whatever the device.

    What is set besides the preset stays set.
    """
    given = model.model_dump(exclude_none=True, exclude={"preset"})
    adopted = checkpoint.experiment.model.model_copy(
        update={key: getattr(model, key) for key in given}
    )
    return build_experiment({"model": adopted.model_dump()}, source="model.start_from").model


def take_weights(model: Model, source: str, checkpoint: Checkpoint, patch_size: Size3) -> Start:
    """Choose the weights of a checkpoint that fit a network, and say what does not.

    Parameters
    ----------
    model : Model
        Of the network that starts; its preset is not ``auto``.
    source : str
        What the checkpoint is called.
    checkpoint : Checkpoint
        What it starts from.
    patch_size : tuple of int
        Z, Y, X voxels that it is trained with: some networks have weights by place.

    Raises
    ------
    ConfigError
        If nothing fits, naming the first setting that differs.
    """
    wanted = find_weights(model, patch_size)
    weights = {
        name: tensor
        for name, tensor in checkpoint.weights.items()
        if name in wanted and wanted[name].shape == tensor.shape
    }
    num_parameters = sum(tensor.numel() for tensor in wanted.values())
    share = sum(tensor.numel() for tensor in weights.values()) / num_parameters
    if share < LEAST_SHARE:
        _refuse(model, source, checkpoint)
    differing = {*wanted, *checkpoint.weights} - set(weights)
    is_same_size = all(name.startswith(HEADS) for name in differing)
    here, there = (
        # Of a network of MONAI it is one of the arguments.
        getattr(resolve_network(one, patch_size), "activation", "")
        for one in (model, checkpoint.experiment.model)
    )
    said = []
    if not is_same_size:
        said.append(
            f"{format_percent(share)} of the network's parameters were taken from {source}, which "
            f"is of another size{_name_difference(model, checkpoint.experiment.model)}"
        )
    elif differing & set(wanted):
        said.append(f"{source} lacks heads at coarser resolutions, so these start fresh")
    if here != there and here and there:
        said.append(f"{source} was trained with the activation {there}, this network has {here}")
    note = f"{'; '.join(said)}." if said else ""
    return Start(source, checkpoint, weights, is_same_size and here == there, note)


def _name_difference(model: Model, theirs: Model) -> str:
    for setting in SIZE_SETTINGS:
        here, there = getattr(model, setting), getattr(theirs, setting)
        if here != there:
            return f" (model.{setting} is {_write(there)} there and {_write(here)} here)"
    return ""


def _refuse(model: Model, source: str, checkpoint: Checkpoint) -> None:
    theirs = checkpoint.experiment.model
    for setting in SIZE_SETTINGS:
        wanted, has = getattr(model, setting), getattr(theirs, setting)
        if wanted != has:
            allowed = "set it to that" if has is not None else "leave it out"
            raise ConfigError(
                f"model.{setting} is {_write(wanted)}, but the network of model.start_from, "
                f"{source}, has {_write(has)}, and none of its weights fit; {allowed}, or set "
                "model.preset to auto, which takes its network.",
                field=f"model.{setting}",
            )
    raise ConfigError(
        f"The network of model.start_from, {source}, is built otherwise than this version builds "
        "one with the same settings; set model.start_from to none.",
        field="model.start_from",
    )


def _write(value: object) -> str:
    if value is None:
        return "the preset's own"
    return str(list(value)) if isinstance(value, tuple) else str(value)
