"""Sheets measured in physical units: area, thickness, rim, holes, curvature, contacts, the next.

The area of a sheet is its volume by its mean local thickness, which is taken away from its rim.
Adding up the triangles of its mesh is no better where a sheet is large, and worse where it is
small: what a mesh does at a rim (its end is round, and a thick sheet's middle forks there) is a
tenth and more of the area of a disc of ten voxels.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from scipy import ndimage, sparse
from scipy.spatial import cKDTree

from napari_surfseg.cancelling import raise_if_stopped
from napari_surfseg.errors import SurfsegError
from napari_surfseg.geometry import box_slices, grow_box, to_box, whole_box
from napari_surfseg.surfaces.contacts import find_contacts
from napari_surfseg.surfaces.mesh_normals import average_over_neighbours, look_along_normals
from napari_surfseg.surfaces.mesh_shape import (
    find_inner_edges,
    find_neighbours,
    find_pieces,
    find_rims,
    smooth_mesh,
)
from napari_surfseg.surfaces.sheet_mesh import build_sheet_mesh, choose_smoothing
from napari_surfseg.surfaces.sheet_rim import trim_rim

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from numpy.typing import NDArray

    from napari_surfseg.geometry import Box, Spacing3
    from napari_surfseg.surfaces.mesh import Mesh
    from napari_surfseg.surfaces.voxel_stores import VoxelReader

__all__ = [
    "SheetMeasures",
    "compute_area",
    "compute_curvature",
    "compute_mean_curvature",
    "measure_areas",
    "measure_sheets",
]

#: Voxels around a sheet that its mesh is made with.
MARGIN = 3

#: Rounds of smoothing before the curvature is taken: steps of the voxels are no curvature.
CURVATURE_ROUNDS = 30
AVERAGED_ROUNDS = 20
#: Rings of vertices beside a rim that are left out: a sheet's end is round.
RIM_RINGS = 6

#: Shares of a thickness that is taken this far from the rim, and of the vertices that must be
#: left; the next is tried where a sheet is too small.
RIM_SHARES = (1.0, 0.5, 0.25, 0.0)
LEAST_SHARE = 0.1

#: Rounds in which thickness is averaged over neighbours before its spread is taken: the steps
#: of the voxels are no spread.
SPREAD_ROUNDS = 5


@dataclass(frozen=True)
class SheetMeasures:
    """What was measured on one sheet.

    Attributes
    ----------
    label : int
        Its value.
    voxels : int
        Their number.
    volume : float
        In units cubed.
    area : float
        Of the middle of the sheet, one side, in units squared; NaN where it is too small to mesh.
    thickness : float
        Mean over the area of the local thickness (the length within the sheet along its normal),
        in units; NaN with the area.
    thickness_spread : float
        Standard deviation of the local thickness, in units.
    rim_length : float
        Of the edges of the middle, holes included, in units.
    hole_rim_length : float
        Of those around holes: all of a piece but the longest. (An open tube has two rims, of
        which one counts here.)
    holes : int
        Tunnels through the sheet (first Betti number of its 26-connected voxels). A closed tube
        has one.
    cavities : int
        Enclosed spaces. A closed sphere has one.
    mean_curvature : float
        Mean of the absolute mean curvature, 1 / units: 1 / R on a sphere, 1 / (2 R) on a cylinder.
    gap : float
        Median distance from its voxels to the nearest voxel of another sheet, centre to centre,
        in units; infinite where there is no other.
    contacts : tuple of int
        Labels of the sheets that touch it, those it touches most first.
    contact_area : float
        Of all contacts, in units squared.
    """

    label: int
    voxels: int
    volume: float
    area: float
    thickness: float
    thickness_spread: float
    rim_length: float
    hole_rim_length: float
    holes: int
    cavities: int
    mean_curvature: float
    gap: float
    contacts: tuple[int, ...]
    contact_area: float

    def to_row(self, names: Sequence[int] | None = None) -> dict[str, float | int | str]:
        """Make a row of a table; contacts are a text: ``7 3``.

        Parameters
        ----------
        names : sequence of int, optional
            Of the labels from 1 on, where sheets have other values than they were numbered with.
        """
        named = [other if names is None else names[other - 1] for other in self.contacts]
        label = self.label if names is None else names[self.label - 1]
        contacts = " ".join(str(int(name)) for name in named)
        return {**asdict(self), "label": int(label), "contacts": contacts}


def measure_sheets(
    labels: VoxelReader,
    spacing: Spacing3 = (1.0, 1.0, 1.0),
    *,
    boxes: Mapping[int, Box] | None = None,
    report: Callable[[float], None] = lambda _share: None,
) -> Iterator[SheetMeasures]:
    """Measure every sheet of a volume.

    Parameters
    ----------
    labels : integer array-like, shape (Z, Y, X)
        A value for each sheet; 0 is none. With ``boxes`` it is only read around each of them.
    spacing : tuple of float
        Voxel size along Z, Y, X.
    boxes : mapping, optional
        Of each value to be measured the box around its voxels; by default of all values.
    report : callable
        Called with the share that is done.

    Yields
    ------
    SheetMeasures
        In the order of the values.
    """
    whole = whole_box(labels.shape)
    if boxes is None:
        found = ndimage.find_objects(np.asarray(labels))
        boxes = {
            value: to_box(([s.start for s in place], [s.stop for s in place]))
            for value, place in enumerate(found, 1)
            if place is not None
        }
    is_alone = len(boxes) == 1
    for done, (value, box) in enumerate(boxes.items()):
        raise_if_stopped()
        report(done / len(boxes))
        seen = box_slices(grow_box(box, MARGIN, whole))
        part = np.asarray(labels[seen])
        gap = np.inf if is_alone else _find_gap(labels, value, box, spacing)
        touched = find_contacts(part, value, spacing)
        yield _measure_one(value, part == value, spacing, gap, touched)
    report(1.0)


def _measure_one(
    value: int,
    mask: NDArray[np.bool_],
    spacing: Spacing3,
    gap: float,
    touched: dict[int, float],
) -> SheetMeasures:
    voxels = int(np.count_nonzero(mask))
    volume = voxels * float(np.prod(spacing))
    pieces, holes, cavities = _count_holes(mask)
    area = thickness = spread = rim = hole_rim = curvature = np.nan
    try:
        values: Any = mask.view(np.uint8)
        sigma = choose_smoothing(mask, spacing)
        mesh = build_sheet_mesh(values, level=0.5, spacing=spacing, sigma=sigma)
    except SurfsegError:  # nothing of it is as large as the least piece of a mesh
        pass
    else:
        mesh = trim_rim(mesh, mask, spacing)
        thickness, spread = _measure_thickness(mesh, mask, spacing)
        area = volume / thickness
        rim, hole_rim = _measure_rims(mesh, pieces, holes)
        curvature = compute_mean_curvature(mesh)
    return SheetMeasures(
        value,
        voxels,
        volume,
        area,
        thickness,
        spread,
        rim,
        hole_rim,
        holes,
        cavities,
        curvature,
        gap,
        tuple(touched),
        float(sum(touched.values())),
    )


def _measure_thickness(
    mesh: Mesh, mask: NDArray[np.bool_], spacing: Spacing3
) -> tuple[float, float]:
    """Give mean and standard deviation of the local thickness, away from the rim."""
    local = look_along_normals(mesh, mask, spacing).thickness
    share = measure_areas(mesh)
    margin = float(np.median(local)) / 2 + 2 * min(spacing)
    inner = _keep_off_rims(mesh, margin)
    mean = float((share * local)[inner].sum() / share[inner].sum())
    smooth = average_over_neighbours(local, find_neighbours(mesh), SPREAD_ROUNDS)
    spread = (share * (smooth - mean) ** 2)[inner].sum() / share[inner].sum()
    return mean, float(np.sqrt(spread))


def _keep_off_rims(mesh: Mesh, margin: float) -> NDArray[np.bool_]:
    """Find the vertices at least so far from every rim; nearer ones where few are left."""
    rims = find_rims(mesh)
    if not rims:
        return np.ones(len(mesh.vertices), bool)
    ends = mesh.vertices[np.concatenate([rim for _, rim in rims])]
    distance = cKDTree(ends).query(mesh.vertices)[0]
    for share in RIM_SHARES:
        kept = np.asarray(distance >= share * margin, bool)
        if np.count_nonzero(kept) > LEAST_SHARE * len(kept):
            break
    return kept


def _measure_rims(mesh: Mesh, pieces: int, holes: int) -> tuple[float, float]:
    """Give the length of all rims, and of those around holes.

    A piece has a rim around it and one around each hole; more are cracks where a thick sheet's
    middle forks, near its rim.
    """
    number = find_pieces(mesh)
    outer: list[float] = []
    inner: list[float] = []
    seen: set[int] = set()
    for length, rim in find_rims(mesh):  # the longest first
        piece = int(number[rim[0]])
        (inner if piece in seen else outer).append(length)
        seen.add(piece)
    around = float(sum(inner[:holes]))
    return float(sum(outer[:pieces])) + around, around


def compute_area(mesh: Mesh) -> float:
    """Add up the areas of a mesh's triangles, in its units squared."""
    return float(np.linalg.norm(_crosses(mesh), axis=1).sum() / 2)


def _crosses(mesh: Mesh) -> NDArray[np.float64]:
    corners = mesh.vertices.astype(np.float64)[mesh.faces]
    crosses: NDArray[np.float64] = np.cross(
        corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0]
    )
    return crosses


def compute_mean_curvature(mesh: Mesh) -> float:
    """Average the absolute mean curvature of a mesh over its area, in 1 / units.

    The steps of the voxels are smoothed away first. The integral of the mean
    curvature over a part of a mesh is half the sum of its edges' lengths times the angles between
    the triangles beside them (Steiner 1840); vertices near a rim are left out.

    Parameters
    ----------
    mesh : Mesh
        Turned the same way everywhere, as :func:`~.sheet_mesh.build_sheet_mesh` makes it.
    """
    curvature, area = compute_curvature(mesh)
    total = float(area.sum())
    return float((np.abs(curvature) * area).sum()) / total if total > 0 else 0.0


def compute_curvature(mesh: Mesh) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Give the mean curvature at each vertex, and the area that it stands for.

    Parameters
    ----------
    mesh : Mesh
        As in :func:`compute_mean_curvature`.

    Returns
    -------
    curvature : float64 array, shape (N,)
        In 1 / units, above 0 where the mesh bulges to where its normals point; near a rim that
        of vertices further in, as far as it reaches.
    area : float64 array, shape (N,)
        In units squared; 0 where a vertex is too near a rim.
    """
    smooth = smooth_mesh(mesh, CURVATURE_ROUNDS)
    count = len(smooth.vertices)
    vertices = smooth.vertices.astype(np.float64)[:, ::-1]
    edges, faces = find_inner_edges(smooth)
    crosses = _crosses(smooth)[:, ::-1]
    normals = crosses / np.maximum(np.linalg.norm(crosses, axis=1, keepdims=True), 1e-12)
    along = vertices[edges[:, 1]] - vertices[edges[:, 0]]
    length = np.linalg.norm(along, axis=1)
    first, second = normals[faces[:, 0]], normals[faces[:, 1]]
    cosine = (first * second).sum(axis=1)
    sine = (np.cross(first, second) * along).sum(axis=1) / np.maximum(length, 1e-12)
    bend_of_edge = length * np.arctan2(sine, cosine) / 4
    bend = _sum_at(edges, bend_of_edge, count)
    area = measure_areas(smooth)
    inner = np.ones(count, bool)
    for _, rim in find_rims(smooth):
        inner[rim] = False
    half = sparse.csr_array((np.ones(len(edges)), (edges[:, 0], edges[:, 1])), shape=(count, count))
    neighbours = half + half.T  # across inner edges only
    for _ in range(RIM_RINGS):
        inner &= neighbours @ ~inner == 0
    bend, area = bend * inner, area * inner
    # Averaged with the neighbours: what is left of the steps has no sign, and goes out.
    # Each vertex gives half of what it has to its neighbours, so that sums stay as they are.
    share = 2 * np.maximum(neighbours.sum(axis=1), 1)
    for _ in range(AVERAGED_ROUNDS):
        bend, area = (part / 2 + neighbours @ (part / share) for part in (bend, area))
    return np.divide(bend, area, out=np.zeros(count), where=area > 0), area


def measure_areas(mesh: Mesh) -> NDArray[np.float64]:
    """Share the area of each triangle out among its corners."""
    return _sum_at(mesh.faces, np.linalg.norm(_crosses(mesh), axis=1) / 6, len(mesh.vertices))


def _sum_at(places: NDArray[Any], values: NDArray[np.float64], count: int) -> NDArray[np.float64]:
    """Add each value at all the vertices of its row."""
    repeated = np.repeat(values, places.shape[1])
    return np.asarray(np.bincount(places.ravel(), weights=repeated, minlength=count), np.float64)


def _count_holes(mask: NDArray[np.bool_]) -> tuple[int, int, int]:
    """Count pieces, tunnels and cavities of a 26-connected mask with a margin around it."""
    from skimage.measure import euler_number

    padded = np.pad(mask, 1)
    full = np.ones((3, 3, 3))
    pieces = int(ndimage.label(padded, full)[1])
    cavities = int(ndimage.label(~padded)[1]) - 1
    euler = int(euler_number(padded, connectivity=3))
    return pieces, pieces + cavities - euler, cavities


def _find_gap(labels: VoxelReader, value: int, box: Box, spacing: Spacing3) -> float:
    """Find the median distance from a sheet's voxels to those of others, looking ever further."""
    whole = whole_box(labels.shape)
    margin = 16
    while True:
        seen = grow_box(box, margin, whole)
        part = labels[box_slices(seen)]
        others = (part != 0) & (part != value)
        if others.any() or seen == whole:
            break
        margin *= 2
    if not others.any():
        return float(np.inf)
    distance = ndimage.distance_transform_edt(~others, sampling=spacing)
    return float(np.median(distance[part == value]))
