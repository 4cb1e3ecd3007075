"""Where to paint next: the doubtful places of the live preview, found beside it."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from napari_surfseg.data.labels import IGNORE
from napari_surfseg.geometry import box_slices, clip_box, middle_of_box
from napari_surfseg.proofreading.find import find_doubtful_places
from napari_surfseg.proofreading.places import move_place

if TYPE_CHECKING:
    from collections.abc import Mapping

    import numpy as np
    from numpy.typing import NDArray

    from napari_surfseg.data.cache import VolumeCache
    from napari_surfseg.data.checked_pair import CheckedPair
    from napari_surfseg.geometry import Box
    from napari_surfseg.proofreading.places import DoubtfulPlace

__all__ = ["LivePlaces"]

#: The search may take at most this share of the running time, beside the preview's own.
TIME_SHARE = 0.025
#: The first predictions come without: nothing may hold them up, and they are wrong everywhere.
FIRST_SECONDS = 10.0
#: More than a person paints at before the next list.
MAX_PLACES = 40
#: Where more than this is annotated there is nothing to paint.
ANNOTATED_SHARE = 0.98
#: As many as a preview has unless a person enlarges it. Of a larger one only the middle is looked
#: at: training waits meanwhile, 1.3 to 3 s for a million voxels.
MAX_VOXELS = 2**20


class LivePlaces:
    """Finds places now and then, in the newest preview and against the one before.

    Nothing of it is random, and nothing that training uses is touched.

    Parameters
    ----------
    pairs : mapping
        What can be looked at, by the image's source.
    cache : VolumeCache
        Shared with the loader, so that labels are read as training reads them.
    """

    def __init__(self, pairs: Mapping[str, CheckedPair], cache: VolumeCache) -> None:
        self._pairs = pairs
        self._cache = cache
        self._due = time.monotonic() + FIRST_SECONDS
        self._earlier: tuple[str, Box, NDArray[np.uint8]] | None = None

    def find(
        self, image: str, box: Box, probabilities: NDArray[np.uint8], threshold: float
    ) -> list[DoubtfulPlace] | None:
        """Find the doubtful places of a preview that nobody has painted at.

        Of a preview of more than ``MAX_VOXELS`` its middle is looked at, where a person looks too.

        Parameters
        ----------
        image : str
            Source of the volume.
        box : (start, stop)
            Where in it the preview lies.
        probabilities : uint8 array
            The preview.
        threshold : float
            Above which is surface, 0 to 1.

        Returns
        -------
        list of DoubtfulPlace or None
            In voxels of the volume; None where it was not time to look.
        """
        earlier = self._take_earlier(image, box, probabilities)
        if time.monotonic() < self._due:
            return None
        begun = time.monotonic()
        try:
            return self._find(image, box, probabilities, threshold, earlier)
        finally:
            now = time.monotonic()
            self._due = now + (now - begun) * (1 / TIME_SHARE - 1)

    def _take_earlier(
        self, image: str, box: Box, probabilities: NDArray[np.uint8]
    ) -> NDArray[np.uint8] | None:
        """Return the last preview of the same region, and keep this one for the next."""
        last, self._earlier = self._earlier, (image, box, probabilities)
        return last[2] if last is not None and last[:2] == (image, box) else None

    def _find(
        self,
        image: str,
        box: Box,
        probabilities: NDArray[np.uint8],
        threshold: float,
        earlier: NDArray[np.uint8] | None,
    ) -> list[DoubtfulPlace]:
        middle = middle_of_box(box, MAX_VOXELS)
        inside = box_slices(middle, box[0])
        annotated = self._read_annotated(image, middle)
        if annotated.mean() > ANNOTATED_SHARE:
            return []
        places = find_doubtful_places(
            probabilities[inside],
            threshold,
            self._pairs[image].spacing,
            earlier=None if earlier is None else earlier[inside],
            annotated=annotated,
            max_places=MAX_PLACES,
        )
        return [move_place(place, middle[0]) for place in places]

    def _read_annotated(self, image: str, box: Box) -> NDArray[np.bool_]:
        """Read where there are labels; what is kept for validation is labelled too."""
        pair = self._pairs[image]
        annotated: NDArray[np.bool_] = (
            self._cache.view(pair.open_targets(self._cache)).read(*box) != IGNORE
        )
        for kept in pair.held_out:
            annotated[box_slices(clip_box(kept, box), box[0])] = True
        return annotated
