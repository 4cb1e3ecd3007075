"""Holes through a sheet: small gaps that closing fills and that are tunnels of the surface."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from scipy import ndimage

from napari_surfseg.geometry import box_slices, grow_box, to_index, whole_box
from napari_surfseg.metrics.topology_errors import find_topology_errors
from napari_surfseg.proofreading.evidence import FULL
from napari_surfseg.proofreading.places import DoubtfulPlace
from napari_surfseg.proofreading.ranking import to_weight
from napari_surfseg.surfaces.block_components import find_structure
from napari_surfseg.surfaces.cleaning import close_gaps, fill_small_holes

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    from napari_surfseg.geometry import Index3
    from napari_surfseg.proofreading.evidence import Evidence

__all__ = ["find_hole_places"]

#: Radius of the closing in voxels, of what has the probabilities of a hole, and of anything: a
#: ball that rests on a hole must not dip through the sheet, nor fill the space between two.
WIDE, NARROW, OF_MASK = 7, 3, 5
#: What fills a hole in the wide closing is at least this share of the threshold.
LEAST_SHARE = 0.25
#: Half the edge of the box in which a hole's voxels are counted.
REACH = 7
#: Larger gaps are no oversight, nor are larger spaces that surface encloses.
MAX_VOXELS, MAX_CAVITY = 250, 40
#: Voxels of a topological change, besides those of the hole.
TOPOLOGY_VOXELS = 20.0
#: A small hole is doubtful even where the network is sure of it.
LEAST_CHANCE, SMALL_VOXELS = 0.15, 60


def find_hole_places(evidence: Evidence) -> Iterator[DoubtfulPlace]:
    """Find holes through sheets, each with the voxels that close it.

    Parameters
    ----------
    evidence : Evidence
        The region.
    """
    mask = evidence.mask
    if not mask.any() or mask.all():
        return
    seen = np.zeros(mask.shape, bool)
    for closed in _close(evidence):
        for error in find_topology_errors(mask, closed, None, in_octants=False):
            if error.kind not in ("extra_tunnel", "extra_cavity"):
                continue
            at = error.location
            if mask[at] or not closed[at] or seen[at]:
                continue
            start, stop = grow_box((at, at), REACH, whole_box(mask.shape))
            inside = box_slices((start, stop))
            labels, _ = ndimage.label(closed[inside] & ~mask[inside], find_structure(26))
            gap = labels == labels[tuple(a - b for a, b in zip(at, start, strict=True))]
            seen[inside] |= gap
            yield from _to_place(evidence, gap, start, stop)


def _close(evidence: Evidence) -> Iterator[NDArray[np.bool_]]:
    """Yield the surface with its holes closed in several ways."""
    mask = evidence.mask
    if not ((evidence.probs > 0) & (evidence.probs < FULL)).any():
        yield fill_small_holes(close_gaps(mask, OF_MASK), MAX_CAVITY)
        return
    yield fill_small_holes(close_gaps(mask, NARROW), MAX_CAVITY)
    likely = evidence.probs > LEAST_SHARE * evidence.level
    yield mask | (close_gaps(mask, WIDE) & likely)


def _to_place(
    evidence: Evidence, gap: NDArray[np.bool_], start: Index3, stop: Index3
) -> Iterator[DoubtfulPlace]:
    """Yield the hole of which `gap` is the inside, in the box from `start` to `stop`."""
    places = np.argwhere(gap)
    size = len(places)
    if size > MAX_VOXELS:
        return
    values = evidence.probs[box_slices((start, stop))][gap]
    typical = float(np.percentile(values, 25))
    chance = max(evidence.error_chance(typical), LEAST_CHANCE * min(1, SMALL_VOXELS / size))
    middle = places[((places - places.mean(axis=0)) ** 2).sum(axis=1).argmin()]
    yield DoubtfulPlace(
        "hole",
        to_index(middle + np.array(start)),
        to_index(places.min(axis=0) + start),
        to_index(places.max(axis=0) + 1 + start),
        size,
        to_weight(chance * (TOPOLOGY_VOXELS + size)),
        f"A hole of {size:,} voxels, most of it above {typical / FULL:.2f}.",
    )
