"""Voxels of another size: how a network sees a volume whose voxels are not those it knows.

::

    volume's own grid  ── resample_box ──>  the network's grid     grey values: mean or linear
                       ── resample_labels ─>                       0, 1, 2: nothing thin is lost
                       <── resample_box ──                         probabilities, on its own grid

Both grids have the same outer borders: along each axis voxel ``i`` of the one covers
``i * scale`` to ``(i + 1) * scale`` of the other. Everything is computed from the boxes that are
asked for, so that a volume of any size can be read in another voxel size.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, NamedTuple, TypeAlias

import numpy as np

from napari_surfseg.data.labels import BACKGROUND, FOREGROUND, IGNORE
from napari_surfseg.data.units import compare_sizes, format_sizes
from napari_surfseg.data.volume import Volume
from napari_surfseg.geometry import box_slices, to_index, to_spacing, whole_box

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from numpy.typing import NDArray

    from napari_surfseg.data.volume import VoxelArray
    from napari_surfseg.geometry import Box, Index3, Size3, Spacing3

__all__ = [
    "KnownVoxels",
    "ResampleMode",
    "ResampledVolume",
    "Resampling",
    "choose_resampling",
    "resample_array",
    "resample_box",
    "resample_labels",
    "resample_to_size",
    "source_box",
]

#: ``auto``, ``none``, or a voxel size in the unit of the volume.
ResampleMode: TypeAlias = "Literal['auto', 'none'] | Spacing3"

#: Voxel sizes that differ by less than this along every axis are left as they are.
SPACING_RATIO = 1.5
#: For a network that knows no voxel size, voxels more times as long as wide are made cubes: below,
#: what it finds untrained is as good either way, and what it learns from labels on their own grid
#: is better (benchmarks/results/quality.md, ovule).
CUBIC_RATIO = 1.8
#: Where one axis is resampled, so are those that differ by more than this.
SAME_RATIO = 1.1
#: A greater difference is a wrong header rather than another microscope.
MAX_RATIO = 10.0
#: Fewer voxels than this along an axis are no volume any more.
MIN_EXTENT = 8
#: Which meaning wins where several fall into one voxel: what is annotated, the surface first.
RANKS = np.array([1, 2, 0], np.uint8)
MEANINGS = np.array([IGNORE, BACKGROUND, FOREGROUND], np.uint8)

Read: TypeAlias = "Callable[[Index3, Index3], VoxelArray]"


@dataclass(frozen=True)
class Resampling:
    """Between a volume's own grid and the one that a network sees.

    Attributes
    ----------
    scale : tuple of float
        Voxels of the network's grid for one voxel of the volume's, along each axis.
    """

    scale: Spacing3

    def shape(self, shape: Size3) -> Size3:
        """Give the shape in the network's grid of a shape in the volume's."""
        return to_index(
            max(1, round(size * scale)) for size, scale in zip(shape, self.scale, strict=True)
        )

    def own_shape(self, shape: Size3) -> Size3:
        """Give the shape in the volume's grid of a shape in the network's."""
        return to_index(
            max(1, round(size / scale)) for size, scale in zip(shape, self.scale, strict=True)
        )

    def spacing(self, spacing: Spacing3) -> Spacing3:
        """Give the voxel size in the network's grid of one in the volume's."""
        return to_spacing(size / scale for size, scale in zip(spacing, self.scale, strict=True))


class KnownVoxels(NamedTuple):
    """The voxels that a network was trained on.

    Attributes
    ----------
    spacing, units
        Their size; ones without a unit where it is not known.
    anisotropy : float, optional
        Longest edge by the shortest, up to which it was trained; None where it was trained on
        voxels of one size.
    """

    spacing: Spacing3
    units: str | None = None
    anisotropy: float | None = None

    @property
    def is_sized(self) -> bool:
        """Whether their size is known."""
        return self.units is not None or tuple(self.spacing) != (1.0, 1.0, 1.0)


def choose_resampling(
    volume: Volume, mode: ResampleMode, known: KnownVoxels | None
) -> tuple[Resampling | None, str]:
    """Choose how a network sees a volume.

    Parameters
    ----------
    volume : Volume
        The image.
    mode : str or tuple of float
        ``auto``: in the voxel size that the network knows, where that differs by more than 1.5
        along an axis; one that knows no size in particular sees voxels that are more than 1.8
        times as long as wide as cubes. ``none``: as it is. A size: in that one, in the unit of
        the volume.
    known : KnownVoxels, optional
        What the network was trained on; None for one that begins with noise.

    Returns
    -------
    resampling : Resampling or None
        None where the volume is seen as it is.
    note : str
        A sentence on what is done, or why it is not although the sizes differ; or empty.
    """
    if mode == "none":
        return None, ""
    if not isinstance(mode, str):
        return resample_to_size(volume, [a / b for a, b in zip(volume.spacing, mode, strict=True)])
    if known is None or not volume.spacing_known:
        return None, ""
    if not known.is_sized:
        # Even within the anisotropy that it was trained up to, it is better on cubes.
        return (
            (None, "")
            if known.anisotropy is None
            else resample_to_size(volume, _make_cubic(volume.spacing))
        )
    ratios = compare_sizes(volume.spacing, volume.units, known.spacing, known.units)
    if all(1 / SPACING_RATIO <= ratio <= SPACING_RATIO for ratio in ratios):
        return None, ""
    sizes = format_sizes(known.spacing, known.units)
    return resample_to_size(volume, ratios, f"those the network was trained on {sizes}")


def _make_cubic(spacing: Spacing3) -> list[float]:
    """Make long edges of a voxel as short as its shortest, where they are much longer."""
    scale = [size / min(spacing) for size in spacing]
    return scale if max(scale) > CUBIC_RATIO else [1.0, 1.0, 1.0]


def resample_to_size(
    volume: Volume, scale: Iterable[float], because: str = ""
) -> tuple[Resampling | None, str]:
    """Resample a volume by these factors, as far as that makes sense; with the sentence on it.

    ``because`` says what its voxels are compared with.
    """
    scale = [1.0 if 1 / SAME_RATIO <= each <= SAME_RATIO else each for each in scale]
    if all(each == 1 for each in scale):
        return None, ""
    resampling = Resampling(to_spacing(scale))
    found = format_sizes(volume.spacing, volume.units)
    said = f"The voxels of {volume.name} are {found}"
    if because:
        said += f", {because}"
    shape = resampling.shape(volume.shape)
    extents = zip(volume.shape, shape, strict=True)
    too_far = any(not 1 / MAX_RATIO <= each <= MAX_RATIO for each in scale)
    if too_far or any(after < min(before, MIN_EXTENT) for before, after in extents):
        return None, (
            f"{said}: that is too far apart to be resampled, so it is seen as it is and surfaces "
            "may be missed; check the voxel size."
        )
    seen = format_sizes(resampling.spacing(volume.spacing), volume.units)
    return resampling, (
        f"{said}: the network sees it in voxels of {seen}, and the result is on its own grid "
        "(data.resample)."
    )


def resample_box(read: Read, shape: Size3, new_shape: Size3, box: Box) -> NDArray[np.float32]:
    """Compute a box of a volume in another grid.

    Parameters
    ----------
    read : callable
        ``read(start, stop)`` gives voxels of the volume in its own grid.
    shape, new_shape : tuple of int
        Of the whole volume, in its own grid and in the other.
    box : (start, stop)
        In the other grid.

    Returns
    -------
    numpy.ndarray
        float32: along an axis that becomes coarser means, along one that becomes finer linear.
    """
    taps = _plan(shape, new_shape, box)
    values = read(to_index(tap.low for tap in taps), to_index(tap.high for tap in taps))
    found = values.astype(np.float32)
    # The axis that shrinks most first: the others then have less to do.
    for axis in sorted(range(3), key=lambda axis: new_shape[axis] / shape[axis]):
        found = taps[axis].apply(found, axis)
    return found


def resample_array(values: VoxelArray, shape: Size3) -> NDArray[np.float32]:
    """Bring an array into another shape, as :func:`resample_box` does a volume."""
    return resample_box(
        lambda start, stop: values[box_slices((start, stop))],
        to_index(values.shape),
        shape,
        whole_box(shape),
    )


def source_box(shape: Size3, new_shape: Size3, box: Box) -> Box:
    """Give the box of the own grid that :func:`resample_box` reads for one of the other."""
    taps = _plan(shape, new_shape, box)
    return to_index(tap.low for tap in taps), to_index(tap.high for tap in taps)


def resample_labels(labels: NDArray[np.uint8], shape: Size3) -> NDArray[np.uint8]:
    """Bring labels of 0, 1 and 2 into another shape, and lose nothing thin.

    Along an axis that becomes coarser every voxel goes into the one that holds its middle, and
    there surface wins over background, and background over what is not annotated: a sheet of
    one voxel stays one sheet. Along an axis that becomes finer the nearest is taken.
    """
    ranks = RANKS[labels]
    for axis in range(3):
        size, new = ranks.shape[axis], shape[axis]
        if new < size:
            # The first of those whose middle lies behind the border.
            borders = np.ceil(np.arange(new) * (size / new) - 0.5).astype(np.intp)
            ranks = np.maximum.reduceat(ranks, borders, axis=axis)
        elif new > size:
            middles = (np.arange(new) + 0.5) * (size / new)
            ranks = np.take(ranks, middles.astype(np.intp), axis=axis)
    return MEANINGS[ranks]


class ResampledVolume(Volume):
    """A volume in voxels of another size, computed as it is read; it keeps its place.

    Parameters
    ----------
    base : Volume
        In its own grid.
    shape : tuple of int
        In the other.
    """

    def __init__(self, base: Volume, shape: Size3) -> None:
        ratios = [new / own for new, own in zip(shape, base.shape, strict=True)]
        super().__init__(
            source=base.source,
            name=base.name,
            shape=shape,
            dtype=base.dtype,
            spacing=[size / ratio for size, ratio in zip(base.spacing, ratios, strict=True)]
            if base.spacing_known
            else None,
            units=base.units,
            translate=base.translate,
            content=base.content,
            chunks=[
                math.ceil(chunk * ratio) for chunk, ratio in zip(base.chunks, ratios, strict=True)
            ],
            notes=base.notes,
            stored_axes=base.stored_axes,
        )
        self.key = ("resampled", base.key, shape)
        self._base = base

    def _read_box(self, start: Index3, stop: Index3) -> VoxelArray:
        made = resample_box(self._base.read, self._base.shape, self.shape, (start, stop))
        return made if self.dtype.kind == "f" else np.rint(made).astype(self.dtype)


@dataclass(frozen=True)
class _Taps:
    """Along one axis: which voxels, counted from the first that is read, make each new one."""

    low: int
    high: int
    indices: NDArray[np.intp]
    weights: NDArray[np.float32]

    def apply(self, values: NDArray[np.float32], axis: int) -> NDArray[np.float32]:
        shape = [1, 1, 1]
        shape[axis] = -1
        num_taps = self.indices.shape[1]
        if num_taps == 1:
            return values
        total: Any = 0
        for tap in range(num_taps):
            taken = np.take(values, self.indices[:, tap], axis=axis)
            taken *= self.weights[:, tap].reshape(shape)
            total = taken if tap == 0 else np.add(total, taken, out=total)
        return total  # type: ignore[no-any-return]


def _plan(shape: Size3, new_shape: Size3, box: Box) -> list[_Taps]:
    axes = zip(shape, new_shape, *box, strict=True)
    return [_plan_axis(size, new, start, stop) for size, new, start, stop in axes]


def _plan_axis(size: int, new: int, start: int, stop: int) -> _Taps:
    if start == stop:
        return _Taps(0, 0, np.empty((0, 1), np.intp), np.empty((0, 1), np.float32))
    if size == new:
        same = np.arange(start, stop)[:, None]
        return _Taps(start, stop, same - start, np.ones(same.shape, np.float32))
    scale = size / new
    places = np.arange(start, stop, dtype=np.float64)[:, None]
    if scale > 1:
        begin, end = places * scale, (places + 1) * scale
        indices = np.floor(begin + 1e-9) + np.arange(math.ceil(scale) + 1)
        weights = np.minimum(end, indices + 1) - np.maximum(begin, indices)
        weights = np.clip(weights, 0, None) / scale
    else:
        middles = (places + 0.5) * scale - 0.5
        first = np.floor(middles)
        indices = first + np.arange(2)
        weights = np.concatenate([1 - (middles - first), middles - first], axis=1)
    whole = np.clip(indices, 0, size - 1).astype(np.intp)
    low, high = int(whole.min()), int(whole.max()) + 1
    return _Taps(low, high, whole - low, weights.astype(np.float32))
