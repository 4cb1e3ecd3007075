"""Random fields whose value at a voxel depends on that voxel's place alone.

All randomness is an integer hash of global coordinates; smooth fields are cubic
B-splines over nodes at multiples of a spacing. Sums are taken element by
element in a fixed order (no BLAS, no reductions), so a value has the same bits
whatever box it was computed in.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from napari_surfseg.geometry import Index3


__all__ = [
    "F32",
    "Floats",
    "Integers",
    "compute_lattice_noise",
    "compute_spline",
    "compute_spline_noise",
    "compute_white_noise",
    "hash_coordinates",
    "hash_to_unit",
]

Floats: TypeAlias = np.ndarray[Any, np.dtype[np.floating[Any]]]
F32: TypeAlias = np.ndarray[Any, np.dtype[np.float32]]
Integers: TypeAlias = np.ndarray[Any, np.dtype[np.integer[Any]]]
U32: TypeAlias = np.ndarray[Any, np.dtype[np.uint32]]

# Odd multipliers that spread neighbouring coordinates over all 32 bits.
AXIS_FACTORS = (0x9E3779B1, 0x85EBCA77, 0xC2B2AE3D)
SALT_FACTOR = 0x27D4EB2F

#: Standard deviation of a cubic B-spline over uniform random nodes in [-1, 1]:
#: each axis keeps 151/315 of the variance on average.
SPLINE_STD = (1 / 3 * (151 / 315) ** 3) ** 0.5


def _mix(values: U32) -> U32:
    """Scramble the bits in place (the finaliser of MurmurHash3)."""
    values ^= values >> np.uint32(16)
    values *= np.uint32(0x85EBCA6B)
    values ^= values >> np.uint32(13)
    values *= np.uint32(0xC2B2AE35)
    values ^= values >> np.uint32(16)
    return values


def _wrapped(values: Any, factor: int) -> U32:
    """``values * factor`` modulo 2^32; negative values are fine."""
    product = np.asarray(values).astype(np.int64).astype(np.uint32) * np.array([factor], np.uint32)
    return np.asarray(product, dtype=np.uint32)


def hash_coordinates(coordinates: Sequence[Any], salt: int) -> U32:
    """Hash integer coordinates that broadcast against each other.

    Parameters
    ----------
    coordinates : sequence of array_like of int
        Up to three; any sign.
    salt : int
        Another salt gives another random field.

    Returns
    -------
    numpy.ndarray
        uint32, of the broadcast shape.
    """
    total = _mix(_wrapped(salt, SALT_FACTOR) + np.uint32(0x165667B1))
    for values, factor in zip(coordinates, AXIS_FACTORS, strict=False):
        total = total + _wrapped(values, factor)
    return _mix(np.array(total, dtype=np.uint32))


def hash_to_unit(values: U32) -> F32:
    """Map hashes to numbers in [-1, 1)."""
    return values.view(np.int32).astype(np.float32) * np.float32(2.0**-31)


def box_axes(start: Index3, stop: Index3) -> tuple[Integers, Integers, Integers]:
    """Global coordinates of a box's voxels, shaped to broadcast."""
    z, y, x = (np.arange(a, b) for a, b in zip(start, stop, strict=True))
    return z[:, None, None], y[None, :, None], x[None, None, :]


def compute_white_noise(start: Index3, stop: Index3, salt: int) -> F32:
    """Uncorrelated noise in [-1, 1), one value a voxel; standard deviation 3^-1/2."""
    return hash_to_unit(hash_coordinates(box_axes(start, stop), salt))


def compute_spline(
    evaluate: Callable[[Integers, Integers, Integers], Sequence[Floats]],
    spacing: Index3,
    start: Index3,
    stop: Index3,
) -> list[F32]:
    """Cubic B-splines through a box, from values at nodes every few voxels.

    Parameters
    ----------
    evaluate : callable
        Gets the nodes' Z, Y and X in voxels, shaped to broadcast, and returns
        one or more arrays of values at them.
    spacing : tuple of int
        Voxels between nodes, ZYX.
    start, stop : tuple of int
        The box, half open.

    Returns
    -------
    list of numpy.ndarray
        Shape ``stop - start``, float32, one for each that ``evaluate`` returned.
    """
    first = [a // step - 1 for a, step in zip(start, spacing, strict=True)]
    last = [(b - 1) // step + 3 for b, step in zip(stop, spacing, strict=True)]
    nodes = [np.arange(lo, hi) * step for lo, hi, step in zip(first, last, spacing, strict=True)]
    fields = evaluate(nodes[0][:, None, None], nodes[1][None, :, None], nodes[2][None, None, :])
    shape = tuple(axis.size for axis in nodes)
    out = []
    for field in fields:
        values = np.broadcast_to(field, shape).astype(np.float32)
        # The long axis of memory last: the work at full size is then on whole planes.
        for axis in (2, 1, 0):
            values = _refine(values, axis, first[axis], spacing[axis], start[axis], stop[axis])
        out.append(values)
    return out


def _refine(values: F32, axis: int, first: int, step: int, start: int, stop: int) -> F32:
    places = np.arange(start, stop)
    node = places // step - 1 - first
    t = ((places % step) / step).astype(np.float32)
    weights = (
        (1 - t) * (1 - t) * (1 - t) / 6,
        (3 * t * t * t - 6 * t * t + 4) / 6,
        (-3 * t * t * t + 3 * t * t + 3 * t + 1) / 6,
        t * t * t / 6,
    )
    if axis == 0:
        out = np.empty((places.size, *values.shape[1:]), np.float32)
        for i, n in enumerate(node):
            plane = values[n] * weights[0][i]
            for tap in (1, 2, 3):
                plane += values[n + tap] * weights[tap][i]
            out[i] = plane
        return out
    shape = [1, 1, 1]
    shape[axis] = places.size
    total = values.take(node, axis=axis) * weights[0].reshape(shape)
    for tap in (1, 2, 3):
        total += values.take(node + tap, axis=axis) * weights[tap].reshape(shape)
    return np.asarray(total, dtype=np.float32)


def compute_spline_noise(spacing: Index3, start: Index3, stop: Index3, salt: int) -> F32:
    """Smooth noise of mean 0 and standard deviation 1, features a few ``spacing`` long."""

    def evaluate(z: Integers, y: Integers, x: Integers) -> list[Floats]:
        nodes = hash_to_unit(
            hash_coordinates((z // spacing[0], y // spacing[1], x // spacing[2]), salt)
        )
        return [nodes / np.float32(SPLINE_STD)]

    return compute_spline(evaluate, spacing, start, stop)[0]


def compute_lattice_noise(coordinates: Sequence[F32], key: Integers, salt: int) -> F32:
    """Value noise over arbitrary coordinates: random at integers, smooth between.

    Parameters
    ----------
    coordinates : sequence of numpy.ndarray
        One to three arrays of one shape, float.
    key : numpy.ndarray
        Integer, of that shape: points with different keys see unrelated noise.
    salt : int
        Another salt gives another random field.

    Returns
    -------
    numpy.ndarray
        float32, in [-1, 1).
    """
    base = _wrapped(key, SALT_FACTOR)
    base += _mix(_wrapped([salt], SALT_FACTOR))
    weights = []
    for values, factor in zip(coordinates, AXIS_FACTORS, strict=False):
        whole = np.floor(values)
        base += _wrapped(whole, factor)
        t = (values - whole).astype(np.float32)
        weights.append(t * t * (3 - 2 * t))

    def corner(offset: int, axis: int) -> F32:
        """Value interpolated over the axes from ``axis`` on."""
        if axis == len(weights):
            return hash_to_unit(_mix(base + np.uint32(offset & 0xFFFFFFFF)))
        low = corner(offset, axis + 1)
        high = corner(offset + AXIS_FACTORS[axis], axis + 1)
        high -= low
        high *= weights[axis]
        high += low
        return high

    return corner(0, 0)
