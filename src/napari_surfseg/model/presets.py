"""Named architectures as plain numbers: widths, depths, strides, sizes in memory.

Nothing here imports torch: the window asks these functions for the parameter
count and the memory a patch will need before a run is started.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from math import prod
from typing import TYPE_CHECKING, Literal, Protocol

from napari_surfseg.errors import ConfigError

if TYPE_CHECKING:
    from napari_surfseg.config import Model
    from napari_surfseg.geometry import Size3

__all__ = [
    "ARCHITECTURES",
    "REFINED_MAPS",
    "Architecture",
    "check_patch_size",
    "choose_preset",
    "count_parameters",
    "estimate_training_bytes",
    "find_smaller_patch",
    "fit_patch_size",
    "nearest_patch_sizes",
    "resolve_architecture",
]

#: Full-resolution maps that a folded network gives to its last convolution, beside the image.
REFINED_MAPS = 3


@dataclass(frozen=True)
class Architecture:
    """A residual 3-D U-Net in numbers.

    Attributes
    ----------
    channels : tuple of int
        Feature channels of each stage, finest first.
    strides : tuple of int
        Downsampling from one stage to the next; one fewer than ``channels``.
    encoder_blocks, decoder_blocks : int
        Residual blocks (two 3x3x3 convolutions each) in a stage.
    stem_factor : int
        1: the finest stage works at full resolution. 2: 2x2x2 voxels are folded
        into channels first and unfolded at the end, so that no feature map
        lives at full resolution. That loses nothing (a fold is a permutation)
        and makes a step about eight times cheaper. A last convolution at full
        resolution then makes neighbouring voxels alike whose places in the fold differ.
    skip : str
        ``concat`` joins the encoder's features to the decoder's, ``add`` adds
        them, which saves a third of the finest, dearest convolutions.
    activation : str
        ``mish``, ``leakyrelu``, ``relu`` or ``silu``.
    dropout : float
        Dropout probability inside residual blocks.
    num_heads : int
        Outputs while training: the full-resolution one and, with deep
        supervision, one at each of the next coarser stages.
    max_learning_rate : float
        Peak of the one-cycle schedule that suits this size.
    ema_decay : float
        Decay of the averaged weights.
    """

    channels: tuple[int, ...]
    strides: tuple[int, ...]
    encoder_blocks: int
    decoder_blocks: int
    stem_factor: int
    skip: Literal["concat", "add"]
    activation: str
    dropout: float
    num_heads: int
    max_learning_rate: float
    ema_decay: float

    @property
    def divisor(self) -> int:
        """Number by which every edge of a patch must be divisible."""
        return self.stem_factor * prod(self.strides)

    @property
    def window_multiple(self) -> Size3:
        """By what the edges of a window must be divisible."""
        return self.divisor, self.divisor, self.divisor

    @property
    def has_fixed_size(self) -> bool:
        """Whether it takes no patch of another size than it is trained with."""
        return False

    @property
    def finest_values(self) -> float:
        """Numbers a voxel of the image in its largest activation."""
        return self.channels[0] / self.stem_factor**3

    @property
    def is_random(self) -> bool:
        """Whether a step of training draws random numbers."""
        return self.dropout > 0

    def stage_factors(self) -> tuple[int, ...]:
        """Full-resolution voxels along an edge of one voxel of each stage."""
        factors = [self.stem_factor]
        for stride in self.strides:
            factors.append(factors[-1] * stride)
        return tuple(factors)

    def head_shapes(self, patch_size: Size3) -> list[Size3]:
        """Shapes of the outputs while training, full resolution first."""
        z, y, x = patch_size
        coarse = self.stage_factors()[1 : self.num_heads]
        return [patch_size, *((z // factor, y // factor, x // factor) for factor in coarse)]


#: A patch with more than this share of another's voxels takes hardly less memory.
SMALLER_SHARE = 0.8

#: What a preset's name stands for; the fields of :class:`Architecture` say what each size means.
ARCHITECTURES: dict[str, Architecture] = {
    "tiny": Architecture(
        channels=(16, 32, 64, 96),
        strides=(2, 2, 2),
        encoder_blocks=1,
        decoder_blocks=1,
        stem_factor=2,
        skip="add",
        activation="leakyrelu",
        dropout=0.0,
        num_heads=1,
        max_learning_rate=2e-3,
        ema_decay=0.995,
    ),
    "small": Architecture(
        channels=(32, 64, 96, 128),
        strides=(2, 2, 2),
        encoder_blocks=1,
        decoder_blocks=1,
        stem_factor=2,
        skip="add",
        activation="leakyrelu",
        dropout=0.0,
        num_heads=2,
        max_learning_rate=2e-3,
        ema_decay=0.998,
    ),
    "base": Architecture(
        channels=(32, 64, 128, 256, 352),
        strides=(2, 2, 2, 2),
        encoder_blocks=2,
        decoder_blocks=1,
        stem_factor=1,
        skip="concat",
        activation="leakyrelu",
        dropout=0.0,
        num_heads=4,
        max_learning_rate=1e-3,
        ema_decay=0.998,
    ),
    # The reference experiment: base 40, multipliers 1,2,2,4,4, 33.7 M parameters. Its
    # 72x136x136 patches divide by 8, not by 16, so the fifth stage keeps the resolution of
    # the fourth; a bottleneck behind it brings the published number of parameters.
    "exp001": Architecture(
        channels=(40, 80, 80, 160, 160, 248),
        strides=(2, 2, 2, 1, 1),
        encoder_blocks=3,
        decoder_blocks=3,
        stem_factor=1,
        skip="concat",
        activation="mish",
        dropout=0.15,
        num_heads=4,
        max_learning_rate=6e-4,
        ema_decay=0.998,
    ),
}


def choose_preset(model: Model, device: str) -> str:
    """Choose the preset that ``auto`` means on a device, ``cpu`` or ``cuda``."""
    if model.preset != "auto":
        return model.preset
    return "tiny" if device == "cpu" else "small"


def resolve_architecture(model: Model, *, device: str = "cpu") -> Architecture:
    """Turn the ``model`` section into numbers.

    Parameters
    ----------
    model : Model
        Preset and changes to it.
    device : str
        ``cpu`` or ``cuda``; decides what ``preset: auto`` means.
    """
    found = ARCHITECTURES[choose_preset(model, device)]
    if model.multipliers is not None or model.base_channels is not None:
        base = model.base_channels or found.channels[0]
        if model.multipliers is not None:
            channels = tuple(base * multiplier for multiplier in model.multipliers)
        else:
            channels = tuple(max(1, round(base * c / found.channels[0])) for c in found.channels)
        strides = (found.strides + (2,) * len(channels))[: len(channels) - 1]
        found = replace(found, channels=channels, strides=strides)
    if model.blocks_per_stage is not None:
        blocks = model.blocks_per_stage
        found = replace(found, encoder_blocks=blocks, decoder_blocks=blocks)
    if model.dropout is not None:
        found = replace(found, dropout=model.dropout)
    if model.activation is not None:
        found = replace(found, activation=model.activation)
    num_heads = min(found.num_heads, len(found.channels) - 1)
    if model.deep_supervision is not None:
        num_heads = min(4, len(found.channels) - 1) if model.deep_supervision else 1
    return replace(found, num_heads=max(1, num_heads))


class _Divided(Protocol):
    """Any architecture."""

    @property
    def divisor(self) -> int:
        """Number by which every edge of a patch must be divisible."""


def nearest_patch_sizes(size: int, divisor: int) -> tuple[int, ...]:
    """Edges that fit ``divisor``, the next smaller (if any) and the next larger."""
    smaller = size // divisor * divisor
    larger = smaller + divisor
    return (smaller, larger) if smaller else (larger,)


def check_patch_size(patch_size: Size3, architecture: _Divided) -> None:
    """Refuse a patch that the strides do not divide, naming the nearest sizes that fit.

    Raises
    ------
    ConfigError
        For ``data.patch_size``.
    """
    divisor = architecture.divisor
    if max(patch_size) == divisor:
        raise ConfigError(
            f"data.patch_size is {list(patch_size)}, which leaves a single voxel at the coarsest "
            f"stage of this network; make at least one edge {2 * divisor} or more.",
            field="data.patch_size",
        )
    if all(edge % divisor == 0 for edge in patch_size):
        return
    choices = [
        str(edge)
        if edge % divisor == 0
        else " or ".join(str(size) for size in nearest_patch_sizes(edge, divisor))
        for edge in patch_size
    ]
    raise ConfigError(
        f"data.patch_size is {list(patch_size)}, but this network needs edges divisible by "
        f"{divisor}; the nearest that fit are {', '.join(choices)} (Z, Y, X).",
        field="data.patch_size",
    )


def fit_patch_size(patch_size: Size3, shape: Size3, divisor: int) -> Size3:
    """Cut a patch down to what a volume holds, in multiples of ``divisor``.

    A patch that is longer than the volume would be filled up with mirrored
    voxels: work without new data. An axis shorter than ``divisor`` keeps one,
    and the longest axis two, because instance normalisation needs more than a
    single voxel at the coarsest stage.
    """
    fitting = [
        min(edge, max(divisor, extent // divisor * divisor))
        for edge, extent in zip(patch_size, shape, strict=True)
    ]
    if max(fitting) == divisor:
        fitting[patch_size.index(max(patch_size))] = 2 * divisor
    return fitting[0], fitting[1], fitting[2]


def find_smaller_patch(patch_size: Size3, divisor: int) -> Size3 | None:
    """Find the next smaller patch that the strides divide, with at most four fifths of the voxels.

    The longest edges are cut first, so that a patch becomes more like a cube.

    Returns
    -------
    tuple of int or None
        None where the patch is the smallest that instance normalisation allows: one edge of
        twice ``divisor``, the others of ``divisor``.
    """
    edges = [max(divisor, edge // divisor * divisor) for edge in patch_size]
    while True:
        longest = max(edges)
        if longest <= 2 * divisor:
            # All longest edges but one, since one has to stay.
            shorter = [i for i in range(3) if edges[i] == longest][:-1]
        else:
            shorter = [i for i in range(3) if edges[i] == longest]
        if longest <= divisor or not shorter:
            return None
        for axis in shorter:
            edges[axis] -= divisor
        if prod(edges) <= SMALLER_SHARE * prod(patch_size):
            return edges[0], edges[1], edges[2]


def count_parameters(architecture: Architecture) -> int:
    """Trainable parameters of the network, equal to what is built (tested)."""

    def block(inputs: int, outputs: int) -> int:
        shortcut = inputs * outputs + 2 * outputs if inputs != outputs else 0
        return 27 * inputs * outputs + 27 * outputs * outputs + 4 * outputs + shortcut

    channels, stem = architecture.channels, architecture.stem_factor**3
    joined = 2 if architecture.skip == "concat" else 1
    total = 27 * stem * channels[0] + 2 * channels[0]
    for width in channels:
        total += architecture.encoder_blocks * block(width, width)
    for fine, coarse, stride in zip(channels[:-1], channels[1:], architecture.strides, strict=True):
        total += stride**3 * fine * coarse + 2 * coarse  # down
        total += stride**3 * fine * coarse  # up
        total += block(joined * fine, fine) + (architecture.decoder_blocks - 1) * block(fine, fine)
    if stem == 1:
        total += channels[0] + 1
    else:
        total += channels[0] * REFINED_MAPS * stem + 27 * (REFINED_MAPS + 1) + 1
    total += sum(width + 1 for width in channels[1 : architecture.num_heads])
    return total


def estimate_training_bytes(
    architecture: Architecture,
    patch_size: Size3,
    *,
    batch_size: int = 1,
    bytes_per_value: int = 4,
) -> int:
    """Estimate the memory a training step needs, in bytes.

    Weights, gradients, two AdamW moments and the averaged weights are five
    copies in float32. Of each convolution the input and the normalised output
    are kept for the backward pass; the losses keep about 24 full-resolution
    maps. The estimate is meant to be within a third of what is measured.

    Parameters
    ----------
    architecture : Architecture
        The network.
    patch_size : tuple of int
        Z, Y, X voxels.
    batch_size : int
        Patches a step.
    bytes_per_value : int
        4 for float32, 2 for bf16 activations.
    """
    voxels = prod(patch_size) * batch_size
    maps = 0.0
    factors = architecture.stage_factors()
    last = len(factors) - 1
    for index, (factor, width) in enumerate(zip(factors, architecture.channels, strict=True)):
        blocks = architecture.encoder_blocks
        if index < last:
            blocks += architecture.decoder_blocks + 1  # the joined skip counts as one more
        maps += blocks * 6 * width / factor**3
    if architecture.stem_factor > 1:
        maps += 2 * (REFINED_MAPS + 1)  # the head's, and joined to the image
    activations = maps * voxels * bytes_per_value
    losses = 24 * voxels * 4
    return int(5 * 4 * count_parameters(architecture) + activations + losses)
