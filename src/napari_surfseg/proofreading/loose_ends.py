"""Loose ends: rims of a sheet inside the region, and rims that point at one another.

A sheet that was torn by the prediction ends twice, and the two rims look at each other. A rim
with surface as likely as not beyond it is where the sheet probably goes on. Rims at the border
of the region are no news.

At a voxel in the middle of a sheet the sheet lies on all sides, and the centre of what is near
is the voxel itself; at a rim it lies a good way inwards.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from scipy import ndimage
from scipy.spatial import cKDTree

from napari_surfseg.geometry import to_index
from napari_surfseg.proofreading.places import DoubtfulPlace
from napari_surfseg.proofreading.ranking import to_weight
from napari_surfseg.surfaces.medial import compute_medial_surface

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    from napari_surfseg.proofreading.evidence import Evidence

__all__ = ["find_loose_ends"]

#: Radius within which the sheet around a voxel is looked at, in finest voxels.
RADIUS = 4.0
#: A straight rim has the centre of its sheet 0.42 radii away.
LEAST_OFFSET = 0.3
#: Rims farther apart are no tear, in finest voxels.
MAX_GAP = 12.0
#: Cosine between a rim's outward direction and the way to the other rim.
FACING = 0.75
#: Rims of one tear: one place for so many finest voxels along it.
ALONG = 6.0
#: Around a sheet's middle no larger share of the voxels is surface.
MOST_FILLED = 0.6
#: How far beyond a rim the sheet is looked for, in finest voxels.
BEYOND = 5.0
#: Expected change of a tear, per voxel of its width, and of the topology.
TOPOLOGY_VOXELS = 10.0
#: Two rims that face each other are doubtful even where the network sees nothing between them.
LEAST_CHANCE = 0.2


class _Rims(NamedTuple):
    at: NDArray[np.float64]  #: in finest voxels
    outward: NDArray[np.float64]  #: unit vectors


def find_loose_ends(evidence: Evidence) -> Iterator[DoubtfulPlace]:
    """Find tears, and rims beyond which the surface seems to go on.

    Parameters
    ----------
    evidence : Evidence
        The region.
    """
    rims = _find_rims(evidence)
    if not len(rims.at):
        return
    taken = np.zeros(len(rims.at), bool)
    pairs = cKDTree(rims.at).query_pairs(MAX_GAP, output_type="ndarray")
    if len(pairs):
        way = rims.at[pairs[:, 1]] - rims.at[pairs[:, 0]]
        gap = np.linalg.norm(way, axis=1)
        way /= np.maximum(gap, 1e-9)[:, None]
        facing = (way * rims.outward[pairs[:, 0]]).sum(axis=1) > FACING
        facing &= (way * rims.outward[pairs[:, 1]]).sum(axis=1) < -FACING
        facing &= gap > 1.5
        order = np.flatnonzero(facing)[np.argsort(gap[facing], kind="stable")]
        done: list[NDArray[np.float64]] = []
        for i in order:
            a, b = (rims.at[j] for j in pairs[i])
            middle = (a + b) / 2
            if done and (((np.array(done) - middle) ** 2).sum(axis=1) < ALONG**2).any():
                continue
            values = _along(evidence, a, b)
            if values.min() > evidence.level:
                continue  # something lies between them: not a gap
            done.append(middle)
            taken |= ((rims.at - middle) ** 2).sum(axis=1) < (ALONG + gap[i] / 2) ** 2
            yield _to_tear(evidence, a, b, float(values.min()))
    yield from _find_continuations(evidence, rims, taken)


def _find_rims(evidence: Evidence) -> _Rims:
    medial = compute_medial_surface(evidence.mask, evidence.spacing)
    none = _Rims(np.empty((0, 3)), np.empty((0, 3)))
    if not medial.any():
        return none
    steps = evidence.steps(RADIUS)
    near = [np.arange(-n, n + 1) for n in steps]
    weight = medial.astype(np.float32)
    count = weight
    for axis, places in enumerate(near):
        count = ndimage.correlate1d(count, np.ones(len(places)), axis, mode="constant")
    offset = []
    for along in range(3):
        moment = weight
        for axis, places in enumerate(near):
            kernel = places * evidence.spacing[axis] if axis == along else np.ones(len(places))
            moment = ndimage.correlate1d(moment, kernel, axis, mode="constant")
        offset.append(moment)
    at = np.argwhere(medial)
    shape = np.array(medial.shape)
    # What is solid has no rim: of a sheet, less than half of what is near is surface.
    filled = evidence.mask.astype(np.float32)
    filled = ndimage.uniform_filter(filled, [2 * n + 1 for n in steps], mode="nearest")
    at = at[filled[tuple(at.T)] < MOST_FILLED]
    inner = ((at >= np.array(steps)) & (at < shape - np.array(steps))).all(axis=1)
    at = at[inner]
    if not len(at):
        return none
    here = tuple(at.T)
    vector = np.stack([o[here] for o in offset], axis=1) / np.maximum(count[here], 1)[:, None]
    length = np.linalg.norm(vector, axis=1)
    # A whole half disc, not a crumb: its own size is the small piece's business.
    rim = (length > LEAST_OFFSET * RADIUS) & (count[here] > RADIUS**2 / 2)
    at, vector, length = at[rim], vector[rim], length[rim]
    return _Rims(at * np.array(evidence.spacing), -vector / length[:, None])


def _along(
    evidence: Evidence, start: NDArray[np.float64], stop: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Probabilities on the straight way between two points, both in finest voxels."""
    num = max(3, round(2 * float(np.linalg.norm(stop - start))) + 1)
    points = start + np.linspace(0, 1, num)[:, None] * (stop - start)
    voxels = np.rint(points / np.array(evidence.spacing)).astype(int)
    voxels = np.clip(voxels, 0, np.array(evidence.probs.shape) - 1)
    found: NDArray[np.float64] = evidence.probs[tuple(voxels.T)].astype(float)
    return found


def _find_continuations(
    evidence: Evidence, rims: _Rims, taken: NDArray[np.bool_]
) -> Iterator[DoubtfulPlace]:
    """Yield rims beyond which there are probabilities of surface just below the threshold."""
    free = np.flatnonzero(~taken)
    ahead = [
        _along(evidence, rims.at[i] + 2 * rims.outward[i], rims.at[i] + BEYOND * rims.outward[i])
        for i in free
    ]
    promise = np.array([min(float(v.mean()), evidence.level) for v in ahead])
    done: list[NDArray[np.float64]] = []
    for j in np.argsort(-promise, kind="stable"):
        chance = evidence.error_chance(promise[j])
        if chance < LEAST_CHANCE / 2:
            break
        at = rims.at[free[j]]
        if done and (((np.array(done) - at) ** 2).sum(axis=1) < ALONG**2).any():
            continue
        done.append(at)
        end = at + BEYOND * rims.outward[free[j]]
        box, size = _box_between(evidence, at, end)
        yield DoubtfulPlace(
            "loose end",
            _voxel(evidence, at),
            *box,
            size,
            to_weight(chance * (size + TOPOLOGY_VOXELS / 2)),
            "A sheet ends here although more of it seems to lie beyond.",
        )


def _to_tear(
    evidence: Evidence, a: NDArray[np.float64], b: NDArray[np.float64], lowest: float
) -> DoubtfulPlace:
    gap = float(np.linalg.norm(b - a))
    box, size = _box_between(evidence, a, b)
    chance = max(evidence.error_chance(lowest), LEAST_CHANCE * (1 - gap / (2 * MAX_GAP)))
    return DoubtfulPlace(
        "loose end",
        _voxel(evidence, (a + b) / 2),
        *box,
        size,
        to_weight(chance * (size + TOPOLOGY_VOXELS)),
        f"Two rims face each other across {gap:.0f} voxels.",
    )


def _voxel(evidence: Evidence, at: NDArray[np.float64]) -> tuple[int, int, int]:
    voxel = np.rint(at / np.array(evidence.spacing)).astype(int)
    return to_index(np.clip(voxel, 0, np.array(evidence.probs.shape) - 1))


def _box_between(
    evidence: Evidence, a: NDArray[np.float64], b: NDArray[np.float64]
) -> tuple[tuple[tuple[int, int, int], tuple[int, int, int]], int]:
    """Give the box of two points with a margin, and the voxels of a sheet across it."""
    first, last = _voxel(evidence, np.minimum(a, b)), _voxel(evidence, np.maximum(a, b))
    margin = evidence.steps(2.0)
    shape = evidence.probs.shape
    start = to_index(max(0, p - m) for p, m in zip(first, margin, strict=True))
    stop = to_index(min(n, p + m + 1) for p, m, n in zip(last, margin, shape, strict=True))
    # The gap's width times what one place stands for along it, two voxels thick.
    return (start, stop), max(1, round(float(np.linalg.norm(b - a)) * ALONG * 2))
