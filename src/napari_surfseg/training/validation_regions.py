"""Which boxes of the validation volumes are scored: all of what is annotated, or a share of it."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from napari_surfseg.data.census import BLOCK

if TYPE_CHECKING:
    from collections.abc import Sequence

    from napari_surfseg.data.checked_pair import CheckedPair
    from napari_surfseg.geometry import Size3

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
    start, stop : tuple of int
        The box, in voxels of the volume.
    """

    pair: int
    start: Size3
    stop: Size3


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
    total = sum(math.prod(b - a for a, b in zip(*box, strict=True)) for box in boxes)
    rng = np.random.default_rng([seed, 7])
    regions = []
    for index, pair in enumerate(pairs):
        start, stop = boxes[index]
        if total > max_voxels:
            start, stop = _shrink(pair, boxes[index], max_voxels / total, rng)
        regions.append(ValidationRegion(index, start, stop))
    return regions


def _annotated_box(pair: CheckedPair) -> tuple[Size3, Size3]:
    """Find the box of the census blocks with annotated voxels."""
    occupied = np.argwhere(pair.census.blocks.sum(axis=0))
    if not len(occupied):
        return pair.roi
    first = pair.census.block_box(_triple(occupied.min(axis=0).tolist()))[0]
    return first, pair.census.block_box(_triple(occupied.max(axis=0).tolist()))[1]


def _shrink(
    pair: CheckedPair, box: tuple[Size3, Size3], share: float, rng: np.random.Generator
) -> tuple[Size3, Size3]:
    low, high = box
    edge = share ** (1 / 3)
    # A thin slab keeps its thin axis as long as it can: cut the long axes first.
    size = _cut_longest([b - a for a, b in zip(low, high, strict=True)], edge)
    candidates = []
    for _ in range(12):
        start = [int(rng.integers(a, b - s + 1)) for a, b, s in zip(low, high, size, strict=True)]
        stop = [a + s for a, s in zip(start, size, strict=True)]
        candidates.append((_triple(start), _triple(stop)))
    return max(candidates, key=lambda box: _count_foreground(pair, box))


def _count_foreground(pair: CheckedPair, box: tuple[Size3, Size3]) -> int:
    """Count surface voxels in the census blocks that a box touches."""
    low = pair.census.box[0]
    touched = tuple(
        slice(start // BLOCK - first // BLOCK, -(-stop // BLOCK) - first // BLOCK)
        for start, stop, first in zip(*box, low, strict=True)
    )
    return int(pair.census.blocks[1][touched].sum())


def _cut_longest(size: list[int], edge: float) -> list[int]:
    target = np.prod(size) * edge**3
    size = list(size)
    while np.prod(size) > target:
        longest = int(np.argmax(size))
        second = sorted(size)[-2]
        wanted = int(target / (np.prod(size) / size[longest]))
        size[longest] = max(wanted, min(second, size[longest] - 1), 1)
    return size


def _triple(values: Sequence[int]) -> Size3:
    return values[0], values[1], values[2]
