"""How alike the contents of two parts of a volume are: what is labelled there, and how it lies.

A part kept for validation should hold what the rest holds. The outermost winding of a
roll, say, has surface too, but in one direction only and against the air outside. A part
is described by four things, from a few small pieces of it:

- the share of surface among its annotated voxels,
- the mean grey value of surface and of background,
- the directions of the surface, as the mean of the normals' outer products.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_surfseg.cancelling import raise_if_stopped
from napari_surfseg.data.labels import BACKGROUND, FOREGROUND, IGNORE
from napari_surfseg.errors import ChunkError
from napari_surfseg.geometry import box_at, box_shape, clip_box, to_index

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from napari_surfseg.data.checked_pair import CheckedPair
    from napari_surfseg.data.volume import VoxelArray
    from napari_surfseg.geometry import Box

__all__ = ["EDGE", "NUM_PIECES", "Content", "compare_contents", "describe_content"]

#: Edge of a piece, and how many are read of a part: some 0.3 s for all parts together.
EDGE = 32
NUM_PIECES = 32


@dataclass(frozen=True)
class Content:
    """What a part of a volume holds.

    Attributes
    ----------
    surface_share : float
        Surface among the annotated voxels.
    surface_grey, background_grey : float
        Means; NaN where none was seen.
    spread : float
        Standard deviation of the grey values.
    directions : array, shape (3, 3)
        Mean outer product of the surface's normals, with trace 1; zeros if none was seen.
    """

    surface_share: float
    surface_grey: float
    background_grey: float
    spread: float
    directions: NDArray[np.float64]


def describe_content(
    pair: CheckedPair, box: Box, *, seed: int, num_pieces: int = NUM_PIECES
) -> Content:
    """Look at a few pieces of a box where something is annotated."""
    rng = np.random.default_rng([seed, 0x11CE])
    targets = pair.open_targets()
    counts = np.zeros(2)
    sums = np.zeros(2)
    squares = 0.0
    directions = np.zeros((3, 3))
    for start, stop in _draw_pieces(pair, box, num_pieces, rng):
        raise_if_stopped()
        try:
            labels = targets.read(start, stop)
            grey = pair.image.read(start, stop).astype(np.float64)
        except ChunkError:  # reported where it is met by a patch
            continue
        for meaning in (BACKGROUND, FOREGROUND):
            values = grey[labels == meaning]
            counts[meaning] += values.size
            sums[meaning] += values.sum()
            squares += float((values**2).sum())
        directions += _sum_directions(labels)
    total = counts.sum()
    if not total:
        return Content(0.0, math.nan, math.nan, 0.0, directions)
    means = [float(s / n) if n else math.nan for s, n in zip(sums, counts, strict=True)]
    spread = math.sqrt(max(0.0, squares / total - (sums.sum() / total) ** 2))
    trace = float(np.trace(directions))
    return Content(
        surface_share=float(counts[FOREGROUND] / total),
        surface_grey=means[FOREGROUND],
        background_grey=means[BACKGROUND],
        spread=spread,
        directions=directions / trace if trace > 0 else directions,
    )


def compare_contents(part: Content, whole: Content) -> float:
    """Return how much a part differs from the whole, 0 for not at all."""
    spread = max(whole.spread, 1e-9)
    greys = [
        abs(mine - other) / spread
        for mine, other in (
            (part.surface_grey, whole.surface_grey),
            (part.background_grey, whole.background_grey),
        )
        if math.isfinite(mine) and math.isfinite(other)
    ]
    least = 1e-4
    share = abs(math.log((part.surface_share + least) / (whole.surface_share + least)))
    directions = float(np.linalg.norm(part.directions - whole.directions))
    return share + directions + sum(greys)


def _sum_directions(labels: VoxelArray) -> NDArray[np.float64]:
    """Sum the outer products of the labels' slopes, away from what is not annotated."""
    from scipy.ndimage import gaussian_filter, minimum_filter

    surface = (labels == FOREGROUND).astype(np.float32)
    if min(surface.shape) < 2 or not surface.any():
        return np.zeros((3, 3))
    known: NDArray[Any] = minimum_filter((labels != IGNORE).view(np.uint8), 5).astype(bool)
    smooth = gaussian_filter(surface, 1.0)
    slopes = np.stack([np.gradient(smooth, axis=axis)[known] for axis in range(3)])
    return np.asarray(slopes @ slopes.T, np.float64)


def _draw_pieces(
    pair: CheckedPair, box: Box, num_pieces: int, rng: np.random.Generator
) -> list[Box]:
    """Pieces within a box, from census blocks drawn by how much of them is annotated."""
    blocks = pair.census.blocks
    blocks = blocks.keep(blocks.find_under(pair.census.blocks_touched(box))).without_empty()
    weights = blocks.annotated.astype(np.float64)
    if not len(weights):
        return []
    pieces: list[Box] = []
    indices = blocks.indices
    for place in rng.choice(len(weights), num_pieces, p=weights / weights.sum()):
        index = indices[place]
        low, high = clip_box(pair.census.block_box(to_index(index)), box)
        size = to_index(min(EDGE, extent) for extent in box_shape((low, high)))
        start = [int(rng.integers(a, b - n + 1)) for a, b, n in zip(low, high, size, strict=True)]
        pieces.append(box_at(start, size))
    return pieces
