"""A forest on filter responses: learns from a few strokes within a second.

What interactive segmentation has long offered (trainable pixel classification, as in Sommer et
al. 2011): extremely randomised trees (Geurts et al. 2006) on the responses of
:mod:`~napari_surfseg.data.strokes.filters`. It sees a handful of voxels around each one, so a
network that has learned for a minute is better. Until then its result is shown, and what it finds
near the strokes serves as pseudo-labels for the network.
"""

from __future__ import annotations

import math
import os
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import numpy as np

from napari_surfseg.cancelling import raise_if_stopped
from napari_surfseg.data.strokes.annotation import list_points
from napari_surfseg.data.strokes.filters import FILTER_MARGIN, compute_filter_responses
from napari_surfseg.geometry import box_slices, grow_box, split_box, to_index

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from napari_surfseg.data.strokes.annotation import AnnotatedBlock
    from napari_surfseg.data.volume import Volume
    from napari_surfseg.geometry import Box, Index3, Spacing3

__all__ = ["PixelClassifier"]

#: Trees, and how many are grown at once.
NUM_TREES, TREES_AT_ONCE = 64, 8
#: Voxels classified at once.
ROWS_AT_ONCE = 2**18
#: Voxels a leaf holds at least: strokes are few and neighbours alike.
LEAF_VOXELS = 8
#: Points learned from at most; more make it slower, hardly better.
MAX_POINTS = 40_000
#: Weight of all voxels beside the strokes together, where all surface weighs 1.
BESIDE_WEIGHT = 0.5


class PixelClassifier:
    """Separates surface from background by the filter responses of each voxel.

    Parameters
    ----------
    images : sequence of Volume
        uint8.
    spacings : sequence of tuple
        Z, Y, X voxel size of each.
    bounds : sequence of (start, stop)
        The part of each image that may be read.
    blocks : sequence of AnnotatedBlock
        What it learns from; ``source`` counts the images.
    seed : int
        Of the trees.
    """

    def __init__(
        self,
        images: Sequence[Volume],
        spacings: Sequence[Spacing3],
        bounds: Sequence[Box],
        blocks: Sequence[AnnotatedBlock],
        *,
        seed: int = 0,
    ) -> None:
        # Imported here: it takes a second, which a run with dense labels need not wait.
        from sklearn.ensemble import ExtraTreesClassifier

        self._images = list(images)
        self._spacings = list(spacings)
        self._bounds = list(bounds)
        rows, kinds = self._read_points(blocks, np.random.default_rng([seed, 0xF0]))
        self.num_points = len(rows)
        self._forest = ExtraTreesClassifier(
            min_samples_leaf=LEAF_VOXELS, random_state=seed % 2**31, n_jobs=1, warm_start=True
        )
        # A few trees after the others, which are the same as all at once.
        for num_trees in range(TREES_AT_ONCE, NUM_TREES + 1, TREES_AT_ONCE):
            raise_if_stopped()
            self._forest.set_params(n_estimators=num_trees)
            self._forest.fit(rows, kinds == 1, sample_weight=_weigh(kinds))

    def _read_points(
        self, blocks: Sequence[AnnotatedBlock], rng: np.random.Generator
    ) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
        rows, kinds = [], []
        most = max(1, MAX_POINTS // max(1, len(blocks)))
        for block in blocks:
            raise_if_stopped()
            places, found = list_points(block.targets, self._spacings[block.source])
            if len(places) > most:
                chosen = np.sort(rng.choice(len(places), most, replace=False))
                places, found = places[chosen], found[chosen]
            if not len(places):
                continue
            low, high = places.min(axis=0), places.max(axis=0) + 1
            responses = self._respond(
                block.source, to_index(low + block.start), to_index(high + block.start)
            )
            rows.append(responses[tuple((places - low).T)])
            kinds.append(found)
        return np.concatenate(rows), np.concatenate(kinds)

    def _respond(self, source: int, start: Index3, stop: Index3) -> NDArray[np.float32]:
        """Filter responses of a box, with as much around it as the filters see."""
        spacing = self._spacings[source]
        margin = [math.ceil(FILTER_MARGIN * min(spacing) / size) for size in spacing]
        first, last = grow_box((start, stop), margin, self._bounds[source])
        responses = compute_filter_responses(self._images[source].read(first, last), spacing)
        return responses[box_slices((start, stop), first)]

    def predict(self, source: int, start: Index3, stop: Index3) -> NDArray[np.float32]:
        """Compute the probability of surface in a box of an image.

        Parameters
        ----------
        source : int
            Which image.
        start, stop : tuple of int
            The box, inside the image's bounds.

        Returns
        -------
        ndarray, shape ``stop - start``
            float32, 0 to 1.
        """
        responses = self._respond(source, start, stop)
        rows = responses.reshape(-1, responses.shape[-1])
        probs = np.empty(len(rows), np.float32)
        for begin in range(0, len(rows), ROWS_AT_ONCE):
            raise_if_stopped()
            part = slice(begin, begin + ROWS_AT_ONCE)
            probs[part] = self._forest.predict_proba(rows[part])[:, 1]
        return probs.reshape(responses.shape[:-1])

    def predict_quickly(self, source: int, start: Index3, stop: Index3) -> NDArray[np.float32]:
        """Do what :meth:`predict` does with several threads, a part of the box each."""
        axis = int(np.argmax(np.subtract(stop, start)))
        parts = split_box((start, stop), axis, min(os.cpu_count() or 1, 8))
        with ThreadPoolExecutor(len(parts), thread_name_prefix="pixel-classifier") as pool:
            found = list(pool.map(lambda part: self.predict(source, *part), parts))
        return np.concatenate(found, axis=axis)


def _weigh(kinds: NDArray[np.int64]) -> NDArray[np.float64]:
    """Surface and background weigh the same together, whatever was painted more of."""
    counts = np.maximum(np.bincount(kinds, minlength=3), 1)
    shares = np.array([1.0, 1.0, BESIDE_WEIGHT]) * counts[1]
    return np.asarray((shares / counts)[kinds])
