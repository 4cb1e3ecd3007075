"""The networks of nnU-Net v2 behind the interface of our own.

nnU-Net gives a logit a class, or a region; a surface is one of them, or several. So the outputs
become one logit: of the classes that are surface against all others. The classes come from
``dynamic-network-architectures``, which is imported only where such a network is meant.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from math import lcm, prod
from typing import TYPE_CHECKING, Any, cast

import torch
from torch import Tensor, nn

from napari_surfseg.errors import ConfigError
from napari_surfseg.geometry import to_index

if TYPE_CHECKING:
    from napari_surfseg.config import Model
    from napari_surfseg.geometry import Size3

__all__ = [
    "NnunetArchitecture",
    "NnunetNetwork",
    "build_nnunet_network",
    "complete_nnunet_arguments",
    "resolve_nnunet",
]

#: Blocks of a stage go by a name of its own in each class.
BLOCKS = {"PlainConvUNet": "n_conv_per_stage", "ResidualEncoderUNet": "n_blocks_per_stage"}
#: What every class is built with, besides those.
SHAPES = ("features_per_stage", "kernel_sizes", "strides", "n_conv_per_stage_decoder")
#: Ours: number of outputs, those that are surface, whether they exclude each other, and which of
#: Z, Y, X is the first, second and third axis that the network sees.
OURS = {"num_classes": 2, "surface": [1], "exclusive": True, "axes": [0, 1, 2]}
#: Outputs that are scored while training, as of our own networks.
MOST_HEADS = 4


@dataclass(frozen=True)
class NnunetArchitecture:
    """A network of nnU-Net in numbers; what is not said here is as for MONAI's.

    Attributes
    ----------
    network : str
        Its class.
    arguments : str
        What it is built with, as JSON.
    patch_size : tuple of int
        Z, Y, X voxels that it is trained with.
    window_multiple : tuple of int
        By what the edges must be divisible, Z, Y, X.
    head_factors : tuple of (int, int, int)
        Voxels of the patch in a voxel of each output while training.
    num_parameters, num_weights : int
        Trainable numbers, and numbers in the state, which names some of them twice.
    activation_bytes : int
        What a patch leaves for the backward pass, in float32.
    finest_values : float
        Numbers a voxel in its largest activation.
    """

    network: str
    arguments: str
    patch_size: Size3
    window_multiple: Size3
    head_factors: tuple[Size3, ...]
    num_parameters: int
    num_weights: int
    activation_bytes: int
    finest_values: float
    max_learning_rate: float = 1e-3
    ema_decay: float = 0.998
    is_random: bool = False
    has_fixed_size: bool = False

    @property
    def divisor(self) -> int:
        """Number by which every edge of a patch must be divisible."""
        return lcm(*self.window_multiple)

    def head_shapes(self, patch_size: Size3) -> list[Size3]:
        """Shapes of the outputs while training, full resolution first."""
        z, y, x = patch_size
        return [(z // a, y // b, x // c) for a, b, c in self.head_factors]

    def estimate_training_bytes(self, *, batch_size: int = 1, bytes_per_value: int = 4) -> int:
        """Estimate the memory a training step with its patch needs."""
        weights = 5 * 4 * self.num_parameters
        activations = self.activation_bytes * batch_size * bytes_per_value // 4
        losses = 24 * 4 * sum(map(prod, self.head_shapes(self.patch_size))) * batch_size
        return int(weights + activations + losses)


class NnunetNetwork(nn.Module):
    """A network of nnU-Net with the outputs of ours.

    Parameters
    ----------
    architecture : NnunetArchitecture
        What it is.
    network : nn.Module
        The network itself; its ``state_dict`` is nnU-Net's.
    """

    def __init__(self, architecture: NnunetArchitecture, network: nn.Module) -> None:
        super().__init__()
        self.architecture = architecture
        self.network = network
        values = {**OURS, **json.loads(architecture.arguments)}
        self._surface: list[int] = values["surface"]
        self._others = [n for n in range(values["num_classes"]) if n not in self._surface]
        self._exclusive: bool = values["exclusive"]
        self._axes = [0, 1, *(axis + 2 for axis in values["axes"])]
        self._back = [self._axes.index(axis) for axis in range(5)]

    def forward(self, image: Tensor) -> Tensor | list[Tensor]:
        """Compute logits of (B, 1, Z, Y, X), normalised; in training a list, coarser ones after."""
        decoder = cast("Any", self.network).decoder
        decoder.deep_supervision = self.training
        found = self.network(image.permute(self._axes))
        if not self.training:
            return self._join(found)
        return [self._join(head) for head in found[: len(self.architecture.head_factors)]]

    def _join(self, logits: Tensor) -> Tensor:
        """Make one logit of those of all classes or regions."""
        surface = logits[:, self._surface]
        if self._exclusive:
            rest = torch.logsumexp(logits[:, self._others], 1, keepdim=True)
            surface = torch.logsumexp(surface, 1, keepdim=True) - rest
        else:
            surface = surface.amax(1, keepdim=True)
        return surface.permute(self._back)


def complete_nnunet_arguments(model: Model) -> dict[str, Any]:
    """Check the arguments of a network and write out what was left to the defaults.

    Raises
    ------
    ConfigError
        For ``model.arguments``.
    """
    name = str(model.network)
    given = {**OURS, **(model.arguments or {})}
    known = {*SHAPES, BLOCKS[name], "conv_bias", "norm_eps", *OURS}
    missing = [key for key in (*SHAPES, BLOCKS[name]) if key not in given]
    stray = sorted(set(given) - known)
    if missing or stray:
        said = f"lack {missing[0]}" if missing else f"hold {stray[0]}"
        raise ConfigError(
            f"model.arguments of nnU-Net's {name} {said} (allowed: {', '.join(sorted(known))}).",
            field="model.arguments",
        )
    classes, surface = given["num_classes"], given["surface"]
    ok = isinstance(classes, int) and isinstance(surface, list | tuple) and len(surface) > 0
    if not ok or not all(type(n) is int and 0 <= n < classes for n in surface):
        raise ConfigError(
            f"model.arguments.surface is {surface}, but it lists some of the {classes} outputs.",
            field="model.arguments",
        )
    if given["exclusive"] and len(set(surface)) >= classes:
        raise ConfigError(
            "model.arguments.surface lists every class, so there is nothing else to tell it from.",
            field="model.arguments",
        )
    if sorted(given["axes"]) != [0, 1, 2]:
        raise ConfigError(
            f"model.arguments.axes is {given['axes']}, but it is an order of 0, 1, 2.",
            field="model.arguments",
        )
    return given


def resolve_nnunet(model: Model, patch_size: Size3) -> NnunetArchitecture:
    """Turn the ``model`` section into numbers.

    Raises
    ------
    ConfigError
        If the arguments do not fit the network, or its library is not installed.
    """
    name, values = str(model.network), complete_nnunet_arguments(model)
    try:
        strides = [[int(n) for n in stride] for stride in values["strides"]]
        features = [int(n) for n in values["features_per_stage"]]
        blocks = [int(n) for n in values[BLOCKS[name]]]
        with torch.device("meta"):
            network = _construct(name, values)
    except ConfigError:
        raise
    except Exception as error:  # noqa: BLE001 - a foreign class can raise anything
        text = " ".join(str(error).split())[:200].rstrip(".") or type(error).__name__
        raise ConfigError(
            f"nnU-Net's {name} cannot be built with model.arguments as they are: {text}.",
            field="model.arguments",
        ) from None
    axes = values["axes"]
    factors: list[Size3] = []
    factor = [1, 1, 1]
    for stride in strides:
        factor = [a * b for a, b in zip(factor, stride, strict=True)]
        factors.append(to_index(factor[axes.index(axis)] for axis in range(3)))
    kept = sum(
        width * (2 * count + 4) * prod(patch_size) // prod(scale)
        for width, count, scale in zip(features, blocks, factors, strict=True)
    )
    supervised = 1 if model.deep_supervision is False else MOST_HEADS
    return NnunetArchitecture(
        network=name,
        arguments=json.dumps(values),
        patch_size=patch_size,
        window_multiple=factors[-1],
        head_factors=tuple(factors[: max(1, min(supervised, len(factors) - 1))]),
        num_parameters=sum(weight.numel() for weight in network.parameters()),
        num_weights=sum(tensor.numel() for tensor in network.state_dict().values()),
        activation_bytes=2 * 4 * kept,
        finest_values=float(features[0]),
    )


def build_nnunet_network(architecture: NnunetArchitecture, *, device: str = "cpu") -> NnunetNetwork:
    """Build a network with fresh weights; on ``meta``, with shapes alone."""
    with torch.device(device):
        network = _construct(architecture.network, json.loads(architecture.arguments))
    return NnunetNetwork(architecture, network)


def _construct(name: str, values: dict[str, Any]) -> nn.Module:
    try:
        from dynamic_network_architectures.architectures import unet
    except ImportError:
        raise ConfigError(
            "Networks of nnU-Net need the library dynamic-network-architectures; install it with: "
            'pip install "napari-surfseg[nnunet]"',
            field="model.network",
        ) from None
    shapes = {key: values[key] for key in (*SHAPES, BLOCKS[name])}
    network: nn.Module = getattr(unet, name)(
        input_channels=1,
        n_stages=len(values["features_per_stage"]),
        num_classes=values["num_classes"],
        conv_op=nn.Conv3d,
        conv_bias=values.get("conv_bias", True),
        norm_op=nn.InstanceNorm3d,
        norm_op_kwargs={"eps": values.get("norm_eps", 1e-5), "affine": True},
        nonlin=nn.LeakyReLU,
        nonlin_kwargs={"inplace": True},
        deep_supervision=True,
        **shapes,
    )
    return network
