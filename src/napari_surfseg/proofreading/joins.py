"""Bridges and tears: where pieces of surface meet as the threshold falls.

Voxels are added from the most probable down. Where two pieces that are large enough and rise
clearly above that level meet, the level decides whether they are one:

    level above the threshold     they are joined, and would not be at a higher one: a bridge
    level below the threshold     they are apart, and would not be at a lower one: a tear

That is the merge tree of the probabilities, whose joins are the persistence of their components.
In the whole region it finds what holds two sheets together, and how much hangs on it; in small
overlapping windows also one of several bridges between the same two.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from scipy import ndimage

from napari_surfseg.cancelling import raise_if_stopped
from napari_surfseg.compiling import compiled
from napari_surfseg.geometry import (
    box_at,
    box_slices,
    clip_box,
    grow_box,
    shift_box,
    to_index,
    whole_box,
)
from napari_surfseg.proofreading.evidence import FULL
from napari_surfseg.proofreading.places import DoubtfulPlace
from napari_surfseg.proofreading.ranking import to_weight
from napari_surfseg.surfaces.block_components import find_structure

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    from napari_surfseg.geometry import Box, Index3
    from napari_surfseg.proofreading.evidence import Evidence
    from napari_surfseg.proofreading.places import PlaceKind

__all__ = ["Join", "find_join_places", "find_joins"]

#: Voxels that a piece must have when it meets another one: a piece of sheet, no grain.
MIN_VOXELS = 40
#: How far both must rise above the level at which they meet, of 255.
MIN_RISE = 26
#: Windows in which joins are looked for as well, in finest voxels, and their step.
WINDOW, WINDOW_STEP = 28, 14
#: The most pieces' voxels that count: beyond, a sheet is a sheet.
MOST_VOXELS = 3000
#: Voxels of a topological change, besides those that hang on it.
TOPOLOGY_VOXELS = 20.0
#: What is larger than this is no bridge and no tear, but an area of doubt.
MOST_NECK_VOXELS = 150
#: Half the edge of the box in which a neck or a gap is looked for, in finest voxels.
REACH = 8.0


class Join(NamedTuple):
    """Two pieces meet: at this voxel, at this level, the smaller one as large as this."""

    voxel: Index3
    level: int
    smaller: int


@compiled
def _sweep(
    probs: NDArray[np.uint8],
    order: NDArray[np.int32],
    steps: NDArray[np.int64],
    least: int,
    rise: int,
) -> NDArray[np.int64]:
    """Add voxels in order; list voxel, level and smaller size of each join that counts."""
    parent = np.full(probs.size, -1, np.int32)
    size = np.zeros(probs.size, np.int32)
    peak = np.zeros(probs.size, np.uint8)
    found = np.empty((1024, 3), np.int64)
    num = 0
    for i in range(order.size):
        v = order[i]
        parent[v] = v
        size[v] = 1
        peak[v] = probs[v]
        root = np.int64(v)
        for k in range(steps.size):
            w = v + steps[k]
            if parent[w] < 0:
                continue
            other = np.int64(w)
            while parent[other] != other:
                parent[other] = parent[parent[other]]
                other = np.int64(parent[other])
            if other == root:
                continue
            smaller = min(size[other], size[root])
            lower = min(peak[other], peak[root])
            if smaller >= least and lower - probs[v] >= rise:
                if num == found.shape[0]:
                    larger = np.empty((2 * num, 3), np.int64)
                    larger[:num] = found
                    found = larger
                found[num, 0] = v
                found[num, 1] = probs[v]
                found[num, 2] = smaller
                num += 1
            if size[other] > size[root]:
                root, other = other, root
            parent[other] = root
            size[root] += size[other]
            peak[root] = max(peak[root], peak[other])
    return found[:num]


def find_joins(
    probs: NDArray[np.uint8], *, floor: int = 1, least: int = MIN_VOXELS, rise: int = MIN_RISE
) -> list[Join]:
    """List where pieces (26-connected) meet as the threshold falls, the highest level first.

    Parameters
    ----------
    probs : uint8 array, shape (Z, Y, X)
        Probabilities.
    floor : int
        Lower levels are not looked at.
    least : int
        Voxels that both pieces have at least when they meet.
    rise : int
        How far both rise above the level at least.
    """
    padded = np.pad(probs, 1)
    flat = padded.reshape(-1)
    chosen = np.flatnonzero(flat >= max(1, floor)).astype(np.int32)
    order = chosen[np.argsort(np.uint8(FULL) - flat[chosen], kind="stable")]
    _, height, width = padded.shape
    steps = np.array(
        [
            (z * height + y) * width + x
            for z in (-1, 0, 1)
            for y in (-1, 0, 1)
            for x in (-1, 0, 1)
            if (z, y, x) != (0, 0, 0)
        ],
        np.int64,
    )
    found = _sweep(flat, order, steps, least, rise)
    places = np.stack(np.unravel_index(found[:, 0], padded.shape), axis=1) - 1
    return [
        Join(to_index(at), int(level), int(smaller))
        for at, (_, level, smaller) in zip(places, found, strict=True)
    ]


def find_join_places(evidence: Evidence) -> Iterator[DoubtfulPlace]:
    """Find bridges that hardly hold and pieces that nearly meet.

    Parameters
    ----------
    evidence : Evidence
        The region.
    """
    floor = max(1, int(evidence.level * 0.2))
    for join in find_joins(evidence.probs, floor=floor):
        yield _to_place(evidence, join, whole=True)
    for box in _windows(evidence):
        raise_if_stopped()
        part = evidence.probs[box_slices(box)]
        if part.max(initial=0) <= evidence.level:
            continue
        for join in find_joins(part, floor=floor):
            if _is_inside(join.voxel, part.shape):
                at = to_index(a + b for a, b in zip(join.voxel, box[0], strict=True))
                yield _to_place(evidence, join._replace(voxel=at), whole=False)


def _windows(evidence: Evidence) -> Iterator[Box]:
    edges, steps = evidence.steps(WINDOW), evidence.steps(WINDOW_STEP)
    shape = evidence.probs.shape
    if all(n <= edge for n, edge in zip(shape, edges, strict=True)):
        return
    starts = [
        range(0, max(1, n - edge + step), step)
        for n, edge, step in zip(shape, edges, steps, strict=True)
    ]
    bounds = whole_box(shape)
    for z in starts[0]:
        for y in starts[1]:
            for x in starts[2]:
                yield clip_box(box_at((z, y, x), edges), bounds)


def _is_inside(voxel: Index3, shape: tuple[int, ...]) -> bool:
    """Whether a voxel is in the middle of a window: near its border sheets are cut by it."""
    return all(n // 5 <= at < n - n // 5 for at, n in zip(voxel, shape, strict=True))


def _to_place(evidence: Evidence, join: Join, *, whole: bool) -> DoubtfulPlace:
    at, box, size = _find_neck(evidence, join)
    joined = join.level > evidence.level
    hangs = min(join.smaller, MOST_VOXELS)
    consequence = TOPOLOGY_VOXELS + (0.05 * hangs if whole else 0.0) + size
    share = join.level / FULL
    kind: PlaceKind = "bridge" if joined else "loose end"
    if size > MOST_NECK_VOXELS:
        kind = "uncertain"
        holds = "together" if joined else "apart"
        reason = f"Pieces are held {holds} by {size:,} voxels near {share:.2f}."
    elif joined:
        reason = f"What it joins comes apart above {share:.2f}; {join.smaller:,} voxels hang on it."
    else:
        reason = f"Pieces that meet below {share:.2f}; the smaller one has {join.smaller:,} voxels."
    return DoubtfulPlace(
        kind,
        at,
        *box,
        size,
        to_weight(evidence.error_chance(join.level) * consequence),
        reason,
    )


def _find_neck(evidence: Evidence, join: Join) -> tuple[Index3, Box, int]:
    """Find what holds two pieces together, or keeps them apart: a voxel, its box and its size.

    The level of a join is often that of many voxels, of which the last one to be added says
    little about where the neck is.
    """
    start, stop = grow_box(
        shift_box(((0, 0, 0), (1, 1, 1)), join.voxel),
        evidence.steps(REACH),
        whole_box(evidence.probs.shape),
    )
    inside = box_slices((start, stop))
    values = evidence.probs[inside].astype(np.int16)
    neck = (np.abs(values - join.level) <= MIN_RISE // 2) & evidence.is_middle[inside]
    labels, _ = ndimage.label(neck, find_structure(26))
    here = np.subtract(join.voxel, start).astype(np.int64)
    places: NDArray[np.int64] = np.argwhere(neck)
    if len(places):
        number = int(labels[tuple(places[_nearest(places, here)])])
        places = np.argwhere(labels == number)
    else:
        places = here.reshape(1, 3)
    middle = places[_nearest(places, places.mean(axis=0))]
    box = to_index(places.min(axis=0) + start), to_index(places.max(axis=0) + 1 + start)
    return to_index(middle + np.array(start)), box, len(places)


def _nearest(places: NDArray[np.int64], to: NDArray[Any]) -> int:
    return int(((places - to) ** 2).sum(axis=1).argmin())
