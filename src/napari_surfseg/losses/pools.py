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
_DENSE = torch.contiguous_format


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
        eroded, kept = [probs.contiguous()], [torch.ones_like(probs, memory_format=_DENSE)]
        for _ in range(iterations):
            eroded.append(_pool(eroded[-1], _MINIMUM))
            kept.append(torch.empty_like(kept[0]))
            _keep(eroded[-1], eroded[-2], kept[-2], kept[-1])
        ctx.save_for_backward(*eroded, *kept)
        return _complement(kept[-1], eroded[-1])

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None]:
        """Walk the levels from the deepest: ``S(i) = S(i-1) + (1 - S(i-1)) top(i)``."""
        # numba takes half a second to import, which only the CPU path needs.
        from napari_surfseg.losses import kernels

        saved = ctx.saved_tensors
        eroded, kept = saved[: len(saved) // 2], saved[len(saved) // 2 :]
        inner = (gradients[0] * kept[-1]).contiguous()
        running = torch.addcmul(gradients[0], gradients[0], eroded[-1], value=-1).contiguous()
        outer = torch.empty_like(inner)
        for level in range(len(eroded) - 2, -1, -1):
            tensors = (eroded[level], eroded[level + 1], kept[level], running, outer, inner)
            kernels.route_level(*(_as_volumes(tensor) for tensor in tensors))
            inner, outer = outer, inner
        return inner, None


def _compute_skeleton(probs: Tensor, iterations: int) -> Tensor:
    """Compute the skeleton alone, in four volumes of memory."""
    eroded = probs.contiguous()
    smaller, spare = torch.empty_like(eroded), torch.empty_like(eroded)
    kept = torch.ones_like(eroded)
    for _ in range(iterations):
        _pool(eroded, _MINIMUM, smaller)
        _keep(smaller, eroded, kept, kept)
        eroded, smaller, spare = smaller, spare, smaller
    return _complement(kept, eroded)


def _complement(kept: Tensor, rest: Tensor) -> Tensor:
    skeleton = torch.addcmul(kept, kept, rest, value=-1)
    return torch.sub(1, skeleton, out=skeleton)


def _has_kernel(values: Tensor) -> bool:
    return values.device.type == "cpu" and values.dtype == torch.float32


def _pool(values: Tensor, sign: np.float32, out: Tensor | None = None) -> Tensor:
    from napari_surfseg.losses import kernels

    if out is None:
        out = torch.empty_like(values, memory_format=_DENSE)
    kernels.pool(_as_volumes(values), sign, _as_volumes(out))
    return out


def _keep(smaller: Tensor, eroded: Tensor, before: Tensor, after: Tensor) -> None:
    from napari_surfseg.losses import kernels

    kernels.keep(*(_as_volumes(tensor) for tensor in (smaller, eroded, before, after)))


def _as_volumes(values: Tensor) -> np.ndarray[tuple[int, ...], np.dtype[np.float32]]:
    volumes: np.ndarray[tuple[int, ...], np.dtype[np.float32]]
    volumes = values.detach().flatten(0, 1).contiguous().numpy()
    return volumes
