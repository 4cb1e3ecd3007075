"""Where a prediction is probably wrong, found without labels, what matters most first.

::

    probabilities ──► joins       bridges, tears      (merge tree: what a threshold decides)
                  ──► holes       through a sheet     (tunnels that a closing fills)
                  ──► loose_ends  rims that face each other, or promise more
                  ──► pieces      small ones
                  ──► uncertain   areas, of which nobody is sure
    earlier, other ─► uncertain   flicker, disagreement
                          │
                          ▼
                      ranking     weights, one place for what lies together
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from napari_surfseg.cancelling import raise_if_stopped
from napari_surfseg.geometry import box_slices
from napari_surfseg.proofreading.evidence import build_evidence
from napari_surfseg.proofreading.holes import find_hole_places
from napari_surfseg.proofreading.joins import find_join_places
from napari_surfseg.proofreading.loose_ends import find_loose_ends
from napari_surfseg.proofreading.pieces import find_small_pieces
from napari_surfseg.proofreading.ranking import merge_places, to_voxels, to_weight
from napari_surfseg.proofreading.uncertain import (
    add_up,
    compute_uncertainty,
    find_uncertain_patches,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from napari_surfseg.geometry import Spacing3
    from napari_surfseg.proofreading.evidence import Evidence
    from napari_surfseg.proofreading.places import DoubtfulPlace

__all__ = ["MAX_PLACES", "find_doubtful_places"]

#: More than a person looks at.
MAX_PLACES = 200

#: Each search with what is reported while it runs.
SEARCHES = {
    "looking for uncertain patches": find_uncertain_patches,
    "looking for small pieces": find_small_pieces,
    "looking for bridges": find_join_places,
    "looking for loose ends": find_loose_ends,
    "looking for holes": find_hole_places,
}


def find_doubtful_places(
    probs: NDArray[Any],
    threshold: float | None = 0.5,
    spacing: Spacing3 = (1.0, 1.0, 1.0),
    *,
    earlier: NDArray[Any] | None = None,
    other: NDArray[Any] | None = None,
    annotated: NDArray[Any] | None = None,
    max_places: int = MAX_PLACES,
    report: Callable[[str, float], None] | None = None,
) -> list[DoubtfulPlace]:
    """Find where a prediction is probably wrong.

    Parameters
    ----------
    probs : array, shape (Z, Y, X)
        Probabilities: uint8 0 to 255, or a float type 0 to 1.
    threshold : float, optional
        Surface is above it. With None `probs` is a mask (non-zero is surface), which has holes
        and loose ends but no uncertainty.
    spacing : tuple of float
        Z, Y, X voxel size; distances are in voxels of the finest axis.
    earlier : array, optional
        The same region as it was predicted earlier: what changed since is flickering.
    other : array, optional
        The same region as another network predicts it.
    annotated : array, optional
        Non-zero where a person has labelled already: no place is there.
    max_places : int
        The first so many are kept.
    report : callable
        Called with the stage and its share, 0 to 1. Work ends early as
        :mod:`napari_surfseg.cancelling` says.

    Returns
    -------
    list of DoubtfulPlace
        The greatest weight first, no two near each other.

    Raises
    ------
    DataError
        If the arrays are no volumes of one shape, or no probabilities.
    """
    evidence = build_evidence(
        probs, threshold, spacing, earlier=earlier, other=other, annotated=annotated
    )
    found: list[DoubtfulPlace] = []
    for number, (stage, search) in enumerate(SEARCHES.items()):
        raise_if_stopped()
        if report is not None:
            report(stage, number / len(SEARCHES))
        found += search(evidence)
    found = [place for place in found if not _is_annotated(place, evidence)]
    places = _add_uncertainty(found, evidence)
    return merge_places(places, evidence.spacing, max_places)


def _is_annotated(place: DoubtfulPlace, evidence: Evidence) -> bool:
    """Whether a person has labelled the voxel to look at, or most of what is in doubt."""
    if evidence.annotated is None:
        return False
    if evidence.annotated[place.location]:
        return True
    return float(evidence.annotated[box_slices((place.start, place.stop))].mean()) > 0.5


def _add_uncertainty(places: list[DoubtfulPlace], evidence: Evidence) -> list[DoubtfulPlace]:
    """Let a hole in an area of doubt weigh more than one in a sheet that is sure."""
    if not places:
        return places
    doubt = add_up(evidence, compute_uncertainty(evidence))
    return [
        place
        if place.kind == "uncertain"
        else replace(place, weight=to_weight(to_voxels(place.weight) + doubt[place.location]))
        for place in places
    ]
