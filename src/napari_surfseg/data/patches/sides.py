"""Whether a turn would exchange the looks of the two sides of a surface.

A sheet can have fibres in one direction on one face and across them on the other, as papyrus
has, and the label can mean one of the faces. A quarter turn that exchanges the two directions
makes a patch in which the other face looks like the labelled one. Such turns teach the opposite
of what the labels say. Where texture beside a surface has no such order, as beside a membrane,
all 48 symmetries are more data for nothing.

So texture is measured along lines across the labelled surface::

    dark side  ── ── ── ── surface ── ── ── ──  bright side
                 place: -12 ...   0   ... +12 voxels along the normal

At every place the squared grey-value gradient along an axis is compared with the one across it,
both in the plane of the surface. Positive: texture runs along the axis, negative: across it. Only
where it is clearly positive at one place and clearly negative at another does a turn exchange
sides; the places are chosen on all blocks but one and looked up in that one.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_surfseg.cancelling import raise_if_stopped
from napari_surfseg.data.census import BLOCK
from napari_surfseg.data.labels import FOREGROUND
from napari_surfseg.data.patches.augment import KEPT_AXES, find_symmetries
from napari_surfseg.data.reading_cost import count_affordable
from napari_surfseg.errors import ChunkError
from napari_surfseg.geometry import count_voxels, grow_box, to_index

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from napari_surfseg.data.checked_pair import CheckedPair
    from napari_surfseg.geometry import Box, Index3, Size3

    Floats = NDArray[np.floating[Any]]

__all__ = ["SidesTexture", "measure_sides", "resolve_symmetries"]

#: Voxels along the normal that are looked at on either side.
REACH = 12
#: Edge of a block of surface voxels, a whole part of the census's; blocks share no surface voxel.
EDGE = BLOCK // 2
#: Blocks that are measured, and looked at for surface at most to find so many.
NUM_BLOCKS, NUM_DRAWN = 20, 96
#: Surface voxels of a block that are measured, and fewest from which it is measured at all.
MAX_POINTS, MIN_POINTS = 1200, 60
#: Blocks of a volume up to which all of them, empty ones too, are sorted by their surface.
SMALL_GRID = 2**20
#: Fewest blocks from which anything is concluded.
MIN_BLOCKS = 12
#: Least excess of texture along the axis at one place, and across it at another. Rolled sheets
#: with crossed fibres have 0.06 to 0.16, membranes of nerve tissue at most 0.06.
MIN_EXCESS = 0.05
#: Least difference between the two places in its standard errors over the blocks. Rolled sheets
#: with crossed fibres have 4 to 8 in 20 blocks, membranes of nerve tissue at most 2.9.
MIN_ERRORS = 3.5

AXES = "ZYX"


@dataclass(frozen=True)
class SidesTexture:
    """Texture beside the surface.

    Attributes
    ----------
    axis : int or None
        Along which texture runs on one side and across which on the other; None if there is none.
    excess : float
        By how much, 0 to 1, the smaller of the two; of the axis with the most.
    num_blocks : int
        Places that were measured.
    """

    axis: int | None
    excess: float
    num_blocks: int


def resolve_symmetries(
    wanted: bool | str, pairs: Sequence[CheckedPair], patch: Size3, *, seed: int
) -> tuple[bool | str, str]:
    """Settle ``data.augmentation.symmetries: auto`` on the training volumes.

    Returns
    -------
    bool or str
        What to use: ``wanted`` itself where it is not ``auto``.
    str
        Why, in a sentence; empty where nothing was to be settled.
    """
    if wanted != "auto":
        return wanted, ""
    possible = [find_symmetries(patch, pair.seen_spacing) for pair in pairs]
    if not any(s.axes != (0, 1, 2) for found in possible for s in found):
        return True, "Patches are flipped but not turned: their shape or voxel size forbids it."
    texture = measure_sides(pairs, seed=seed)
    if texture.num_blocks < MIN_BLOCKS:
        return True, (
            "Patches are flipped and turned in every way that keeps the voxel size: there is too "
            "little labelled surface to see whether its two sides look different (if they do, set "
            "data.augmentation.symmetries to axial)."
        )
    if texture.axis is None:
        return True, (
            "Patches are flipped and turned in every way that keeps the voxel size: no texture "
            "tells the two sides of the surface apart that a turn would exchange."
        )
    name = AXES[texture.axis]
    return list(KEPT_AXES)[texture.axis], (
        f"Patches are only flipped and turned in ways that keep the {name} axis: the two sides of "
        f"the surface look different, texture runs along {name} on one and across it on the other, "
        "and other turns would exchange them."
    )


def measure_sides(pairs: Sequence[CheckedPair], *, seed: int) -> SidesTexture:
    """Measure the texture on both sides of the labelled surface, at a few places.

    Parameters
    ----------
    pairs : sequence of CheckedPair
        Training volumes; strokes on the surface are enough.
    seed : int
        Of the choice of places.
    """
    measured = list(_measure_blocks(pairs, np.random.default_rng([seed, 0x51DE])))
    if len(measured) < MIN_BLOCKS:
        return SidesTexture(None, 0.0, len(measured))
    energies = np.array(measured)
    excess = max(_judge(energies[:, axis]) for axis in range(3))
    if excess < MIN_EXCESS:
        return SidesTexture(None, excess, len(energies))
    # Seen from any axis in the plane there is an order; from the fibres' own it is the same in
    # surfaces of every direction, and so the greatest in the sum.
    along, across = np.moveaxis(energies.sum(axis=0), 1, 0)
    axis = int(np.argmax(np.ptp(across - along, axis=1)))
    return SidesTexture(axis, excess, len(energies))


def _judge(energies: Floats) -> float:
    """Return by how much texture runs along the axis at one place and across it at another.

    Parameters
    ----------
    energies : array, shape (blocks, 2, places)
        Squared gradient along and across the axis.
    """
    highest, lowest = [], []
    for block in range(len(energies)):
        rest = _compare(np.delete(energies, block, axis=0).sum(axis=0))
        own = _compare(energies[block])
        highest.append(own[int(rest.argmax())])
        lowest.append(own[int(rest.argmin())])
    high, low = np.array(highest), np.array(lowest)
    difference = high - low
    error = float(difference.std()) / len(difference) ** 0.5
    if difference.mean() < MIN_ERRORS * error:
        return 0.0
    return max(0.0, min(float(high.mean()), -float(low.mean())))


def _compare(energy: Floats) -> Floats:
    """Texture along the axis has its gradient across it: positive."""
    # Over three neighbouring places: single ones are noisier than layers of fibres are thin.
    along, across = (np.convolve(row, np.ones(3), mode="valid") for row in energy)
    return np.asarray((across - along) / np.maximum(across + along, 1e-12))


def _measure_blocks(pairs: Sequence[CheckedPair], rng: np.random.Generator) -> Any:
    """Yield shape (3 axes, along and across, places) for each block with enough surface."""
    found = 0
    affordable = min(count_affordable(pair, EDGE + 2 * (REACH + 3), NUM_DRAWN) for pair in pairs)
    for number, box in _draw_blocks(pairs, rng)[:affordable]:
        raise_if_stopped()
        try:
            energy = _measure_block(pairs[number], box, rng)
        except ChunkError:  # reported where it is met by a patch
            continue
        if energy is not None:
            yield energy
            found += 1
            if found == NUM_BLOCKS:
                return


def _draw_blocks(pairs: Sequence[CheckedPair], rng: np.random.Generator) -> list[tuple[int, Box]]:
    """Eighths of census blocks, those with more surface sooner, none twice."""
    known = [
        (number, index, int(count))
        for number, pair in enumerate(pairs)
        for index, count in _rich_blocks(pair)
    ]
    if not known:
        return []
    weights = np.array([count for *_, count in known], np.float64)
    order = rng.choice(
        len(known), min(len(known), NUM_DRAWN), replace=False, p=weights / weights.sum()
    )
    blocks = []
    # First one eighth of every drawn block, then another: far apart before near each other.
    for eighth in range(8):
        for place in order:
            number, index, _ = known[place]
            corner = [
                (low // BLOCK + i) * BLOCK
                for low, i in zip(pairs[number].census.box[0], index, strict=True)
            ]
            turn = eighth ^ int(place % 8)
            start = [a + EDGE * (turn >> bit & 1) for bit, a in enumerate(corner)]
            low, high = pairs[number].roi
            start = [max(a, b) for a, b in zip(start, low, strict=True)]
            stop = [min(a + EDGE, b) for a, b in zip(start, high, strict=True)]
            box = to_index(start), to_index(stop)
            if count_voxels(box):
                blocks.append((number, box))
    return blocks[:NUM_DRAWN]


def _rich_blocks(pair: CheckedPair) -> list[tuple[Index3, int]]:
    """Find the census blocks with most surface: a bounded number, however large the volume."""
    blocks = pair.census.blocks
    if math.prod(blocks.grid) <= SMALL_GRID:
        # In the order in which all blocks, empty ones too, would be sorted.
        flat = blocks.dense()[1].ravel()
        places = np.arange(len(flat))
    else:
        flat, places = blocks.counts[1], blocks.places
    most = min(len(flat), 4096)
    if not most:
        return []
    chosen = np.argpartition(flat, len(flat) - most)[len(flat) - most :]
    chosen = chosen[flat[chosen] >= MIN_POINTS]
    return [
        (to_index(index), int(count))
        for index, count in zip(blocks.index_of(places[chosen]).tolist(), flat[chosen], strict=True)
    ]


def _measure_block(pair: CheckedPair, box: Box, rng: np.random.Generator) -> Floats | None:
    from scipy.ndimage import gaussian_filter

    margin = REACH + 3
    around = grow_box(box, margin, pair.image.box)
    surface = pair.open_targets().read(*around) == FOREGROUND
    points = np.argwhere(surface)
    start, stop = np.subtract(box, around[0])
    lowest = np.maximum(start, REACH + 1)
    highest = np.minimum(stop, np.array(surface.shape) - REACH - 1)
    points = points[((points >= lowest) & (points < highest)).all(axis=1)]
    if len(points) < MIN_POINTS:
        return None
    if len(points) > MAX_POINTS:
        points = points[rng.choice(len(points), MAX_POINTS, replace=False)]
    # NaN means outside the scan, if anything: others were refused.
    image = np.nan_to_num(pair.image.read(*around).astype(np.float32))
    points, normals = _find_normals(gaussian_filter(image, 1.5), points)
    if len(points) < MIN_POINTS:
        return None
    grey = gaussian_filter(image, 1.0)
    where = _lines(points, normals)
    profile = grey[where]
    darker = profile[:, REACH + 2 :].mean(axis=1) < profile[:, : REACH - 1].mean(axis=1)
    normals[darker] *= -1
    where = _lines(points, normals)
    gradient = np.stack([np.gradient(grey, axis=axis)[where] for axis in range(3)], axis=-1)
    energy = np.zeros((3, 2, 2 * REACH + 1))
    for axis in range(3):
        along = -normals[:, axis : axis + 1] * normals
        along[:, axis] += 1
        length = np.linalg.norm(along, axis=1)
        # Of an axis that is nearly the normal nothing is left in the plane.
        weight = np.where(length > 0.5, length**2, 0.0)[:, None]
        along /= np.maximum(length, 1e-6)[:, None]
        across = np.cross(normals, along)
        for row, direction in enumerate((along, across)):
            slope = np.einsum("poi,pi->po", gradient, direction)
            energy[axis, row] = (weight * slope**2).sum(axis=0) / len(points)
    return energy


def _find_normals(smooth: Floats, points: NDArray[Any]) -> tuple[Any, Any]:
    """Directions in which grey values change most around points; of flat places only.

    From the image, not the labels: a stroke on one slice has no normal.
    """
    slopes = np.stack([np.gradient(smooth, axis=axis) for axis in range(3)], axis=-1)
    near = np.stack(np.meshgrid(*[np.arange(-6, 7, 3)] * 3, indexing="ij"), -1).reshape(-1, 3)
    around = slopes[tuple(np.moveaxis(points[:, None, :] + near[None], 2, 0))]
    values, vectors = np.linalg.eigh(np.einsum("pni,pnj->pij", around, around))
    flat = values[:, 2] > 2 * values[:, 1]
    return points[flat], vectors[flat, :, 2].astype(np.float64)


def _lines(points: NDArray[Any], normals: Floats) -> tuple[Any, ...]:
    """Voxels along the normals, shape (points, places) for each axis."""
    along = np.arange(-REACH, REACH + 1)
    where = points[:, None, :] + along[None, :, None] * normals[:, None, :]
    return tuple(np.moveaxis(np.rint(where).astype(np.intp), 2, 0))
