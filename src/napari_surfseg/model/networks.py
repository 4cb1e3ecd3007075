"""Any network that can be chosen: our own, those of MONAI and of nnU-Net.

Their libraries are imported only where one of their networks is meant.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeAlias

import torch

from napari_surfseg.model.network import build_unet
from napari_surfseg.model.presets import (
    Architecture,
    count_parameters,
    estimate_training_bytes,
    resolve_architecture,
)

if TYPE_CHECKING:
    from napari_surfseg.config import Model
    from napari_surfseg.geometry import Size3
    from napari_surfseg.model.monai_network import MonaiArchitecture, MonaiNetwork
    from napari_surfseg.model.network import SurfaceUNet
    from napari_surfseg.model.nnunet_network import NnunetArchitecture, NnunetNetwork

    AnyArchitecture: TypeAlias = Architecture | MonaiArchitecture | NnunetArchitecture
    AnyNetwork: TypeAlias = SurfaceUNet | MonaiNetwork | NnunetNetwork

__all__ = [
    "build_network",
    "count_network_parameters",
    "estimate_network_bytes",
    "find_weights",
    "resolve_network",
    "settle_model",
]


def resolve_network(model: Model, patch_size: Size3, *, device: str = "cpu") -> AnyArchitecture:
    """Turn the ``model`` section into numbers.

    Parameters
    ----------
    model : Model
        As configured.
    patch_size : tuple of int
        Z, Y, X voxels of a training patch.
    device : str
        ``cpu`` or ``cuda``; decides what ``preset: auto`` means.

    Raises
    ------
    ConfigError
        If a network of MONAI does not take its arguments.
    """
    if model.preset == "monai":
        from napari_surfseg.model.monai_network import resolve_monai

        return resolve_monai(model, patch_size)
    if model.preset == "nnunet":
        from napari_surfseg.model.nnunet_network import resolve_nnunet

        return resolve_nnunet(model, patch_size)
    return resolve_architecture(model, device=device)


def settle_model(model: Model) -> Model:
    """Write out what a network of MONAI is built with, so that a checkpoint builds it again.

    Raises
    ------
    ConfigError
        If the network does not take its arguments.
    """
    if model.preset == "nnunet":
        from napari_surfseg.model.nnunet_network import complete_nnunet_arguments

        return model.model_copy(update={"arguments": complete_nnunet_arguments(model)})
    if model.preset != "monai":
        return model
    from napari_surfseg.model.monai_network import complete_arguments

    return model.model_copy(update={"arguments": complete_arguments(model)})


def build_network(model: Model, patch_size: Size3, *, device: str = "cpu") -> AnyNetwork:
    """Build the network that a configuration describes, with fresh weights.

    Parameters
    ----------
    model, patch_size
        As for :func:`resolve_network`.
    device : str
        Where it will run; ``meta`` for its shapes alone.
    """
    if model.preset == "monai":
        from napari_surfseg.model.monai_network import build_monai_network, resolve_monai

        return build_monai_network(resolve_monai(model, patch_size), device=device)
    if model.preset == "nnunet":
        from napari_surfseg.model.nnunet_network import build_nnunet_network, resolve_nnunet

        return build_nnunet_network(resolve_nnunet(model, patch_size), device=device)
    if device == "meta":
        with torch.device("meta"):
            return build_unet(model, device="meta")
    return build_unet(model, device=device)


def find_weights(model: Model, patch_size: Size3) -> dict[str, torch.Tensor]:
    """Find the names and shapes of a network's weights, without allocating them."""
    return build_network(model, patch_size, device="meta").state_dict()


def count_network_parameters(architecture: AnyArchitecture) -> int:
    """Trainable numbers of a network."""
    if isinstance(architecture, Architecture):
        return count_parameters(architecture)
    return architecture.num_parameters


def estimate_network_bytes(
    architecture: AnyArchitecture,
    patch_size: Size3,
    *,
    batch_size: int = 1,
    bytes_per_value: int = 4,
) -> int:
    """Estimate the memory a training step needs, in bytes.

    See Also
    --------
    napari_surfseg.model.presets.estimate_training_bytes : For our own networks.
    """
    if isinstance(architecture, Architecture):
        return estimate_training_bytes(
            architecture, patch_size, batch_size=batch_size, bytes_per_value=bytes_per_value
        )
    return architecture.estimate_training_bytes(
        batch_size=batch_size, bytes_per_value=bytes_per_value
    )
