"""Which boxes of the validation volumes are scored: all of what is annotated, or a share of it."""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from napari_surfseg.cancelling import raise_if_stopped
from napari_surfseg.data.labels import FOREGROUND
from napari_surfseg.geometry import (
    box_at,
    box_shape,
    count_voxels,
    to_index,
)

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from napari_surfseg.data.checked_pair import CheckedPair
    from napari_surfseg.data.volume import Volume
    from napari_surfseg.geometry import Box, Size3

__all__ = ["MAX_VOXELS", "ValidationRegion", "choose_regions"]

#: Voxels scored at most, by device; a slab of a huge volume would otherwise take longer than the
#: epoch.
MAX_VOXELS = {"cpu": 3 * 2**20, "cuda": 24 * 2**20}
#: Voxels that a volume has for itself however small it is beside the others.
SMALLEST = 2**15
#: Boxes drawn, and tried around surface where those hold little.
NUM_DRAWN = 12
#: A box is taken if it holds this share of the surface that its size would suggest.
FAIR_SHARE = 0.1


@dataclass(frozen=True)
class ValidationRegion:
    """A box of a validation volume.

    Attributes
    ----------
    pair : int
        Which of the validation pairs.
    box : (start, stop)
        In voxels of the volume.
    """

    pair: int
    box: Box


def choose_regions(
    pairs: Sequence[CheckedPair], *, max_voxels: int, seed: int
) -> list[ValidationRegion]:
    """Choose the boxes that are scored: everything, or as much of it as is allowed.

    Of a volume whose labels lie in one place only that place counts. One
    that is too large is represented by the box of its share of
    ``max_voxels``, of the volume's proportions, around its most annotated place
    among a few drawn ones; it holds surface wherever the volume does. A small volume
    beside a huge one keeps a part that can be scored. The choice depends on the labels and the
    seed alone, so that the scores of a run can be compared with each other.
    """
    boxes = [_annotated_box(pair) for pair in pairs]
    counts = [count_voxels(box) for box in boxes]
    rng = np.random.default_rng([seed, 7])
    regions = []
    for index, (pair, box) in enumerate(zip(pairs, boxes, strict=True)):
        if sum(counts) > max_voxels:
            box = _shrink(pair, box, _share_of(index, counts, max_voxels), rng)
        regions.append(ValidationRegion(index, box))
    return regions


def _share_of(index: int, counts: Sequence[int], max_voxels: int) -> int:
    """Share voxels out: to each volume what can be scored, and the rest by their sizes."""
    most = min(SMALLEST, max_voxels // (2 * len(counts)))
    least = [min(count, most) for count in counts]
    left = sum(counts) - sum(least)
    spare = max_voxels - sum(least)
    return max(1, least[index] + spare * (counts[index] - least[index]) // left)


def _annotated_box(pair: CheckedPair) -> Box:
    """Find the box of the census blocks with annotated voxels."""
    occupied = pair.census.blocks.without_empty().indices
    if not len(occupied):
        return pair.roi
    first = pair.census.block_box(to_index(occupied.min(axis=0)))
    last = pair.census.block_box(to_index(occupied.max(axis=0)))
    return first[0], last[1]


def _shrink(pair: CheckedPair, box: Box, max_voxels: int, rng: np.random.Generator) -> Box:
    """Choose a box of so many voxels, around the most surface among a few drawn ones."""
    # A thin slab keeps its thin axis as long as it can: cut the long axes first.
    size = _cut_longest(box_shape(box), max_voxels)
    drawn = []
    for _ in range(NUM_DRAWN):
        start = [int(rng.integers(a, b - s + 1)) for a, b, s in zip(*box, size, strict=True)]
        drawn.append(box_at(start, size))
    drawn.sort(key=lambda box: -_count_in_blocks(pair, box))
    if not pair.census.num_foreground:
        return drawn[0]
    # Blocks are coarse: one that a box touches may have its surface beside the box.
    wanted = FAIR_SHARE * pair.census.num_foreground * count_voxels(drawn[0]) / count_voxels(box)
    targets = pair.open_targets()
    best, most = drawn[0], 0
    for place in itertools.chain(drawn[:1], _around_surface(pair, targets, box, size, rng)):
        raise_if_stopped()
        found = int(np.count_nonzero(targets.read(*place) == FOREGROUND))
        if found > most:
            best, most = place, found
        if most >= max(1, wanted):
            break
    return best


def _around_surface(
    pair: CheckedPair, targets: Volume, box: Box, size: Size3, rng: np.random.Generator
) -> Iterator[Box]:
    """Give boxes around a surface voxel each, of the blocks with the most surface."""
    blocks = pair.census.blocks
    richest = np.argsort(-blocks.counts[1], kind="stable")[:NUM_DRAWN]
    for index in blocks.indices[richest]:
        block = pair.census.block_box(to_index(index))
        surface = np.argwhere(targets.read(*block) == FOREGROUND)
        if not len(surface):
            continue
        centre = surface[rng.integers(len(surface))] + block[0]
        start = [
            min(max(int(c) - s // 2, a), b - s)
            for c, s, a, b in zip(centre, size, *box, strict=True)
        ]
        yield box_at(to_index(start), size)


def _count_in_blocks(pair: CheckedPair, box: Box) -> int:
    """Count surface voxels in the census blocks that a box touches."""
    blocks = pair.census.blocks
    return int(blocks.counts[1][blocks.find_under(pair.census.blocks_touched(box))].sum())


def _cut_longest(shape: Size3, max_voxels: int) -> Size3:
    """Cut the longest axis, again and again, down to so many voxels; never below one."""
    size = list(shape)
    while math.prod(size) > max(1, max_voxels):
        longest = int(np.argmax(size))
        second = sorted(size)[-2]
        wanted = max_voxels * size[longest] // math.prod(size)
        size[longest] = max(wanted, min(second, size[longest] - 1), 1)
    return to_index(size)
