"""Begin with the weights of a network that was trained before (``model.start_from``)."""

from __future__ import annotations

from dataclasses import fields
from typing import TYPE_CHECKING

from napari_surfseg.errors import CheckpointError, ConfigError
from napari_surfseg.model.open_network import open_network
from napari_surfseg.model.presets import resolve_architecture

if TYPE_CHECKING:
    from napari_surfseg.config import Model
    from napari_surfseg.model.checkpoint import Checkpoint
    from napari_surfseg.model.presets import Architecture

__all__ = ["adopt_model", "check_start", "load_start"]

#: Of an architecture: these leave the shapes of the weights as they are, or of coarse heads only.
WITHOUT_SHAPE = {"activation", "dropout", "num_heads", "max_learning_rate", "ema_decay"}

#: Settings that decide the others.
SIZE_SETTINGS = ("preset", "base_channels", "multipliers", "blocks_per_stage")


def load_start(model: Model) -> Checkpoint | None:
    """Read the checkpoint that a network starts from, if it starts from one.

    Raises
    ------
    CheckpointError
        Naming ``model.start_from``.
    """
    if model.start_from is None:
        return None
    try:
        return open_network(model.start_from)
    except CheckpointError as error:
        raise CheckpointError(
            f"The network cannot start from model.start_from: {error}", field="model.start_from"
        ) from None


def adopt_model(model: Model, checkpoint: Checkpoint) -> Model:
    """Return what ``preset: auto`` means beside a checkpoint: its network, whatever the device.

    What is set besides the preset stays set.
    """
    given = model.model_dump(exclude_none=True, exclude={"preset"})
    return checkpoint.experiment.model.model_copy(
        update={"start_from": None, **{key: getattr(model, key) for key in given}}
    )


def check_start(model: Model, architecture: Architecture, checkpoint: Checkpoint) -> None:
    """Refuse a checkpoint whose network is of another size.

    Raises
    ------
    ConfigError
        Naming the first setting that differs.
    """
    theirs = checkpoint.experiment.model
    found = resolve_architecture(theirs)
    names = {item.name for item in fields(architecture)} - WITHOUT_SHAPE
    if all(getattr(found, name) == getattr(architecture, name) for name in names):
        return
    for setting in SIZE_SETTINGS:
        wanted, has = getattr(model, setting), getattr(theirs, setting)
        if wanted != has:
            allowed = "set it to that" if has is not None else "leave it out"
            raise ConfigError(
                f"model.{setting} is {_write(wanted)}, but the network of model.start_from, "
                f"{model.start_from}, has {_write(has)}; {allowed}, or set model.preset to auto, "
                "which takes its network.",
                field=f"model.{setting}",
            )
    raise ConfigError(
        f"The network of model.start_from, {model.start_from}, is built otherwise than this "
        "version builds one with the same settings; leave model.start_from out.",
        field="model.start_from",
    )


def _write(value: object) -> str:
    if value is None:
        return "the preset's own"
    return str(list(value)) if isinstance(value, tuple) else str(value)
