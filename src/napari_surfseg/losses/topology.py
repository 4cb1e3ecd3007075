"""The term that counts pieces and tunnels: a soft Euler characteristic in windows.

A mask is read as a cubical complex whose vertices are its voxels: an edge is a
pair of face neighbours, a square four, a cube eight, each present when all its
voxels are. The foreground is therefore 6-connected and the background
26-connected. ``X = V - E + F - C`` is the number of pieces minus the number of
tunnels plus the number of cavities.

Each cell is counted in the window that holds its first voxel, so the windows'
numbers add up to the volume's and no defect can hide on a window's border.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch
from torch.nn import functional

from napari_surfseg.losses.prediction import Prediction, in_float32
from napari_surfseg.losses.whole_batch import of_whole_batch

if TYPE_CHECKING:
    from torch import Tensor

__all__ = [
    "EulerTarget",
    "compute_euler_target",
    "soft_euler",
    "soft_euler_reference",
    "toploss_simple",
]


@dataclass(frozen=True)
class EulerTarget:
    """The label's side of the topology term; float tensors, one value a window, no gradient.

    Attributes
    ----------
    euler : Tensor
        Euler characteristic of the label in each window, ``(B, 1, z, y, x)``.
    share : Tensor
        1 over the number of windows with anything supervised, in those; else 0.
    window : int
        Edge of a window in voxels.
    """

    euler: Tensor
    share: Tensor
    window: int


def soft_euler(values: Tensor, window: int) -> Tensor:
    """Euler characteristic of a soft mask in each window.

    Parameters
    ----------
    values : Tensor
        Membership in [0, 1], shape ``(B, C, Z, Y, X)``; a cell's is the product
        of its voxels'.
    window : int
        Edge of the windows in voxels; the last along each axis may be cut short.

    Returns
    -------
    Tensor
        Shape ``(B, C, ceil(Z/window), ceil(Y/window), ceil(X/window))``.
    """
    if values.device.type == "cpu" and values.dtype == torch.float32:
        euler: Tensor = _SoftEuler.apply(values, window)  # type: ignore[no-untyped-call]
        return euler
    return soft_euler_reference(values, window)


def soft_euler_reference(values: Tensor, window: int) -> Tensor:
    """Compute :func:`soft_euler` with tensors and autograd: slower, any device."""
    density = values
    edges = {}
    for axis in (-1, -2, -3):
        edges[axis] = _pairs(values, axis)
        density = density - edges[axis]
    for first, second in ((-1, -2), (-1, -3), (-2, -3)):
        square = _pairs(edges[first], second)
        density = density + square
        if (first, second) == (-1, -2):
            density = density - _pairs(square, -3)
    return _window_sums(density, window)


class _SoftEuler(torch.autograd.Function):
    """The windows' Euler characteristics, counted and differentiated by compiled loops."""

    @staticmethod
    def forward(ctx: Any, values: Tensor, window: int) -> Tensor:
        """Count rows of cells, then sum them into windows along X."""
        # numba takes half a second to import, which only the CPU path needs.
        from napari_surfseg.losses import kernels

        volumes = values.detach().flatten(0, 1).contiguous()
        shape = values.shape[2:]
        counts = [-(-size // window) for size in shape]
        rows = torch.zeros(volumes.shape[0], counts[0], counts[1], shape[2])
        kernels.count_cells(volumes.numpy(), window, rows.numpy())
        rows = functional.pad(rows, (0, counts[2] * window - shape[2]))
        euler = rows.reshape(*rows.shape[:-1], counts[2], window).sum(-1)
        ctx.save_for_backward(volumes)
        ctx.window = window
        return euler.reshape(*values.shape[:2], *counts)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None]:
        """Give each row of cells its windows' gradients."""
        from napari_surfseg.losses import kernels

        (volumes,) = ctx.saved_tensors
        (gradient,) = gradients
        rows = gradient.flatten(0, 1).repeat_interleave(ctx.window, -1)
        rows = rows[..., : volumes.shape[-1]].contiguous()
        out = torch.zeros_like(volumes)
        kernels.spread_cells(volumes.numpy(), ctx.window, rows.numpy(), out.numpy())
        return out.reshape(*gradient.shape[:2], *volumes.shape[1:]), None


def _pairs(cells: Tensor, axis: int) -> Tensor:
    """Product of each cell with the next along an axis; 0 at the end, where there is none."""
    size = cells.shape[axis]
    product = cells.narrow(axis, 0, size - 1) * cells.narrow(axis, 1, size - 1)
    margins = [0] * (-2 * axis)
    margins[-1] = 1
    return functional.pad(product, margins)


def _window_sums(values: Tensor, window: int) -> Tensor:
    batch, channels, *shape = values.shape
    counts = [-(-size // window) for size in shape]
    margins: list[int] = []
    for size, count in zip(reversed(shape), reversed(counts), strict=True):
        margins += [0, count * window - size]
    if any(margins):
        values = functional.pad(values, margins)
    blocks = [part for count in counts for part in (count, window)]
    return values.reshape(batch, channels, *blocks).sum(dim=(3, 5, 7))


@torch.no_grad()
def compute_euler_target(y: Tensor, mask: Tensor | None = None, *, window: int = 16) -> EulerTarget:
    """Compute what the topology term needs of a label, once per patch."""
    euler = soft_euler(y.float(), window)
    supervised = torch.ones_like(euler)
    if mask is not None:
        supervised = (_window_sums(mask.float(), window) > 0).float()
    (count,) = of_whole_batch(supervised.sum())
    return EulerTarget(euler, supervised / count.clamp(min=1), window)


@in_float32
def toploss_simple(
    logits: Tensor | Prediction,
    y: Tensor,
    mask: Tensor | None = None,
    *,
    window: int = 16,
    sharpness: float = 4.0,
    target: EulerTarget | None = None,
) -> Tensor:
    """Relative error of the Euler characteristic, averaged over windows.

    ``abs(X(p) - X(y)) / (abs X(p) + abs X(y) + 1)`` in each window. The
    probabilities are sharpened, ``sigmoid(sharpness * logit)``: products of
    eight unsure voxels would otherwise count as empty, and the faint haze of
    thousands of background voxels as pieces.

    Parameters
    ----------
    logits : Tensor or Prediction
        Shape ``(B, 1, Z, Y, X)``.
    y : Tensor
        1 on the surface, 0 elsewhere, 0 where ignored; same shape.
    mask : Tensor of bool, optional
        True where supervised; a Prediction brings its own. Cells that touch an
        ignored voxel are absent on both sides.
    window : int
        Edge of the windows in voxels.
    sharpness : float
        Factor on the logits.
    target : EulerTarget, optional
        The label's side where it is known already.

    Returns
    -------
    Tensor
        Scalar in [0, 1].
    """
    prediction = Prediction.of(logits, mask)
    target = target or compute_euler_target(y, prediction.mask, window=window)
    euler = soft_euler(torch.sigmoid(sharpness * prediction.logits), target.window)
    error = (euler - target.euler).abs() / (euler.abs() + target.euler.abs() + 1)
    (total,) = of_whole_batch((error * target.share).sum())
    return total
