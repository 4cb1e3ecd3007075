"""Where the sheets of a rolled scroll lie.

A roll is described by one smooth field ``A``, about the distance from the axis
in windings, and the angle ``theta`` around the axis. The *winding number*
``W = A - theta / (2 pi)`` grows by one from each sheet to the next, and its
whole values are the sheets' inner faces: one spiral, as ``A`` has to grow by
one for each turn. ``A`` is uneven (so the gaps are), and ``theta`` and ``A``
are those of a warped space (so the windings are flattened, dented and wavy)::

        voxel ──warp──▶ (a, b) ──▶ r, theta ──▶ A = r / pitch + unevenness
                                                W = A - theta / (2 pi)

``1 / |grad W|`` is the local pitch in voxels, which turns the fraction of ``W``
into a distance from the inner face.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from napari_surfseg.data.phantom.noise import F32, Floats, Integers, compute_spline

if TYPE_CHECKING:
    from napari_surfseg.data.phantom.settings import PhantomSettings
    from napari_surfseg.geometry import Index3

__all__ = ["Geometry", "Sheets"]

#: Voxels between the nodes at which the fields are evaluated exactly.
NODE_STEP = 4

#: Greatest sum of the unevenness' derivatives, so that windings never cross.
UNEVENNESS = 0.9

#: Shortest and longest such waves along a sheet, in voxels.
UNEVEN_LENGTH = (66.0, 330.0)

#: Root mean square gradient of the large dents and of the finer waves.
WARP_GRADIENT = 0.24
BUCKLE_GRADIENT = 0.6

TURN = 2 * math.pi


@dataclass(frozen=True)
class Sheets:
    """Place of each voxel of a box within the roll.

    Attributes
    ----------
    radius : numpy.ndarray
        ``A``: distance from the axis, in windings.
    winding : numpy.ndarray
        Index of the sheet whose inner face is the last one crossed when coming
        from the axis; 0 in the core.
    depth : numpy.ndarray
        Distance from that inner face, in voxels.
    pitch : numpy.ndarray
        Distance between that inner face and the next, in voxels.
    turns : numpy.ndarray
        Position along the spiral, in turns; runs on over the sheet from its
        inner end to its outer one.
    """

    radius: F32
    winding: F32
    depth: F32
    pitch: F32
    turns: F32


@dataclass(frozen=True)
class _Waves:
    """Sum of plane waves: amplitude, wave vector (ZYX, radians a voxel) and phase of each."""

    amplitude: Floats
    vector: Floats
    phase: Floats

    def evaluate(self, z: Integers, y: Integers, x: Integers) -> Floats:
        total: Floats = np.zeros(np.broadcast_shapes(z.shape, y.shape, x.shape))
        for amplitude, (kz, ky, kx), phase in zip(
            self.amplitude, self.vector, self.phase, strict=True
        ):
            total += amplitude * np.cos(kz * z + ky * y + kx * x + phase)
        return total


@dataclass(frozen=True)
class _SpiralWave:
    """One part of the unevenness: a wave in radius, angle and Z.

    ``gain`` bounds its share of the radial derivative; it lives from
    ``reach[0]`` to twice ``reach[1]`` voxels from the axis, where ``order``
    waves around make each a few sheets to many long.
    """

    gain: float
    frequency: float
    order: float
    along: float
    phase: float
    reach: tuple[float, float]


class Geometry:
    """The roll's shape; see the module's picture.

    Parameters
    ----------
    settings : PhantomSettings
        Size and seed.

    Attributes
    ----------
    first_turn, last_turn : float
        Where along the spiral, in turns, the sheet begins and ends.
    mask_radius : float
        ``A`` of the surface outside which there is nothing.
    """

    def __init__(self, settings: PhantomSettings) -> None:
        self._pitch = settings.mean_pitch
        self._axis = settings.axis_place
        radius = settings.roll_radius
        # A stream of its own: other parts of the phantom must not shift these numbers.
        rng = np.random.default_rng([settings.seed, 1])
        self._chirality = 1.0 if rng.random() < 0.5 else -1.0
        self._flattening = rng.uniform(1.15, 1.45)
        self._tilt = rng.uniform(0, math.pi), rng.uniform(-1, 1) / 700
        self._wander = _draw_wander(rng, radius)
        self._warp = [_draw_warp(rng, radius) for _ in "yx"]
        self._buckle = _draw_waves(rng, _octaves(30, 70, 5), 90, BUCKLE_GRADIENT)
        self._buckled = _draw_waves(rng, _octaves(90, 260, 4), 200, 0.0)
        self._roughness = _draw_waves(rng, _octaves(13, 26, 5), 26, 0.13)
        self._unevenness = _draw_unevenness(rng, radius, self._pitch)
        self.mask_radius = radius / self._pitch
        self.first_turn = 0.5 + 0.4 * rng.random()
        self.last_turn = self.mask_radius - 0.6

    def compute_axis(self, z: Integers) -> tuple[Floats, Floats]:
        """Y and X of the roll's axis at given Z, before the finer warps."""
        shift = [
            sum(
                amplitude * np.sin(TURN * z / length + phase)
                for amplitude, length, phase in component
            )
            for component in self._wander
        ]
        return self._axis[0] + shift[0], self._axis[1] + shift[1]

    def compute_sheets(self, start: Index3, stop: Index3) -> Sheets:
        """Find each voxel's place in the roll.

        Parameters
        ----------
        start, stop : tuple of int
            Box in global voxels, half open; may reach outside the volume.

        Returns
        -------
        Sheets
        """
        step = (NODE_STEP,) * 3
        radius, a, b, pitch = compute_spline(self._evaluate_nodes, step, start, stop)
        angle = np.arctan2(b, a)
        angle *= np.float32(1 / TURN)
        winding_number = radius - angle
        winding = np.floor(winding_number)
        depth = winding_number
        depth -= winding
        depth *= pitch
        angle += winding
        return Sheets(radius, winding, depth, pitch, angle)

    def _evaluate_nodes(self, z: Integers, y: Integers, x: Integers) -> list[Floats]:
        """Compute ``A``, warped coordinates and pitch at nodes ``NODE_STEP`` apart."""
        # One node more on every side, for the gradient.
        z, y, x = (_widen(axis) for axis in (z, y, x))
        a, b = self._warp_points(z, y, x)
        r2 = a * a + b * b
        r = np.sqrt(r2)
        theta = np.arctan2(b, a)
        radius = r / self._pitch + self._compute_unevenness(r, theta, z)
        radius += self._roughness.evaluate(z, y, x) / self._pitch
        gradient2 = np.zeros_like(r)
        # The winding number jumps where theta does; its gradient does not.
        inner = np.maximum(r2, (0.5 * self._pitch) ** 2) * TURN
        for axis in range(3):
            slope = np.gradient(radius, NODE_STEP, axis=axis)
            slope -= (
                a * np.gradient(b, NODE_STEP, axis=axis) - b * np.gradient(a, NODE_STEP, axis=axis)
            ) / inner
            gradient2 += slope * slope
        pitch = 1 / np.sqrt(np.maximum(gradient2, (1 / (6 * self._pitch)) ** 2))
        core = (slice(1, -1),) * 3
        return [field[core] for field in (radius, a, b, pitch)]

    def _warp_points(self, z: Integers, y: Integers, x: Integers) -> tuple[Floats, Floats]:
        axis_y, axis_x = self.compute_axis(z)
        dy = y - axis_y + self._warp[0].evaluate(z, y, x)
        dx = x - axis_x + self._warp[1].evaluate(z, y, x)
        r = np.sqrt(dy * dy + dx * dx) + 1e-9
        ny, nx = dy / r, dx / r
        # Folds of the sheets: in and out along the radius, in some places only.
        where = np.clip(self._buckled.evaluate(z, y, x) * 0.9, 0, 1)
        fold = self._evaluate_folds(z, y, x, ny, nx) * where
        fold *= np.minimum(1, r / (2 * self._pitch)) ** 2
        dy, dx = dy + fold * ny, dx + fold * nx
        tilt = self._tilt[0] + self._tilt[1] * z
        squeeze = math.sqrt(self._flattening)
        a = (np.cos(tilt) * dx + np.sin(tilt) * dy) / squeeze
        b = (np.cos(tilt) * dy - np.sin(tilt) * dx) * squeeze
        return a, self._chirality * b

    def _evaluate_folds(
        self, z: Integers, y: Integers, x: Integers, ny: Floats, nx: Floats
    ) -> Floats:
        """Displacement along the radius by waves that run around the roll."""
        total = np.zeros_like(ny)
        waves = self._buckle
        for amplitude, (kz, ky, kx), phase in zip(
            waves.amplitude, waves.vector, waves.phase, strict=True
        ):
            # Only the part across the radius: folded sheets stay parallel instead of crossing.
            across = (ky * nx - kx * ny) ** 2 / (ky * ky + kx * kx)
            # Creased rather than round: brittle sheets break where they bend.
            crease = np.arcsin(0.9 * np.sin(kz * z + ky * y + kx * x + phase))
            total += amplitude * across * crease
        return total

    def _compute_unevenness(self, r: Floats, theta: Floats, z: Integers) -> Floats:
        """Windings by which the sheets lie further out or in than evenly spaced ones would."""
        total = np.zeros_like(r)
        low, high = float(r.min()), float(r.max())
        for wave in self._unevenness:
            # Skipping what is zero throughout changes no bit and keeps huge rolls affordable.
            if high <= wave.reach[0] or low >= 2 * wave.reach[1]:
                continue
            swing = wave.frequency * r / self._pitch
            swing += wave.order * theta + wave.along * z + wave.phase
            total += wave.gain / wave.frequency * _window(r, wave.reach) * np.sin(swing)
        return total


def _widen(axis: Integers) -> Integers:
    flat = axis.ravel()
    wide = np.concatenate([flat[:1] - NODE_STEP, flat, flat[-1:] + NODE_STEP])
    return wide.reshape([-1 if size > 1 or axis.size == 1 else 1 for size in axis.shape])


def _window(r: Floats, reach: tuple[float, float]) -> Floats:
    """Rise from 0 to 1 over the octave above ``low``, fall back over the one above ``high``."""
    low, high = reach
    rise = np.clip(r / low - 1, 0, 1) if low else np.ones_like(r)
    fall = np.clip(2 - r / high, 0, 1)
    return np.asarray(rise * rise * (3 - 2 * rise) * fall * fall * (3 - 2 * fall))


def _count(shortest: float, longest: float, per_octave: int) -> int:
    return max(1, round(per_octave * math.log2(longest / shortest)))


def _octaves(shortest: float, longest: float, per_octave: int) -> Floats:
    """Wavelengths spread evenly over the octaves."""
    return np.geomspace(shortest, longest, _count(shortest, longest, per_octave))


def _draw_waves(
    rng: np.random.Generator, lengths: Floats, length_z: float, gradient: float
) -> _Waves:
    """Draw plane waves that mostly lie in the plane across the roll.

    Their sum's gradient has the root mean square ``gradient``; 0 asks for a sum
    of standard deviation 1 instead.
    """
    count = len(lengths)
    direction = rng.uniform(0, TURN, count)
    lengths = lengths * rng.uniform(0.85, 1.18, count)
    k = TURN / lengths
    along = rng.normal(0, TURN / length_z / 2, count)
    vector = np.stack([along, k * np.sin(direction), k * np.cos(direction)], axis=1)
    # cos^2 averages to one half; along one axis the gradient is another half of that.
    amplitude = np.full(count, math.sqrt(2 / count))
    if gradient:
        amplitude = amplitude * gradient / k
    return _Waves(amplitude, vector, rng.uniform(0, TURN, count))


def _draw_warp(rng: np.random.Generator, radius: float) -> _Waves:
    """Dents as large as the roll, and waves down to some sheets' length."""
    return _draw_waves(rng, _octaves(95, max(220, 2.2 * radius), 5), 260, WARP_GRADIENT)


def _draw_wander(rng: np.random.Generator, radius: float) -> list[list[tuple[float, float, float]]]:
    return [
        [
            (rng.uniform(0.01, 0.035) * radius, rng.uniform(180, 600), rng.uniform(0, TURN))
            for _ in range(3)
        ]
        for _ in "yx"
    ]


def _draw_unevenness(rng: np.random.Generator, radius: float, pitch: float) -> list[_SpiralWave]:
    """Draw waves in radius, angle and Z that together never make windings cross."""
    greatest = max(4.0, TURN * radius / UNEVEN_LENGTH[0])
    orders = sorted({0, 1, 2, *np.rint(np.geomspace(2, greatest, _count(2, greatest, 4))).tolist()})
    reaches = [
        (m * UNEVEN_LENGTH[0] / TURN, max(2 * pitch, m * UNEVEN_LENGTH[1] / TURN)) for m in orders
    ]
    reaches[0] = (0.0, 10 * radius)
    radii = np.linspace(pitch, max(radius, 2 * pitch), 200)
    overlap = float(np.sum([_window(radii, reach) for reach in reaches], axis=0).max())
    return [
        _SpiralWave(
            gain=UNEVENNESS / overlap,
            frequency=TURN * rng.uniform(0.1, 0.55),
            order=m if rng.random() < 0.5 else -m,
            along=rng.normal(0, TURN / 300),
            phase=rng.uniform(0, TURN),
            reach=reach,
        )
        for m, reach in zip(orders, reaches, strict=True)
    ]
