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

from napari_surfseg.data import kernels

if TYPE_CHECKING:
    from collections.abc import Sequence

    from napari_surfseg.data.volume import VoxelArray
    from napari_surfseg.geometry import Index3, Size3, Spacing3

__all__ = [
    "SYMMETRIES",
    "GreyChange",
    "PatchBuffer",
    "Symmetry",
    "build_noise",
    "choose_symmetries",
    "cut_pair",
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

#: Settings that keep one axis, by which.
KEPT_AXES = {"axial": 0, "axial_y": 1, "axial_x": 2}

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
        """First place and steps in memory that visit a uint8 array turned and mirrored.

        Returns
        -------
        numpy.ndarray
            Shape (4,): place of the first voxel, steps along Z, Y and X of the result.
        """
        walk = np.zeros(4, np.int64)
        for i, (axis, flip) in enumerate(zip(self.axes, self.flips, strict=True)):
            step = array.strides[axis]
            walk[i + 1] = -step if flip else step
            walk[0] += step * (array.shape[axis] - 1) if flip else 0
        return walk

    @property
    def tile(self) -> np.ndarray[Any, np.dtype[np.int64]]:
        """Voxels of the result to copy together, (Z, Y, X).

        Long along the axis that runs along the source's lines of memory, so
        that each line is used up, and along X of the result; short along the
        third. The sizes are the best of 18 measured for patches of 128^3.
        """
        tile = [16, 16, 64]
        tile[self.axes.index(2)] = 128
        return np.array(tile, np.int64)

    def source_voxel(self, voxel: Sequence[int], shape: Size3) -> Index3:
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


def choose_symmetries(wanted: bool | str, shape: Size3, spacing: Spacing3) -> tuple[Symmetry, ...]:
    """Symmetries to draw from: those of the setting that also keep shape and spacing.

    Parameters
    ----------
    wanted : bool or str
        False for none, True for all, ``axial``, ``axial_y`` or ``axial_x`` for those
        that keep Z, Y or X; ``auto``, where nothing was measured, is all.
    shape : tuple of int
        Of a patch, in voxels.
    spacing : tuple of float
        Voxel size.
    """
    if not wanted:
        return SYMMETRIES[:1]
    found = find_symmetries(shape, spacing)
    axis = KEPT_AXES.get(str(wanted))
    return found if axis is None else tuple(s for s in found if s.axes[axis] == axis)


def find_symmetries(shape: Size3, spacing: Spacing3) -> tuple[Symmetry, ...]:
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
    normal = rng.standard_normal(kernels.NOISE_LENGTH + longest_row, dtype=np.float32)
    return np.clip(np.rint(normal * NOISE_UNIT), -127, 127).astype(np.int8)


class PatchBuffer:
    """Memory for one patch as it is cut, used over and over by one thread.

    Attributes
    ----------
    view : numpy.ndarray
        Shape (Z, Y, X), uint8: where the patch is written.
    flat : numpy.ndarray
        The same memory as one line.
    """

    def __init__(self, shape: Size3) -> None:
        z, y, x = shape
        # Planes a multiple of 4096 bytes apart would all fall on the same few
        # lines of the first-level cache when voxels are visited across them.
        spare = 1 if (y * x) % 4096 == 0 else 0
        memory = np.zeros((z, y + spare, x), np.uint8)
        self.view: Table = memory[:, :y]
        self.flat: Table = memory.reshape(-1)


def cut_pair(
    image: PatchBuffer,
    labels: PatchBuffer,
    symmetry: Symmetry,
    change: GreyChange,
    noise: VoxelArray,
    out_image: Table,
    out_labels: Table,
) -> None:
    """Write a patch and its labels, turned, the patch with other grey values.

    Parameters
    ----------
    image, labels : PatchBuffer
        As they were cut.
    symmetry : Symmetry
        How they are turned and mirrored.
    change : GreyChange
        How grey values change.
    noise : numpy.ndarray
        From :func:`build_noise`.
    out_image, out_labels : numpy.ndarray
        Shape (Z, Y, X) of the result, uint8, C-contiguous.
    """
    kernels.cut_pair(
        image.flat,
        labels.flat,
        symmetry.walk(image.view),
        symmetry.tile,
        change.table,
        out_image,
        out_labels,
    )
    if change.noise > LEAST_NOISE:
        kernels.add_noise(out_image, noise, change.seed, change.noise / NOISE_UNIT)
