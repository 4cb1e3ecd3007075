"""How many surface and background voxels lie where.

One streaming pass over the labels counts the voxels of each meaning in blocks
of 64^3. From the counts alone a patch centre can be drawn uniformly from all
surface voxels of a volume of any size: choose a block by its count, read that
block, take the voxel of the drawn rank. Only blocks that hold something are kept.
The same pass finds values outside the mapping and NaN.

::

    labels.stored_chunks()  ──┬── a list: only those are read; the rest is the fill value
                              └── None: everything is read
    more than MAX_VOXELS    ──── those with most bytes, and others spread evenly, are counted;
                                 from the rest patches are drawn by what these hold on average
"""

from __future__ import annotations

import itertools
import math
import os
import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from napari_surfseg.cancelling import raise_if_stopped
from napari_surfseg.data.block_counts import BlockCounts, UncountedUnits
from napari_surfseg.data.kernels import count_classes
from napari_surfseg.data.labels import (
    BACKGROUND,
    FOREGROUND,
    IGNORE,
    UNKNOWN,
    build_label_table,
    classify_labels,
)
from napari_surfseg.data.targets import is_void
from napari_surfseg.data.volume import grow_chunks
from napari_surfseg.errors import ChunkError, DataError
from napari_surfseg.geometry import (
    block_box,
    blocks_under,
    box_shape,
    count_voxels,
    intersect_boxes,
    iterate_blocks,
    iterate_indices,
    replace_extent,
    shift_box,
    to_index,
)

if TYPE_CHECKING:
    from napari_surfseg.config import Labels
    from napari_surfseg.data.stored_chunks import StoredChunks
    from napari_surfseg.data.volume import Volume, VoxelArray
    from napari_surfseg.geometry import Box, Index3, Size3

__all__ = ["BLOCK", "LabelCensus", "restrict_census", "take_census", "tile_box"]

#: Edge of a counted block: small enough to be read when a voxel is drawn from it.
BLOCK = 64
BLOCK_SHAPE: Size3 = (BLOCK, BLOCK, BLOCK)
#: Voxels read at a time by each thread.
UNIT_VOXELS = 2**23
#: The same where little is stored, so that single chunks are read.
SPARSE_VOXELS = 2**18
#: Share of the chunks up to which little is stored.
SPARSE_SHARE = 0.25
#: Voxels counted before a volume is only sampled: about half a minute of decoding.
MAX_VOXELS = 2**33
#: Voxels of an image of real numbers that are looked at for NaN even where nothing is labelled.
MAX_CHECKED = 2**30
#: Blocks that are listed one by one where all that is not stored means background.
MAX_BLOCKS = 2**20


@dataclass(frozen=True)
class LabelCensus:
    """Counts of the supervised voxels of a box.

    Attributes
    ----------
    box : (start, stop)
        The part of the volume that was looked at.
    blocks : BlockCounts
        Background and surface voxels. Blocks lie on the volume's own grid of
        :data:`BLOCK`, the first one holding the box's first voxel.
    planes : tuple of numpy.ndarray
        For each axis, shape (2, box extent), int64: the same by plane.
    num_visited : int
        Voxels counted; fewer than the box holds where it was only sampled.
    unknown : dict
        Values outside the mapping and how often they were seen.
    num_nonfinite : int
        Image voxels that are NaN or infinite.
    nonfinite_voxel : tuple of int or None
        One of them.
    num_void : int
        Voxels left out because the image is void there.
    num_rest : int
        Background voxels of blocks that are not listed: all of such a block is background,
        as the value of what is not stored says.
    uncounted : UncountedUnits or None
        What was too much to be counted.
    num_parts : int
        Parts in which something is stored: those counted, uncounted and broken ones.
    broken : tuple of str
        A sentence for each part that cannot be read; they are left out.
    """

    box: Box
    blocks: BlockCounts
    planes: tuple[VoxelArray, VoxelArray, VoxelArray]
    num_visited: int
    unknown: dict[int, int]
    num_nonfinite: int = 0
    nonfinite_voxel: Index3 | None = None
    num_void: int = 0
    num_rest: int = 0
    uncounted: UncountedUnits | None = None
    num_parts: int = 0
    broken: tuple[str, ...] = ()

    @property
    def is_complete(self) -> bool:
        """Whether every voxel of the box was counted."""
        return self.num_visited == count_voxels(self.box)

    @property
    def num_background(self) -> int:
        """Supervised voxels that are not surface."""
        return int(self.blocks.counts[0].sum()) + self.num_rest

    @property
    def num_foreground(self) -> int:
        """Surface voxels."""
        return int(self.blocks.counts[1].sum())

    @property
    def num_supervised(self) -> int:
        """Voxels with a meaning to learn from."""
        return self.num_background + self.num_foreground

    @property
    def weight(self) -> int:
        """Supervised voxels, with those that are expected where nothing was counted."""
        more = 0 if self.uncounted is None else len(self.uncounted) * sum(self.uncounted.expected)
        return self.num_supervised + more

    @property
    def num_ignored(self) -> int:
        """Voxels visited that are not supervised."""
        return self.num_visited - self.num_supervised

    def block_box(self, index: Index3) -> Box:
        """Find the part of a block, by its place in :attr:`blocks`, that lies in the box."""
        first = blocks_under(self.box, BLOCK_SHAPE)[0]
        number = to_index(i + f for i, f in zip(index, first, strict=True))
        return block_box(number, BLOCK_SHAPE, self.box)

    def list_some(self, count: int) -> list[Box]:
        """List some of the annotated blocks, evenly spread over all of them."""
        blocks = self.blocks.without_empty()
        chosen = np.unique(np.linspace(0, max(0, len(blocks) - 1), count).round().astype(np.int64))
        return [self.block_box(to_index(index)) for index in blocks.indices[chosen[: len(blocks)]]]

    def recounted(self, counts: dict[Index3, VoxelArray]) -> LabelCensus:
        """Give other counts, background and surface, to some blocks by their places."""
        if not counts:
            return self
        indices = list(counts)
        num_rest = self.num_rest
        if num_rest:
            places = np.ravel_multi_index(tuple(np.array(indices).T), self.blocks.grid)
            for index, is_listed in zip(
                indices, np.isin(places, self.blocks.places).tolist(), strict=True
            ):
                num_rest -= 0 if is_listed else count_voxels(self.block_box(index))
        blocks = self.blocks.replaced(indices, np.stack(list(counts.values()), axis=1))
        return replace(
            self, blocks=blocks if self.num_rest else blocks.without_empty(), num_rest=num_rest
        )

    def blocks_touched(self, box: Box) -> Box:
        """Find which of :attr:`blocks`, by their places, hold a voxel of a box."""
        part = intersect_boxes(box, self.box)
        if part is None:
            return (0, 0, 0), (0, 0, 0)
        first = blocks_under(self.box, BLOCK_SHAPE)[0]
        return shift_box(blocks_under(part, BLOCK_SHAPE), to_index(-f for f in first))


def take_census(
    labels: Volume,
    mapping: Labels,
    *,
    image: Volume | None = None,
    void_value: float | None = None,
    box: Box | None = None,
    max_voxels: int | None = None,
    seed: int = 0,
) -> LabelCensus:
    """Count labels by block and plane in one pass with bounded memory.

    Parameters
    ----------
    labels : Volume
        Whole numbers.
    mapping : Labels
        What they mean.
    image : Volume, optional
        Read along where it may hold NaN (real numbers) or void voxels.
    void_value : float, optional
        Image value that makes a voxel ignored.
    box : (start, stop), optional
        The part to count; by default everything.
    max_voxels : int
        A larger box is sampled: whole units of storage chunks, chosen at random.
    seed : int
        Of that choice.

    Returns
    -------
    LabelCensus
    """
    box = box or labels.box
    counter = _Counter(labels, mapping, image, void_value, box)
    plan = _plan(labels, counter, box, MAX_VOXELS if max_voxels is None else max_voxels, seed)
    counter.visit_all(plan.boxes(plan.chosen))
    return counter.result(plan)


def restrict_census(
    census: LabelCensus,
    box: Box,
    labels: Volume,
    mapping: Labels,
    *,
    image: Volume | None = None,
    void_value: float | None = None,
) -> LabelCensus:
    """Census of a part cut off along one axis; only the blocks the cut divides are read again.

    ``box`` must agree with the census's box on two axes.
    """
    low, high = census.box
    axes = [a for a in range(3) if (box[0][a], box[1][a]) != (low[a], high[a])]
    if not axes:
        return census
    if len(axes) > 1:
        raise ValueError("a census can be restricted along one axis at a time")
    axis = axes[0]
    first = box[0][axis] // BLOCK - low[axis] // BLOCK
    last = -(-box[1][axis] // BLOCK) - low[axis] // BLOCK
    under = replace_extent(((0, 0, 0), census.blocks.grid), axis, first, last)
    cut = replace(census, box=box, blocks=census.blocks.cut(under), num_rest=0)
    # The block layer at either end holds voxels of the other side; count it again.
    counts: dict[Index3, VoxelArray] = {}
    for layer in {0, last - first - 1}:
        corner = (box[0][axis] // BLOCK + layer) * BLOCK
        start = max(box[0][axis], corner)
        stop = min(box[1][axis], corner + BLOCK)
        if (start, stop) == (max(corner, low[axis]), min(corner + BLOCK, high[axis])):
            continue
        part = replace_extent(box, axis, start, stop)
        counter = _Counter(labels, mapping, image, void_value, part)
        listed = [
            to_index(index)
            for index in cut.blocks.indices[
                cut.blocks.find_under(
                    replace_extent(((0, 0, 0), cut.blocks.grid), axis, layer, layer + 1)
                )
            ].tolist()
        ]
        counter.visit_all(_units_of([cut.block_box(index) for index in listed], labels, part))
        found = counter.blocks()
        known = dict(zip(found.places.tolist(), found.counts.T, strict=True))
        for index in listed:
            flat = int(np.ravel_multi_index(_at_first(index, axis), found.grid))
            counts[index] = known.get(flat, np.zeros(2, np.int64))
    blocks = cut.blocks
    if counts:
        blocks = blocks.replaced(list(counts), np.stack(list(counts.values()), axis=1))
        blocks = blocks if census.num_rest else blocks.without_empty()
    num_rest = 0
    if census.num_rest:
        num_rest = count_voxels(box) - _count_listed(blocks, cut)
    uncounted = census.uncounted
    if uncounted is not None:
        uncounted = uncounted.within(blocks_under(box, uncounted.unit))
    planes = census.planes[axis][:, box[0][axis] - low[axis] : box[1][axis] - low[axis]]
    share = (box[1][axis] - box[0][axis]) / (high[axis] - low[axis])
    along: list[VoxelArray] = [np.zeros((2, 0), np.int64)] * 3
    along[axis] = planes
    return replace(
        cut,
        blocks=blocks,
        planes=(along[0], along[1], along[2]),
        num_visited=max(round(census.num_visited * share), int(blocks.counts.sum())),
        num_rest=num_rest,
        uncounted=uncounted,
    )


def _at_first(index: Index3, axis: int) -> Index3:
    """Give a place with 0 along one axis."""
    return to_index(0 if i == axis else at for i, at in enumerate(index))


def _count_listed(blocks: BlockCounts, census: LabelCensus) -> int:
    """Count the voxels of the listed blocks, cut to the census's box."""
    grid = blocks_under(census.box, BLOCK_SHAPE)
    low, high = _corners(blocks.places, grid, BLOCK_SHAPE, census.box)
    return int((high - low).prod(axis=1).sum())


def _units_of(boxes: list[Box], labels: Volume, bounds: Box) -> list[Box]:
    """Cut what some boxes touch into pieces of whole storage chunks, each read once."""
    unit = grow_chunks(labels.chunks, bounds, UNIT_VOXELS)
    touched = {index for box in boxes for index in iterate_indices(blocks_under(box, unit))}
    return [block_box(index, unit, bounds) for index in sorted(touched)]


@dataclass(frozen=True)
class _Plan:
    """Which pieces of a box are read.

    Attributes
    ----------
    unit : tuple of int
        Z, Y, X voxels of a piece.
    grid : box
        Pieces under the box.
    places : numpy.ndarray
        Numbers in that grid of those that hold something.
    chosen : numpy.ndarray
        Positions in ``places`` of those that are counted.
    typical : numpy.ndarray
        Positions in ``chosen`` of those that stand for the others.
    stored : StoredChunks or None
        What is stored; None where it is not known, or everything is.
    fill : int
        Meaning of what is not stored.
    """

    box: Box
    unit: Size3
    grid: Box
    places: VoxelArray
    chosen: VoxelArray
    typical: VoxelArray
    stored: StoredChunks | None = None
    fill: int = IGNORE

    def corners(self) -> tuple[VoxelArray, VoxelArray]:
        """Give the first voxels, and those behind the last ones, of all pieces: shape (n, 3)."""
        return _corners(self.places, self.grid, self.unit, self.box)

    def boxes(self, chosen: VoxelArray) -> list[Box]:
        """Give the pieces at some positions."""
        low, high = _corners(self.places[chosen], self.grid, self.unit, self.box)
        return [
            (to_index(a), to_index(b)) for a, b in zip(low.tolist(), high.tolist(), strict=True)
        ]


def _corners(
    places: VoxelArray, grid: Box, unit: Size3, bounds: Box
) -> tuple[VoxelArray, VoxelArray]:
    """Give the corners within bounds of pieces known by their numbers in a grid."""
    index = np.stack(np.unravel_index(places, box_shape(grid)), axis=1) + np.array(grid[0])
    low = np.maximum(index * np.array(unit), np.array(bounds[0]))
    high = np.minimum((index + 1) * np.array(unit), np.array(bounds[1]))
    return low, high


def _overlaps(
    low: VoxelArray, high: VoxelArray, size: Size3, grid: Box
) -> tuple[VoxelArray, VoxelArray, VoxelArray]:
    """Find the blocks of a grid under boxes, given by their corners.

    Returns
    -------
    places : numpy.ndarray
        Numbers of the blocks in the grid; one comes as often as boxes touch it.
    owners : numpy.ndarray
        Which box touches it.
    voxels : numpy.ndarray
        How many voxels they have in common.
    """
    first, last = low // np.array(size), (high - 1) // np.array(size)
    span = (last - first).max(axis=0) + 1 if len(low) else (1, 1, 1)
    places, owners, voxels = [], [], []
    for step in itertools.product(*map(range, span)):
        index = first + np.array(step)
        inside = np.flatnonzero((index <= last).all(axis=1))
        index = index[inside]
        start = np.maximum(index * np.array(size), low[inside])
        stop = np.minimum((index + 1) * np.array(size), high[inside])
        places.append(np.ravel_multi_index(tuple((index - np.array(grid[0])).T), box_shape(grid)))
        owners.append(inside)
        voxels.append((stop - start).prod(axis=1))
    return np.concatenate(places), np.concatenate(owners), np.concatenate(voxels)


def _plan(labels: Volume, counter: _Counter, box: Box, max_voxels: int, seed: int) -> _Plan:
    """Choose the pieces of a box that are read."""
    stored, fill = _find_stored(labels, counter, box)
    unit = grow_chunks(labels.chunks, box, UNIT_VOXELS)
    if stored is None:
        grid = blocks_under(box, unit)
        places = np.arange(math.prod(box_shape(grid)), dtype=np.int64)
        sizes = None
    else:
        if len(stored) < SPARSE_SHARE * math.prod(stored.grid):
            unit = grow_chunks(labels.chunks, box, SPARSE_VOXELS)
        grid = blocks_under(box, unit)
        places, sizes = _find_units(stored, unit, grid, box)
    size = math.prod(min(a, b) for a, b in zip(unit, box_shape(box), strict=True))
    count = max(1, max_voxels // max(1, size))
    num_voxels = count_voxels(box) if stored is None else len(places) * size
    everything = np.arange(len(places))
    if num_voxels <= max_voxels or len(places) <= count:
        return _Plan(box, unit, grid, places, everything, everything, stored, fill)
    rng = np.random.default_rng([seed, 0xCE55])
    # What is annotated is compressed less than what is not: half of the pieces are the largest.
    richest = np.zeros(0, np.int64)
    if sizes is not None and sizes.min() < sizes.max():
        richest = np.argsort(-sizes, kind="stable")[: count // 2]
    rest = np.setdiff1d(everything, richest)
    steps = np.linspace(0, len(rest), count - len(richest) + 1)
    spread = rest[rng.integers(np.floor(steps[:-1]), np.maximum(steps[1:], steps[:-1] + 1))]
    spread = np.unique(spread)
    chosen = np.union1d(richest, spread)
    return _Plan(box, unit, grid, places, chosen, np.searchsorted(chosen, spread), stored, fill)


def _find_stored(labels: Volume, counter: _Counter, box: Box) -> tuple[StoredChunks | None, int]:
    """List what is stored of the labels, and find what the rest means.

    None where a look at everything is as fast, or needed.
    """
    num_voxels = count_voxels(box)
    if num_voxels <= UNIT_VOXELS or (counter.reads_image and num_voxels <= MAX_CHECKED):
        return None, IGNORE
    stored = labels.stored_chunks(box)
    if stored is None:
        return None, IGNORE
    value = np.array([stored.fill]).astype(labels.dtype)
    fill = int(classify_labels(value, counter.mapping)[0])
    stored = stored.within(box)
    num_under = math.prod(box_shape(blocks_under(box, stored.chunk)))
    return (None if len(stored) == num_under or fill == FOREGROUND else stored), fill


def _find_units(
    stored: StoredChunks, unit: Size3, grid: Box, box: Box
) -> tuple[VoxelArray, VoxelArray | None]:
    """Find which pieces hold stored chunks, and the bytes that these take."""
    low = np.maximum(stored.indices * np.array(stored.chunk), np.array(box[0]))
    high = np.minimum((stored.indices + 1) * np.array(stored.chunk), np.array(box[1]))
    places, owners, _ = _overlaps(low, high, unit, grid)
    found, which = np.unique(places, return_inverse=True)
    if stored.sizes is None:
        return found, None
    sizes = np.zeros(len(found))
    np.add.at(sizes, which, stored.sizes[owners])
    return found, sizes


class _Counter:
    """Adds up what threads count."""

    def __init__(
        self,
        labels: Volume,
        mapping: Labels,
        image: Volume | None,
        void_value: float | None,
        box: Box,
    ) -> None:
        self._labels = labels
        self._mapping = mapping
        self._table = build_label_table(mapping)
        needed = image is not None and (void_value is not None or image.dtype.kind == "f")
        self._image = image if needed else None
        self._void_value = void_value
        self._box = box
        self._grid = blocks_under(box, BLOCK_SHAPE)
        self._found: list[tuple[VoxelArray, VoxelArray]] = []
        self._by_unit: dict[Box, VoxelArray] = {}
        self._planes = [np.zeros((2, extent), np.int64) for extent in box_shape(box)]
        self._unknown: dict[int, int] = {}
        self._num_visited = self._num_nonfinite = self._num_void = 0
        self._nonfinite_voxel: Index3 | None = None
        self._broken: dict[Box, str] = {}
        self._lock = threading.Lock()

    @property
    def mapping(self) -> Labels:
        """What the values mean."""
        return self._mapping

    @property
    def reads_image(self) -> bool:
        """Whether the image is looked at as well."""
        return self._image is not None

    def visit_all(self, units: list[Box]) -> None:
        """Count some units, several at once."""
        num_threads = min(4, os.cpu_count() or 1)
        if self._labels.reads_at_once > 1:  # they wait rather than compute
            num_threads = self._labels.reads_at_once
        num_threads = min(num_threads, len(units))
        if num_threads <= 1:
            for unit in units:
                self.visit(unit)
            return
        with ThreadPoolExecutor(num_threads, thread_name_prefix="census") as pool:
            try:
                for _ in pool.map(self.visit, units):
                    pass
            except BaseException:
                pool.shutdown(wait=False, cancel_futures=True)
                raise

    def visit(self, unit: Box) -> None:
        """Count one unit, unless the person asked to stop."""
        raise_if_stopped()
        try:
            self._visit(unit)
        except ChunkError as error:
            chunks = list(iterate_blocks(unit, self._labels.chunks))
            if len(chunks) == 1:
                with self._lock:
                    self._broken[unit] = str(error)
                return
            for chunk in chunks:  # the others can be used
                self.visit(chunk)

    def _visit(self, unit: Box) -> None:
        start, stop = unit
        values = self._labels.read(start, stop)
        if values.dtype == np.uint8:
            classes, table = values, self._table
        else:
            classes, table = classify_labels(values, self._mapping), np.arange(256, dtype=np.uint8)
        nonfinite, where, num_void = 0, None, 0
        if self._image is not None:
            grey = self._image.read(start, stop)
            void = None if self._void_value is None else is_void(grey, self._void_value)
            if grey.dtype.kind == "f":
                bad = ~np.isfinite(grey)
                if void is not None:
                    bad &= ~void
                nonfinite = int(np.count_nonzero(bad))
                where = _first_true(bad, start) if nonfinite else None
            if void is not None:
                num_void = int(np.count_nonzero(void))
                if num_void:
                    classes = np.where(void, np.uint8(2), table[classes])
                    table = np.arange(256, dtype=np.uint8)
        touched = blocks_under(unit, BLOCK_SHAPE)
        origin = np.array([a - f * BLOCK for a, f in zip(start, touched[0], strict=True)], np.int64)
        blocks = np.zeros((2, *box_shape(touched)), np.int64)
        planes = np.zeros((3, 2, int((origin + classes.shape).max())), np.int64)
        num_unknown = count_classes(classes, table, origin, BLOCK, blocks, planes)
        unknown: dict[int, int] = {}
        if num_unknown:
            found, counts = np.unique(values[table[classes] == UNKNOWN], return_counts=True)
            unknown = {int(v): int(n) for v, n in zip(found, counts, strict=True)}
        flat = blocks.reshape(2, -1)
        occupied = np.flatnonzero(flat.any(axis=0))
        index = np.stack(np.unravel_index(occupied, box_shape(touched)))
        index += np.subtract(touched[0], self._grid[0])[:, None]
        places = np.ravel_multi_index(tuple(index), box_shape(self._grid)).astype(np.int64)
        with self._lock:
            self._found.append((places, flat[:, occupied]))
            self._by_unit[unit] = flat.sum(axis=1)
            for axis, total in enumerate(self._planes):
                lo, hi = start[axis] - self._box[0][axis], stop[axis] - self._box[0][axis]
                skip = int(origin[axis])
                total[:, lo:hi] += planes[axis, :, skip : skip + hi - lo]
            for value, count in unknown.items():
                self._unknown[value] = self._unknown.get(value, 0) + count
            self._num_visited += classes.size
            self._num_nonfinite += nonfinite
            self._nonfinite_voxel = self._nonfinite_voxel or where
            self._num_void += num_void

    def blocks(self) -> BlockCounts:
        """Give what was counted, by blocks."""
        return BlockCounts.gather(box_shape(self._grid), self._found)

    def result(self, plan: _Plan) -> LabelCensus:
        """Give what all visits found together, with what the plan says of the rest."""
        if self._broken and not self._by_unit:
            raise DataError(next(iter(self._broken.values())))
        blocks, num_visited, num_rest = self.blocks(), self._num_visited, 0
        unknown = dict(self._unknown)
        if plan.stored is not None:
            low, high = plan.corners()
            missing = count_voxels(self._box) - int((high - low).prod(axis=1).sum())
            num_visited += missing
            if plan.fill == UNKNOWN and missing:
                value = int(np.array(plan.stored.fill).astype(self._labels.dtype))
                unknown[value] = unknown.get(value, 0) + missing
            if plan.fill == BACKGROUND and missing:
                blocks, num_rest = self._add_background(plan, blocks)
        return LabelCensus(
            box=self._box,
            blocks=blocks,
            planes=(self._planes[0], self._planes[1], self._planes[2]),
            num_visited=num_visited,
            unknown=unknown,
            num_nonfinite=self._num_nonfinite,
            nonfinite_voxel=self._nonfinite_voxel,
            num_void=self._num_void,
            num_rest=num_rest,
            uncounted=self._find_uncounted(plan),
            num_parts=len(plan.places),
            broken=tuple(text for _, text in sorted(self._broken.items())),
        )

    def _find_uncounted(self, plan: _Plan) -> UncountedUnits | None:
        if len(plan.chosen) == len(plan.places):
            return None
        units = plan.boxes(plan.chosen[plan.typical])
        counts = [self._by_unit[unit] for unit in units if unit in self._by_unit]
        mean = np.mean(counts, axis=0) if counts else np.zeros(2)
        rest = np.setdiff1d(np.arange(len(plan.places)), plan.chosen)
        expected = max(1, int(mean[0])), max(1, int(mean[1]))
        return UncountedUnits(plan.unit, plan.grid, plan.places[rest], expected)

    def _add_background(self, plan: _Plan, blocks: BlockCounts) -> tuple[BlockCounts, int]:
        """Count what is not stored as background: by blocks, or of most of them in one number."""
        grid = box_shape(self._grid)
        low, high = plan.corners()
        touched, _, voxels = _overlaps(low, high, BLOCK_SHAPE, self._grid)
        is_short = math.prod(grid) <= MAX_BLOCKS
        listed = np.arange(math.prod(grid)) if is_short else np.union1d(touched, blocks.places)
        background = self._count_voxels(listed)
        np.subtract.at(background, np.searchsorted(listed, touched), voxels)
        added = np.stack([background, np.zeros_like(background)])
        made = BlockCounts.gather(grid, [(blocks.places, blocks.counts), (listed, added)])
        for axis, planes in enumerate(self._planes):
            span = box_shape(self._box)
            faces = np.delete(high - low, axis, axis=1).prod(axis=1)
            covered = np.zeros(span[axis] + 1, np.int64)
            np.add.at(covered, low[:, axis] - self._box[0][axis], faces)
            np.subtract.at(covered, high[:, axis] - self._box[0][axis], faces)
            planes[0] += math.prod(span) // span[axis] - covered.cumsum()[:-1]
        if is_short:
            return made.without_empty(), 0
        return made, count_voxels(self._box) - int(self._count_voxels(made.places).sum())

    def _count_voxels(self, places: VoxelArray) -> VoxelArray:
        """Count the voxels of blocks known by their numbers."""
        low, high = _corners(places, self._grid, BLOCK_SHAPE, self._box)
        return np.asarray((high - low).prod(axis=1))


def tile_box(box: Box, chunks: Size3, max_voxels: int) -> list[Box]:
    """Cut a box into pieces of whole storage chunks of about ``max_voxels`` each.

    Returns
    -------
    list of (start, stop)
        In storage order; together they cover the box once.
    """
    return list(iterate_blocks(box, grow_chunks(chunks, box, max_voxels)))


def _first_true(mask: VoxelArray, origin: Index3) -> Index3:
    place = np.unravel_index(int(mask.argmax()), mask.shape)
    return to_index(np.add(place, origin))
