"""A sheet laid flat: an ordered grid of points with normals, for programs that flatten scrolls.

::

    v, rows: along the axis          o---o---o---o
    u, columns: along the winding    |   |   |   |      each a point of the sheet,
                                     o---o---o---o      a step from its neighbours
    axis = what all normals          |   |   |
    stand across                     o---o---o   (-1)   where there is no sheet

On a sheet that is wound around an axis the way across the axis is known at every point: the
normal turned by a right angle. ``u`` is the function whose slope is that way, everywhere, as
nearly as there is one; so it is the length along the winding, however often it is wound.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from scipy import sparse
from scipy.sparse import csgraph

from napari_surfseg.cancelling import raise_if_stopped
from napari_surfseg.errors import SurfsegError
from napari_surfseg.surfaces.mesh import drop_unused, make_mesh
from napari_surfseg.surfaces.mesh_shape import find_neighbours, find_pieces

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from napari_surfseg.surfaces.mesh import Mesh

__all__ = ["SheetGrid", "join_points", "lay_flat", "sample_grid"]

#: Rounds in which normals are averaged before they say which way the sheet runs.
NORMAL_ROUNDS = 10

#: Share of its normals' spread across their mean below which a sheet is flat.
FLAT = 0.02

#: Steps of the solver, and its tolerance: a thousandth of a sheet's length is no error.
MAX_STEPS = 2000
TOLERANCE = 1e-6

#: What is left of a sheet beyond the outermost points, at least, in steps.
RAGGED = 0.1

#: A sheet that closes on itself cannot be laid flat: the length of that many edges is wrong by
#: a half and more.
TORN = 0.01


@dataclass(frozen=True)
class SheetGrid:
    """An ordered grid of points on a sheet.

    Attributes
    ----------
    points : float32 array, shape (rows, columns, 3)
        ZYX in the mesh's units; NaN where there is no sheet.
    normals : float32 array, shape (rows, columns, 3)
        Unit vectors, ZYX; in X, Y, Z the way from row to row times (as a cross product) that from
        column to column.
    step : float
        Distance of neighbours along the sheet, in the mesh's units.
    """

    points: NDArray[np.float32]
    normals: NDArray[np.float32]
    step: float

    @property
    def valid(self) -> NDArray[np.bool_]:
        """Where there is a sheet."""
        return np.isfinite(self.points[..., 0])


def sample_grid(mesh: Mesh, step: float) -> SheetGrid:
    """Lay the largest piece of a sheet's mesh flat, and take points of it in regular steps.

    Parameters
    ----------
    mesh : Mesh
        One layer, turned the same way everywhere.
    step : float
        Between neighbours, in its units.

    Raises
    ------
    SurfsegError
        If the sheet closes on itself.
    """
    piece = find_pieces(mesh)
    largest = np.bincount(piece[mesh.faces[:, 0]]).argmax()
    kept = mesh.faces[piece[mesh.faces[:, 0]] == largest].astype(np.int64)
    mesh = make_mesh(*drop_unused(mesh.vertices, kept))
    flat, normals = lay_flat(mesh)
    return _rasterise(mesh, flat / step, normals, step)


def lay_flat(mesh: Mesh) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Give each vertex its place on the flat sheet.

    Parameters
    ----------
    mesh : Mesh
        In one piece, of one layer.

    Returns
    -------
    places : float64 array, shape (N, 2)
        v, along the axis, and u, across it, in the mesh's units.
    normals : float64 array, shape (N, 3)
        Averaged over neighbours, ZYX.
    """
    neighbours = find_neighbours(mesh)
    normals = mesh.normals[:, ::-1].astype(np.float64)
    for _ in range(NORMAL_ROUNDS):
        normals += neighbours @ normals
        normals /= np.maximum(np.linalg.norm(normals, axis=1, keepdims=True), 1e-12)
    places = mesh.vertices[:, ::-1].astype(np.float64)
    axis = _find_axis(normals)
    along = axis - (normals @ axis)[:, None] * normals
    along /= np.maximum(np.linalg.norm(along, axis=1, keepdims=True), 1e-12)
    across = np.cross(normals, along)
    a, b = sparse.coo_array(sparse.triu(neighbours)).coords
    edges = places[b] - places[a]
    flat = []
    for way in (along, across):
        raise_if_stopped()
        rise = ((way[a] + way[b]) / 2 * edges).sum(axis=1)
        height = _integrate(len(places), a, b, rise)
        wrong = np.abs(height[b] - height[a] - rise) > np.linalg.norm(edges, axis=1) / 2
        if wrong.mean() > TORN:
            raise SurfsegError(
                "The sheet closes on itself or runs into another, so it cannot be laid flat; "
                "cut it open, or take its mesh."
            )
        flat.append(height - height.min())
    return np.stack(flat, axis=1), normals[:, ::-1]


def join_points(points: NDArray[Any]) -> tuple[NDArray[np.float32], NDArray[np.int32]]:
    """Join the points of a grid by triangles, two for each four of them that are there.

    Parameters
    ----------
    points : array, shape (rows, columns, 3)
        NaN where there is none.

    Returns
    -------
    vertices : float32 array, shape (N, 3)
        The points that are there.
    faces : int32 array, shape (M, 3)
        Turned as the normals of a :class:`SheetGrid` are.
    """
    valid = np.isfinite(points).all(axis=-1)
    number = np.where(valid, np.cumsum(valid).reshape(valid.shape) - 1, 0)
    a, b = number[:-1, :-1], number[:-1, 1:]
    c, d = number[1:, :-1], number[1:, 1:]
    whole = valid[:-1, :-1] & valid[:-1, 1:] & valid[1:, :-1] & valid[1:, 1:]
    faces = [np.stack([p[whole] for p in corners], axis=1) for corners in ((a, c, b), (c, d, b))]
    return points[valid].astype(np.float32), np.concatenate(faces).astype(np.int32)


def _find_axis(normals: NDArray[np.float64]) -> NDArray[np.float64]:
    """Find what all normals stand across, XYZ; for a flat sheet what is nearest to Z, then Y."""
    spread, ways = np.linalg.eigh(normals.T @ normals / len(normals))
    if spread[1] > FLAT:
        axis = ways[:, 0]
    else:
        normal = ways[:, 2]
        wanted = np.array([0, 0, 1.0]) if abs(normal[2]) < 0.9 else np.array([0, 1.0, 0])
        axis = wanted - (wanted @ normal) * normal
        axis /= np.linalg.norm(axis)
    positive: NDArray[np.float64] = axis * (1 if axis[np.abs(axis).argmax()] > 0 else -1)
    return positive


def _integrate(
    count: int, a: NDArray[Any], b: NDArray[Any], rise: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Find heights whose differences along edges are as near as can be to their rises."""
    edges = np.arange(len(a))
    data = np.concatenate([np.ones(len(a)), -np.ones(len(a))])
    slopes = sparse.csr_array(
        (data, (np.concatenate([edges, edges]), np.concatenate([b, a]))), shape=(len(a), count)
    )
    matrix = sparse.csr_array(slopes.T @ slopes)
    start = _add_up(count, a, b, rise)
    scale = 1 / np.maximum(matrix.diagonal(), 1)
    preconditioner = sparse.linalg.LinearOperator(
        (count, count), matvec=lambda values: scale * np.ravel(values), dtype=np.float64
    )
    height, _ = sparse.linalg.cg(
        matrix, slopes.T @ rise, x0=start, rtol=TOLERANCE, maxiter=MAX_STEPS, M=preconditioner
    )
    found: NDArray[np.float64] = height
    return found


def _add_up(
    count: int, a: NDArray[Any], b: NDArray[Any], rise: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Add up rises on the shortest ways from one vertex: where the solver begins."""
    graph = sparse.csr_array((np.ones(len(a)), (a, b)), shape=(count, count))
    _, parent = csgraph.breadth_first_order(graph, 0, directed=False)
    steps = sparse.csr_array((rise, (a, b)), shape=(count, count))
    nodes = np.arange(count)
    parent = np.where(parent < 0, nodes, parent).astype(np.int64)
    height = np.asarray(steps[parent, nodes] - steps[nodes, parent]).ravel().astype(np.float64)
    # Twice as far with each round, as far as the first vertex.
    while (parent != parent[parent]).any():
        height += height[parent]
        parent = parent[parent]
    return height


def _rasterise(
    mesh: Mesh, flat: NDArray[np.float64], normals: NDArray[np.float64], step: float
) -> SheetGrid:
    """Find the grid's points in the flat triangles; ``flat`` is in steps."""
    # As many as fit, in the middle: the outermost would run along a ragged rim.
    extent = flat.max(axis=0)
    shape = tuple(int(size) for size in np.floor(np.maximum(extent - RAGGED, 0)) + 1)
    flat = flat - (extent - np.asarray(shape) + 1) / 2
    points = np.full((*shape, 3), np.nan, np.float32)
    found = np.full((*shape, 3), np.nan, np.float32)
    corners = flat[mesh.faces]
    low = np.ceil(corners.min(axis=1) - 1e-9).astype(np.int64)
    sizes = np.floor(corners.max(axis=1) + 1e-9).astype(np.int64) - low + 1
    origin, one, two = corners[:, 0], corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0]
    area = one[:, 0] * two[:, 1] - one[:, 1] * two[:, 0]
    largest = np.maximum(sizes.max(axis=0, initial=0), 0)
    for row, column in np.ndindex(int(largest[0]), int(largest[1])):
        raise_if_stopped()
        rows = np.flatnonzero((sizes[:, 0] > row) & (sizes[:, 1] > column) & (area != 0))
        place = low[rows] + (row, column)
        away = place - origin[rows]
        first = (away[:, 0] * two[rows, 1] - away[:, 1] * two[rows, 0]) / area[rows]
        second = (one[rows, 0] * away[:, 1] - one[rows, 1] * away[:, 0]) / area[rows]
        weights = np.stack([1 - first - second, first, second], axis=1)
        inside = (weights >= -1e-6).all(axis=1) & (place >= 0).all(axis=1)
        inside &= (place < shape).all(axis=1)
        faces, weights = mesh.faces[rows[inside]], weights[inside, :, None]
        target = tuple(place[inside].T)
        points[target] = (mesh.vertices[faces] * weights).sum(axis=1)
        mean = (normals[faces] * weights).sum(axis=1)
        found[target] = mean / np.maximum(np.linalg.norm(mean, axis=1, keepdims=True), 1e-12)
    return SheetGrid(points, found, step)
