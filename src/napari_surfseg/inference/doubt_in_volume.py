"""Doubtful places of a volume of any size: block by block, the ones that matter most are kept.

Blocks are read with a margin, and a place counts for the block in which it lies, so what crosses
a border is seen whole and listed once. What hangs on a bridge is counted within its block only.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_surfseg.cancelling import raise_if_stopped
from napari_surfseg.data.labels import looks_like_probabilities
from napari_surfseg.errors import DataError
from napari_surfseg.geometry import (
    grow_box,
    iterate_blocks,
    to_index,
)
from napari_surfseg.proofreading.evidence import to_finest_voxels
from napari_surfseg.proofreading.find import MAX_PLACES, find_doubtful_places
from napari_surfseg.proofreading.places import move_place
from napari_surfseg.proofreading.ranking import merge_places
from napari_surfseg.wording import format_size

if TYPE_CHECKING:
    from collections.abc import Callable

    from napari_surfseg.data.volume import Volume
    from napari_surfseg.geometry import Box, Index3, Size3, Spacing3
    from napari_surfseg.proofreading.places import DoubtfulPlace

__all__ = ["DoubtSources", "FoundPlaces", "find_places_in_volume"]

#: Voxels of a block and around it. Of a prediction that is half right, one takes some 400 MB.
BLOCK: Size3 = (128, 128, 128)
MARGIN = 24
#: Blocks of which one must hold something before it is known whether they are probabilities.
TRIED_BLOCKS = 8


@dataclass(frozen=True)
class DoubtSources:
    """The volumes in which doubt is looked for, all of one shape.

    Attributes
    ----------
    prediction : Volume
        Probabilities, or a mask.
    earlier, other : Volume, optional
        The same as it was predicted earlier, and by another network.
    labels : Volume, optional
        What a person has annotated; no place is there.
    ignore : tuple of int
        Values of the labels that say that nobody annotated there.
    """

    prediction: Volume
    earlier: Volume | None = None
    other: Volume | None = None
    labels: Volume | None = None
    ignore: tuple[int, ...] = (2,)

    @property
    def named(self) -> dict[str, Volume]:
        """The volumes that are there, by the name of their argument."""
        found = {
            "probs": self.prediction,
            "earlier": self.earlier,
            "other": self.other,
            "annotated": self.labels,
        }
        return {name: volume for name, volume in found.items() if volume is not None}


@dataclass(frozen=True)
class FoundPlaces:
    """What was found.

    Attributes
    ----------
    places : list of DoubtfulPlace
        The greatest weight first.
    warnings : list of str
        Sentences.
    threshold : float or None
        Above which surface was taken to be; None for a mask.
    """

    places: list[DoubtfulPlace]
    warnings: list[str] = field(default_factory=list)
    threshold: float | None = None


def find_places_in_volume(
    sources: DoubtSources,
    threshold: float | None = None,
    *,
    spacing: Spacing3 | None = None,
    max_places: int = MAX_PLACES,
    block: Size3 = BLOCK,
    report: Callable[[str, float], None] = lambda _stage, _share: None,
) -> FoundPlaces:
    """Find where a prediction is probably wrong, in bounded memory.

    Parameters
    ----------
    sources : DoubtSources
        What to look at.
    threshold : float, optional
        Surface is above it, 0 to 1. By default one half of probabilities, and of anything else
        every voxel that is not 0.
    spacing : tuple of float, optional
        Z, Y, X voxel size; by default the prediction's.
    max_places : int
        The first so many are kept.
    block : tuple of int
        Voxels that are looked at together, besides a margin.
    report : callable
        Called with the stage and its share, 0 to 1.

    Raises
    ------
    DataError
        If the volumes are of different shapes or hold no probabilities.
    """
    volume = sources.prediction
    for other in sources.named.values():
        if other.shape != volume.shape:
            raise DataError(
                f"{volume.source} has {format_size(volume.shape)} voxels, but {other.source} has "
                f"{format_size(other.shape)}; they must be of one shape."
            )
    warnings = [note for other in sources.named.values() for note in other.notes]
    if threshold is None and _holds_probabilities(volume, block):
        threshold = 0.5
        if volume.content is None:
            warnings.append(
                f"{volume.source} looks like probabilities: surface is taken to be above 0.5 "
                "unless a threshold is given."
            )
    finest = to_finest_voxels(spacing or volume.spacing)
    margin = to_index(max(1, round(MARGIN / step)) for step in finest)
    found: list[DoubtfulPlace] = []
    boxes = list(iterate_blocks(volume.box, block))
    for number, box in enumerate(boxes):
        raise_if_stopped()
        report("looking for doubtful places", number / len(boxes))
        around = grow_box(box, margin, volume.box)
        here = _find_in_box(sources, around, threshold, finest, max_places)
        found += [place for place in here if _lies_in(place.location, box)]
        found = sorted(found, key=lambda place: -place.weight)[: 4 * max_places]
    report("looking for doubtful places", 1.0)
    return FoundPlaces(merge_places(found, finest, max_places), warnings, threshold)


def _find_in_box(
    sources: DoubtSources,
    box: Box,
    threshold: float | None,
    spacing: Spacing3,
    max_places: int,
) -> list[DoubtfulPlace]:
    arrays: dict[str, Any] = {name: v.read(*box) for name, v in sources.named.items()}
    if sources.labels is not None:
        arrays["annotated"] = ~np.isin(arrays["annotated"], sources.ignore)
    places = find_doubtful_places(
        arrays.pop("probs"), threshold, spacing, max_places=max_places, **arrays
    )
    return [move_place(place, box[0]) for place in places]


def _lies_in(voxel: Index3, box: Box) -> bool:
    return all(a <= at < b for a, at, b in zip(box[0], voxel, box[1], strict=True))


def _holds_probabilities(volume: Volume, block: Size3) -> bool:
    """Whether a volume says, or looks as if, it held probabilities."""
    if volume.content is not None:
        return volume.content == "probabilities"
    seen = 0
    for box in iterate_blocks(volume.box, block):
        values = volume.read(*box)
        if values.any():
            seen += 1
            if looks_like_probabilities(values):
                return True
        if seen == TRIED_BLOCKS:
            break
    return False
