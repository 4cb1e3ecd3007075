"""Where the topology of a prediction is wrong: the features without a match.

The records agree with the counts of
:func:`~napari_surfseg.metrics.betti_matching.compute_topo_counts`: as many
``extra_*`` of a kind as the prediction has features less matches, as many
``missing_*`` as the labels have. Each record names a voxel at which the error can be seen:

components
    One that overlaps nothing of the other mask, or one of several that overlap
    the same component of it (all but the largest).
tunnels
    If the other mask closes the hole, voxels that only the other one has (a
    hole in a sheet); if not, voxels that only this one has and that close a ring
    around background both agree on (a bridge between sheets).
cavities
    A cavity that holds no matched one.

As in the counts, each octant of the volume is taken on its own and the last
component of a mask in it never counts: a false speck where an octant has no
other foreground is not listed.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from napari_surfseg.geometry import to_index
from napari_surfseg.metrics.betti_matching import (
    components_at,
    match_cavities,
    match_components,
    octants,
)
from napari_surfseg.metrics.betti_numbers import euler_characteristic
from napari_surfseg.metrics.dual_forest import build_dual_forest
from napari_surfseg.metrics.error_table import KINDS, TopologyError
from napari_surfseg.metrics.loops import find_loops, padded_strides
from napari_surfseg.metrics.masks import prepare_masks
from napari_surfseg.metrics.run_lengths import (
    Components,
    component_boxes,
    component_sizes,
    count_enclosed,
    enclosed_labels,
    label_components,
    paint_labels,
)
from napari_surfseg.metrics.tunnels import find_filling_squares

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from numpy.typing import NDArray

    from napari_surfseg.metrics.error_table import Cause, Kind

__all__ = ["KINDS", "TopologyError", "find_topology_errors", "paint_component_errors"]

_NEIGHBOURS = 26


# Cause, flat voxel of the octant, size, box of shape (2, 3) in the octant.
Record = tuple["Cause", int, int, "NDArray[np.int64]"]


def _middle_voxels(parts: Components) -> NDArray[np.int64]:
    """Choose a voxel of each component: the middle of the run halfway through its list."""
    order = np.argsort(parts.label, kind="stable")
    ends = np.cumsum(np.bincount(parts.label, minlength=parts.num))
    begins = np.append(0, ends[:-1])
    run = order[(begins + ends - 1) // 2]
    row = np.searchsorted(parts.row_start, run, side="right") - 1
    middle: NDArray[np.int64] = row * parts.shape[2] + (
        (parts.start[run].astype(np.int64) + parts.stop[run] - 1) // 2
    )
    return middle


def _lone_components(
    own: Components, union_parts: Components, other: NDArray[np.uint8], near: NDArray[np.bool_]
) -> Iterator[Record]:
    """List the components of one mask without a partner in the other."""
    where, sizes, boxes = _middle_voxels(own), component_sizes(own), component_boxes(own)
    inside = components_at(union_parts, where)
    members = paint_labels(union_parts).reshape(-1)
    shared = np.zeros(union_parts.num + 1, bool)
    shared[members[other.reshape(-1) > 0]] = True
    # Ascending sizes: the last one in each component of the union is its largest.
    order = np.argsort(sizes, kind="stable")
    largest = np.full(union_parts.num, -1, np.int64)
    largest[inside[order]] = order
    partner = (shared[1:] | near)[inside] & (largest[inside] == np.arange(own.num))
    if not partner.any():
        # One of a mask's components never counts; with nothing to match, the largest.
        partner[order[-1]] = True
    for i in np.flatnonzero(~partner):
        yield "", int(where[i]), int(sizes[i]), boxes[i]


def _lone_cavities(own: Components, matched: NDArray[np.int64]) -> Iterator[Record]:
    """List the cavities of one mask without a partner in the other."""
    lone = enclosed_labels(own)
    lone[components_at(own, matched)] = False
    where, sizes, boxes = _middle_voxels(own), component_sizes(own), component_boxes(own)
    for i in np.flatnonzero(lone):
        yield "", int(where[i]), int(sizes[i]), boxes[i]


class _Patches:
    """Patches of voxels that one mask has and the other does not, with their sizes."""

    def __init__(self, only: NDArray[np.uint8]) -> None:
        self.only = only
        parts = label_components(only, connectivity=_NEIGHBOURS)
        self.label = paint_labels(parts)
        self.sizes = np.append(0, component_sizes(parts))
        self.boxes = component_boxes(parts)

    def record(self, cause: Cause, voxels: NDArray[np.int64]) -> Record:
        """Describe a tunnel by the middle one of the given voxels that the mask has alone."""
        own = voxels[self.only.reshape(-1)[voxels] > 0]
        # A ring of voxels that both masks have only comes from rings being added up.
        voxel = int(own[own.size // 2] if own.size else voxels[voxels.size // 2])
        patch = int(self.label.reshape(-1)[voxel])
        if patch == 0:
            at = np.array(np.unravel_index(voxel, self.label.shape))
            return cause, voxel, 0, np.stack([at, at + 1])
        return cause, voxel, int(self.sizes[patch]), self.boxes[patch - 1]


class _Tunnels:
    """The tunnels of one mask: the squares that fill them and the loops around them."""

    def __init__(self, mask: NDArray[np.uint8], union: NDArray[np.uint8], num: int) -> None:
        depth, height, width = union.shape
        self.shape = (depth, height, width)
        self.strides = padded_strides(self.shape)
        self.loops = find_loops(mask)
        forest = build_dual_forest(union, mask)
        self.squares, self.around = find_filling_squares(forest, self.loops, num)
        # Where a square of the union closes the hole, the other mask fills it.
        here = forest.open_squares[self.squares // 3] >> (self.squares % 3)
        self.filled = here & 1 == 0

    def corners(self, i: int) -> NDArray[np.int64]:
        """List the four voxels of the square that fills tunnel `i`."""
        square = int(self.squares[i])
        steps = [s for axis, s in enumerate(self.strides) if axis != square % 3]
        return self._unpad(square // 3 + np.array([0, steps[0], steps[1], sum(steps)]))

    def ring(self, i: int) -> NDArray[np.int64]:
        """List voxels of a loop around tunnel `i`, in the order of the path."""
        chosen = self.loops.loop == self.around[i]
        return self._unpad(self.loops.voxel[chosen].astype(np.int64))

    def _unpad(self, voxel: NDArray[np.int64]) -> NDArray[np.int64]:
        _, height, width = self.shape
        z = voxel // self.strides[0] - 1
        y = voxel // self.strides[1] % (height + 2) - 1
        x = voxel % self.strides[1] - 1
        flat: NDArray[np.int64] = (z * height + y) * width + x
        return flat


def _lone_tunnels(
    tunnels: _Tunnels, matched: NDArray[np.int64], missing: _Patches, extra: _Patches
) -> Iterator[Record]:
    """List the tunnels of one mask without a partner in the other.

    `missing` are the voxels that the other mask has alone, `extra` those that
    this one has alone.
    """
    partner = np.isin(tunnels.squares, matched) & ~tunnels.filled
    for i in np.flatnonzero(~partner):
        if tunnels.filled[i]:
            yield missing.record("hole", tunnels.corners(int(i)))
        else:
            yield extra.record("bridge", tunnels.ring(int(i)))


def _find_in_octant(
    pred: NDArray[np.uint8], label: NDArray[np.uint8]
) -> Iterator[tuple[Kind, Record]]:
    union = pred | label
    union_parts = label_components(union, connectivity=6)
    if union_parts.num == 0:
        return
    _, near = match_components(pred, label, union_parts)
    masks = (pred, label)
    parts = [label_components(m, connectivity=6) for m in masks]
    outside = [label_components(m, connectivity=26, background=True) for m in masks]
    tunnels = [
        p.num + count_enclosed(o) - int(euler_characteristic(m)) if p.num else 0
        for m, p, o in zip(masks, parts, outside, strict=True)
    ]
    union_outside = label_components(union, connectivity=26, background=True)
    cavities = match_cavities(outside[0], outside[1], union_outside)
    sides: tuple[tuple[Kind, Kind, Kind], ...] = (
        ("extra_component", "extra_tunnel", "extra_cavity"),
        ("missing_component", "missing_tunnel", "missing_cavity"),
    )
    found = [
        _Tunnels(m, union, num) if num else None for m, num in zip(masks, tunnels, strict=True)
    ]
    pair = [t.squares[~t.filled] if t else np.empty(0, np.int64) for t in found]
    matched_squares = np.intersect1d(pair[0], pair[1], assume_unique=True)
    alone = [_Patches(pred & ~label), _Patches(label & ~pred)] if any(tunnels) else []
    for i, (component, tunnel, cavity) in enumerate(sides):
        if parts[i].num == 0:
            continue
        for record in _lone_components(parts[i], union_parts, masks[1 - i], near):
            yield component, record
        for record in _lone_cavities(outside[i], cavities):
            yield cavity, record
        own = found[i]
        if own is not None:
            for record in _lone_tunnels(own, matched_squares, alone[1 - i], alone[i]):
                yield tunnel, record


def find_topology_errors(
    pred: NDArray[Any],
    label: NDArray[Any],
    ignore_index: int | None = 2,
    *,
    in_octants: bool = True,
    progress: Callable[[float], None] | None = None,
) -> list[TopologyError]:
    """Find every feature of the prediction or the labels without a partner.

    Parameters
    ----------
    pred, label : array, shape (Z, Y, X)
        Any non-zero voxel is foreground.
    ignore_index : int or None
        Label value that is left out.
    in_octants : bool
        Look at each octant on its own, as the score does; otherwise at the whole volume.
    progress : callable, optional
        Called before each octant with the share of them that are done.

    Returns
    -------
    list of TopologyError
        Largest first; equal sizes in the order of their kind and place.

    Raises
    ------
    DataError
        If the two are not volumes of numbers of one shape.
    """
    pred_mask, label_mask = prepare_masks(pred, label, ignore_index=ignore_index)
    depth, height, width = pred_mask.shape
    errors = []
    whole = slice(0, depth), slice(0, height), slice(0, width)
    boxes = list(octants((depth, height, width))) if in_octants else [whole]
    for number, box in enumerate(boxes):
        if progress is not None:
            progress(number / len(boxes))
        inner = np.ascontiguousarray(pred_mask[box]), np.ascontiguousarray(label_mask[box])
        corner = np.array([part.start for part in box])
        for kind, (cause, voxel, size, around) in _find_in_octant(*inner):
            location = corner + np.unravel_index(voxel, inner[0].shape)
            start, stop = corner + around
            errors.append(
                TopologyError(
                    kind, cause, to_index(location), size, to_index(start), to_index(stop)
                )
            )
    errors.sort(key=lambda e: (-e.size, KINDS.index(e.kind), e.location))
    return errors


def paint_component_errors(
    errors: Sequence[TopologyError],
    pred: NDArray[Any],
    label: NDArray[Any],
    ignore_index: int | None = 2,
) -> NDArray[np.int32]:
    """Make a label volume of the extra and missing components.

    Parameters
    ----------
    errors : sequence of TopologyError
        As found for the same volumes; other kinds are passed over.
    pred, label : array, shape (Z, Y, X)
    ignore_index : int or None

    Returns
    -------
    int32 array, shape (Z, Y, X)
        ``i + 1`` where the component of ``errors[i]`` is, 0 elsewhere. Where an
        extra and a missing one meet, the missing one shows.
    """
    masks = prepare_masks(pred, label, ignore_index=ignore_index)
    out = np.zeros(masks[0].shape, np.int32)
    depth, height, width = masks[0].shape
    for kind, mask in zip(("extra_component", "missing_component"), masks, strict=True):
        numbered = [(i + 1, e.location) for i, e in enumerate(errors) if e.kind == kind]
        for box in octants((depth, height, width)):
            here = [
                (i, tuple(c - s.start for c, s in zip(at, box, strict=True)))
                for i, at in numbered
                if all(s.start <= c < s.stop for c, s in zip(at, box, strict=True))
            ]
            if not here:
                continue
            parts = label_components(np.ascontiguousarray(mask[box]), connectivity=6)
            painted = paint_labels(parts)
            value = np.zeros(parts.num + 1, np.int32)
            for i, at in here:
                value[painted[at]] = i
            chosen = value[painted]
            np.copyto(out[box], chosen, where=chosen > 0)
    return out
