"""Soft morphology on probabilities: 3x3x3 minimum and maximum, and the skeleton from them.

Lantuejoul's skeleton collects, over ``i``, what opening takes from the volume
eroded ``i`` times. After ``n`` erosions what is left is taken as it is::

    E0 = p,  E(i+1) = erode(Ei),  top(i) = Ei - dilate(E(i+1))
    S = 1 - (1 - top(0)) (1 - top(1)) ... (1 - top(n-1)) (1 - En)

Dropping the rest, as the published loop does, would give a filled volume an empty
skeleton, and a prediction would be rewarded for filling it.

On a CPU the pools run in compiled loops and the gradient is routed by hand:
each minimum and maximum passes it to the voxel it was taken from, as autograd
would, which is exact wherever the probabilities differ.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch.nn import functional

if TYPE_CHECKING:
    from torch import Tensor

__all__ = ["dilate", "erode", "soft_skeleton", "soft_skeleton_reference"]

_MAXIMUM, _MINIMUM = np.float32(1), np.float32(-1)


def dilate(values: Tensor) -> Tensor:
    """Greatest value in the 3x3x3 neighbourhood; beyond the border lies nothing.

    Parameters
    ----------
    values : Tensor
        Shape ``(B, C, Z, Y, X)``. Differentiable unless on a CPU in float32,
        where it is a compiled loop for tensors without a gradient.
    """
    if _has_kernel(values) and not values.requires_grad:
        return _pool(values, _MAXIMUM)
    return functional.max_pool3d(values, 3, stride=1, padding=1)


def erode(values: Tensor) -> Tensor:
    """Least value in the 3x3x3 neighbourhood; see :func:`dilate`."""
    if _has_kernel(values) and not values.requires_grad:
        return _pool(values, _MINIMUM)
    return -functional.max_pool3d(-values, 3, stride=1, padding=1)


def soft_skeleton(probs: Tensor, iterations: int) -> Tensor:
    """Lantuejoul's skeleton of a probability volume, differentiable.

    Parameters
    ----------
    probs : Tensor
        Values in [0, 1], shape ``(B, C, Z, Y, X)``.
    iterations : int
        Erosions. What is thicker than ``2 * iterations + 1`` voxels keeps a
        middle that much thinner as its skeleton.

    Returns
    -------
    Tensor
        Values in [0, 1], nowhere above ``probs``; 0 or 1 for a 0/1 volume. A
        sheet one or two voxels thick is its own skeleton; the skeleton of a
        thicker one is its middle one or two layers.
    """
    if not _has_kernel(probs):
        return soft_skeleton_reference(probs, iterations)
    if torch.is_grad_enabled() and probs.requires_grad:
        skeleton: Tensor = _SoftSkeleton.apply(probs, iterations)  # type: ignore[no-untyped-call]
        return skeleton
    return _compute_skeleton(probs.detach(), iterations)


def soft_skeleton_reference(probs: Tensor, iterations: int) -> Tensor:
    """Compute :func:`soft_skeleton` with autograd through every pool: exact, slow, any device."""
    kept = torch.ones_like(probs)
    eroded = probs
    for _ in range(iterations):
        smaller = -functional.max_pool3d(-eroded, 3, stride=1, padding=1)
        opened = functional.max_pool3d(smaller, 3, stride=1, padding=1)
        kept = kept * (1 - (eroded - opened))
        eroded = smaller
    return 1 - kept * (1 - eroded)


class _SoftSkeleton(torch.autograd.Function):
    """The soft skeleton with its gradient routed by compiled loops."""

    @staticmethod
    def forward(ctx: Any, probs: Tensor, iterations: int) -> Tensor:
        """Compute the skeleton and keep its levels."""
        eroded, kept, tops = _compute_levels(probs, iterations)
        ctx.save_for_backward(*eroded, *kept, *tops)
        ctx.iterations = iterations
        rest = torch.addcmul(kept[-1], kept[-1], eroded[-1], value=-1)
        return torch.sub(1, rest, out=rest)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None]:
        """Walk the levels from the deepest: ``S(i) = S(i-1) + (1 - S(i-1)) top(i)``."""
        levels = ctx.iterations
        saved = ctx.saved_tensors
        eroded, kept, tops = saved[: levels + 1], saved[levels + 1 : -levels], saved[-levels:]
        inner = gradients[0] * kept[-1]
        running = gradients[0] - gradients[0] * eroded[-1]
        for level in range(levels - 1, -1, -1):
            outer = running * kept[level - 1] if level else running.clone()
            _route(eroded[level + 1], _MAXIMUM, outer.neg(), inner)
            _route(eroded[level], _MINIMUM, inner, outer)
            if level:
                running.addcmul_(running, tops[level], value=-1)
            inner = outer
        return inner, None


def _compute_skeleton(probs: Tensor, iterations: int) -> Tensor:
    """Compute the skeleton alone, in five volumes of memory."""
    eroded = probs.contiguous()
    smaller, spare, top = (torch.empty_like(eroded) for _ in range(3))
    kept = torch.ones_like(eroded)
    for _ in range(iterations):
        _pool(eroded, _MINIMUM, smaller)
        _pool(smaller, _MAXIMUM, top)
        torch.sub(eroded, top, out=top)
        kept.addcmul_(kept, top, value=-1)
        eroded, smaller, spare = smaller, spare, smaller
    kept.addcmul_(kept, eroded, value=-1)
    return torch.sub(1, kept, out=kept)


def _compute_levels(probs: Tensor, levels: int) -> tuple[list[Tensor], list[Tensor], list[Tensor]]:
    """Erosions 0 to ``levels``; what skeletons 0 to i leave over; what each opening takes."""
    eroded = [probs.contiguous()]
    kept: list[Tensor] = []
    tops: list[Tensor] = []
    for level in range(levels):
        eroded.append(_pool(eroded[-1], _MINIMUM))
        top = eroded[level] - _pool(eroded[-1], _MAXIMUM)
        kept.append(torch.addcmul(kept[-1], kept[-1], top, value=-1) if kept else 1 - top)
        tops.append(top)
    return eroded, kept, tops


def _has_kernel(values: Tensor) -> bool:
    return values.device.type == "cpu" and values.dtype == torch.float32


def _pool(values: Tensor, sign: np.float32, out: Tensor | None = None) -> Tensor:
    # numba takes half a second to import, which only the CPU path needs.
    from napari_surfseg.losses import kernels

    if out is None:
        out = torch.empty_like(values, memory_format=torch.contiguous_format)
    kernels.pool(_as_volumes(values), sign, _as_volumes(out))
    return out


def _route(values: Tensor, sign: np.float32, gradient: Tensor, out: Tensor) -> None:
    from napari_surfseg.losses import kernels

    kernels.route(_as_volumes(values), sign, _as_volumes(gradient), _as_volumes(out))


def _as_volumes(values: Tensor) -> np.ndarray[tuple[int, ...], np.dtype[np.float32]]:
    volumes: np.ndarray[tuple[int, ...], np.dtype[np.float32]]
    volumes = values.detach().flatten(0, 1).contiguous().numpy()
    return volumes
