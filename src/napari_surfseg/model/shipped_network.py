"""A network that comes with the package: its entry in the registry, and its weights."""

from __future__ import annotations

from typing import TYPE_CHECKING

from napari_surfseg.config_files import build_experiment
from napari_surfseg.errors import CheckpointError, ConfigError
from napari_surfseg.model.checkpoint import Checkpoint, check_weights
from napari_surfseg.model.weights_file import read_tensors
from napari_surfseg.networks.registry import find_network, locate_weights

if TYPE_CHECKING:
    from torch import Tensor

    from napari_surfseg.networks.registry import ShippedNetwork

__all__ = ["build_shipped", "load_shipped"]


def load_shipped(name: str | None = None) -> Checkpoint:
    """Read a network that comes with the package; by default the first of the list.

    It knows grey values of no volume in particular: each is normalised by its own.

    Raises
    ------
    CheckpointError
        If there is none of that name, or its weights cannot be read.
    """
    entry = find_network(name)
    path = locate_weights(entry)
    _, weights = read_tensors(path)
    checkpoint = build_shipped(entry, weights)
    check_weights(path, checkpoint)
    return checkpoint


def build_shipped(entry: ShippedNetwork, weights: dict[str, Tensor]) -> Checkpoint:
    """Make a checkpoint of an entry of the registry and its weights, which are not checked.

    Raises
    ------
    CheckpointError
        If the entry's ``model`` section makes no network.
    """
    try:
        experiment = build_experiment(
            {
                "experiment": {"name": entry.name},
                "data": {"patch_size": entry.patch_size},
                "model": entry.model,
            }
        )
    except ConfigError as error:
        raise CheckpointError(f"The entry of {entry.name} is not usable: {error}") from None
    return Checkpoint(
        experiment=experiment,
        weights=weights,
        intensity=None,
        patch_size=entry.patch_size,
        spacing=(1.0, 1.0, 1.0),
        threshold=entry.threshold,
        postprocess=entry.postprocess,
        anisotropy=entry.anisotropy,
    )
