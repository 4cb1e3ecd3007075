"""Small 3-D convolutions on the fast CPU path.

PyTorch sends a float32 convolution of a single sample to oneDNN only when
channels x depth x height exceeds 20480; below that it unrolls the input into
columns, which is about three times slower at the coarse stages of a U-Net. Two
samples always take the fast path. So a single sample is cut in two along its
longest cuttable axis, each half with the one-voxel border it needs: the result
is the same to rounding, and the state dict does not change.
"""

from __future__ import annotations

from typing import TypeVar

import torch
from torch import Tensor, nn
from torch.nn import functional

__all__ = ["HalvedConv3d", "halve_small_convolutions"]

#: PyTorch's own bound on channels x depth x height (ConvUtils, ``use_mkldnn``).
SLOW_PATH_LIMIT = 20480

ModuleT = TypeVar("ModuleT", bound=nn.Module)


class HalvedConv3d(nn.Conv3d):
    """A 3x3x3 convolution, stride 1, padding 1, that halves a small single sample."""

    def forward(self, input: Tensor) -> Tensor:  # noqa: A002  (the base class's name)
        """Convolve (B, C, Z, Y, X); equal to ``nn.Conv3d`` up to rounding."""
        batch, channels, depth, height, width = input.shape
        if batch != 1 or channels * depth * height > SLOW_PATH_LIMIT or input.device.type != "cpu":
            return super().forward(input)
        axis = next(
            (
                axis
                for axis, edge in ((2, depth), (3, height), (4, width))
                if edge % 2 == 0 and edge > 2
            ),
            None,
        )
        if axis is None:
            return super().forward(input)
        half = input.shape[axis] // 2
        # functional.pad lists the last axis first.
        border = [0, 0, 0, 0, 0, 0]
        border[2 * (4 - axis)] = border[2 * (4 - axis) + 1] = 1
        padded = functional.pad(input, border)
        halves = torch.cat([padded.narrow(axis, 0, half + 2), padded.narrow(axis, half, half + 2)])
        padding = [1, 1, 1]
        padding[axis - 2] = 0
        result = functional.conv3d(halves, self.weight, self.bias, padding=padding)
        return torch.cat([result[:1], result[1:]], dim=axis)


def halve_small_convolutions(module: ModuleT) -> ModuleT:
    """Put every 3x3x3, stride 1, padding 1 convolution of a module on the fast path, in place."""
    for child in module.modules():
        if (
            type(child) is nn.Conv3d
            and child.kernel_size == (3, 3, 3)
            and child.stride == (1, 1, 1)
            and child.padding == (1, 1, 1)
            and child.dilation == (1, 1, 1)
            and child.groups == 1
            and child.padding_mode == "zeros"
        ):
            child.__class__ = HalvedConv3d
    return module
