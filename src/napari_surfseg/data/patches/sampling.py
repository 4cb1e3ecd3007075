"""Which patches are cut, in which order.

The plan of patch ``i`` depends on the seed and on ``i`` alone: not on threads,
not on what was drawn before. So a resumed run continues the same stream, and
two runs with one seed see the same patches however many workers they have.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from napari_surfseg.data.census import BLOCK
from napari_surfseg.data.labels import BACKGROUND, FOREGROUND
from napari_surfseg.data.volume import grow_chunks
from napari_surfseg.errors import DataError
from napari_surfseg.geometry import (
    block_box,
    blocks_under,
    box_at,
    iterate_blocks,
    iterate_indices,
    to_index,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    from napari_surfseg.data.checked_pair import CheckedPair
    from napari_surfseg.data.patches.augment import Symmetry
    from napari_surfseg.data.volume import Volume
    from napari_surfseg.geometry import Box, Index3, Size3

__all__ = ["PatchSampler", "Place", "place_patch"]

_FRESH_DRAWS = 16
#: Of a volume on a server: neighbourhoods that take turns, patches that each gives, and its
#: voxels, where a storage chunk is not larger.
NEIGHBOURHOODS, PATCHES_EACH, NEAR_VOXELS = 4, 8, 2**22
#: Blocks of a part that was not counted in which a voxel is looked for.
_BLOCKS_TRIED = 8


@dataclass(frozen=True)
class Place:
    """Where a patch is centred.

    Attributes
    ----------
    source : int
        Which pair.
    voxel : tuple of int
        Its centre, a supervised voxel of that pair.
    centred : bool
        Whether that voxel is surface.
    """

    source: int
    voxel: Index3
    centred: bool


class PatchSampler:
    """Draws patch centres so that the asked share of them lies on the surface.

    Every patch is centred on a supervised voxel, drawn uniformly from all
    surface voxels or from all background voxels of its volume; no patch is
    therefore without annotation. Volumes are drawn by their weights, or else by their
    supervised voxels.

    The share is reached not on average but in every stretch of patches: of any
    ``n`` in a row, ``n * share`` are on the surface, give or take one.

    Parameters
    ----------
    pairs : sequence of CheckedPair
        Volumes with their censuses.
    targets : sequence of Volume
        Their labels as 0, 1, 2, best read through a cache.
    foreground_share : float
        Share of the patches centred on the surface, 0 to 1.
    seed : int
        Of the stream.
    """

    def __init__(
        self,
        pairs: Sequence[CheckedPair],
        targets: Sequence[Volume],
        *,
        foreground_share: float,
        seed: int,
    ) -> None:
        self._pools = [
            tuple(_Pool(pair, target, meaning) for meaning in (BACKGROUND, FOREGROUND))
            for pair, target in zip(pairs, targets, strict=True)
        ]
        weights = np.array(
            [pair.census.weight if pair.weight is None else pair.weight for pair in pairs],
            dtype=np.float64,
        )
        self._cumulative = np.cumsum(weights / weights.sum())
        self._images = [pair.image for pair in pairs]
        self._is_slow = [pair.image.reads_at_once > 1 for pair in pairs]
        self._seed = seed
        self._shares = [(0, foreground_share)]
        self._phase = float(np.random.default_rng([seed, 0x5A]).random())

    @property
    def foreground_shares(self) -> list[tuple[int, float]]:
        """Shares of the patches centred on the surface, each from a patch of the stream on."""
        return list(self._shares)

    def set_foreground_share(self, share: float, *, from_index: int = 0) -> None:
        """Use another share from a patch of the stream on."""
        earlier = [each for each in self._shares if each[0] < from_index]
        self._shares = [*earlier, (from_index, share)]

    def is_foreground(self, index: int) -> bool:
        """Whether patch ``index`` of the stream is to be centred on the surface."""
        share = next(
            (value for begin, value in reversed(self._shares) if begin <= index),
            self._shares[0][1],
        )
        upto = [math.floor(i * share + self._phase) for i in (index, index + 1)]
        return upto[1] > upto[0]

    def draw(self, index: int, rng: np.random.Generator, *, may_stay: bool = True) -> Place:
        """Draw the centre of patch ``index``.

        Parameters
        ----------
        index : int
            Place in the stream.
        rng : numpy.random.Generator
            The patch's own source of chance.
        may_stay : bool
            Whether it may lie in the neighbourhood of others; not for one that takes the place
            of a patch that could not be read.

        Raises
        ------
        DataError
            If the labels no longer hold what was counted.
        """
        centred = self.is_foreground(index)
        if may_stay and any(self._is_slow):
            return self._draw_near(index, rng, centred=centred)
        source = self._draw_source(rng)
        return Place(source, self._pools[source][centred].draw(rng), centred)

    def _draw_source(self, rng: np.random.Generator) -> int:
        source = int(np.searchsorted(self._cumulative, rng.random(), side="right"))
        return min(source, len(self._pools) - 1)

    def _draw_near(self, index: int, rng: np.random.Generator, *, centred: bool) -> Place:
        """Draw near others of the stream, so that chunks that took long to come serve several.

        Patches ``i, i + n, i + 2 n, …`` share a neighbourhood; it is drawn as a patch is, so that
        in the long run all that is annotated has its turn. Beside one another in the stream they
        lie in ``n`` different ones.
        """
        turn, place = divmod(index, NEIGHBOURHOODS * PATCHES_EACH)
        number = turn * NEIGHBOURHOODS + place % NEIGHBOURHOODS
        shared = np.random.default_rng([self._seed, 0x4E, number])
        source = self._draw_source(shared)
        pool = self._pools[source][centred]
        if self._is_slow[source]:
            kind = (BACKGROUND, FOREGROUND)[int(shared.integers(2))]
            middle = self._pools[source][kind].draw(shared)
            voxel = pool.draw_within(self._find_neighbourhood(source, middle), rng)
            if voxel is not None:
                return Place(source, voxel, centred)
        return Place(source, pool.draw(rng), centred)

    def _find_neighbourhood(self, source: int, middle: Index3) -> Box:
        """Find the storage chunks around a voxel whose patches share most of what they read."""
        image = self._images[source]
        unit = grow_chunks(image.chunks, image.box, NEAR_VOXELS)
        (index,) = iterate_indices(blocks_under(box_at(middle, (1, 1, 1)), unit))
        return block_box(index, unit, image.box)


class _Pool:
    """All voxels of one meaning in one volume, known by their counts.

    Three kinds of places: blocks that were counted, parts that were not, and for background all
    that is not stored where that means background.
    """

    def __init__(self, pair: CheckedPair, targets: Volume, meaning: int) -> None:
        self._census = pair.census
        self._targets = targets
        self._meaning = meaning
        blocks = pair.census.blocks
        blocks = blocks.keep(blocks.counts[meaning] > 0)
        self._blocks = blocks
        self._indices = blocks.indices
        self._upto = np.cumsum(blocks.counts[meaning])
        self._num_counted = int(self._upto[-1]) if len(self._upto) else 0
        self._num_rest = pair.census.num_rest if meaning == BACKGROUND else 0
        self._uncounted = pair.census.uncounted
        self._num_expected = 0
        if self._uncounted is not None:
            self._num_expected = len(self._uncounted) * self._uncounted.expected[meaning]

    def draw(self, rng: np.random.Generator) -> Index3:
        """One voxel, each as likely as any other."""
        total = self._num_counted + self._num_expected + self._num_rest
        for _ in range(_FRESH_DRAWS if total else 0):
            rank = int(rng.integers(total))
            if rank < self._num_counted:
                found = self._draw_counted(rank)
            elif rank < self._num_counted + self._num_expected:
                found = self._draw_uncounted(rng)
            else:
                found = self._draw_rest(rng)
            if found is not None:  # labels painted since the count may have moved it
                return found
        if self._num_counted and total > self._num_counted:
            found = self._draw_counted(int(rng.integers(self._num_counted)))
            if found is not None:
                return found
        raise DataError(
            f"{self._targets.source} no longer holds the labels it had when the run started; "
            "start the run again."
        )

    def draw_within(self, box: Box, rng: np.random.Generator) -> Index3 | None:
        """One voxel of the counted blocks under a box; None where there are none."""
        under = self._blocks.find_under(self._census.blocks_touched(box))
        upto = np.cumsum(self._blocks.counts[self._meaning][under])
        if not len(upto):
            return None
        rank = int(rng.integers(upto[-1]))
        which = int(np.searchsorted(upto, rank, side="right"))
        before = int(upto[which - 1]) if which else 0
        return self._pick(
            self._census.block_box(to_index(self._indices[under[which]])), rank - before
        )

    def _draw_counted(self, rank: int) -> Index3 | None:
        """Find the voxel of a rank among all that were counted."""
        which = int(np.searchsorted(self._upto, rank, side="right"))
        before = int(self._upto[which - 1]) if which else 0
        return self._pick(self._census.block_box(to_index(self._indices[which])), rank - before)

    def _draw_uncounted(self, rng: np.random.Generator) -> Index3 | None:
        """Draw a part that was not counted, and of it a block that holds something."""
        assert self._uncounted is not None  # noqa: S101 - else nothing is expected
        box = self._uncounted.box(int(rng.integers(len(self._uncounted))), self._census.box)
        blocks = list(iterate_blocks(box, (BLOCK, BLOCK, BLOCK)))
        for number in rng.permutation(len(blocks))[:_BLOCKS_TRIED].tolist():
            found = self._pick(blocks[number], int(rng.integers(BLOCK**3)))
            if found is not None:
                return found
        return None

    def _draw_rest(self, rng: np.random.Generator) -> Index3 | None:
        """Draw a voxel of a block that is not listed."""
        low, high = self._census.box
        blocks = self._census.blocks
        for _ in range(_FRESH_DRAWS):
            voxel = [int(rng.integers(a, b)) for a, b in zip(low, high, strict=True)]
            (index,) = iterate_indices(self._census.blocks_touched(box_at(voxel, (1, 1, 1))))
            if len(blocks.find_under(box_at(index, (1, 1, 1)))):
                continue
            found = self._pick(self._census.block_box(index), int(rng.integers(BLOCK**3)))
            if found is not None:
                return found
        return None

    def _pick(self, box: Box, rank: int) -> Index3 | None:
        """Give the voxel of a rank in a box, counted around; None where it holds none."""
        block = self._targets.read(*box)
        found = np.flatnonzero(block == self._meaning)
        if not found.size:
            return None
        inside = np.unravel_index(int(found[rank % found.size]), block.shape)
        return to_index(np.add(box[0], inside))


def place_patch(voxel: Index3, patch: Size3, symmetry: Symmetry, bounds: Box) -> Index3:
    """Corner of the box to cut so that ``voxel`` becomes the patch's centre.

    Parameters
    ----------
    voxel : tuple of int
        The wanted centre, which after the symmetry lies at ``patch // 2``.
    patch : tuple of int
        Size of the patch.
    symmetry : Symmetry
        Applied after cutting.
    bounds : (start, stop)
        The patch is moved to lie inside; along an axis where it is larger, it
        is moved to hold all of the bounds.

    Returns
    -------
    tuple of int
        Start of the box.
    """
    z, y, x = patch
    anchor = symmetry.source_voxel((z // 2, y // 2, x // 2), patch)
    start = []
    for place, at, size, low, high in zip(voxel, anchor, patch, *bounds, strict=True):
        free = high - low - size
        start.append(min(max(place - at, low + min(0, free)), low + max(0, free)))
    return to_index(start)
