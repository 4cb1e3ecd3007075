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

__all__ = ["HalvedConv3d", "convolve_halved", "halve_small_convolutions"]

#: PyTorch's own bound on channels x depth x height (ConvUtils, ``use_mkldnn``).
SLOW_PATH_LIMIT = 20480

ModuleT = TypeVar("ModuleT", bound=nn.Module)


def is_traced() -> bool:
    """Whether torch writes down what is computed, for another program."""
    # Before torch 2.7 only compiling, which is more, could be asked for.
    exporting = getattr(torch.compiler, "is_exporting", None) or torch.compiler.is_compiling
    return bool(exporting() or torch._C._get_tracing_state())  # noqa: SLF001 - of torch.jit.trace


def convolve_halved(image: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
    """Convolve (B, C, Z, Y, X) with a 3x3x3 kernel, padding 1; a small single sample in halves."""
    if is_traced():  # sizes are not known there
        return functional.conv3d(image, weight, bias, padding=1)
    batch, channels, depth, height, _ = image.shape
    is_slow = channels * depth * height <= SLOW_PATH_LIMIT
    edges = enumerate(image.shape[2:], start=2)
    axis = next((axis for axis, edge in edges if edge % 2 == 0 and edge > 2), None)
    if batch != 1 or not is_slow or image.device.type != "cpu" or axis is None:
        return functional.conv3d(image, weight, bias, padding=1)
    half = image.shape[axis] // 2
    # functional.pad lists the last axis first.
    border = [0, 0, 0, 0, 0, 0]
    border[2 * (4 - axis)] = border[2 * (4 - axis) + 1] = 1
    padded = functional.pad(image, border)
    halves = torch.cat([padded.narrow(axis, 0, half + 2), padded.narrow(axis, half, half + 2)])
    padding = [1, 1, 1]
    padding[axis - 2] = 0
    result = functional.conv3d(halves, weight, bias, padding=padding)
    return torch.cat([result[:1], result[1:]], dim=axis)


class HalvedConv3d(nn.Conv3d):
    """A 3x3x3 convolution, stride 1, padding 1, that halves a small single sample."""

    def forward(self, input: Tensor) -> Tensor:  # noqa: A002  (the base class's name)
        """Convolve (B, C, Z, Y, X); equal to ``nn.Conv3d`` up to rounding."""
        return convolve_halved(input, self.weight, self.bias)


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
