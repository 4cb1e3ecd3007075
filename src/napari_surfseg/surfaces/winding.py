"""The order of sheets: turns of a roll from its core outward, or layers of a stack.

A *turn* of a roll begins and ends at a half-plane from its axis. With the angle ``theta`` around
the axis from there, ``turn + hand * theta / (2 pi)`` grows evenly along the sheet of a spiral;
``hand`` is 1 or -1, and 0 for closed tubes, one within the other.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from scipy import sparse
from scipy.sparse import csgraph

from napari_surfseg.cancelling import raise_if_stopped
from napari_surfseg.geometry import in_finest_voxels
from napari_surfseg.surfaces.roll_axis import TURN, find_axis, require_axis
from napari_surfseg.surfaces.sheet_fields import compute_normals
from napari_surfseg.surfaces.sheet_fragments import cut_fragments, find_links
from napari_surfseg.surfaces.sheet_layers import settle_layers
from napari_surfseg.surfaces.sheet_mesh import estimate_thickness

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from napari_surfseg.geometry import Spacing3
    from napari_surfseg.surfaces.roll_axis import Axis
    from napari_surfseg.surfaces.sheet_fragments import Fragments, Links

__all__ = ["Layers", "Winding", "number_outward", "order_sheets", "weigh_layers"]

#: Contacts within one label count in full, between two this much: they are one sheet that was cut,
#: or two that touch.
BETWEEN = 0.25
#: Where fragments are turned the same way, a link in one plane of more than this counts so many
#: times more: a whole side of a tube above the other must not outweigh the seam between them.
SURE, IN_PLANE = 0.5, 1000.0


@dataclass(frozen=True)
class Layers:
    """Layers of fragments.

    Attributes
    ----------
    clusters, layers : int64 arrays, shape (M,)
        Layers within one cluster can be compared; they grow outward from the axis, or along the
        normals where there is none.
    one : bool array, shape (K,)
        Which links join fragments of one layer that continue each other.
    hand : int
        Of a spiral; 0 of a stack.
    """

    clusters: NDArray[np.int64]
    layers: NDArray[np.int64]
    one: NDArray[np.bool_]
    hand: int


@dataclass(frozen=True)
class Winding:
    """Sheets in their order.

    Attributes
    ----------
    labels : int32 array, shape (Z, Y, X)
        1, 2, ... from the core outward; 0 where there is no sheet.
    axis : Axis or None
        That of the roll; None of a stack.
    hand : int
        How a spiral winds; 0 for closed tubes and stacks.
    spacing : tuple of float
        Voxel size.
    """

    labels: NDArray[np.int32]
    axis: Axis | None
    hand: int
    spacing: Spacing3

    def compute_turns(self) -> NDArray[np.float32]:
        """Return the winding number: it grows evenly along a spiral, by 1 a turn; NaN elsewhere."""
        places = np.argwhere(self.labels > 0)
        where = tuple(places.T)
        turns = np.full(self.labels.shape, np.nan, np.float32)
        turns[where] = self.labels[where]
        if self.axis is not None and self.hand:
            turns[where] += self.hand * self.axis.find_angles(places, self.spacing) / TURN
        return turns


def order_sheets(
    labels: NDArray[Any],
    spacing: Spacing3 = (1.0, 1.0, 1.0),
    *,
    kind: str = "auto",
    axis: Axis | None = None,
    min_voxels: int = 100,
    report: Callable[[str, float], None] = lambda _stage, _share: None,
) -> Winding:
    """Give sheets numbers in their order: turns of a roll outward, or layers of a stack.

    A label that winds more than once is cut into its turns, and labels that lie in one turn, or
    side by side in one layer, get one number.

    Parameters
    ----------
    labels : integer array, shape (Z, Y, X)
        A number for each sheet, or a mask of sheets that do not touch; 0 is none.
    spacing : tuple of float
        Voxel size along Z, Y, X, in one unit.
    kind : str
        ``roll``, ``stack``, or ``auto``: a roll where an axis is found within the volume.
    axis : Axis, optional
        That of the roll.
    min_voxels : int
        Smaller turns or layers are left out.
    report : callable
        Called with the stage and its share, 0 to 1.

    Returns
    -------
    Winding
        With the labels in order. A stack is numbered along the coordinate that its normals are
        nearest to, upward. What cannot be compared with the rest comes last.

    Raises
    ------
    LabelError
        If a roll is wanted and the sheets show no axis.
    """
    size = in_finest_voxels(spacing)
    mask = (labels != 0).astype(np.uint8)
    places = np.argwhere(mask).astype(np.int32)
    ordered = np.zeros(labels.shape, np.int32)
    if not len(places):
        return Winding(ordered, axis, 0, spacing)
    report("finding normals", 0.0)
    thickness = max(1.0, estimate_thickness(mask, 0.5, size))
    normals = compute_normals(mask, places, size, max(1.5, 0.75 * thickness))
    groups = np.unique(labels[tuple(places.T)], return_inverse=True)[1].astype(np.int32)
    report("finding fragments", 0.4)
    if axis is None and kind == "roll":
        axis = require_axis(places, normals, size, "kind")
    elif axis is None and kind == "auto":
        axis = find_axis(places, normals, size)
        axis = axis if axis is not None and axis.is_within(labels.shape) else None
    sides = np.int32(0) if axis is None else axis.find_sides(places, size)
    fragments = cut_fragments(places, normals, size, thickness, groups * 2 + sides)
    raise_if_stopped()
    furthest = measure_diagonal(labels.shape, size)
    links = find_links(fragments, labels.shape, size, thickness, furthest)
    group = np.zeros(len(fragments), np.int32)
    group[fragments.of_voxel] = groups
    between = (links.steps == 0) & (group[links.pairs[:, 0]] != group[links.pairs[:, 1]])
    links.weights[between] *= BETWEEN
    report("ordering", 0.6)
    layers = weigh_layers(fragments, links, size, axis)
    numbers = number_outward(fragments, layers)[fragments.of_voxel]
    counts = np.bincount(numbers)
    kept = np.flatnonzero((counts >= min_voxels) & (np.arange(len(counts)) > 0))
    table = np.zeros(len(counts), np.int32)
    table[kept] = np.arange(1, len(kept) + 1)
    ordered[tuple(places.T)] = table[numbers]
    return Winding(ordered, axis, layers.hand, spacing)


def measure_diagonal(shape: tuple[int, ...], size: Spacing3) -> float:
    """Return the length of the diagonal of a volume."""
    return float(np.linalg.norm(np.asarray(shape) * size))


def weigh_layers(fragments: Fragments, links: Links, size: Spacing3, axis: Axis | None) -> Layers:
    """Find the layers of fragments.

    Parameters
    ----------
    fragments, links
        As they were found.
    size : tuple of float
        Voxel size, the finest being 1.
    axis : Axis, optional
        Of a roll. How it winds is tried: as a spiral of either hand, and as closed tubes; what
        agrees with most links is kept.
    """
    signs = turn_alike(fragments, links)
    first, second = links.pairs.T
    alike = (fragments.axes[first] * fragments.axes[second]).sum(1) * signs[first] * signs[second]
    # What faces the other way is the same sheet on its way back.
    kept = (links.steps == 0) | (alike > 0)
    pairs, weights = links.pairs[kept], links.weights[kept]
    out = _find_outward(fragments, axis, size, signs)
    signs = signs * _turn_pieces(out * fragments.sizes, pairs)
    steps = links.steps[kept] * signs[pairs[:, 0]]
    crossing = np.zeros(len(pairs), np.int64)
    if axis is not None:
        angles = axis.find_angles(fragments.centres / np.asarray(size), size)
        crossing = -np.rint((angles[pairs[:, 1]] - angles[pairs[:, 0]]) / TURN).astype(np.int64)
    best, most = None, -1.0
    for hand in (0, 1, -1) if crossing.any() else (0,):
        wanted = steps + hand * crossing
        clusters, layers = settle_layers(len(fragments), pairs, wanted, weights)
        first, second = pairs.T
        right = clusters[first] == clusters[second]
        right &= layers[second] - layers[first] == wanted
        agreeing = float(weights[right].sum())
        if agreeing > most:
            one = np.zeros(len(links.pairs), bool)
            one[kept] = right & (links.steps[kept] == 0) & (layers[first] == layers[second])
            best, most = Layers(clusters, layers, one, hand), agreeing
    assert best is not None  # noqa: S101
    return best


def turn_alike(fragments: Fragments, links: Links) -> NDArray[np.int64]:
    """Return 1 or -1 for each fragment: turned so, the axes of those linked point the same way.

    What continues a fragment counts more than what lies above it: the two sides of a tube, one
    above the other, face different ways.
    """
    first, second = links.pairs.T
    cosine = (fragments.axes[first] * fragments.axes[second]).sum(1)
    is_sure = (links.steps == 0) & (links.weights > SURE)
    strength = links.weights * np.abs(cosine) * np.where(is_sure, IN_PLANE, 1.0)
    against = (cosine < 0).astype(np.int64)
    sides = settle_layers(len(fragments), links.pairs, against, strength, modulus=2)[1]
    return 1 - 2 * np.mod(sides, 2)


def _find_outward(
    fragments: Fragments, axis: Axis | None, size: Spacing3, signs: NDArray[np.int64]
) -> NDArray[np.float64]:
    """Cosine of each fragment's turned axis to the way out, or to that of a stack."""
    if axis is None:
        mean = (fragments.axes**2 * fragments.sizes[:, None]).sum(0)
        return np.asarray(fragments.axes[:, int(np.argmax(mean))] * signs, np.float64)
    out = axis.measure(fragments.centres / np.asarray(size))[1] * np.asarray(size)
    out /= np.maximum(np.linalg.norm(out, axis=1, keepdims=True), 1e-9)
    return np.asarray((fragments.axes * out).sum(1) * signs, np.float64)


def _turn_pieces(outward: NDArray[np.float64], pairs: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return -1 for the fragments of connected pieces that point inward on the whole, else 1."""
    number = len(outward)
    graph = sparse.coo_array((np.ones(len(pairs), bool), tuple(pairs.T)), shape=(number, number))
    piece = csgraph.connected_components(graph, directed=False)[1]
    total = np.bincount(piece, outward, minlength=1)
    return np.where(total[piece] < 0, -1, 1)


def number_outward(fragments: Fragments, layers: Layers) -> NDArray[np.int32]:
    """Give layers numbers from 1, those of the largest cluster first, then those of the next."""
    numbers = np.zeros(len(fragments), np.int32)
    voxels = np.bincount(layers.clusters, fragments.sizes)
    before = 0
    for cluster in np.argsort(-voxels, kind="stable"):
        if not voxels[cluster]:
            break
        chosen = layers.clusters == cluster
        found, where = np.unique(layers.layers[chosen], return_inverse=True)
        numbers[chosen] = before + 1 + where
        before += len(found)
    return numbers
