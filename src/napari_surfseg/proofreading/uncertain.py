"""Uncertain, flickering and disputed patches: doubt that is spread over an area.

Each voxel gets the chance that the surface is wrong there. The sum within a small box is what a
person who looks there can expect to correct, so the boxes with the largest sums are the places.

The faces of every sheet have probabilities near the threshold, and mean nothing by it. So only the
middle of what could be a sheet counts: the medial surface at a much lower threshold.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from scipy import ndimage

from napari_surfseg.geometry import box_slices, grow_box, shift_box, to_index, whole_box
from napari_surfseg.proofreading.places import DoubtfulPlace
from napari_surfseg.proofreading.ranking import to_weight
from napari_surfseg.surfaces.medial import compute_medial_surface

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from numpy.typing import NDArray

    from napari_surfseg.geometry import Index3
    from napari_surfseg.proofreading.evidence import Evidence
    from napari_surfseg.proofreading.places import PlaceKind

__all__ = ["add_up", "compute_uncertainty", "find_uncertain_patches"]

#: Half the edge of the box whose doubt is added up, in finest voxels: what one looks at at once.
REACH = 6.0
#: A smaller chance of an error is none: no network is ever quite sure.
LEAST_CHANCE = 0.08
#: What could be a sheet is above this share of the threshold.
LEAST_SHARE = 0.25
#: Boxes whose expected change is less than this number of voxels are no places.
LEAST_VOXELS = 4.0
#: Of one kind, so that a hopeless prediction does not fill the list with one.
MOST_PLACES = 2000
#: A voxel whose doubt is above this is one that would change.
CHANGING = 0.25


def find_uncertain_patches(evidence: Evidence) -> Iterator[DoubtfulPlace]:
    """Find patches where the network is not sure, changed its mind, or another one differs.

    Parameters
    ----------
    evidence : Evidence
        The region.
    """
    yield from _peaks(
        evidence,
        compute_uncertainty(evidence),
        "uncertain",
        lambda size: f"Near the threshold on {size:,} voxels.",
    )
    if evidence.earlier is not None:
        yield from _peaks(
            evidence,
            _difference(evidence, evidence.earlier),
            "flickering",
            lambda size: f"Changed on {size:,} voxels since the last time.",
        )
    if evidence.other is not None:
        yield from _peaks(
            evidence,
            _difference(evidence, evidence.other),
            "disagreement",
            lambda size: f"The other network differs on {size:,} voxels.",
        )


def compute_uncertainty(evidence: Evidence) -> NDArray[np.float32]:
    """Compute the chance of an error at each voxel of what could be the middle of a sheet.

    Parameters
    ----------
    evidence : Evidence
        The region.

    Returns
    -------
    float32 array, shape (Z, Y, X)
        0 to 0.5; 0 where there is no sheet, no doubt, or a person has looked.
    """
    chance = evidence.chance_table
    error = np.clip(np.minimum(chance, 1 - chance) - LEAST_CHANCE, 0, None).astype(np.float32)
    doubt = error[evidence.probs]
    if evidence.annotated is not None:
        doubt[evidence.annotated] = 0
    if doubt.any():
        possible = evidence.probs > LEAST_SHARE * evidence.level
        doubt[~compute_medial_surface(possible, evidence.spacing)] = 0
    return doubt


def add_up(evidence: Evidence, doubt: NDArray[np.float32]) -> NDArray[np.float32]:
    """Add up doubt in the box around each voxel that a person looks at at once."""
    edges = [2 * step + 1 for step in evidence.steps(REACH)]
    sums: NDArray[np.float32] = ndimage.uniform_filter(doubt, edges, mode="constant")
    return sums * np.float32(np.prod(edges))


def _difference(evidence: Evidence, other: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Half the difference, where one surface has nothing of the other within reach."""
    own = evidence.mask
    theirs = other > evidence.level
    size = [2 * step + 1 for step in evidence.steps(1.0)]
    lone = own & ~ndimage.maximum_filter(theirs, size)
    lone |= theirs & ~ndimage.maximum_filter(own, size)
    table = evidence.chance_table
    return np.where(lone, 0.5 * np.abs(table[evidence.probs] - table[other]), np.float32(0))


def _peaks(
    evidence: Evidence,
    doubt: NDArray[np.float32],
    kind: PlaceKind,
    say: Callable[[int], str],
) -> Iterator[DoubtfulPlace]:
    """Yield the boxes with the largest sums, none of which overlaps another's middle."""
    if evidence.annotated is not None:
        doubt = np.where(evidence.annotated, np.float32(0), doubt)
    if not doubt.size or not doubt.any():
        return
    reach = evidence.steps(REACH)
    edges = [2 * step + 1 for step in reach]
    sums = add_up(evidence, doubt)
    highest = ndimage.maximum_filter(sums, edges, mode="constant")
    tops = np.flatnonzero((sums >= highest - 1e-4) & (sums >= LEAST_VOXELS))
    order = np.argsort(-sums.reshape(-1)[tops], kind="stable")[:MOST_PLACES]
    bounds = whole_box(doubt.shape)
    for flat in tops[order]:
        centre = to_index(np.unravel_index(int(flat), doubt.shape))
        box = grow_box(shift_box(((0, 0, 0), (1, 1, 1)), centre), reach, bounds)
        inside = doubt[box_slices(box)]
        size = max(1, int((inside > CHANGING).sum()))
        location = _worst_voxel(inside, box[0], centre)
        yield DoubtfulPlace(kind, location, *box, size, to_weight(float(sums[centre])), say(size))


def _worst_voxel(doubt: NDArray[np.float32], start: Index3, centre: Index3) -> Index3:
    """Choose, of the voxels in doubt, the one nearest to the middle of the doubt."""
    at = np.argwhere(doubt > 0.5 * doubt.max())
    if not len(at):
        return centre
    middle = at.mean(axis=0)
    best = at[((at - middle) ** 2).sum(axis=1).argmin()]
    return to_index(best + np.array(start))
