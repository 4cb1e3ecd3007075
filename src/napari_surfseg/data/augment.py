"""What is varied while a patch is cut: the cube's 48 symmetries, grey values, noise.

All of it is one copy and one pass: a symmetry is a walk with other steps
through the voxels, contrast, brightness and gamma are a table of 256 grey
values looked up on the way, and noise is taken from a long array drawn once.
"""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np

from napari_surfseg.data.kernels import NOISE_LENGTH, add_noise, count_meanings, cut_patch

if TYPE_CHECKING:
    from collections.abc import Sequence

    from napari_surfseg.data.volume import Index3, Spacing3, VoxelArray

__all__ = [
    "SYMMETRIES",
    "GreyChange",
    "Symmetry",
    "build_noise",
    "cut_image",
    "cut_labels",
    "draw_grey_change",
    "find_symmetries",
]

Table: TypeAlias = np.ndarray[Any, np.dtype[np.uint8]]

#: Deviation of the stored noise: int8 then holds four deviations either way.
NOISE_UNIT = 32
#: Noise of a smaller deviation, in grey values, would be lost in rounding.
LEAST_NOISE = 0.25
#: Voxel sizes that differ by less than this are exchanged by a turn.
SPACING_TOLERANCE = 0.02

#: At strength 1: contrast and gamma change by up to this factor, either way,
#: and brightness by up to this many standard deviations.
MAX_CONTRAST = 1.6
MAX_GAMMA = 1.6
MAX_BRIGHTNESS = 0.6

# Not made read-only: to numba that would be another type, and all be compiled twice.
IDENTITY_TABLE: Table = np.arange(256, dtype=np.uint8)


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

    def walk(self, array: VoxelArray) -> np.ndarray[Any, np.dtype[np.int64]]:
        """First place and steps in the flat array that visit it turned and mirrored.

        Parameters
        ----------
        array : numpy.ndarray
            Shape (Z, Y, X), C-contiguous.

        Returns
        -------
        numpy.ndarray
            Shape (4,): place of the first voxel, steps along Z, Y and X of the result.
        """
        shape = array.shape
        steps = (shape[1] * shape[2], shape[2], 1)
        walk = np.empty(4, np.int64)
        walk[0] = 0
        for i, (axis, flip) in enumerate(zip(self.axes, self.flips, strict=True)):
            walk[i + 1] = -steps[axis] if flip else steps[axis]
            walk[0] += steps[axis] * (shape[axis] - 1) if flip else 0
        return walk

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


@dataclass(frozen=True)
class GreyChange:
    """How the grey values of a patch change.

    Attributes
    ----------
    table : numpy.ndarray
        Shape (256,), uint8: contrast, brightness and gamma.
    noise : float
        Standard deviation of the noise added, in grey values.
    seed : int
        Of the noise's pattern.
    """

    table: Table
    noise: float
    seed: int


def draw_grey_change(
    rng: np.random.Generator,
    *,
    intensity: float,
    noise: float,
    mean: float,
    std: float,
) -> GreyChange:
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
    """
    contrast, brightness, gamma = rng.uniform(-1, 1, size=3) * intensity
    deviation = float(rng.uniform(0, 1)) * noise * 255
    seed = int(rng.integers(2**31))
    if not intensity:
        return GreyChange(IDENTITY_TABLE, deviation, seed)
    power = MAX_GAMMA**gamma
    grey = (np.arange(256) / 255.0) ** power
    middle = mean**power  # gamma moved the mean; contrast turns about where it went
    grey = middle + (grey - middle) * MAX_CONTRAST**contrast + brightness * MAX_BRIGHTNESS * std
    table = np.rint(np.clip(grey, 0, 1) * 255).astype(np.uint8)
    return GreyChange(table, deviation, seed)


def build_noise(seed: int, longest_row: int) -> np.ndarray[Any, np.dtype[np.int8]]:
    """Draw normal noise of deviation :data:`NOISE_UNIT` for :func:`kernels.add_noise`."""
    rng = np.random.default_rng([seed, 0x0153])
    normal = rng.standard_normal(NOISE_LENGTH + longest_row, dtype=np.float32)
    return np.clip(np.rint(normal * NOISE_UNIT), -127, 127).astype(np.int8)


def cut_image(
    patch: Table, symmetry: Symmetry, change: GreyChange, noise: VoxelArray, out: Table
) -> None:
    """Write an image patch, turned and with other grey values, into a batch.

    Parameters
    ----------
    patch : numpy.ndarray
        Shape (Z, Y, X), uint8, C-contiguous.
    symmetry : Symmetry
        How it is turned.
    change : GreyChange
        How its grey values change.
    noise : numpy.ndarray
        From :func:`build_noise`.
    out : numpy.ndarray
        Shape (Z, Y, X) of the turned patch, uint8, C-contiguous.
    """
    cut_patch(patch.reshape(-1), symmetry.walk(patch), change.table, out)
    if change.noise > LEAST_NOISE:
        add_noise(out, noise, change.seed, change.noise / NOISE_UNIT)


def cut_labels(patch: Table, symmetry: Symmetry, counts: VoxelArray, out: Table) -> None:
    """Write a label patch of 0, 1 and 2, turned, into a batch, and count its values.

    ``counts`` has shape (3,), int64, and is added to; the rest as for :func:`cut_image`.
    """
    cut_patch(patch.reshape(-1), symmetry.walk(patch), IDENTITY_TABLE, out)
    count_meanings(out, counts)
