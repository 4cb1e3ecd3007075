"""From probabilities to a surface, block by block and as exact as of the whole at once.

::

    probs --> smoothed, and along the sheets        a margin around each block
          --> above threshold                       ...
              (and what is connected to it          components, whatever they span
              above a lower one)
          --> closing: plug holes and slits, where  a margin
              the probability is not low
          --> close tears of sheets, likewise       a margin
          --> fill enclosed cavities                components of the background
          --> drop small components, by voxels      components
              and by area
          --> mask

What looks no further than a margin is read with it. What depends on whole components needs two
passes over the blocks (:mod:`napari_surfseg.surfaces.block_components`), with the mask kept
between them in a compressed scratch array. A volume in one block is the case that others call
"in memory". So no step depends on where the blocks lie, and none is left out for size.
"""

from __future__ import annotations

import math
import os
import shutil
from collections import deque
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

import numpy as np
from scipy import ndimage

from napari_surfseg.errors import CancelledError
from napari_surfseg.geometry import (
    blocks_under,
    box_at,
    box_shape,
    box_slices,
    count_voxels,
    grow_box,
    iterate_blocks,
    whole_box,
)
from napari_surfseg.surfaces.block_components import BlockComponents, at_least
from napari_surfseg.surfaces.cleaning import close_gaps

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from concurrent.futures import Future
    from pathlib import Path

    from numpy.typing import NDArray

    from napari_surfseg.geometry import Box, Index3, Size3, Slices3
    from napari_surfseg.surfaces.block_components import MeasuredBlock
    from napari_surfseg.surfaces.postprocess import PostProcess

    #: How to get what is known so far of the voxels of a block.
    BitsOf = Callable[[Box], NDArray[np.uint8]]

__all__ = [
    "BLOCK_SHAPE",
    "PostProcessPasses",
    "PostProcessResult",
    "apply_postprocess",
    "postprocess_blocks",
    "smooth_probabilities",
]

T = TypeVar("T")

#: Voxels processed at once: some 250 MB at most, with everything that a step takes.
BLOCK_SHAPE: Size3 = (128, 256, 256)

#: Blocks processed side by side unless somebody says otherwise.
MAX_THREADS = 4

#: Edge of a chunk of the scratch array.
SCRATCH_CHUNK = 128

#: Where the Gaussian is cut off, in standard deviations.
TRUNCATE = 3.0

#: What is known of a voxel on the way: it belongs to the mask so far (of hysteresis: is strong), is
#: above the low threshold, may be plugged by closing.
IS_MASK, IS_WEAK, MAY_BE_PLUGGED = np.uint8(1), np.uint8(2), np.uint8(4)
#: And may be part of what closes a tear.
MAY_BE_MENDED = np.uint8(8)

#: Voxels smoothed along the sheets at once, which takes fifty bytes for each and for each of their
#: margin: without need for blocks up to a number, and this shape of a larger one.
SMOOTHED_VOXELS = 2**20
SMOOTHED_SHAPE: Size3 = (64, 64, 128)


class Probabilities(Protocol):
    """A stored volume of uint8 probabilities: a numpy or zarr array, or what reads like one."""

    @property
    def shape(self) -> tuple[int, ...]: ...

    def __getitem__(self, box: Slices3, /) -> Any: ...


@dataclass(frozen=True)
class PostProcessResult:
    """What a post-processing found.

    Attributes
    ----------
    num_surface : int
        Voxels of the mask.
    num_removed : int
        Components dropped because they were too small.
    """

    num_surface: int
    num_removed: int


def smooth_probabilities(
    probs: NDArray[np.uint8], settings: PostProcess
) -> NDArray[np.uint8] | NDArray[np.float32]:
    """Do what :func:`apply_postprocess` does before the threshold, for who tries many of the rest.

    Parameters
    ----------
    probs : uint8 array, shape (Z, Y, X)
        Probabilities, 0 to 255.
    settings : PostProcess
        Only the smoothing counts.

    Returns
    -------
    array, shape (Z, Y, X)
        In the same range; `probs` itself where there is nothing to smooth.
    """
    if not probs.size or not (settings.smoothing or settings.sheet_smoothing):
        return probs
    return PostProcessPasses(probs, settings).smooth(whole_box(probs.shape))


def apply_postprocess(
    probs: NDArray[np.uint8] | NDArray[np.float32], settings: PostProcess
) -> NDArray[np.uint8]:
    """Turn probabilities in memory into a surface.

    Parameters
    ----------
    probs : uint8 array, shape (Z, Y, X)
        Probabilities, 0 to 255; or what :func:`smooth_probabilities` made of them.
    settings : PostProcess

    Returns
    -------
    uint8 array, shape (Z, Y, X)
        0 and 1. What lies beyond the array is unknown: a cavity that touches its
        border stays open and closing takes the surface to go on there.
    """
    found = np.empty(probs.shape, np.uint8)

    def write(start: Index3, mask: NDArray[np.uint8]) -> None:
        found[box_slices(box_at(start, mask.shape))] = mask

    if probs.size:
        z, y, x = probs.shape
        # At once takes some twenty bytes a voxel.
        is_small = probs.size <= 2 * math.prod(BLOCK_SHAPE)
        block_shape = (z, y, x) if is_small else BLOCK_SHAPE
        postprocess_blocks(probs, settings, write, block_shape=block_shape)
    return found


def postprocess_blocks(
    source: Probabilities,
    settings: PostProcess,
    write: Callable[[Index3, NDArray[np.uint8]], None],
    *,
    block_shape: Size3 = BLOCK_SHAPE,
    scratch: Path | None = None,
    progress: Callable[[int, int], None] | None = None,
    should_stop: Callable[[], bool | None] | None = None,
    num_threads: int | None = None,
) -> PostProcessResult:
    """Turn stored probabilities of any size into a surface.

    The result does not depend on ``block_shape``. It is a function of the source alone, so what
    was interrupted is simply done again.

    Parameters
    ----------
    source : array-like
        uint8 probabilities with ``shape`` (Z, Y, X), read in boxes of slices.
        It is read once.
    settings : PostProcess
        What to do.
    write : callable
        ``write(start, mask)`` takes a finished block, uint8 of 0 and 1; the blocks come in the
        order of ``geometry.iterate_blocks``, and only once all before is done.
    block_shape : tuple of int
        Voxels processed at once. Memory depends on it, not on the volume.
    scratch : Path, optional
        Folder for what is kept between two passes, made and removed again; by default it is
        kept in memory (a byte a voxel and step).
    progress : callable, optional
        ``progress(done, total)`` in blocks of all passes.
    should_stop : callable, optional
        Asked before every block; it may also raise itself.
    num_threads : int, optional
        Blocks processed side by side, by default as many as there are cores, at most
        :data:`MAX_THREADS`. ``source`` is read in several threads then.

    Raises
    ------
    CancelledError
        When ``should_stop`` said so.
    """
    passes = PostProcessPasses(
        source,
        settings,
        block_shape=block_shape,
        scratch=scratch,
        progress=progress,
        should_stop=should_stop,
        num_threads=num_threads,
    )
    for start, mask in passes:
        write(start, mask)
    return passes.result


class PostProcessPasses:
    """The same as :func:`postprocess_blocks`, for who takes the blocks one after the other.

    Each step turns "how to get the mask of a block" into another such function, after a
    pass of its own where it needs one.

    Parameters
    ----------
    source, settings, block_shape, scratch, progress, should_stop, num_threads
        As for :func:`postprocess_blocks`.

    Attributes
    ----------
    result : PostProcessResult
        Known when the last block was taken.
    """

    result: PostProcessResult

    def __init__(
        self,
        source: Probabilities,
        settings: PostProcess,
        *,
        block_shape: Size3 = BLOCK_SHAPE,
        scratch: Path | None = None,
        progress: Callable[[int, int], None] | None = None,
        should_stop: Callable[[], bool | None] | None = None,
        num_threads: int | None = None,
    ) -> None:
        z, y, x = source.shape
        self._source, self._settings = source, settings
        self._shape: Size3 = (z, y, x)
        self._whole = whole_box(self._shape)
        self._block_shape = block_shape
        num_blocks = count_voxels(blocks_under(self._whole, block_shape))
        self._num_threads = min(num_threads or min(MAX_THREADS, os.cpu_count() or 1), num_blocks)
        self._scratch = scratch
        self._progress, self._should_stop = progress, should_stop
        self._has_hysteresis = (
            settings.low_threshold is not None and settings.low_threshold < settings.threshold
        )
        steps = (
            self._has_hysteresis,
            settings.closing_radius > 0,
            settings.tear_layers > 0,
            settings.fill_holes > 0,
            settings.min_voxels > 1,
            settings.min_area > 0,  # all is stored first,
            settings.min_area > 0,  # then each voxel's surroundings are known
        )
        self._total = num_blocks * (1 + sum(steps))
        self._done = 0
        self._num_stores = 0

    def __iter__(self) -> Iterator[tuple[Index3, NDArray[np.uint8]]]:
        """Do all passes; the last one gives the blocks."""
        try:
            yield from self._run()
        finally:
            if self._scratch is not None:
                shutil.rmtree(self._scratch, ignore_errors=True)

    def _run(self) -> Iterator[tuple[Index3, NDArray[np.uint8]]]:
        settings = self._settings
        bits_of: BitsOf = self._threshold
        if self._has_hysteresis:
            bits_of = self._follow(bits_of)
        if settings.closing_radius:
            bits_of = self._close(bits_of)
        if settings.tear_layers:
            bits_of = self._mend(bits_of)
        if settings.fill_holes:
            bits_of = self._fill(bits_of)
        small: list[BlockComponents] = []
        if settings.min_voxels > 1:
            rule = at_least(settings.min_voxels)
            small.append(BlockComponents(self._shape, rule, settings.connectivity, self._scratch))
            bits_of = self._drop_small(bits_of, small[-1], is_by_area=False)
        if settings.min_area > 0:
            from napari_surfseg.surfaces.sheet_area import find_area_part

            least, part = settings.min_area, find_area_part()
            small.append(
                BlockComponents(
                    self._shape,
                    lambda parts, _marked: parts * part >= least,
                    settings.connectivity,
                    self._scratch,
                )
            )
            bits_of = self._drop_small(bits_of, small[-1], is_by_area=True)
        num_surface = 0

        def finish(box: Box) -> tuple[NDArray[np.uint8], int]:
            mask = bits_of(box) & IS_MASK
            return mask, int(np.count_nonzero(mask))

        for (start, _), (mask, number) in self._walk(finish):
            num_surface += number
            yield start, mask
        num_removed = sum(components.num_dropped for components in small)
        self.result = PostProcessResult(num_surface, num_removed)

    # ---- one method a step, in their order

    def _threshold(self, box: Box) -> NDArray[np.uint8]:
        settings = self._settings
        values = self.smooth(box)
        bits = _above(values, settings.threshold).view(np.uint8)
        if self._has_hysteresis and settings.low_threshold is not None:
            bits |= _above(values, settings.low_threshold).view(np.uint8) * IS_WEAK
        if settings.closing_radius:
            bits |= _above(values, settings.closing_floor).view(np.uint8) * MAY_BE_PLUGGED
        if settings.tear_layers:
            bits |= _above(values, settings.tear_floor).view(np.uint8) * MAY_BE_MENDED
        return bits

    def smooth(self, box: Box) -> NDArray[np.uint8] | NDArray[np.float32]:
        """Read the probabilities of a box and smooth them, the first step of all."""
        sigma = self._settings.sheet_smoothing
        if not sigma:
            return self._blur(box)
        from napari_surfseg.surfaces.sheet_smoothing import find_sheet_reach, smooth_along_sheets

        smoothed = np.empty(box_shape(box), np.float32)
        is_small = count_voxels(box) <= SMOOTHED_VOXELS
        for part in [box] if is_small else iterate_blocks(box, SMOOTHED_SHAPE):
            seen = grow_box(part, find_sheet_reach(sigma), self._whole)
            along = smooth_along_sheets(self._blur(seen), sigma)
            smoothed[box_slices(part, box[0])] = along[box_slices(part, seen[0])]
        return smoothed

    def _blur(self, box: Box) -> NDArray[np.uint8] | NDArray[np.float32]:
        sigma = self._settings.smoothing
        seen = grow_box(box, int(TRUNCATE * sigma + 0.5) if sigma else 0, self._whole)
        probs = np.asarray(self._source[box_slices(seen)])
        if not sigma:
            return probs
        smoothed: NDArray[np.float32] = ndimage.gaussian_filter(
            probs, sigma, output=np.float32, mode="nearest", truncate=TRUNCATE
        )
        return smoothed[box_slices(box, seen[0])]

    def _follow(self, bits_of: BitsOf) -> BitsOf:
        """Hysteresis: what is weak stays where it is connected to what is strong."""
        components = BlockComponents(
            self._shape, lambda _sizes, marked: marked, folder=self._scratch
        )
        store = self._make_store()

        def measure(box: Box) -> MeasuredBlock:
            bits = store[box_slices(box)] = bits_of(box)
            return components.measure(box[0], bits & IS_WEAK, (bits & IS_MASK) > 0)

        self._join(components, measure)

        def followed(box: Box) -> NDArray[np.uint8]:
            bits = store[box_slices(box)]
            kept = components.keep(box[0], bits & IS_WEAK, (bits & IS_MASK) > 0)
            rest = bits & (MAY_BE_PLUGGED | MAY_BE_MENDED)
            found: NDArray[np.uint8] = kept.view(np.uint8) | rest
            return found

        return followed

    def _close(self, bits_of: BitsOf) -> BitsOf:
        store = self._make_store()
        radius = self._settings.closing_radius

        def keep(box: Box) -> None:
            store[box_slices(box)] = bits_of(box)

        for _ in self._walk(keep):
            pass

        def closed(box: Box) -> NDArray[np.uint8]:
            # Dilated by the ball, then eroded by it: twice its reach decides about a voxel.
            seen = grow_box(box, 2 * (radius + 1), self._whole)
            bits: NDArray[np.uint8] = store[box_slices(seen)]
            plugged = close_gaps(bits & IS_MASK, radius)[box_slices(box, seen[0])]
            own = bits[box_slices(box, seen[0])]
            plugged &= (own & MAY_BE_PLUGGED) > 0
            mask: NDArray[np.uint8] = own & (IS_MASK | MAY_BE_MENDED)
            mask |= plugged
            return mask

        return closed

    def _mend(self, bits_of: BitsOf) -> BitsOf:
        """Close tears; what is allowed to be part of it was noted with the threshold."""
        from napari_surfseg.surfaces.local_topology import fill_tears, find_tear_reach

        store = self._make_store()
        layers = self._settings.tear_layers

        def keep(box: Box) -> None:
            store[box_slices(box)] = bits_of(box)

        for _ in self._walk(keep):
            pass

        def mended(box: Box) -> NDArray[np.uint8]:
            seen = grow_box(box, find_tear_reach(layers), self._whole)
            bits: NDArray[np.uint8] = store[box_slices(seen)]
            filled = fill_tears(bits & IS_MASK, bits & MAY_BE_MENDED, layers, start=seen[0])
            return filled[box_slices(box, seen[0])].view(np.uint8)

        return mended

    def _fill(self, bits_of: BitsOf) -> BitsOf:
        """Fill cavities; one that touches the volume's border may be open beyond it."""
        most = self._settings.fill_holes
        components = BlockComponents(
            self._shape, lambda sizes, open_: (sizes <= most) & ~open_, 6, self._scratch
        )
        store = self._make_store()

        def measure(box: Box) -> MeasuredBlock:
            mask = store[box_slices(box)] = bits_of(box) & IS_MASK
            return components.measure(box[0], mask ^ IS_MASK, self._find_border(box))

        self._join(components, measure)

        def filled(box: Box) -> NDArray[np.uint8]:
            mask: NDArray[np.uint8] = store[box_slices(box)]
            cavities = components.keep(box[0], mask ^ IS_MASK, self._find_border(box))
            return mask | cavities.view(np.uint8)

        return filled

    def _drop_small(
        self, bits_of: BitsOf, components: BlockComponents, *, is_by_area: bool
    ) -> BitsOf:
        store = self._make_store()

        def weigh(box: Box) -> NDArray[np.float32] | None:
            """Give each voxel of a block its area, once all around it is stored."""
            if not is_by_area:
                return None
            from napari_surfseg.surfaces.sheet_area import AREA_REACH, count_area_parts

            seen = grow_box(box, AREA_REACH, self._whole)
            return count_area_parts(store[box_slices(seen)])[box_slices(box, seen[0])]

        def keep(box: Box) -> None:
            store[box_slices(box)] = bits_of(box) & IS_MASK

        def measure(box: Box) -> MeasuredBlock:
            if not is_by_area:
                keep(box)
            return components.measure(box[0], store[box_slices(box)], weights=weigh(box))

        if is_by_area:
            for _ in self._walk(keep):
                pass
        self._join(components, measure)

        def kept(box: Box) -> NDArray[np.uint8]:
            # Of one block it is known which voxels stay, without their areas.
            weights = None if box == self._whole else weigh(box)
            return components.keep(box[0], store[box_slices(box)], weights=weights).view(np.uint8)

        return kept

    # ---- what the steps share

    def _walk(self, compute: Callable[[Box], T]) -> Iterator[tuple[Box, T]]:
        """Compute something of all blocks, in some threads; the results come in order."""
        boxes = iterate_blocks(self._whole, self._block_shape)
        if self._num_threads == 1:
            for box in boxes:
                self._check_stop()
                yield box, compute(box)
                self._say_done()
            return
        pending: deque[tuple[Box, Future[T]]] = deque()
        pool = ThreadPoolExecutor(self._num_threads, thread_name_prefix="surfseg-postprocess")
        try:
            for box in boxes:
                self._check_stop()
                pending.append((box, pool.submit(compute, box)))
                # One more than threads, so that none waits for what is done with a result.
                if len(pending) > self._num_threads:
                    yield self._take(pending)
            while pending:
                yield self._take(pending)
        finally:
            pool.shutdown(cancel_futures=True)

    def _take(self, pending: deque[tuple[Box, Future[T]]]) -> tuple[Box, T]:
        self._check_stop()
        box, future = pending.popleft()
        result = future.result()
        self._say_done()
        return box, result

    def _check_stop(self) -> None:
        if self._should_stop is not None and self._should_stop():
            raise CancelledError("The post-processing was cancelled.")

    def _say_done(self) -> None:
        self._done += 1
        if self._progress is not None:
            self._progress(self._done, self._total)

    def _join(self, components: BlockComponents, measure: Callable[[Box], MeasuredBlock]) -> None:
        for (start, _), measured in self._walk(measure):
            components.join(start, measured)
        components.resolve()

    def _find_border(self, box: Box) -> NDArray[np.bool_]:
        """Which voxels of a block lie at the volume's border."""
        border = np.zeros(box_shape(box), bool)
        for axis in range(3):
            faces = np.moveaxis(border, axis, 0)
            if box[0][axis] == 0:
                faces[0] = True
            if box[1][axis] == self._shape[axis]:
                faces[-1] = True
        return border

    def _make_store(self) -> Any:
        """Make an array of the volume's shape for what is kept until the next pass."""
        if self._scratch is None:
            return np.zeros(self._shape, np.uint8)
        import zarr
        from zarr.codecs import BloscCodec

        self._num_stores += 1
        for old in self._scratch.glob("*.zarr"):
            if int(old.stem) < self._num_stores - 1:
                shutil.rmtree(old, ignore_errors=True)
        return zarr.create_array(
            str(self._scratch / f"{self._num_stores}.zarr"),
            shape=self._shape,
            chunks=tuple(
                min(_find_chunk(edge), size)
                for edge, size in zip(self._block_shape, self._shape, strict=True)
            ),
            dtype=np.uint8,
            fill_value=0,
            compressors=BloscCodec(cname="zstd", clevel=1, shuffle="bitshuffle"),
        )


def _find_chunk(edge: int) -> int:
    """Give the greatest chunk of which a block's edge is a multiple, unless that is tiny."""
    found = next(size for size in range(min(edge, SCRATCH_CHUNK), 0, -1) if edge % size == 0)
    return found if found >= min(edge, SCRATCH_CHUNK // 4) else edge


def _above(values: NDArray[np.uint8] | NDArray[np.float32], level: float) -> NDArray[np.bool_]:
    if values.dtype == np.uint8:
        # The same voxels, compared as they are: a whole number is above a level if it is above
        # the whole number below that level.
        return np.asarray(values > np.uint8(math.floor(level * 255)))
    return np.asarray(values > level * 255)
