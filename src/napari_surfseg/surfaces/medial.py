"""Medial surface of sheets: the middle of the shortest way through, along three axes."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["compute_medial_surface"]

#: A way through the mask counts as crossing a sheet up to this factor over the
#: shortest one there. The axis nearest a sheet's normal crosses it in at most
#: sqrt(3) thicknesses and the others in more; ragged faces shift both by a voxel.
#: Too small leaves pinholes, too large keeps the middle lines of whole sheets.
SLACK = 1.5


def compute_medial_surface(
    mask: NDArray[np.bool_], spacing: tuple[float, float, float] = (1.0, 1.0, 1.0)
) -> NDArray[np.bool_]:
    """Reduce sheets to their middle, about one voxel thick.

    Every unbroken run of mask voxels along Z, Y or X crosses a sheet or lies
    in it. The middle of a run is kept where that run is the shortest, or
    nearly, of the three through it. A sheet in any orientation is crossed by
    at least one axis steeply, sheets with a gap between them have separate
    runs, and nothing is thinned to curves: a sheet stays a sheet.

    Parameters
    ----------
    mask : array of bool
        Shape ``(Z, Y, X)``.
    spacing : tuple of float
        Z, Y, X voxel size, by which run lengths are compared.

    Returns
    -------
    array of bool
        Same shape, a subset of ``mask``.
    """
    mask = np.ascontiguousarray(mask, dtype=bool)
    lengths, middles = zip(*(_runs(mask, axis) for axis in range(3)), strict=True)
    # Compared as physical lengths: a run of 3 voxels of 4 nm is longer than one of 5 of 1 nm.
    physical = [length * np.float32(step) for length, step in zip(lengths, spacing, strict=True)]
    limit = np.minimum(np.minimum(physical[0], physical[1]), physical[2]) * SLACK
    medial = np.zeros(mask.shape, dtype=bool)
    for length, middle in zip(physical, middles, strict=True):
        medial |= middle & (length <= limit)
    return medial


def _runs(mask: NDArray[np.bool_], axis: int) -> tuple[NDArray[np.int32], NDArray[np.bool_]]:
    """Length of the run each mask voxel lies in along an axis, and the runs' middle voxels."""
    lines = np.moveaxis(mask, axis, -1)
    # A column of background after each line keeps runs of neighbouring lines apart when flat.
    padded = np.zeros((*lines.shape[:-1], lines.shape[-1] + 1), dtype=bool)
    padded[..., :-1] = lines
    flat = padded.ravel()
    steps = np.flatnonzero(flat[1:] != flat[:-1]) + 1
    if flat.size and flat[0]:
        steps = np.concatenate(([0], steps))
    starts, stops = steps[::2], steps[1::2]
    length = np.zeros(flat.size, dtype=np.int32)
    length[flat] = np.repeat(stops - starts, stops - starts)
    middle = np.zeros(flat.size, dtype=bool)
    middle[(starts + stops - 1) // 2] = True

    def restored(values: NDArray[np.generic]) -> NDArray[np.generic]:
        return np.moveaxis(values.reshape(padded.shape)[..., :-1], -1, axis)

    return restored(length), restored(middle)  # type: ignore[return-value]
