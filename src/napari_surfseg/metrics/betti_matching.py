"""Betti matching of two masks: which topological features lie in the same place.

Stucki et al., "Topologically faithful image segmentation via induced matching
of persistence barcodes", 2023, for masks: foreground has value 0, background 1,
voxels are vertices of a cubical complex, a cell has the largest value of its
voxels, and cells of equal value follow in the order of their lowest voxel
(Z, Y, X, C order), then of their kind (normal or edge along Z, Y, X). That is the order
of the public library, and it decides some matches, so the counts agree with it.

A feature is a component, tunnel or cavity of a mask that is gone once all the
background is added; the last component never goes. A feature of one mask
matches one of the other when both are carried into the same feature of the
union. For masks that boils down to:

components
    Join the components of the union along background edges, in order. A join
    is a match when both sides hold voxels of both masks.
cavities
    A cavity of the intersection of the two backgrounds is a match when its last
    voxel is the last among those in the same cavity of the prediction, and in
    the same cavity of the labels.
tunnels
    A square outside the union is a match when a tunnel of the prediction and a
    tunnel of the labels die there (:mod:`~napari_surfseg.metrics.tunnels`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from napari_surfseg.compiling import compiled
from napari_surfseg.metrics.betti_numbers import BettiNumbers, euler_characteristic
from napari_surfseg.metrics.dual_forest import build_dual_forest
from napari_surfseg.metrics.loops import find_loops, padded_strides
from napari_surfseg.metrics.run_lengths import (
    Components,
    component_sizes,
    count_enclosed,
    enclosed_labels,
    label_components,
    paint_labels,
)
from napari_surfseg.metrics.tunnels import find_filling_squares

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from numpy.typing import NDArray

    from napari_surfseg.geometry import Size3, Slices3

__all__ = [
    "components_at",
    "compute_topo_counts",
    "compute_topo_score",
    "match_cavities",
    "match_components",
    "match_features",
    "octants",
]

#: Weights of components, tunnels and cavities in the topology score (the challenge's).
WEIGHTS = (0.34, 0.33, 0.33)


@compiled
def _count_joins(
    parent: NDArray[np.int32],
    flags: NDArray[np.uint8],
    largest: NDArray[np.int32],
    sizes: NDArray[np.int64],
    near: NDArray[np.bool_],
    union: NDArray[np.uint8],
    strides: tuple[int, int, int],
) -> int:
    """Join over the edges outside the union, in order; count joins of two full sets.

    `flags` says of each set which masks have voxels in it (1, 2 or 3 for both),
    `largest` its largest component of the union by `sizes`; `union` is 2 in the
    padding. Where a set of one mask only meets a set of the other only, the
    largest component of each is flagged in `near`.
    """
    matched = 0
    for v in range(union.size):
        if union[v] == 2:
            continue
        for axis in range(3):
            w = v + strides[axis]
            if union[w] == 2 or union[v] & union[w]:
                continue
            a = np.int64(v)
            while parent[a] != a:
                parent[a] = parent[parent[a]]
                a = np.int64(parent[a])
            b = np.int64(w)
            while parent[b] != b:
                parent[b] = parent[parent[b]]
                b = np.int64(parent[b])
            if a == b:
                continue
            if a > b:
                a, b = b, a
            parent[b] = a
            if flags[b] == 0:
                continue
            if flags[a] == 0:
                largest[a] = largest[b]
            else:
                if flags[a] & flags[b] == 3:
                    matched += 1
                elif flags[a] + flags[b] == 3:
                    near[largest[a]] = True
                    near[largest[b]] = True
                if sizes[largest[b]] > sizes[largest[a]]:
                    largest[a] = largest[b]
            flags[a] |= flags[b]
    return matched


def match_components(
    pred: NDArray[np.uint8], label: NDArray[np.uint8], union_parts: Components
) -> tuple[int, NDArray[np.bool_]]:
    """Count the components of two masks that match.

    Parameters
    ----------
    pred, label : uint8 array, shape (Z, Y, X)
        0 and 1.
    union_parts : Components
        6-connected components of their union.

    Returns
    -------
    matched : int
        Number of matches; the last component is never one.
    near : bool array
        Components of the union in one mask only that were paired because they
        are each other's neighbours, not because they overlap.
    """
    depth, height, width = union_parts.shape
    members = paint_labels(union_parts)
    padded = np.pad((members > 0).astype(np.uint8), 1, constant_values=2)
    # One set a component, named by its first voxel, and one a background voxel.
    parent = np.arange(padded.size, dtype=np.int32).reshape(padded.shape)
    where = parent[1:-1, 1:-1, 1:-1]
    run = _first_runs(union_parts)
    row = np.searchsorted(union_parts.row_start, run, side="right") - 1
    root = where[row // height, row % height, union_parts.start[run]]
    where[...] = np.where(members > 0, np.append(np.int32(0), root)[members], where)
    flags = np.zeros(padded.size, np.uint8)
    flags[where[pred > 0]] = 1
    flags[where[label > 0]] |= 2
    largest = np.zeros(padded.size, np.int32)
    largest[root] = np.arange(union_parts.num, dtype=np.int32)
    near = np.zeros(union_parts.num, bool)
    matched = _count_joins(
        parent.reshape(-1),
        flags,
        largest,
        component_sizes(union_parts),
        near,
        padded.reshape(-1),
        padded_strides((depth, height, width)),
    )
    return int(matched), near


def _first_runs(components: Components) -> NDArray[np.int64]:
    """Find, for each component, the index of its first run."""
    first = np.zeros(components.num, np.int64)
    first[components.label[::-1]] = np.arange(components.label.size)[::-1]
    return first


def _last_runs(components: Components) -> NDArray[np.int64]:
    """Find, for each component, the index of its last run."""
    last = np.zeros(components.num, np.int64)
    last[components.label] = np.arange(components.label.size)
    return last


def components_at(components: Components, voxel: NDArray[np.int64]) -> NDArray[np.int32]:
    """Look up the components of voxels that lie in some."""
    width = components.shape[2]
    counts = np.diff(components.row_start)
    begin = np.repeat(np.arange(counts.size) * width, counts) + components.start
    found: NDArray[np.int32] = components.label[np.searchsorted(begin, voxel, side="right") - 1]
    return found


def match_cavities(
    pred_outside: Components, label_outside: Components, union_outside: Components
) -> NDArray[np.int64]:
    """Find the last voxels of the cavities of the union that are matches.

    Parameters
    ----------
    pred_outside, label_outside, union_outside : Components
        26-connected background of each mask.

    Returns
    -------
    int64 array
        Flat voxel indices, one a match.
    """
    inside = enclosed_labels(union_outside)
    run = _last_runs(union_outside)[inside]
    row = np.searchsorted(union_outside.row_start, run, side="right") - 1
    voxel = np.sort(row * union_outside.shape[2] + union_outside.stop[run] - 1)
    keep = np.ones(voxel.size, bool)
    for outside in (pred_outside, label_outside):
        cavity = components_at(outside, voxel)
        last = np.full(outside.num, -1, np.int64)
        last[cavity] = np.arange(voxel.size)  # ascending voxels: the last one stays
        keep &= (last[cavity] == np.arange(voxel.size)) & enclosed_labels(outside)[cavity]
    matched: NDArray[np.int64] = voxel[keep]
    return matched


def match_features(pred: NDArray[np.uint8], label: NDArray[np.uint8]) -> NDArray[np.int64]:
    """Count the features of two masks in one box, and those that match.

    Parameters
    ----------
    pred, label : uint8 array, shape (Z, Y, X)
        0 and 1, C-ordered.

    Returns
    -------
    int64 array, shape (3, 3)
        Rows: components (all but one), tunnels, cavities. Columns: matched, in
        the prediction, in the labels.
    """
    counts = np.zeros((3, 3), np.int64)
    outside = []
    for column, mask in ((1, pred), (2, label)):
        parts = label_components(mask, connectivity=6)
        outside.append(label_components(mask, connectivity=26, background=True))
        if parts.num == 0:
            continue
        cavities = count_enclosed(outside[-1])
        betti = BettiNumbers(
            parts.num, parts.num + cavities - int(euler_characteristic(mask)), cavities
        )
        counts[:, column] = betti.b0 - 1, betti.b1, betti.b2
    both = counts[:, 1:].min(axis=1) > 0
    if not both.any():
        return counts
    union = pred | label
    if both[0]:
        counts[0, 0], _ = match_components(pred, label, label_components(union, connectivity=6))
    if both[1]:
        forest = build_dual_forest(union)
        # The labels first: they have fewer tunnels, and none that survives ends the search.
        squares, _ = find_filling_squares(forest, find_loops(label), int(counts[1, 2]))
        if squares.size:
            others, _ = find_filling_squares(forest, find_loops(pred), int(counts[1, 1]))
            counts[1, 0] = np.intersect1d(squares, others, assume_unique=True).size
    if both[2]:
        union_outside = label_components(union, connectivity=26, background=True)
        counts[2, 0] = match_cavities(outside[0], outside[1], union_outside).size
    return counts


def octants(shape: Size3) -> Iterator[Slices3]:
    """Cut a volume into 2x2x2 boxes, the first of each axis larger by one where uneven.

    Boxes without voxels (an axis of length 1) are left out.
    """
    halves = [
        [s for s in (slice(0, (n + 1) // 2), slice((n + 1) // 2, n)) if s.stop > s.start]
        for n in shape
    ]
    for z in halves[0]:
        for y in halves[1]:
            for x in halves[2]:
                yield z, y, x


def compute_topo_counts(
    pred: NDArray[np.uint8],
    label: NDArray[np.uint8],
    progress: Callable[[float], None] | None = None,
) -> NDArray[np.int64]:
    """Add up the matched, predicted and labelled features of all octants.

    Parameters
    ----------
    pred, label : uint8 array, shape (Z, Y, X)
        0 and 1 (:func:`~napari_surfseg.metrics.masks.prepare_masks`).
    progress : callable, optional
        Called before each octant with the share of them that are done.

    Returns
    -------
    int64 array, shape (3, 3)
        Rows: components, tunnels, cavities. Columns: matched, in the
        prediction, in the labels.
    """
    counts = np.zeros((3, 3), np.int64)
    depth, height, width = pred.shape
    boxes = list(octants((depth, height, width)))
    for number, box in enumerate(boxes):
        if progress is not None:
            progress(number / len(boxes))
        counts += match_features(np.ascontiguousarray(pred[box]), np.ascontiguousarray(label[box]))
    return counts


def compute_topo_score(counts: NDArray[np.int64]) -> float:
    """Turn the counts of :func:`compute_topo_counts` into the challenge's topology score.

    Parameters
    ----------
    counts : int array, shape (3, 3)

    Returns
    -------
    float
        Mean of the F1 of components, tunnels and cavities, weighted 0.34, 0.33
        and 0.33 over those that occur at all; 1 if none does.
    """
    total = weight_sum = 0.0
    for (matched, pred, label), weight in zip(counts.tolist(), WEIGHTS, strict=True):
        if pred + label == 0:
            continue
        f1 = 0.5 / (pred + 0.5) if label == 0 else 2.0 * matched / (pred + label)
        total += weight * f1
        weight_sum += weight
    return 1.0 if weight_sum == 0 else total / weight_sum
