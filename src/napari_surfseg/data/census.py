"""How many surface and background voxels lie where.

One streaming pass over the labels counts the voxels of each meaning in blocks
of 64^3. From the counts alone a patch centre can be drawn uniformly from all
surface voxels of a volume of any size: choose a block by its count, read that
block, take the voxel of the drawn rank. A block costs 16 bytes, 32 MB for a
volume of 8000^3. The same pass finds values outside the mapping and NaN.
"""

from __future__ import annotations

import os
import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_surfseg.cancelling import raise_if_stopped
from napari_surfseg.data.kernels import count_classes
from napari_surfseg.data.labels import UNKNOWN, build_label_table, classify_labels
from napari_surfseg.data.targets import is_void
from napari_surfseg.data.volume import grow_chunks
from napari_surfseg.geometry import (
    block_box,
    blocks_under,
    box_shape,
    box_slices,
    count_voxels,
    intersect_boxes,
    iterate_blocks,
    replace_extent,
    shift_box,
    to_index,
)

if TYPE_CHECKING:
    from napari_surfseg.config import Labels
    from napari_surfseg.data.volume import Volume, VoxelArray
    from napari_surfseg.geometry import Box, Index3, Size3

__all__ = ["BLOCK", "LabelCensus", "restrict_census", "take_census", "tile_box"]

#: Edge of a counted block: small enough to be read when a voxel is drawn from it.
BLOCK = 64
BLOCK_SHAPE: Size3 = (BLOCK, BLOCK, BLOCK)
#: Voxels read at a time by each thread.
UNIT_VOXELS = 2**23
#: Voxels counted before a volume is only sampled: about half a minute of decoding.
MAX_VOXELS = 2**33


@dataclass(frozen=True)
class LabelCensus:
    """Counts of the supervised voxels of a box.

    Attributes
    ----------
    box : (start, stop)
        The part of the volume that was looked at.
    blocks : numpy.ndarray
        Shape (2, blocks along Z, Y, X), int64: background and surface voxels.
        Blocks lie on the volume's own grid of :data:`BLOCK`, the first one
        holding the box's first voxel.
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
    """

    box: Box
    blocks: VoxelArray
    planes: tuple[VoxelArray, VoxelArray, VoxelArray]
    num_visited: int
    unknown: dict[int, int]
    num_nonfinite: int = 0
    nonfinite_voxel: Index3 | None = None
    num_void: int = 0

    @property
    def is_complete(self) -> bool:
        """Whether every voxel of the box was counted."""
        return self.num_visited == count_voxels(self.box)

    @property
    def num_background(self) -> int:
        """Supervised voxels that are not surface."""
        return int(self.blocks[0].sum())

    @property
    def num_foreground(self) -> int:
        """Surface voxels."""
        return int(self.blocks[1].sum())

    @property
    def num_supervised(self) -> int:
        """Voxels with a meaning to learn from."""
        return self.num_background + self.num_foreground

    @property
    def num_ignored(self) -> int:
        """Voxels visited that are not supervised."""
        return self.num_visited - self.num_supervised

    def block_box(self, index: Index3) -> Box:
        """Find the part of a block, by its place in :attr:`blocks`, that lies in the box."""
        first = blocks_under(self.box, BLOCK_SHAPE)[0]
        number = to_index(i + f for i, f in zip(index, first, strict=True))
        return block_box(number, BLOCK_SHAPE, self.box)

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
    units = tile_box(box, labels.chunks, UNIT_VOXELS)
    num_voxels = count_voxels(box)
    max_voxels = MAX_VOXELS if max_voxels is None else max_voxels
    if num_voxels > max_voxels:
        count = max(1, len(units) * max_voxels // num_voxels)
        chosen = np.random.default_rng([seed, 0xCE55]).choice(len(units), count, replace=False)
        units = [units[i] for i in sorted(chosen)]
    num_threads = min(4, os.cpu_count() or 1, len(units))
    if num_threads == 1:
        for unit in units:
            counter.visit(unit)
    else:
        with ThreadPoolExecutor(num_threads, thread_name_prefix="census") as pool:
            try:
                for _ in pool.map(counter.visit, units):
                    pass
            except BaseException:
                pool.shutdown(wait=False, cancel_futures=True)
                raise
    return counter.result()


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
    blocks = census.blocks.take(range(first, last), axis=axis + 1)
    # The block layer at either end holds voxels of the other side; count it again.
    for layer in {0, last - first - 1}:
        corner = (box[0][axis] // BLOCK + layer) * BLOCK
        start = max(box[0][axis], corner)
        stop = min(box[1][axis], corner + BLOCK)
        if (start, stop) == (max(corner, low[axis]), min(corner + BLOCK, high[axis])):
            continue
        part = take_census(
            labels,
            mapping,
            image=image,
            void_value=void_value,
            box=replace_extent(box, axis, start, stop),
            max_voxels=MAX_VOXELS if census.is_complete else MAX_VOXELS // 16,
        )
        place: list[Any] = [slice(None)] * 4
        place[axis + 1] = layer
        blocks[tuple(place)] = part.blocks.take(0, axis=axis + 1)
    planes = census.planes[axis][:, box[0][axis] - low[axis] : box[1][axis] - low[axis]]
    share = (box[1][axis] - box[0][axis]) / (high[axis] - low[axis])
    along: list[VoxelArray] = [np.zeros((2, 0), np.int64)] * 3
    along[axis] = planes
    return replace(
        census,
        box=box,
        blocks=blocks,
        planes=(along[0], along[1], along[2]),
        num_visited=max(round(census.num_visited * share), int(blocks.sum())),
    )


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
        grid = blocks_under(box, BLOCK_SHAPE)
        self._grid = grid[0]
        self._blocks = np.zeros((2, *box_shape(grid)), np.int64)
        self._planes = [np.zeros((2, extent), np.int64) for extent in box_shape(box)]
        self._unknown: dict[int, int] = {}
        self._num_visited = self._num_nonfinite = self._num_void = 0
        self._nonfinite_voxel: Index3 | None = None
        self._lock = threading.Lock()

    def visit(self, unit: Box) -> None:
        """Count one unit, unless the person asked to stop."""
        raise_if_stopped()
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
        with self._lock:
            self._blocks[(slice(None), *box_slices(touched, self._grid))] += blocks
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

    def result(self) -> LabelCensus:
        """Give what all visits found together."""
        return LabelCensus(
            box=self._box,
            blocks=self._blocks,
            planes=(self._planes[0], self._planes[1], self._planes[2]),
            num_visited=self._num_visited,
            unknown=self._unknown,
            num_nonfinite=self._num_nonfinite,
            nonfinite_voxel=self._nonfinite_voxel,
            num_void=self._num_void,
        )


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
