"""What is varied while a patch is cut: the cube's 48 symmetries, grey values, noise.

All of it is one copy: a symmetry is a view with other strides, and contrast,
brightness, gamma and noise together are a table of 256 grey values for each
of 64 noise levels.
"""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass
from statistics import NormalDist
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    from napari_surfseg.data.volume import Index3, Spacing3, VoxelArray

__all__ = [
    "NUM_NOISE_LEVELS",
    "SYMMETRIES",
    "Symmetry",
    "build_grey_table",
    "build_noise_levels",
    "find_symmetries",
]

Table: TypeAlias = np.ndarray[Any, np.dtype[np.uint8]]

#: Noise is drawn from so many equally likely quantiles of a normal distribution.
#: With 64, a table fits a first-level cache and the deviation is right to 1 %.
NUM_NOISE_LEVELS = 64
#: Length of the noise that rows of voxels are taken from.
NOISE_LENGTH = 2**20
#: Voxel sizes that differ by less than this are exchanged by a turn.
SPACING_TOLERANCE = 0.02

#: At strength 1: contrast and gamma change by up to this factor, either way,
#: and brightness by up to this many standard deviations.
MAX_CONTRAST = 1.6
MAX_GAMMA = 1.6
MAX_BRIGHTNESS = 0.6


@dataclass(frozen=True)
class Symmetry:
    """One of the 48 ways to put a cube back into its place.

    Attributes
    ----------
    axes : tuple of int
        Axis of the source that becomes each axis of the result.
    flips : tuple of bool
        Axes of the result that are then mirrored.
    """

    axes: Index3
    flips: tuple[bool, bool, bool]

    def apply(self, array: VoxelArray) -> VoxelArray:
        """Turn and mirror a (Z, Y, X) array; the result is a view."""
        z, y, x = (slice(None, None, -1 if flip else 1) for flip in self.flips)
        return array.transpose(self.axes)[z, y, x]

    def source_voxel(self, voxel: Sequence[int], shape: Index3) -> Index3:
        """Where a voxel of the result comes from.

        Parameters
        ----------
        voxel : sequence of int
            In the result.
        shape : tuple of int
            Of the result.
        """
        source = [0, 0, 0]
        for axis, flip, place, size in zip(self.axes, self.flips, voxel, shape, strict=True):
            source[axis] = size - 1 - place if flip else place
        return source[0], source[1], source[2]


#: All 48; the first is the identity.
SYMMETRIES: tuple[Symmetry, ...] = tuple(
    Symmetry((axes[0], axes[1], axes[2]), (flips[0], flips[1], flips[2]))
    for axes in itertools.permutations(range(3))
    for flips in itertools.product((False, True), repeat=3)
)


def find_symmetries(shape: Index3, spacing: Spacing3) -> tuple[Symmetry, ...]:
    """Symmetries under which a patch keeps its shape and its voxels their size.

    Parameters
    ----------
    shape : tuple of int
        Z, Y, X voxels of a patch.
    spacing : tuple of float
        Z, Y, X voxel size.

    Returns
    -------
    tuple of Symmetry
        48 for a cube of cubic voxels; at least the 8 flips.
    """
    return tuple(
        symmetry
        for symmetry in SYMMETRIES
        if all(
            shape[axis] == shape[i]
            and math.isclose(spacing[axis], spacing[i], rel_tol=SPACING_TOLERANCE)
            for i, axis in enumerate(symmetry.axes)
        )
    )


def build_grey_table(
    rng: np.random.Generator,
    *,
    intensity: float,
    noise: float,
    mean: float,
    std: float,
) -> Table:
    """Draw a change of contrast, brightness and gamma, and an amount of noise.

    Parameters
    ----------
    rng : numpy.random.Generator
        Source of chance; the same number of draws is taken whatever the settings.
    intensity : float
        Strength, 0 (none) to 1.
    noise : float
        Greatest standard deviation of the noise, as a share of the range.
    mean, std : float
        Of the images, as shares of the range: contrast turns about the mean and
        brightness is measured in deviations.

    Returns
    -------
    numpy.ndarray
        Shape (levels, 256), uint8, where levels is 1 without noise.
    """
    contrast, brightness, gamma = rng.uniform(-1, 1, size=3) * intensity
    deviation = rng.uniform(0, 1) * noise
    grey = np.arange(256) / 255.0
    if intensity:
        grey = grey ** (MAX_GAMMA**gamma)
        # Gamma moves the mean; contrast turns about where it went.
        middle = mean ** (MAX_GAMMA**gamma)
        grey = middle + (grey - middle) * MAX_CONTRAST**contrast + brightness * MAX_BRIGHTNESS * std
    if deviation < 0.25 / 255:  # would be lost in rounding
        return np.rint(np.clip(grey, 0, 1)[None] * 255).astype(np.uint8)
    levels = grey[None] + deviation * _normal_quantiles()[:, None]
    return np.rint(np.clip(levels, 0, 1) * 255).astype(np.uint8)


def build_noise_levels(seed: int) -> Table:
    """Noise levels in random order, a power of two long, for :func:`kernels.cut_noisy`."""
    rng = np.random.default_rng([seed, 0x0153])
    return rng.integers(0, NUM_NOISE_LEVELS, size=NOISE_LENGTH, dtype=np.uint8)


def _normal_quantiles() -> np.ndarray[Any, np.dtype[np.float64]]:
    """Values that split the normal distribution evenly, with deviation exactly 1."""
    normal = NormalDist()
    values = np.array(
        [normal.inv_cdf((i + 0.5) / NUM_NOISE_LEVELS) for i in range(NUM_NOISE_LEVELS)]
    )
    return np.asarray(values / values.std())
