"""How much a place matters, and one list of what several searches found.

What a search expects to change if a person looks at a place is counted in voxels of surface, so
that a hole, a bridge and an uncertain patch can be compared. As ``weight`` it lies between 0
and 1. Two searches that found the same place say so together: the place stays in the list once,
under the name of the stronger one, and weighs more than either.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from napari_surfseg.proofreading.places import PLACE_KINDS

if TYPE_CHECKING:
    from collections.abc import Iterable

    from numpy.typing import NDArray

    from napari_surfseg.geometry import Spacing3
    from napari_surfseg.proofreading.places import DoubtfulPlace

__all__ = ["MIN_DISTANCE", "merge_places", "to_voxels", "to_weight"]

#: Finest voxels: one glance takes in what is nearer than this.
MIN_DISTANCE = 8.0

#: Voxels of surface that are expected to change at a place of the weight one half.
HALF_WEIGHT_VOXELS = 60.0


def to_weight(expected_voxels: float) -> float:
    """Make a weight of the number of voxels that are expected to change."""
    return expected_voxels / (expected_voxels + HALF_WEIGHT_VOXELS)


def to_voxels(weight: float) -> float:
    """Give the number of voxels that are expected to change at a place of a weight."""
    return HALF_WEIGHT_VOXELS * weight / (1 - weight)


def merge_places(
    places: Iterable[DoubtfulPlace],
    spacing: Spacing3,
    max_places: int,
    min_distance: float = MIN_DISTANCE,
) -> list[DoubtfulPlace]:
    """Sort places by weight and keep one of those that lie together.

    Parameters
    ----------
    places : iterable of DoubtfulPlace
        Of any order.
    spacing : tuple of float
        Z, Y, X voxel size, in voxels of the finest axis.
    max_places : int
        The rest is left out.
    min_distance : float
        Two places that stay are at least so many finest voxels apart.

    Returns
    -------
    list of DoubtfulPlace
        The greatest weight first; equal ones in the order of their kind and place.
    """
    ordered = sorted(places, key=_rank)
    if not ordered:
        return []
    at = np.array([place.location for place in ordered], float) * spacing
    kept: list[DoubtfulPlace] = []
    where = np.empty((0, 3))
    seen: list[set[str]] = []
    for place, point in zip(ordered, at, strict=True):
        near = _nearest(where, point, min_distance)
        if near is None:
            kept.append(place)
            seen.append({place.kind})
            where = np.concatenate([where, point[None]])
        elif place.kind not in seen[near]:
            # Several of one kind in one place are no further evidence.
            first = kept[near]
            both = 1 - (1 - first.weight) * (1 - place.weight / 2)
            kept[near] = replace(first, weight=both)
            seen[near].add(place.kind)
    return sorted(kept, key=_rank)[:max_places]


def _rank(place: DoubtfulPlace) -> tuple[float, int, tuple[int, int, int]]:
    return -place.weight, PLACE_KINDS.index(place.kind), place.location


def _nearest(where: NDArray[np.float64], point: NDArray[np.float64], reach: float) -> int | None:
    if not len(where):
        return None
    squares = ((where - point) ** 2).sum(axis=1)
    best = int(squares.argmin())
    return best if squares[best] < reach * reach else None
