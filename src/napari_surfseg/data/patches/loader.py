"""Threads that keep a few batches of patches ready.

::

    step n ──▶ worker thread: draw places, cut, turn, change grey values ──┐
    step n+1 ▶ worker thread: …                                           ─┤ in order
                                                                           ▼
                                                                  next(loader) -> Batch
"""

from __future__ import annotations

import contextlib
import itertools
import threading
import time
from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Self, TypeAlias

import numpy as np

from napari_surfseg.cancelling import raise_if_stopped
from napari_surfseg.data.kernels import count_meanings
from napari_surfseg.data.labels import IGNORE, describe_unknown
from napari_surfseg.data.padding import read_padded
from napari_surfseg.data.patches.augment import (
    SYMMETRIES,
    PatchBuffer,
    build_noise,
    choose_symmetries,
    cut_pair,
    draw_grey_change,
)
from napari_surfseg.data.patches.sampling import PatchSampler, place_patch
from napari_surfseg.data.resampling import resample_array, resample_labels
from napari_surfseg.errors import CancelledError, ChunkError, DataError
from napari_surfseg.geometry import box_at, box_shape, to_index
from napari_surfseg.out_of_memory import is_out_of_memory

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from napari_surfseg.config import Data
    from napari_surfseg.data.cache import CacheStats, VolumeCache
    from napari_surfseg.data.checked_pair import CheckedPair
    from napari_surfseg.data.strokes.filled_targets import FilledTargets
    from napari_surfseg.data.volume import Volume
    from napari_surfseg.geometry import Box, Index3, Size3
    from napari_surfseg.model.intensity import Intensity

__all__ = ["Batch", "PatchLoader"]

#: Patches that cannot be read before the run ends: that many, or this share of all.
MAX_BROKEN, BROKEN_SHARE = 16, 0.1

Patches: TypeAlias = np.ndarray[Any, np.dtype[np.uint8]]

#: How long a wait may last before it is begun again: on Windows an endless wait
#: on a lock cannot be interrupted with Ctrl-C.
_WAIT_SECONDS = 0.5
#: How long closing waits for threads in the middle of a read; they end with the process anyway.
_CLOSE_SECONDS = 1.0


@dataclass
class Batch:
    """Patches of one step.

    Attributes
    ----------
    image : numpy.ndarray
        Shape (B, 1, Z, Y, X), uint8.
    labels : numpy.ndarray
        The same shape, uint8: 0 background, 1 surface, 2 ignore.
    sources : list of int
        Which pair each patch comes from.
    centred : list of bool
        Whether each patch is centred on a surface voxel.
    starts : list of tuple
        Corner of each patch in its volume; negative where it was padded.
    counts : numpy.ndarray
        Voxels of meaning 0, 1 and 2 in all patches together.
    part : (int, int)
        The first of the patches in the whole batch, and the patches of that one, of which other
        processes may have the others.
    """

    image: Patches
    labels: Patches
    sources: list[int]
    centred: list[bool]
    starts: list[Index3]
    counts: np.ndarray[Any, np.dtype[np.int64]]
    part: tuple[int, int]


@dataclass
class _Tally:
    """What was delivered since the last reset."""

    num_patches: int = 0
    num_centred: int = 0
    counts: np.ndarray[Any, np.dtype[np.int64]] = field(
        default_factory=lambda: np.zeros(3, np.int64)
    )
    sources: Counter[int] = field(default_factory=Counter)
    wait_seconds: float = 0.0


class BrokenPatches:
    """Patches that could not be read, and the sentences to say of them."""

    def __init__(self) -> None:
        self.num_read = 0
        self._num_broken = 0
        self._new: dict[str, int] = {}
        self._said: set[str] = set()

    def add(self, error: ChunkError) -> None:
        """Count a patch; raise where too many are like it."""
        self._num_broken += 1
        text = str(error)
        self._new[text] = self._new.get(text, 0) + 1
        if self._num_broken > max(MAX_BROKEN, BROKEN_SHARE * self.num_read):
            raise DataError(
                f"{self._num_broken} of {self._num_broken + self.num_read} patches could not be "
                f"read, which is too many to go on; the last: {text}"
            ) from error

    def take(self) -> list[str]:
        """Give a sentence for each damaged place that was met since, one of each once."""
        new, self._new = self._new, {}
        found = [
            f"{text[:-1]}; {f'{count} patches were' if count > 1 else 'a patch was'} replaced."
            for text, count in new.items()
            if text not in self._said
        ]
        self._said.update(new)
        return found


class PatchLoader:
    """An endless, repeatable stream of batches.

    It takes more than eight parameters: the volumes, what is cut from them, and how the stream is
    computed and resumed, which the trainer, the warm-up and the benchmarks each set differently.

    Many parameters: what is cut, how the stream goes on and what computes it (threads, cache)
    are decided in different places of a run.

    Parameters
    ----------
    pairs : sequence of CheckedPair
        Volumes to cut from.
    data : Data
        Patch size, share of surface patches and augmentation.
    intensity : Intensity
        How grey values become uint8.
    batch_size : int
        Patches a batch.
    part : (int, int), optional
        The first patch of each batch that is built here, and their number: other processes build
        the others. By default all of them.
    seed : int
        Of the stream: a batch depends on the seed and its step alone.
    workers : int
        Threads; with 0, ``next`` builds the batch itself.
    cache : VolumeCache
        Holds decoded chunks.
    start_step : int
        First step of the stream, for a resumed run.
    filled : sequence of FilledTargets, optional
        The pairs' targets with their gaps filled: what patches are cut from, instead of the
        targets themselves; their centres are still drawn from the targets.
    prefetch : int, optional
        Batches kept ready; by default two more than there are workers.
    foreground_shares : sequence of tuple, optional
        Those of the run that is resumed, instead of the one in ``data``.
    """

    def __init__(
        self,
        pairs: Sequence[CheckedPair],
        data: Data,
        intensity: Intensity,
        *,
        batch_size: int,
        part: tuple[int, int] | None = None,
        seed: int,
        workers: int,
        cache: VolumeCache,
        start_step: int = 0,
        filled: Sequence[FilledTargets] | None = None,
        prefetch: int | None = None,
        foreground_shares: Sequence[tuple[int, float]] | None = None,
    ) -> None:
        self._pairs = list(pairs)
        self._augmentation = data.augmentation
        self._intensity = intensity
        self._batch_size = batch_size
        self._part = (0, batch_size) if part is None else part
        self._seed = seed
        self._cache = cache
        self._images = [cache.view(pair.open_image(intensity, cache)) for pair in self._pairs]
        self._labels = [pair.open_targets(cache) for pair in self._pairs]
        self._targets = [cache.view(labels) for labels in self._labels]
        self._broken = BrokenPatches()
        self._filled = None if filled is None else list(filled)
        self._patch_targets = self._view_targets()
        self._sampler = self._build_sampler(foreground_shares or [(0, data.foreground_share)])
        self._set_patch(data.patch_size)
        self._tally = _Tally()

        self._changed = threading.Condition()
        self._closed = False
        self._is_held = False
        self._num_building = 0
        self._next_step = start_step  # to deliver
        self._next_build = start_step  # to build
        self._ready: dict[int, Batch | BaseException] = {}
        self._depth = workers + 2 if prefetch is None else prefetch
        self._threads = [
            threading.Thread(target=self._work, name=f"patches-{i}", daemon=True)
            for i in range(workers)
        ]
        for thread in self._threads:
            thread.start()

    @property
    def step(self) -> int:
        """The step whose batch comes next; store it to resume."""
        return self._next_step

    @property
    def num_patches(self) -> int:
        """Of a batch, how many are built here."""
        return self._part[1]

    @property
    def num_workers(self) -> int:
        """Threads that build them."""
        return len(self._threads)

    @property
    def patch_size(self) -> Size3:
        """Of the patches that are cut now."""
        return self._patch

    @property
    def num_ready(self) -> int:
        """Batches waiting to be taken."""
        with self._changed:
            return len(self._ready)

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> Batch:
        """Give the next batch; an exception met while building it is raised as itself.

        Where work should end, a batch that is not ready is not waited for.
        """
        begun = time.perf_counter()
        result = self._take()
        self._tally.wait_seconds += time.perf_counter() - begun
        if isinstance(result, BaseException):
            if not is_out_of_memory(result):  # else it may be asked again, for a smaller patch
                self.close()
            raise result
        self._tally.num_patches += len(result.sources)
        self._tally.num_centred += sum(result.centred)
        self._tally.counts += result.counts
        self._tally.sources.update(result.sources)
        return result

    def _take(self) -> Batch | BaseException:
        if not self._threads:
            if self._closed:
                raise StopIteration
            try:
                batch = self.build(self._next_step)
            except CancelledError:
                raise
            except Exception as error:  # noqa: BLE001 - it is raised by next()
                return error
            self._next_step += 1
            return batch
        with self._changed:
            while self._next_step not in self._ready:
                if self._closed:
                    raise StopIteration
                raise_if_stopped()
                self._changed.wait(_WAIT_SECONDS)
            result = self._ready.pop(self._next_step)
            self._next_step += 1
            self._changed.notify_all()
            return result

    def _work(self) -> None:
        while True:
            with self._changed:
                while not self._closed and (
                    self._is_held or self._next_build >= self._next_step + self._depth
                ):
                    self._changed.wait()
                if self._closed:
                    return
                step = self._next_build
                self._next_build += 1
                self._num_building += 1
            result: Batch | BaseException
            try:
                result = self.build(step)
            except BaseException as error:  # noqa: BLE001 - it is raised by next()
                result = error
            with self._changed:
                self._num_building -= 1
                if not self._closed:
                    self._ready[step] = result
                self._changed.notify_all()

    def _set_patch(self, patch: Size3) -> None:
        self._patch = patch
        self._symmetries = [
            choose_symmetries(self._augmentation.symmetries, patch, pair.seen_spacing)
            for pair in self._pairs
        ]
        self._noise = build_noise(self._seed, patch[2])
        self._local = threading.local()

    def restart(self, step: int, patch: Size3) -> None:
        """Give the batches from a step on again, of another patch size perhaps.

        What is ready is dropped, so that every batch from there on is what a loader made with
        this size gives.
        """
        with self.held(), self._changed:
            if patch != self._patch:
                self._set_patch(patch)
            self._ready.clear()
            self._next_step = self._next_build = step

    def build(self, step: int) -> Batch:
        """Build the batch of any step, without delivering it."""
        first, count = self._part
        shape = (count, 1, *self._patch)
        images, labels = np.empty(shape, np.uint8), np.empty(shape, np.uint8)
        part = (first, self._batch_size)
        batch = Batch(images, labels, [], [], [], np.zeros(3, np.int64), part)
        for i in range(count):
            raise_if_stopped()
            self._build_readable_patch(step * self._batch_size + first + i, batch, i)
        return batch

    def _build_readable_patch(self, index: int, batch: Batch, i: int) -> None:
        """Build a patch; where a damaged chunk lies in it, another one in its place."""
        for attempt in itertools.count():
            rng = np.random.default_rng([self._seed, index, *([attempt] if attempt else [])])
            try:
                self._build_patch(index, rng, batch, i, may_stay=not attempt)
            except ChunkError as error:
                self._broken.add(error)
            else:
                self._broken.num_read += 1
                return

    def _build_patch(
        self, index: int, rng: np.random.Generator, batch: Batch, i: int, *, may_stay: bool
    ) -> None:
        place = self._sampler.draw(index, rng, may_stay=may_stay)
        allowed = self._symmetries[place.source]
        symmetry = allowed[int(rng.integers(len(allowed)))]
        resampling = self._pairs[place.source].resampling
        cut = self._patch if resampling is None else resampling.own_shape(self._patch)
        within = self._pairs[place.source].roi
        if self._filled is not None:
            within = self._filled[place.source].chunk_bounds(place.voxel, cut)
        # A patch of other voxels is turned after it was resampled: its middle is where it is.
        start = place_patch(
            place.voxel, cut, symmetry if resampling is None else SYMMETRIES[0], within
        )
        image, labels = self._buffers()
        self._read_patch(place.source, box_at(start, cut), image.view, labels.view)
        change = draw_grey_change(
            rng,
            intensity=self._augmentation.intensity,
            noise=self._augmentation.noise,
            mean=self._intensity.mean,
            std=self._intensity.std,
        )
        out = batch.labels[i, 0]
        cut_pair(image, labels, symmetry, change, self._noise, batch.image[i, 0], out)
        count_meanings(out, batch.counts)
        batch.sources.append(place.source)
        batch.centred.append(place.centred)
        batch.starts.append(start)

    def _read_patch(self, source: int, box: Box, image: Patches, labels: Patches) -> None:
        """Read a box of a pair into a patch and its labels, resampled where they differ in size."""
        roi = self._pairs[source].roi
        grey = image if box_shape(box) == image.shape else None
        classes = labels if grey is not None else None
        grey = read_padded(self._images[source], *box, bounds=roi, out=grey)
        classes = read_padded(
            self._patch_targets[source], *box, "constant", value=IGNORE, bounds=roi, out=classes
        )
        if grey is not image:
            image[...] = np.rint(resample_array(grey, to_index(image.shape)))
            labels[...] = resample_labels(classes, to_index(labels.shape))

    @property
    def foreground_shares(self) -> list[tuple[int, float]]:
        """Shares of the patches centred on the surface, each from a patch of the stream on."""
        return self._sampler.foreground_shares

    def follow_foreground_shares(self, shares: Sequence[tuple[int, float]]) -> None:
        """Use the shares of another loader of the same stream."""
        for begin, share in shares:
            self._sampler.set_foreground_share(share, from_index=begin)

    def set_foreground_share(self, share: float) -> None:
        """Centre another share of the patches on the surface.

        It holds from the first batch that cannot be prepared yet, whichever are: so a resumed run
        can repeat it.
        """
        ahead = self._depth if self._threads else 0
        begin = (self._next_step + ahead) * self._batch_size
        self._sampler.set_foreground_share(share, from_index=begin)

    @contextlib.contextmanager
    def held(self) -> Iterator[None]:
        """Let no thread cut a patch meanwhile, while labels are written."""
        with self._changed:
            self._is_held = True
            while self._num_building and not self._closed:
                self._changed.wait(_WAIT_SECONDS)
        try:
            yield
        finally:
            with self._changed:
                self._is_held = False
                self._changed.notify_all()

    def _view_targets(self) -> list[Volume]:
        """Give what the labels of patches are cut from, read through the cache."""
        if self._filled is None:
            return self._targets
        return [self._cache.view(each) for each in self._filled]

    def recount(
        self, pairs: Sequence[CheckedPair], filled: Sequence[FilledTargets] | None = None
    ) -> None:
        """Draw from the same volumes by other counts, batches already prepared excepted.

        Parameters
        ----------
        pairs : sequence of CheckedPair
            As given at first, with new censuses. To be called while :meth:`held`.
        filled : sequence of FilledTargets, optional
            As given at first, made from the new labels.
        """
        self._pairs = list(pairs)
        self._filled = None if filled is None else list(filled)
        self._patch_targets = self._view_targets()
        self._sampler = self._build_sampler(self._sampler.foreground_shares)

    def _build_sampler(self, shares: Sequence[tuple[int, float]]) -> PatchSampler:
        sampler = PatchSampler(
            self._pairs, self._targets, foreground_share=shares[0][1], seed=self._seed
        )
        for begin, share in shares[1:]:
            sampler.set_foreground_share(share, from_index=begin)
        return sampler

    def _buffers(self) -> tuple[PatchBuffer, PatchBuffer]:
        """Memory of this thread for a patch and its labels."""
        buffers: tuple[PatchBuffer, PatchBuffer] | None = getattr(self._local, "buffers", None)
        if buffers is None:
            buffers = PatchBuffer(self._patch), PatchBuffer(self._patch)
            self._local.buffers = buffers
        return buffers

    def epoch_stats(self, reset: bool = True) -> dict[str, Any]:
        """Describe the patches delivered since the last reset.

        Returns
        -------
        dict
            ``num_patches``; ``foreground_fraction`` and ``ignored_fraction`` of
            their voxels; ``foreground_centred_share`` of the patches;
            ``sources``, how many came from each volume; ``wait_seconds``, how
            long ``next`` waited for them.
        """
        tally = self._tally
        num_voxels = max(1, int(tally.counts.sum()))
        names = unique_names([pair.name for pair in self._pairs])
        stats = {
            "num_patches": tally.num_patches,
            "foreground_fraction": float(tally.counts[1]) / num_voxels,
            "ignored_fraction": float(tally.counts[2]) / num_voxels,
            "foreground_centred_share": tally.num_centred / max(1, tally.num_patches),
            "sources": {name: tally.sources[i] for i, name in enumerate(names)},
            "wait_seconds": tally.wait_seconds,
        }
        if reset:
            self._tally = _Tally()
        return stats

    def take_warnings(self) -> list[str]:
        """Give what a person should know of patches that were not as planned, each thing once."""
        found = self._broken.take()
        for labels, pair in zip(self._labels, self._pairs, strict=True):
            if labels.unknown:
                counts = dict(labels.unknown)
                labels.unknown.clear()
                found.append(
                    f"{describe_unknown(pair.labels.source, counts, pair.mapping)[:-1]}; until "
                    "then these voxels are left out."
                )
        return found

    def tally_as_dict(self) -> dict[str, Any]:
        """Plain values of what :meth:`epoch_stats` counts, for a run that is resumed."""
        tally = self._tally
        return {
            "num_patches": tally.num_patches,
            "num_centred": tally.num_centred,
            "counts": tally.counts.tolist(),
            "sources": dict(tally.sources),
            "wait_seconds": tally.wait_seconds,
        }

    def restore_tally(self, values: Mapping[str, Any]) -> None:
        """Go on counting from :meth:`tally_as_dict`."""
        self._tally = _Tally(
            num_patches=values["num_patches"],
            num_centred=values["num_centred"],
            counts=np.array(values["counts"], np.int64),
            sources=Counter(values["sources"]),
            wait_seconds=values["wait_seconds"],
        )

    def cache_stats(self) -> CacheStats:
        """Count what the cache has done so far."""
        return self._cache.stats()

    def close(self) -> None:
        """Stop the threads; safe to call twice. A thread in a slow read is left to end alone."""
        with self._changed:
            self._closed = True
            self._ready.clear()
            self._changed.notify_all()
        until = time.monotonic() + _CLOSE_SECONDS
        for thread in self._threads:
            if thread is not threading.current_thread():
                thread.join(max(0.0, until - time.monotonic()))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *about: object) -> None:
        self.close()


def unique_names(names: Sequence[str]) -> list[str]:
    """Names with a number added to those that occur more than once."""
    often = Counter(names)
    seen: Counter[str] = Counter()
    unique = []
    for name in names:
        seen[name] += 1
        unique.append(f"{name} ({seen[name]})" if often[name] > 1 else name)
    return unique
