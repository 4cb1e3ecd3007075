"""Soft morphology on probabilities: 3x3x3 minimum and maximum, and the skeleton from them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch.nn import functional

if TYPE_CHECKING:
    from torch import Tensor

__all__ = ["dilate", "erode", "soft_skeleton", "soft_skeleton_reference"]


def dilate(values: Tensor) -> Tensor:
    """Greatest value in the 3x3x3 neighbourhood; beyond the border lies nothing."""
    return functional.max_pool3d(values, 3, stride=1, padding=1)


def erode(values: Tensor) -> Tensor:
    """Least value in the 3x3x3 neighbourhood; beyond the border lies nothing."""
    return -functional.max_pool3d(-values, 3, stride=1, padding=1)


def soft_skeleton_reference(probs: Tensor, iterations: int) -> Tensor:
    """Differentiate through the pools of :func:`soft_skeleton` with autograd: exact and slow."""
    kept = torch.ones_like(probs)
    eroded = probs
    for _ in range(iterations + 1):
        smaller = erode(eroded)
        kept = kept * (1 - (eroded - dilate(smaller)))
        eroded = smaller
    return 1 - kept


def soft_skeleton(probs: Tensor, iterations: int) -> Tensor:
    """Lantuejoul's skeleton of a probability volume, differentiable."""
    return soft_skeleton_reference(probs, iterations)
