"""Sheets that touch, told apart: a number for each.

::

    probabilities --> field      normal and distance to both faces at each voxel
                  --> middles    where a sheet is as thick as one sheet; bridges and pressed
                                 contacts, which are thicker, are left out
                  --> fragments  small pieces of the middles, and their links: in one plane, or
                                 one above the other
                  --> layers     all links weighed against each other
                  --> labels     voxels that were left out go to the sheet they continue

That two fragments lie one above the other keeps them apart even where a bridge joins them: a sheet
never lies above itself with the same side up. So a spiral is cut about once a turn, at its axis and
numbered outward where ``roll`` is chosen, while a sheet that is folded back on itself, or closed to
a tube, stays one. At a junction the two arms that go straight on are one sheet.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from scipy import sparse
from scipy.sparse import csgraph

from napari_surfseg.cancelling import raise_if_stopped
from napari_surfseg.geometry import in_finest_voxels
from napari_surfseg.surfaces.roll_axis import require_axis
from napari_surfseg.surfaces.sheet_fields import measure_field, spread_owners
from napari_surfseg.surfaces.sheet_fragments import cut_fragments, find_links, judge_plane
from napari_surfseg.surfaces.sheet_mesh import estimate_thickness
from napari_surfseg.surfaces.winding import measure_diagonal, number_outward, weigh_layers

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from napari_surfseg.geometry import Spacing3
    from napari_surfseg.surfaces.roll_axis import Axis
    from napari_surfseg.surfaces.sheet_fragments import Fragments, Links
    from napari_surfseg.surfaces.winding import Layers

__all__ = ["SheetSettings", "cut_bridges", "cut_contacts", "separate_sheets"]

#: A voxel is on the middle of a sheet if its distances to the two faces differ by at most this,
#: in the finest voxels: the middle has no holes then, whatever its slant.
MIDDLE = 1.2
#: A sheet may be so many times as thick as sheets are on the average.
THICKEST = 1.7
#: A normal is taken over this share of a thickness, and over the least, in the finest voxels.
WIDTH, LEAST_WIDTH = 0.75, 1.5
#: How far the next sheet is looked for, in the finest voxels.
REACH = 40.0
#: A mask has no more values than this.
MASK_VALUES = 2
#: Sheets are followed where the probability is above this share of the threshold, if that is not so
#: often more voxels: what is faint between two pieces says that they are one.
FAINT, MOST_FAINT = 0.6, 2.5
#: A bridge is cut where the sheets are parallel, rather than one ending on the other: least cosine.
PARALLEL = 0.75
#: Two sheets that meet are one that was cut if their pieces there are as likely one, or more.
SEAM = 0.3


def _keep_quiet(_stage: str, _share: float) -> None:
    """Report nothing."""


@dataclass(frozen=True)
class SheetSettings:
    """How sheets are told apart.

    Attributes
    ----------
    threshold : float
        0 to 1: what is above it is surface.
    thickness : float
        Of one sheet, in the units of the spacing; 0 measures it, which takes that most of the
        sheets lie free.
    reach : float
        How far above a sheet the next one is looked for, in the units of the spacing; 0 takes 40
        of the finest voxels, and in a roll all there is.
    min_voxels : int
        A smaller sheet is given to one that it touches, or left out where it touches none.
    roll : bool
        The sheets are a roll: it is cut into its turns, numbered from the core outward.
    """

    threshold: float = 0.5
    thickness: float = 0.0
    reach: float = 0.0
    min_voxels: int = 100
    roll: bool = False


def separate_sheets(
    values: NDArray[Any],
    spacing: Spacing3 = (1.0, 1.0, 1.0),
    settings: SheetSettings | None = None,
    *,
    axis: Axis | None = None,
    report: Callable[[str, float], None] = _keep_quiet,
) -> NDArray[np.int32]:
    """Give each sheet a number, also where sheets are pressed together or joined by bridges.

    Parameters
    ----------
    values : array, shape (Z, Y, X)
        A mask, or the probability of surface: real numbers of 0 to 1, or bytes of 0 to 255.
    spacing : tuple of float
        Voxel size along Z, Y, X, in one unit.
    settings : SheetSettings, optional
        How they are told apart.
    axis : Axis, optional
        Of a roll; found from the sheets if not given.
    report : callable
        Called with the stage and its share, 0 to 1.

    Returns
    -------
    int32 array
        0 where there is no surface, and in pieces that are too small; 1 the largest sheet, 2 the
        next. Of a roll, 1 is the innermost turn; what cannot be compared with it comes last.

    Raises
    ------
    LabelError
        If ``roll`` is wanted and the sheets show no axis.
    """
    return _Separation(values, spacing, settings or SheetSettings(), axis, report).labels


def cut_bridges(
    values: NDArray[Any],
    spacing: Spacing3 = (1.0, 1.0, 1.0),
    settings: SheetSettings | None = None,
) -> NDArray[np.bool_]:
    """Cut what joins sheets: a mask with background between those that touch or are bridged.

    The seams along which one sheet was cut in its plane, as a spiral is once a turn, stay closed,
    and so do junctions, where one sheet ends on another.

    Parameters
    ----------
    values : array, shape (Z, Y, X)
        A mask, or the probability of surface: real numbers of 0 to 1, or bytes of 0 to 255.
    spacing : tuple of float
        Voxel size.
    settings : SheetSettings, optional
        How sheets are told apart.

    Returns
    -------
    array of bool
        What is above the threshold, less the voxels that were cut.
    """
    chosen = settings or SheetSettings()
    found = _Separation(values, spacing, chosen, None, _keep_quiet)
    mask = np.zeros(values.shape, bool)
    mask[tuple(found.field.places[found.is_clear].T)] = True
    return _cut(mask, found.labels, found)


def cut_contacts(mask: NDArray[Any], labels: NDArray[Any]) -> NDArray[np.bool_]:
    """Put background between all labels that touch.

    Parameters
    ----------
    mask : array, shape (Z, Y, X)
        Non-zero is surface.
    labels : integer array
        A number for each sheet.

    Returns
    -------
    array of bool
        The mask without the voxels of a label that touch, be it at a corner, one of a smaller
        number.
    """
    return _cut(mask != 0, labels)


class _Separation:
    """All that is found on the way to the labels."""

    def __init__(
        self,
        values: NDArray[Any],
        spacing: Spacing3,
        settings: SheetSettings,
        axis: Axis | None,
        report: Callable[[str, float], None],
    ) -> None:
        self.size = size = in_finest_voxels(spacing)
        unit = min(spacing)
        probs: Any = to_levels(values)
        clear = 255 * settings.threshold
        level = find_faint_level(probs, clear)
        thickness = settings.thickness / unit or estimate_thickness(probs, level, size)
        report("finding normals", 0.0)
        self.field = field = measure_field(probs, size, level, max(LEAST_WIDTH, WIDTH * thickness))
        self.labels = np.zeros(values.shape, np.int32)
        self.is_clear = probs[tuple(field.places.T)] > clear
        #: Of clear voxels: the normal of the nearest middle, and the way to it.
        self.carried = field.normals[self.is_clear]
        self.remoteness = np.zeros(len(self.carried), np.float32)
        report("finding fragments", 0.5)
        middle = (np.abs(field.ahead - field.behind) <= MIDDLE) & ~field.between
        if not middle.any():
            return
        thickness = settings.thickness / unit or float(np.median(field.thickness[middle]))
        thickness = max(thickness, 1.0)
        middle &= field.thickness <= THICKEST * thickness
        places, normals = field.places[middle], field.normals[middle]
        if not settings.roll:
            axis = None
        elif axis is None:
            axis = require_axis(places, normals, size, "roll")
        sides = None if axis is None else axis.find_sides(places, size)
        fragments = cut_fragments(places, normals, size, thickness, sides)
        furthest = measure_diagonal(values.shape, size)
        reach = settings.reach / unit or (REACH if axis is None else furthest)
        links = find_links(fragments, values.shape, size, thickness, reach)
        raise_if_stopped()
        report("joining fragments", 0.6)
        layers = weigh_layers(fragments, links, size, axis)
        if settings.roll:
            numbers = number_outward(fragments, layers)
        else:
            numbers = number_connected(fragments, links, layers)
        report("sharing out contacts", 0.8)
        seeds = np.zeros(len(field.places), np.int32)
        seeds[middle] = numbers[fragments.of_voxel]
        owners = self._share_out(seeds, settings)
        fragment = np.full(len(field.places), -1, np.int64)
        fragment[middle] = fragments.of_voxel
        self._fragment = fragment[owners][self.is_clear]
        self._fragments, self._thickness = fragments, thickness

    def is_seam(self, first: NDArray[np.int64], second: NDArray[np.int64]) -> NDArray[np.bool_]:
        """Whether the sheets of pairs of clear voxels that have sheets continue each other."""
        pairs = np.stack([self._fragment[first], self._fragment[second]], 1)
        return judge_plane(self._fragments, pairs, self._thickness)[0] > SEAM

    def _share_out(self, seeds: NDArray[np.int32], settings: SheetSettings) -> NDArray[np.int64]:
        """Give each voxel to a sheet, small ones to others; return the middle each belongs to."""
        field = self.field
        small = np.zeros(int(seeds.max(initial=0)) + 1, bool)
        while True:
            seeds = np.where(small[seeds], 0, seeds)
            owners, lengths = spread_owners(field, seeds > 0, self.labels.shape, self.size)
            raise_if_stopped()
            found = np.where((owners >= 0) & self.is_clear, seeds[owners], 0)
            counts = np.bincount(found, minlength=len(small))
            if small.any():
                break
            small = counts < settings.min_voxels
            small[0] = False
            if not small[seeds].any():
                break
        order = np.arange(len(counts)) if settings.roll else np.argsort(-counts, kind="stable")
        order = order[(order > 0) & (counts[order] > 0)]
        table = np.zeros(len(counts), np.int32)
        table[order] = np.arange(1, len(order) + 1)
        self.labels[tuple(field.places.T)] = table[found]
        carried = np.where((owners >= 0)[:, None], field.normals[owners], field.normals)
        self.carried, self.remoteness = carried[self.is_clear], lengths[self.is_clear]
        return owners


def find_faint_level(probs: NDArray[np.uint8], clear: float) -> float:
    """Return the level above which sheets are followed: lower than that of a clear surface."""
    counts = np.cumsum(np.bincount(probs.ravel(), minlength=256)[::-1])[::-1]
    faint = FAINT * clear
    above, above_clear = (counts[min(int(level) + 1, 255)] for level in (faint, clear))
    return faint if above <= MOST_FAINT * above_clear else clear


def to_levels(values: NDArray[Any]) -> NDArray[np.uint8]:
    """Return a surface as uint8 of 0 to 255.

    Real numbers are probabilities of 0 to 1, bytes of more than two values are probabilities as
    they are, and of anything else all but 0 is surface.
    """
    if values.dtype.kind == "f":
        scaled = np.round(np.clip(np.nan_to_num(values), 0, 1) * 255)
        return np.asarray(scaled, np.uint8)
    if values.dtype == np.uint8 and np.count_nonzero(np.bincount(values.ravel())) > MASK_VALUES:
        return np.asarray(values)
    return np.where(values != 0, np.uint8(255), np.uint8(0))


def number_connected(fragments: Fragments, links: Links, layers: Layers) -> NDArray[np.int32]:
    """Give each group of fragments that continue each other in their layer a number, from 1."""
    pairs = links.pairs[layers.one]
    number = len(fragments)
    graph = sparse.coo_array((np.ones(len(pairs), bool), tuple(pairs.T)), shape=(number, number))
    groups = csgraph.connected_components(graph, directed=False)[1]
    return np.asarray(groups + 1, np.int32)


def _cut(
    mask: NDArray[np.bool_], labels: NDArray[Any], found: _Separation | None = None
) -> NDArray[np.bool_]:
    """Remove one of two neighbouring voxels of different labels.

    Of a separation, only at bridges, and the one further from its middle.
    """
    cut = mask.copy()
    places = np.argwhere(mask)
    if not len(places):
        return cut
    index = np.full([s + 2 for s in mask.shape], -1, np.int32)
    inside = places + 1
    index[tuple(inside.T)] = np.arange(len(places), dtype=np.int32)
    of_voxel = np.asarray(labels)[tuple(places.T)]
    removed = np.zeros(len(places), bool)
    for step in np.ndindex(3, 3, 3):
        apart = np.asarray(step) - 1
        if tuple(apart) <= (0, 0, 0):
            continue
        other = index[tuple((inside + apart).T)]
        first = np.flatnonzero(
            (other >= 0) & (of_voxel > 0) & (of_voxel[other] > 0) & (of_voxel[other] != of_voxel)
        )
        second = other[first]
        if found is None:
            removed[np.where(of_voxel[first] > of_voxel[second], first, second)] = True
            continue
        a, b = found.remoteness[first], found.remoteness[second]
        gone = np.where((a > b) | ((a == b) & (of_voxel[first] > of_voxel[second])), first, second)
        alike = np.abs((found.carried[first] * found.carried[second]).sum(1)) > PARALLEL
        removed[gone[alike & ~found.is_seam(first, second)]] = True
    cut[tuple(places[removed].T)] = False
    return cut
