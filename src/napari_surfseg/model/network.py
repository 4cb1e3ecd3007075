"""The residual 3-D U-Net.

::

             ┌──────────────────────────────────────────────┐
    image ─ fold ─ stem ─ [E1] ──────────────── + ─ [D1] ─ refine ─ unfold ─> logits
                           └ down ─ [E2] ─ + ─ [D2] ┘ up
                                     └ … ┘  └> coarse head (training only)

Each ``[ ]`` is a stack of residual blocks (two 3x3x3 convolutions with instance
normalisation, and a shortcut). ``down`` folds stride^3 voxels into
channels and mixes them with one matrix, ``up`` is the reverse: both are exact
for thin structures, where pooling would already have dropped a two-voxel sheet.
``refine``, only where the image is folded, is a 3x3x3 convolution at full resolution
(:mod:`~napari_surfseg.model.folding`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

import torch
from torch import Tensor, nn

from napari_surfseg.model.folding import FoldedConv3d, fold_voxels, unfold_voxels
from napari_surfseg.model.halved_convolution import halve_small_convolutions
from napari_surfseg.model.presets import REFINED_MAPS, Architecture, resolve_architecture
from napari_surfseg.model.residual import ResidualBlock, build_activation

if TYPE_CHECKING:
    from napari_surfseg.config import Model

__all__ = ["SurfaceUNet", "build_unet"]


class _Pointwise(nn.Module):
    """A 1x1x1 convolution written as a matrix product.

    On a CPU the matrix product is several times faster than the convolution
    call; on a GPU it makes no difference.
    """

    def __init__(self, inputs: int, outputs: int, *, bias: bool) -> None:
        super().__init__()
        self.linear = nn.Linear(inputs, outputs, bias=bias)

    def forward(self, x: Tensor) -> Tensor:
        return cast("Tensor", self.linear(x.movedim(1, -1))).movedim(-1, 1)


def _start_unfolded_alike(mix: _Pointwise, factor: int) -> None:
    """Give the sub-voxels that unfold from one voxel the same first weights.

    Drawn independently they would start as a checkerboard of the size of a
    thin sheet, which the losses then have to flatten (Aitken et al. 2017).
    """
    cells = factor**3
    with torch.no_grad():
        weight = mix.linear.weight
        weight.copy_(weight[::cells].repeat_interleave(cells, dim=0))


class _Down(nn.Module):
    def __init__(self, inputs: int, outputs: int, stride: int, activation: str) -> None:
        super().__init__()
        self.stride = stride
        self.mix = _Pointwise(inputs * stride**3, outputs, bias=False)
        self.norm = nn.InstanceNorm3d(outputs, affine=True)
        self.act = build_activation(activation)

    def forward(self, x: Tensor) -> Tensor:
        mixed = self.mix(fold_voxels(x, self.stride)).contiguous()
        return cast("Tensor", self.act(self.norm(mixed)))


class _Up(nn.Module):
    def __init__(self, inputs: int, outputs: int, stride: int) -> None:
        super().__init__()
        self.stride = stride
        self.mix = _Pointwise(inputs, outputs * stride**3, bias=False)
        _start_unfolded_alike(self.mix, stride)

    def forward(self, x: Tensor) -> Tensor:
        return unfold_voxels(self.mix(x).contiguous(), self.stride)


def _blocks(inputs: int, outputs: int, count: int, architecture: Architecture) -> nn.Sequential:
    return nn.Sequential(
        *(
            ResidualBlock(
                inputs if index == 0 else outputs,
                outputs,
                activation=architecture.activation,
                dropout=architecture.dropout,
            )
            for index in range(count)
        )
    )


class SurfaceUNet(nn.Module):
    """A residual U-Net with one logit a voxel.

    Parameters
    ----------
    architecture : Architecture
        Widths, depths and strides.

    Notes
    -----
    In training mode :meth:`forward` returns the logits of every head, full
    resolution first; in evaluation mode only the full-resolution logits.
    """

    def __init__(self, architecture: Architecture) -> None:
        super().__init__()
        self.architecture = architecture
        channels = architecture.channels
        stem = architecture.stem_factor**3
        self.stem = nn.Sequential(
            nn.Conv3d(stem, channels[0], 3, padding=1, bias=False),
            nn.InstanceNorm3d(channels[0], affine=True),
            build_activation(architecture.activation),
        )
        self.encoder = nn.ModuleList(
            _blocks(width, width, architecture.encoder_blocks, architecture) for width in channels
        )
        steps = list(zip(channels[:-1], channels[1:], architecture.strides, strict=True))
        self.down = nn.ModuleList(
            _Down(fine, coarse, stride, architecture.activation) for fine, coarse, stride in steps
        )
        self.up = nn.ModuleList(_Up(coarse, fine, stride) for fine, coarse, stride in steps)
        joined = 2 if architecture.skip == "concat" else 1
        self.decoder = nn.ModuleList(
            _blocks(joined * fine, fine, architecture.decoder_blocks, architecture)
            for fine, _, _ in steps
        )
        if architecture.stem_factor == 1:
            self.head = _Pointwise(channels[0], 1, bias=True)
        else:
            # Without a bias: the sub-voxels' could differ by nothing but the checker board.
            self.head = _Pointwise(channels[0], REFINED_MAPS * stem, bias=False)
            _start_unfolded_alike(self.head, architecture.stem_factor)
            self.refine = FoldedConv3d(REFINED_MAPS + 1, architecture.stem_factor)
        self.coarse_heads = nn.ModuleList(
            _Pointwise(width, 1, bias=True) for width in channels[1 : architecture.num_heads]
        )

    def forward(self, image: Tensor) -> Tensor | list[Tensor]:
        """Compute logits.

        Parameters
        ----------
        image : Tensor
            (B, 1, Z, Y, X), normalised; edges divisible by the architecture's divisor.

        Returns
        -------
        Tensor or list of Tensor
            (B, 1, Z, Y, X) logits; in training a list, coarser heads after it.
        """
        factor = self.architecture.stem_factor
        folded = fold_voxels(image, factor)
        x = self.stem(folded)
        skips: list[Tensor] = []
        for encode, down in zip(self.encoder, self.down, strict=False):
            x = encode(x)
            skips.append(x)
            x = down(x)
        x = self.encoder[-1](x)
        coarse: list[Tensor] = []
        for level in reversed(range(len(self.up))):
            x = self.up[level](x)
            skip = skips[level]
            x = torch.cat([x, skip], dim=1) if self.architecture.skip == "concat" else x + skip
            x = self.decoder[level](x)
            if self.training and 0 < level <= len(self.coarse_heads):
                coarse.insert(0, self.coarse_heads[level - 1](x))
        logits = self.head(x).contiguous()
        if factor > 1:
            logits = unfold_voxels(self.refine(torch.cat([logits, folded], dim=1)), factor)
        return [logits, *coarse] if self.training else logits


def build_unet(model: Model, *, device: str = "cpu") -> SurfaceUNet:
    """Build the network a configuration describes, with fresh weights.

    Parameters
    ----------
    model : Model
        The ``model`` section.
    device : str
        Where it will run; decides what ``preset: auto`` means and, on a CPU,
        puts small convolutions on the fast path.
    """
    network = SurfaceUNet(resolve_architecture(model, device=device))
    # A surface is rare: starting from its prior instead of 1/2 saves the first steps.
    last = network.head.linear if network.architecture.stem_factor == 1 else network.refine
    nn.init.constant_(cast("Tensor", last.bias), -1.5)
    if device == "cpu":
        halve_small_convolutions(network)
    return network.to(device)
