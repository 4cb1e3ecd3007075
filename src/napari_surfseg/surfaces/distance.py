"""Distance to the nearest surface voxel, exact up to a radius, on any device."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import torch

if TYPE_CHECKING:
    from torch import Tensor

__all__ = ["truncated_edt"]


@torch.no_grad()
def truncated_edt(
    mask: Tensor,
    radius: float,
    spacing: tuple[float, float, float] = (1.0, 1.0, 1.0),
) -> Tensor:
    """Euclidean distance to the nearest True voxel, clipped at a radius.

    The squared distance is separable: along each axis in turn a voxel takes
    the least of its neighbours' values plus their squared step. Only steps
    shorter than the radius can matter, so the cost grows with the radius and
    not with the volume's edge.

    Parameters
    ----------
    mask : Tensor of bool
        Shape ``(..., Z, Y, X)``.
    radius : float
        Distances of this and more become this; in the unit of ``spacing``.
    spacing : tuple of float
        Z, Y, X voxel size.

    Returns
    -------
    Tensor
        Float32, same shape: 0 on the mask, exact below ``radius``, ``radius``
        beyond it and where nothing is True.
    """
    if not radius > 0 or not all(step > 0 for step in spacing):
        raise ValueError(f"radius and spacing must be above 0, not {radius} and {spacing}")
    limit = radius * radius
    squared = (~mask).float() * limit
    for axis, step in zip((-1, -2, -3), reversed(spacing), strict=True):
        reach = min(math.ceil(radius / step) - 1, mask.shape[axis] - 1)
        nearest = squared.clone()
        for distance in range(1, reach + 1):
            size = mask.shape[axis] - distance
            raised = squared + (distance * step) ** 2
            for here, there in ((0, distance), (distance, 0)):
                part = nearest.narrow(axis, here, size)
                torch.minimum(part, raised.narrow(axis, there, size), out=part)
        squared = nearest
    return squared.sqrt_()
