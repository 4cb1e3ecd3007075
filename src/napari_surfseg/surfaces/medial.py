"""Medial surface of sheets: the middle of the shortest run through, along three axes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from napari_surfseg.geometry import Spacing3

__all__ = ["Beyond", "compute_medial_surface"]

#: A run of mask voxels counts as crossing a sheet if it is at most this many times as
#: long as the shortest run there. The axis nearest a sheet's normal crosses it in at most
#: sqrt(3) thicknesses and the others in more; ragged faces shift both by a voxel.
#: Too small leaves pinholes, too large keeps the middle lines of whole sheets.
SLACK = 1.5


#: Of each line of an array along an axis: how many mask voxels its first run goes on by before
#: the array, and its last run behind it; the array's shape without that axis.
Beyond = tuple["NDArray[np.int32]", "NDArray[np.int32]"]


def compute_medial_surface(
    mask: NDArray[np.bool_],
    spacing: Spacing3 = (1.0, 1.0, 1.0),
    *,
    beyond: Sequence[Beyond] | None = None,
) -> NDArray[np.bool_]:
    """Reduce sheets to their middle, about one voxel thick.

    Every unbroken run of mask voxels along Z, Y or X crosses a sheet or lies
    in it. The middle of a run is kept where that run is the shortest, or
    nearly, of the three through it; where the middles of neighbouring runs lie
    apart, the step between them is kept as well, so that the middle of a
    ragged sheet is as closed as the sheet. A sheet in any orientation is
    crossed by at least one axis steeply, sheets with a gap between them have
    separate runs, and nothing is thinned to curves: a sheet stays a sheet.

    Parameters
    ----------
    mask : array of bool
        Shape ``(Z, Y, X)``.
    spacing : tuple of float
        Z, Y, X voxel size, by which run lengths are compared.
    beyond : sequence of pairs, optional
        Of each axis, by how much runs go on beyond the array; by default they end with it.

    Returns
    -------
    array of bool
        Same shape, a subset of ``mask``.
    """
    mask = np.ascontiguousarray(mask, dtype=bool)
    goes_on = (None, None, None) if beyond is None else beyond
    runs = (_runs(mask, axis, more) for axis, more in enumerate(goes_on))
    lengths, sides = zip(*runs, strict=True)
    # Compared as physical lengths: a run of 3 voxels of 4 nm is longer than one of 5 of 1 nm.
    physical = [length * np.float32(step) for length, step in zip(lengths, spacing, strict=True)]
    limit = np.minimum(np.minimum(physical[0], physical[1]), physical[2]) * SLACK
    medial = np.zeros(mask.shape, dtype=bool)
    for axis, (length, side) in enumerate(zip(physical, sides, strict=True)):
        across = mask & (length <= limit)
        medial |= across & (side == 0)
        medial |= _steps(np.where(across, side, np.int8(0)), axis)
    return medial


def _steps(side: NDArray[np.int8], axis: int) -> NDArray[np.bool_]:
    """Voxels past the middle of their run beside voxels short of the middle of theirs."""
    past, short = side > 0, side < 0
    steps = np.zeros(side.shape, dtype=bool)
    for other in {0, 1, 2} - {axis}:
        steps_, past_, short_ = (np.moveaxis(array, other, 0) for array in (steps, past, short))
        steps_[1:] |= past_[1:] & short_[:-1]
        steps_[:-1] |= past_[:-1] & short_[1:]
    return steps


def _runs(
    mask: NDArray[np.bool_], axis: int, beyond: Beyond | None
) -> tuple[NDArray[np.int32], NDArray[np.int8]]:
    """Length of the run along an axis each mask voxel lies in, and its side of the middle.

    The side is -1 short of the run's middle, 0 on it and 1 past it.
    """
    lines = np.moveaxis(mask, axis, -1)
    # A column of background after each line keeps runs of neighbouring lines apart when flat.
    padded = np.zeros((*lines.shape[:-1], lines.shape[-1] + 1), dtype=bool)
    padded[..., :-1] = lines
    flat = padded.ravel()
    steps = np.flatnonzero(flat[1:] != flat[:-1]) + 1
    if flat.size and flat[0]:
        steps = np.concatenate(([0], steps))
    starts, stops = steps[::2], steps[1::2]
    counts = stops - starts
    if beyond is not None:
        width = padded.shape[-1]
        before, behind = (np.ascontiguousarray(more).ravel() for more in beyond)
        first, last = starts % width == 0, stops % width == width - 1
        starts = starts - np.where(first, before[starts // width], 0)
        stops = stops + np.where(last, behind[stops // width], 0)
    inside = np.flatnonzero(flat)
    length = np.zeros(flat.size, dtype=np.int32)
    length[inside] = np.repeat(stops - starts, counts)
    side = np.zeros(flat.size, dtype=np.int8)
    side[inside] = np.sign(inside - np.repeat((starts + stops - 1) // 2, counts))

    def restored(values: NDArray[Any]) -> NDArray[Any]:
        # Copied, so that all arrays have one memory order and meet at full speed.
        lines = values.reshape(padded.shape)[..., :-1]
        return np.ascontiguousarray(np.moveaxis(lines, -1, axis))

    return restored(length), restored(side)
