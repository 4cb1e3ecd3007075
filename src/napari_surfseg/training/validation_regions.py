"""Which boxes of the validation volumes are scored: all of what is annotated, or a share of it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from napari_surfseg.data.census import BLOCK
from napari_surfseg.geometry import (
    blocks_under,
    box_at,
    box_shape,
    box_slices,
    count_voxels,
    to_index,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    from napari_surfseg.data.checked_pair import CheckedPair
    from napari_surfseg.geometry import Box, Size3

__all__ = ["MAX_VOXELS", "ValidationRegion", "choose_regions"]

#: Voxels scored at most, by device; a slab of a huge volume would otherwise take longer than the
#: epoch.
MAX_VOXELS = {"cpu": 3 * 2**20, "cuda": 24 * 2**20}


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
    among a few drawn ones. The choice depends on the seed alone, so that the
    scores of a run can be compared with each other.
    """
    boxes = [_annotated_box(pair) for pair in pairs]
    total = sum(count_voxels(box) for box in boxes)
    rng = np.random.default_rng([seed, 7])
    regions = []
    for index, (pair, box) in enumerate(zip(pairs, boxes, strict=True)):
        if total > max_voxels:
            box = _shrink(pair, box, max_voxels / total, rng)
        regions.append(ValidationRegion(index, box))
    return regions


def _annotated_box(pair: CheckedPair) -> Box:
    """Find the box of the census blocks with annotated voxels."""
    occupied = np.argwhere(pair.census.blocks.sum(axis=0))
    if not len(occupied):
        return pair.roi
    first = pair.census.block_box(to_index(occupied.min(axis=0)))
    last = pair.census.block_box(to_index(occupied.max(axis=0)))
    return first[0], last[1]


def _shrink(pair: CheckedPair, box: Box, share: float, rng: np.random.Generator) -> Box:
    """Choose a box of a share of the voxels, around the most surface among a few drawn ones."""
    # A thin slab keeps its thin axis as long as it can: cut the long axes first.
    size = _cut_longest(box_shape(box), share ** (1 / 3))
    candidates = []
    for _ in range(12):
        start = [int(rng.integers(a, b - s + 1)) for a, b, s in zip(*box, size, strict=True)]
        candidates.append(box_at(start, size))
    return max(candidates, key=lambda box: _count_foreground(pair, box))


def _count_foreground(pair: CheckedPair, box: Box) -> int:
    """Count surface voxels in the census blocks that a box touches."""
    block = (BLOCK, BLOCK, BLOCK)
    first_block = blocks_under(pair.census.box, block)[0]
    touched = box_slices(blocks_under(box, block), first_block)
    return int(pair.census.blocks[1][touched].sum())


def _cut_longest(shape: Size3, edge: float) -> list[int]:
    target = np.prod(shape) * edge**3
    size = list(shape)
    while np.prod(size) > target:
        longest = int(np.argmax(size))
        second = sorted(size)[-2]
        wanted = int(target / (np.prod(size) / size[longest]))
        size[longest] = max(wanted, min(second, size[longest] - 1), 1)
    return size
