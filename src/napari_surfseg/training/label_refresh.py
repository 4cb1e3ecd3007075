"""Labels that change while patches are cut from them: what has to follow."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

from napari_surfseg.errors import CancelledError
from napari_surfseg.geometry import box_at

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from napari_surfseg.data.cache import VolumeCache
    from napari_surfseg.data.checked_pair import CheckedPair
    from napari_surfseg.data.patches.loader import PatchLoader
    from napari_surfseg.data.strokes.stroke_files import StrokeBox
    from napari_surfseg.training.stroke_start import StrokeStart

__all__ = ["LabelRefresh"]


class LabelRefresh:
    """Lets the loader, the cache and the pixel classifier follow labels that change.

    Parameters
    ----------
    pairs : sequence of CheckedPair
        All of the run.
    cache : VolumeCache
        Holds decoded chunks of the labels.
    loader : PatchLoader
        Draws its patches from the labels of the training pairs.
    stroke_start : StrokeStart, optional
        The pixel classifier of a run whose labels are strokes; it learns the new ones.
    """

    def __init__(
        self,
        pairs: Sequence[CheckedPair],
        cache: VolumeCache,
        loader: PatchLoader,
        stroke_start: StrokeStart | None,
    ) -> None:
        self.pairs = list(pairs)
        self._cache = cache
        self._loader = loader
        self._stroke_start = stroke_start

    def find(self, source: str) -> list[int]:
        """Find the pairs with these labels."""
        return [i for i, pair in enumerate(self.pairs) if pair.labels.source == source]

    def refresh(
        self,
        changed: Mapping[int, CheckedPair],
        boxes: Sequence[StrokeBox],
        write: Callable[[], None],
        step: int,
    ) -> None:
        """Have labels changed while nobody cuts a patch, and draw from the new ones.

        Parameters
        ----------
        changed : mapping
            The pairs concerned, by number, with their labels counted as they will be.
        boxes : sequence of StrokeBox
            What changes.
        write : callable
            Changes the labels. Where it raises, a part of them may be changed.
        step : int
            Optimizer steps taken so far.
        """
        with self._loader.held():
            try:
                write()
            finally:
                for pair in changed.values():
                    for start, values in boxes:
                        self._cache.forget(pair.open_targets(), *box_at(start, values.shape))
            self.pairs = [changed.get(i, pair) for i, pair in enumerate(self.pairs)]
            train = [pair for pair in self.pairs if pair.role == "train"]
            if self._stroke_start is None:
                self._loader.recount(train)
                return
            # The strokes are in the labels by now: a run that ends here learns them when it is
            # resumed.
            with contextlib.suppress(CancelledError):
                self._stroke_start.learn_again(train, step)
            self._loader.recount(train, self._stroke_start.filled)
