"""Where two touching sheets are cut apart: between what grows back from either side.

::

    ═══════╦═══════      the box of the place is taken out     ═══════ ═══════
           ║             what is left falls apart                         (A)
    ═══════╩═══════      both sides grow back into the box     ═══════════════  (B)

Where they meet again, the fewest voxels are removed that keep them apart.
"""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING

import numpy as np
from scipy import ndimage

from napari_surfseg.geometry import box_slices, grow_box
from napari_surfseg.proofreading.patches import CORNERS, count_features

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from napari_surfseg.geometry import Box
    from napari_surfseg.proofreading.edit import Crop

__all__ = ["find_cut"]

#: How far around the place its surroundings count (voxels): what is joined further away, by a
#: second bridge for example, must not hide that this one joins two sheets.
SURROUNDINGS = (3, 5, 8, 12)
#: How much of the place's surroundings is taken out to see what falls apart (voxels).
TAKEN_OUT = (0, 1, 2)
#: Smaller leftovers are no side.
MIN_SIDE = 6
#: Half of all directions to a neighbour, each pair once.
STEPS = [step for step in itertools.product((-1, 0, 1), repeat=3) if step > (0, 0, 0)]
#: A voxel's weight in a cut, and how much its probability adds: fewer voxels always win.
VOXEL_WEIGHT, PROBABILITY_WEIGHT = 1_000, 10


def find_cut(
    crop: Crop, probs: NDArray[np.float32] | None
) -> tuple[NDArray[np.bool_] | None, bool]:
    """Find the voxels whose removal cuts the sheets at a place apart.

    Parameters
    ----------
    crop : Crop
        With a margin around the place.
    probs : array, optional
        Of the crop, 0 to 1; cuts go where they are low.

    Returns
    -------
    (bool array or None, bool)
        The voxels; and, where there are none, whether there was a cut that would have torn a sheet.
    """
    tears = False
    for around, margin in itertools.product(SURROUNDINGS, TAKEN_OUT):
        box = grow_box(crop.core, around + margin, crop.bounds)
        taken = crop.near(margin) & crop.mask
        cut = _cut_in_box(crop, box, taken, probs)
        if cut is None:
            continue
        mask = crop.mask[box_slices(box)]
        before, after = count_features(mask), count_features(mask & ~cut[box_slices(box)])
        if after.tunnels <= before.tunnels and after.cavities <= before.cavities:
            return cut, False
        tears = True
    return None, tears


def _cut_in_box(
    crop: Crop, box: Box, taken: NDArray[np.bool_], probs: NDArray[np.float32] | None
) -> NDArray[np.bool_] | None:
    from skimage.segmentation import watershed

    inside = box_slices(box)
    mask, taken = crop.mask[inside], taken[inside]
    if not taken.any():
        return None
    sides, _ = ndimage.label(mask & ~taken, CORNERS)
    sizes = np.bincount(sides.ravel())
    touching = np.unique(sides[ndimage.binary_dilation(taken, CORNERS)])
    kept = [side for side in touching if side > 0 and sizes[side] >= MIN_SIDE]
    if len(kept) < 2:
        return None
    markers = np.where(np.isin(sides, kept), sides, 0)
    # In steps of an eighth: within one, both sides grow at the same speed.
    ground = np.zeros(mask.shape) if probs is None else np.floor(8 * (1 - probs[inside]))
    # First over faces only: where two sheets lie on each other, each then grows along itself
    # before it grows into the other one.
    grown = watershed(ground, markers, connectivity=1, mask=mask)
    grown = watershed(ground, grown, connectivity=CORNERS, mask=mask)
    weights = np.full(mask.shape, VOXEL_WEIGHT, np.int32)
    if probs is not None:
        weights += (PROBABILITY_WEIGHT * probs[inside]).astype(np.int32)
    cut = np.zeros(crop.mask.shape, bool)
    left = grown.copy()
    for side in kept[:-1]:
        found = _separate(left == side, (left > 0) & (left != side), weights)
        left[found | (left == side)] = 0
        cut[inside] |= found
    return cut if cut.any() else None


def _separate(
    one: NDArray[np.bool_], other: NDArray[np.bool_], weights: NDArray[np.int32]
) -> NDArray[np.bool_]:
    """Find the lightest set of voxels without which no voxel of one side touches the other.

    A vertex cover of the pairs that touch; in a graph of two sides it is a smallest cut.
    """
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import breadth_first_order, maximum_flow

    numbers = np.arange(one.size).reshape(one.shape)
    pairs = []
    for step in STEPS:
        here = tuple(slice(max(-s, 0), min(-s, 0) or None) for s in step)
        there = tuple(slice(max(s, 0), min(s, 0) or None) for s in step)
        for first, second in ((here, there), (there, here)):
            meet = one[first] & other[second]
            pairs.append(np.stack([numbers[first][meet], numbers[second][meet]]))
    touching = np.concatenate(pairs, axis=1)
    result = np.zeros(one.shape, bool)
    if not touching.size:
        return result
    voxels, nodes = np.unique(touching, return_inverse=True)
    nodes = nodes.reshape(touching.shape)
    source, sink = len(voxels), len(voxels) + 1
    firsts, seconds = np.unique(nodes[0]), np.unique(nodes[1])
    weight = weights.ravel()[voxels]
    never = int(weight.sum()) + 1
    rows = np.concatenate([np.full(len(firsts), source), nodes[0], seconds])
    columns = np.concatenate([firsts, nodes[1], np.full(len(seconds), sink)])
    capacity = np.concatenate([weight[firsts], np.full(len(nodes[0]), never), weight[seconds]])
    graph = coo_array((capacity.astype(np.int32), (rows, columns)), (sink + 1, sink + 1)).tocsr()
    left = graph - maximum_flow(graph, source, sink).flow
    left.data[left.data < 0] = 0
    left.eliminate_zeros()
    reached = np.zeros(sink + 1, bool)
    reached[breadth_first_order(left, source, return_predecessors=False)] = True
    cover = np.concatenate([firsts[~reached[firsts]], seconds[reached[seconds]]])
    result.ravel()[voxels[cover]] = True
    return result
