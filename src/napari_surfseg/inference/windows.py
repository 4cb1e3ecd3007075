"""Where the windows of a sliding-window prediction lie, and how they are blended.

Geometry only: no torch, no files. Windows form a grid, the product of one list
of starts per axis, evenly spread so that the first begins at 0 and the last
ends at the end::

    size 100, window 48, overlap 0.25        0         36  48      72  84  100
                                             |---------|           |        |
    starts (0, 26, 52)                       [====== 0 ======]
                                                  [====== 26 =====]
                                                           [====== 52 =====]

The Gaussian blending weights are a product over the axes, and so is their sum
over a grid. Each window's weights can therefore be normalised axis by axis
beforehand: they add up to exactly one at every voxel, nothing is divided at
the end, and a predictor that works along Z needs to keep only one window's
depth of sums.
"""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    from napari_surfseg.geometry import Size3

__all__ = [
    "Block",
    "WindowGrid",
    "build_grid",
    "choose_window",
    "compute_axis_starts",
    "compute_axis_weights",
    "split_into_blocks",
]


#: Standard deviation of the blending Gaussian as a share of the window, as in nnU-Net.
SIGMA_SHARE = 0.125


def compute_axis_starts(size: int, window: int, overlap: float) -> tuple[int, ...]:
    """Compute the starts of the windows along one axis.

    Parameters
    ----------
    size : int
        Voxels along the axis, at least 1.
    window : int
        Window length, at least 1. An axis shorter than the window gets one
        window, which reaches beyond its end (the caller pads).
    overlap : float
        Least share of a window that its neighbour covers too, 0 <= overlap < 1.

    Returns
    -------
    tuple of int
        Increasing starts, the first 0, the last ``size - window`` (or 0).

    Raises
    ------
    ValueError
        If an argument is out of range.
    """
    if size < 1 or window < 1:
        raise ValueError(f"size and window must be at least 1, not {size} and {window}")
    if not 0 <= overlap < 1:
        raise ValueError(f"overlap must be at least 0 and below 1, not {overlap}")
    if size <= window:
        return (0,)
    step = max(1, int(window * (1 - overlap) + 1e-9))
    intervals = math.ceil((size - window) / step)
    # Spread evenly: the surplus overlap is shared by all windows, not given to the last one.
    return tuple((size - window) * index // intervals for index in range(intervals + 1))


def compute_axis_weights(
    starts: tuple[int, ...], window: int, *, sigma_share: float = SIGMA_SHARE
) -> NDArray[np.float32]:
    """Blending weights of every window along one axis; they add up to one at every voxel.

    Parameters
    ----------
    starts : tuple of int
        From :func:`compute_axis_starts`.
    window : int
        Window length.
    sigma_share : float
        Standard deviation of the Gaussian, as a share of ``window``.

    Returns
    -------
    ndarray of float32, shape (len(starts), window)
    """
    centre = (window - 1) / 2
    offsets = (np.arange(window) - centre) / (window * sigma_share)
    gaussian = np.exp(-0.5 * offsets**2)
    total = np.zeros(starts[-1] + window)
    for start in starts:
        total[start : start + window] += gaussian
    weights = [gaussian / total[start : start + window] for start in starts]
    return np.asarray(weights, dtype=np.float32)


@dataclass(frozen=True)
class WindowGrid:
    """The windows over one box.

    Attributes
    ----------
    shape : tuple of int
        Voxels of the box, ZYX.
    window : tuple of int
        Window, ZYX.
    starts : tuple of three tuples of int
        Window starts along each axis.
    """

    shape: Size3
    window: Size3
    starts: tuple[tuple[int, ...], tuple[int, ...], tuple[int, ...]]

    @property
    def padded_shape(self) -> Size3:
        """Shape the windows need: that of the box, or the window where the box is smaller."""
        z, y, x = (max(pair) for pair in zip(self.shape, self.window, strict=True))
        return z, y, x

    @property
    def num_windows(self) -> int:
        """Windows in the grid."""
        return math.prod(len(starts) for starts in self.starts)

    @property
    def num_window_voxels(self) -> int:
        """Voxels the network has to see: a measure of the cost."""
        return self.num_windows * math.prod(self.window)

    def compute_weights(
        self,
    ) -> tuple[NDArray[np.float32], NDArray[np.float32], NDArray[np.float32]]:
        """Weights along each axis, one row a window; see :func:`compute_axis_weights`."""
        z, y, x = (
            compute_axis_weights(starts, window)
            for starts, window in zip(self.starts, self.window, strict=True)
        )
        return z, y, x

    def __iter__(self) -> Iterator[Size3]:
        """Window starts, Z slowest, so that planes are finished in order."""
        return itertools.product(*self.starts)


def build_grid(shape: Size3, window: Size3, overlap: float) -> WindowGrid:
    """Lay windows over a box; see :func:`compute_axis_starts`."""
    z, y, x = (
        compute_axis_starts(size, length, overlap)
        for size, length in zip(shape, window, strict=True)
    )
    return WindowGrid(shape, window, (z, y, x))


@dataclass(frozen=True)
class Block:
    """A column of the box, full in Z, that is predicted on its own.

    Attributes
    ----------
    y, x : tuple of int
        Start and stop of the voxels it is responsible for.
    windows_y, windows_x : tuple of int
        First and last + 1 index of the grid's windows that touch it.
    """

    y: tuple[int, int]
    x: tuple[int, int]
    windows_y: tuple[int, int]
    windows_x: tuple[int, int]


def split_into_blocks(grid: WindowGrid, max_area: int, *, align: int = 128) -> tuple[Block, ...]:
    """Cut a box into columns whose area in YX is bounded.

    Every block uses the windows of the whole grid, so the result does not depend
    on the cut; windows that cross a cut are computed once for each side.

    Parameters
    ----------
    grid : WindowGrid
        Windows over the whole box.
    max_area : int
        Greatest area of a block, in voxels of YX. A block is never smaller than
        ``align`` along an axis, so that a tiny bound still works.
    align : int
        Cuts lie at multiples of this (the chunk of the output).
    """
    _, size_y, size_x = grid.shape
    edge_x = _aligned_edge(size_x, max(max_area // min(size_y, math.isqrt(max_area) + 1), 1), align)
    edge_y = _aligned_edge(size_y, max(max_area // edge_x, 1), align)
    return tuple(
        Block(
            y=y,
            x=x,
            windows_y=_touching(grid.starts[1], grid.window[1], *y),
            windows_x=_touching(grid.starts[2], grid.window[2], *x),
        )
        for y in _cut(size_y, edge_y)
        for x in _cut(size_x, edge_x)
    )


def _aligned_edge(size: int, wanted: int, align: int) -> int:
    if wanted >= size:
        return size
    return min(size, max(align, wanted // align * align))


def _cut(size: int, edge: int) -> list[tuple[int, int]]:
    return [(start, min(start + edge, size)) for start in range(0, size, edge)]


def _touching(starts: tuple[int, ...], window: int, begin: int, end: int) -> tuple[int, int]:
    inside = [i for i, start in enumerate(starts) if start < end and start + window > begin]
    return inside[0], inside[-1] + 1


def choose_window(
    shape: Size3,
    patch: Size3,
    *,
    multiple: Size3,
    overlap: float,
    growth: float = 3.0,
    max_voxels: int = 128**3,
) -> Size3:
    """Choose a large window that covers a box with few voxels computed twice.

    A region of 50x100x200 voxels costs 4.0 M window voxels with 48^3 windows at an
    overlap of 0.25 and 1.5 M as one window. Windows larger than the training
    patch are also better: instance norm then takes its statistics over more
    voxels, and fewer voxels are near a window's border (benchmarks/predict.py).

    Parameters
    ----------
    shape : tuple of int
        The box.
    patch : tuple of int
        Training patch, itself a multiple.
    multiple : tuple of int
        The network takes sizes divisible by these.
    overlap : float
        Least share of a window that its neighbour covers too.
    growth : float
        Greatest window edge, relative to the patch's; the least is the patch's, or
        what covers a shorter axis.
    max_voxels : int
        Greatest window, for the memory of the network's activations; never less
        than the patch.

    Returns
    -------
    tuple of int
        The largest of the windows within a quarter of the least cost; its edges are
        multiples of ``multiple``.
    """
    axes: list[list[tuple[int, int]]] = []
    for size, edge, factor in zip(shape, patch, multiple, strict=True):
        # A window longer than the axis needs only adds mirrored voxels. At least two multiples,
        # though: else the network's coarsest stage is one voxel, which cannot be normalised.
        cover = max(-(-size // factor) * factor, min(2 * factor, edge))
        longest = max(min(cover, int(edge * growth) // factor * factor), factor)
        lengths = {longest, *range(min(edge, longest), longest, factor)}
        axes.append([(n, n * len(compute_axis_starts(size, n, overlap))) for n in sorted(lengths)])
    bound = max(max_voxels, math.prod(patch))
    costs: dict[Size3, int] = {
        (wz, wy, wx): cz * cy * cx
        for (wz, cz), (wy, cy), (wx, cx) in itertools.product(*axes)
        if wz * wy * wx <= bound
    }
    least = min(costs.values())
    return min(
        (window for window, cost in costs.items() if cost <= 1.25 * least),
        key=lambda window: (-math.prod(window), costs[window], window),
    )
