"""Sheets measured in physical units: area, thickness, rim, holes, curvature, the next sheet."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from scipy import ndimage, sparse

from napari_surfseg.cancelling import raise_if_stopped
from napari_surfseg.errors import SurfsegError
from napari_surfseg.geometry import box_slices, grow_box, to_box, whole_box
from napari_surfseg.surfaces.mesh_shape import find_inner_edges, find_rims, smooth_mesh
from napari_surfseg.surfaces.sheet_mesh import build_sheet_mesh

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from numpy.typing import NDArray

    from napari_surfseg.geometry import Box, Spacing3
    from napari_surfseg.surfaces.mesh import Mesh
    from napari_surfseg.surfaces.voxel_stores import VoxelReader

__all__ = ["SheetMeasures", "compute_area", "compute_mean_curvature", "measure_sheets"]

#: Voxels around a sheet that its mesh is made with.
MARGIN = 3

#: Rounds of smoothing before the curvature is taken: steps of the voxels are no curvature.
CURVATURE_ROUNDS = 30
AVERAGED_ROUNDS = 20
#: Rings of vertices beside a rim that are left out: a sheet's end is round.
RIM_RINGS = 6


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
        Volume by area, in units.
    rim_length : float
        Of the edges of the middle, holes included, in units.
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
    """

    label: int
    voxels: int
    volume: float
    area: float
    thickness: float
    rim_length: float
    holes: int
    cavities: int
    mean_curvature: float
    gap: float


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

    Notes
    -----
    Areas are those of :func:`~.sheet_mesh.build_sheet_mesh`, which runs through the centres of
    voxels: a sheet that ends, or leaves the volume, ends half a voxel early there.
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
        gap = np.inf if is_alone else _find_gap(labels, value, box, spacing)
        yield _measure_one(value, labels[seen] == value, spacing, gap)
    report(1.0)


def _measure_one(
    value: int, mask: NDArray[np.bool_], spacing: Spacing3, gap: float
) -> SheetMeasures:
    voxels = int(np.count_nonzero(mask))
    volume = voxels * float(np.prod(spacing))
    holes, cavities = _count_holes(mask)
    area = rim = curvature = np.nan
    try:
        values: Any = mask.view(np.uint8)
        mesh = build_sheet_mesh(values, level=0.5, spacing=spacing)
    except SurfsegError:  # nothing of it is as large as the least piece of a mesh
        pass
    else:
        area = compute_area(mesh)
        rim = float(sum(length for length, _ in find_rims(mesh)))
        curvature = compute_mean_curvature(mesh)
    thickness = volume / area
    return SheetMeasures(
        value, voxels, volume, area, thickness, rim, holes, cavities, curvature, gap
    )


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
    area = _sum_at(smooth.faces, np.linalg.norm(crosses, axis=1) / 6, count)
    inner = np.ones(count, bool)
    for _, rim in find_rims(smooth):
        inner[rim] = False
    half = sparse.csr_array((np.ones(len(edges)), (edges[:, 0], edges[:, 1])), shape=(count, count))
    neighbours = half + half.T
    for _ in range(RIM_RINGS):
        inner &= neighbours @ ~inner == 0
    bend, area = bend * inner, area * inner
    # Averaged with the neighbours: what is left of the steps has no sign, and goes out.
    # Each vertex gives half of what it has to its neighbours, so that sums stay as they are.
    share = 2 * np.maximum(neighbours.sum(axis=1), 1)
    for _ in range(AVERAGED_ROUNDS):
        bend, area = (part / 2 + neighbours @ (part / share) for part in (bend, area))
    total = float(area.sum())
    return float(np.abs(bend).sum()) / total if total > 0 else 0.0


def _sum_at(places: NDArray[Any], values: NDArray[np.float64], count: int) -> NDArray[np.float64]:
    """Add each value at all the vertices of its row."""
    repeated = np.repeat(values, places.shape[1])
    return np.asarray(np.bincount(places.ravel(), weights=repeated, minlength=count), np.float64)


def _count_holes(mask: NDArray[np.bool_]) -> tuple[int, int]:
    """Count the tunnels and the cavities of a 26-connected mask with a margin around it."""
    from skimage.measure import euler_number

    padded = np.pad(mask, 1)
    full = np.ones((3, 3, 3))
    pieces = int(ndimage.label(padded, full)[1])
    cavities = int(ndimage.label(~padded)[1]) - 1
    return pieces + cavities - int(euler_number(padded, connectivity=3)), cavities


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
