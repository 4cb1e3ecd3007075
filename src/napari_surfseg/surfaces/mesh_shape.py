"""Change a mesh's shape: smooth it, thin it out, turn its triangles the same way."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from scipy import sparse
from scipy.sparse import csgraph

from napari_surfseg.surfaces.mesh import Mesh, drop_unused, make_mesh

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = [
    "count_edge_uses",
    "cut_mesh",
    "find_inner_edges",
    "find_neighbours",
    "find_pieces",
    "find_rims",
    "keep_large_pieces",
    "orient_faces",
    "smooth_mesh",
    "thin_out_mesh",
]

#: Rounds in which a rim is smoothed along itself before its length is taken.
RIM_ROUNDS = 10


def smooth_mesh(
    mesh: Mesh, iterations: int = 10, *, inward: float = 0.5, outward: float = 0.53
) -> Mesh:
    """Smooth a mesh without shrinking it (Taubin 1995).

    Each iteration moves the vertices towards the mean of their neighbours and
    then a little further back. The rim of an open mesh stays where it is.

    Parameters
    ----------
    mesh : Mesh
        What to smooth.
    iterations : int
        0 changes nothing; 10 removes the steps of a mask.
    inward, outward : float
        Shares of the way there and back.
    """
    if iterations < 1:
        return mesh
    count = len(mesh.vertices)
    edges, _, uses = _edges(mesh.faces)
    neighbours = find_neighbours(mesh)
    degree = np.maximum(neighbours.sum(axis=1), 1)[:, None]
    free = np.ones((count, 1))
    free[edges[uses == 1]] = 0
    vertices = mesh.vertices.astype(np.float64)
    for _ in range(iterations):
        for share in (inward, -outward):
            vertices += share * free * ((neighbours @ vertices) / degree - vertices)
    return mesh.with_vertices(vertices)


def thin_out_mesh(mesh: Mesh, cell: float) -> Mesh:
    """Merge the vertices in each cell of a grid into one (vertex clustering).

    Vertices whose normals point into different octants stay apart, so that the
    two sides of a sheet thinner than the cell are not welded together.

    Parameters
    ----------
    mesh : Mesh
        What to thin out.
    cell : float
        Edge of the grid's cells, in the mesh's units: roughly the length of the
        edges afterwards.
    """
    if cell <= 0:
        return mesh
    place = np.floor((mesh.vertices - mesh.vertices.min(axis=0)) / cell).astype(np.int64)
    size = place.max(axis=0) + 1
    octant = (mesh.normals > 0) @ np.array([4, 2, 1])
    key = ((place[:, 0] * size[1] + place[:, 1]) * size[2] + place[:, 2]) * 8 + octant
    _, target = np.unique(key, return_inverse=True)
    number = np.bincount(target)
    merged = np.stack(
        [np.bincount(target, mesh.vertices[:, axis]) / number for axis in range(3)], axis=1
    )
    vertices, faces = drop_unused(merged, target[mesh.faces])
    return make_mesh(*drop_unused(vertices, _cancel_folds(faces)))


def _cancel_folds(faces: NDArray[np.int64]) -> NDArray[np.int64]:
    """Leave one of equal triangles and none of two that lie back to back."""
    a, b, c = faces.T
    # Whether the corners in rising order run the other way round.
    odd = (a < b).astype(np.int8) + (b < c) + (c < a) == 1
    rising, first, inverse = np.unique(
        np.sort(faces, axis=1), axis=0, return_index=True, return_inverse=True
    )
    surplus = np.bincount(inverse.ravel(), np.where(odd, -1, 1), minlength=len(rising))
    kept = np.where(surplus[:, None] < 0, rising[:, ::-1], rising)[surplus != 0]
    # In the order in which they came, which keeps neighbours near each other in the file.
    ordered: NDArray[np.int64] = kept[np.argsort(first[surplus != 0])]
    return ordered


def orient_faces(mesh: Mesh) -> Mesh:
    """Turn the triangles of each connected piece the same way, outwards on the whole.

    Orientation spreads along the flattest edges first, so that where a piece
    cannot be turned consistently (a Möbius strip, two sheets joined at a rim) the
    break lies in a crease. Outwards is away from the middle of the mesh.
    """
    count = len(mesh.faces)
    corners = mesh.vertices[:, ::-1].astype(np.float64)[mesh.faces]
    across = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
    pairs, same = _neighbour_faces(mesh.faces)
    turned, piece = _spread(count, pairs, same, _bends(across, pairs))
    middle = (corners.min(axis=(0, 1)) + corners.max(axis=(0, 1))) / 2
    outwards = ((corners.mean(axis=1) - middle) * across).sum(axis=1)
    inward = np.bincount(piece, np.where(turned, -outwards, outwards))[piece] < 0
    faces = np.where((turned ^ inward)[:, None], mesh.faces[:, ::-1], mesh.faces)
    return make_mesh(mesh.vertices, faces)


def _bends(across: NDArray[np.float64], pairs: NDArray[np.int64]) -> NDArray[np.float64]:
    """Bend between neighbours whichever way they are turned: 0 flat, 1 a right angle."""
    unit = across / np.maximum(np.linalg.norm(across, axis=1, keepdims=True), 1e-30)
    cosine: NDArray[np.float64] = np.abs((unit[pairs[:, 0]] * unit[pairs[:, 1]]).sum(axis=1))
    return 1 - cosine


def _spread(
    count: int, pairs: NDArray[np.int64], same: NDArray[np.bool_], bends: NDArray[np.float64]
) -> tuple[NDArray[np.bool_], NDArray[np.int64]]:
    """Which triangles to turn over so that neighbours agree, and the piece of each."""
    weights = sparse.csr_array(
        (bends + 1e-6, (pairs[:, 0], pairs[:, 1])), shape=(count + 1, count + 1)
    )
    tree = sparse.coo_array(csgraph.minimum_spanning_tree(weights))
    number, piece = csgraph.connected_components(tree, directed=False)
    # One more node is joined to a triangle of each piece: a single root for all.
    root = count
    seeds = np.unique(piece, return_index=True)[1][:number]
    seeds = seeds[seeds != root]
    joined = sparse.csr_array(
        (
            np.ones(tree.nnz + len(seeds)),
            (
                np.concatenate([tree.row, np.full(len(seeds), root)]),
                np.concatenate([tree.col, seeds]),
            ),
        ),
        shape=(count + 1, count + 1),
    )
    _, parent = csgraph.breadth_first_order(joined, root, directed=False)
    parent = parent.astype(np.int64)
    parent[root] = root
    against = sparse.csr_array(
        (same.astype(np.int8) + 1, (pairs[:, 0], pairs[:, 1])), shape=(count + 1, count + 1)
    )
    nodes = np.arange(count + 1)
    relation = against[nodes, parent] + against[parent, nodes]
    turned = np.asarray(relation).ravel() == 2
    # Add up the turns on the way to the root, twice as far with each round.
    while (parent != parent[parent]).any():
        turned ^= turned[parent]
        parent = parent[parent]
    return turned[:count], piece[:count].astype(np.int64)


def keep_large_pieces(mesh: Mesh, min_area: float) -> Mesh:
    """Drop connected pieces whose area is below a bound, in the mesh's units squared."""
    if min_area <= 0 or not len(mesh.faces):
        return mesh
    piece = find_pieces(mesh)
    a = mesh.faces[:, 0]
    corners = mesh.vertices.astype(np.float64)[mesh.faces]
    across = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
    area = np.bincount(piece[a], np.linalg.norm(across, axis=1) / 2, minlength=piece.max() + 1)
    vertices, faces = drop_unused(
        mesh.vertices, mesh.faces[area[piece[a]] >= min_area].astype(np.int64)
    )
    return make_mesh(vertices, faces)


def find_pieces(mesh: Mesh) -> NDArray[np.int32]:
    """Give each vertex the number of its connected piece, from 0."""
    count = len(mesh.vertices)
    a, b, c = mesh.faces.T
    graph = sparse.coo_array(
        (np.ones(2 * len(a), np.int8), (np.concatenate([a, b]), np.concatenate([b, c]))),
        shape=(count, count),
    )
    piece: NDArray[np.int32] = csgraph.connected_components(graph, directed=False)[1]
    return piece


def find_neighbours(mesh: Mesh) -> sparse.csr_array:
    """Find which vertices an edge joins: a symmetric matrix of 0 and 1."""
    edges, _, _ = _edges(mesh.faces)
    count = len(mesh.vertices)
    half = sparse.csr_array((np.ones(len(edges)), tuple(edges.T)), shape=(count, count))
    return sparse.csr_array(half + half.T)


def cut_mesh(mesh: Mesh, heights: NDArray[np.float64]) -> Mesh:
    """Leave what of a mesh lies above 0, cut through its triangles where the heights say.

    Parameters
    ----------
    mesh : Mesh
        What to cut.
    heights : float64 array, shape (N,)
        Of its vertices, linear between them.
    """
    above = heights > 0
    faces = mesh.faces.astype(np.int64)
    number = above[faces].sum(axis=1)
    edges, _, _ = _edges(faces[(number == 1) | (number == 2)])
    edges = edges[above[edges[:, 0]] != above[edges[:, 1]]]
    low, high = heights[edges].T
    places = mesh.vertices[edges].astype(np.float64)
    share = (low / np.where(low == high, 1, low - high))[:, None]
    vertices = np.concatenate([mesh.vertices, places[:, 0] + share * (places[:, 1] - places[:, 0])])
    size = len(mesh.vertices)
    keys = edges[:, 0] * size + edges[:, 1]

    def between(a: NDArray[np.int64], b: NDArray[np.int64]) -> NDArray[np.int64]:
        wanted = np.minimum(a, b) * size + np.maximum(a, b)
        return size + np.searchsorted(keys, wanted)

    parts = [faces[number == 3]]
    for count in (1, 2):
        cut = faces[number == count]
        # Turned so that the corner that differs from the two others comes first.
        first = (above[cut] == (count == 1)).argmax(axis=1)
        rows = np.arange(len(cut))
        a, b, c = (cut[rows, (first + k) % 3] for k in range(3))
        if count == 1:
            parts.append(np.stack([a, between(a, b), between(a, c)], axis=1))
        else:
            beside = between(a, b)
            parts.append(np.stack([b, c, beside], axis=1))
            parts.append(np.stack([c, between(a, c), beside], axis=1))
    return make_mesh(*drop_unused(vertices, np.concatenate(parts)))


def find_inner_edges(mesh: Mesh) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Find the edges between two triangles.

    Returns
    -------
    edges : int64 array, shape (N, 2)
        Vertices, in the order in which the first triangle runs along them.
    faces : int64 array, shape (N, 2)
        The triangle to the left of it and the other one.
    """
    _, edge, uses = _edges(mesh.faces)
    order = np.argsort(edge, kind="stable")
    order = order[uses[edge[order]] == 2].reshape(-1, 2)
    sides = mesh.faces[:, [[0, 1], [1, 2], [2, 0]]].reshape(-1, 2).astype(np.int64)
    return sides[order[:, 0]], order // 3


def find_rims(mesh: Mesh) -> list[tuple[float, NDArray[np.int64]]]:
    """Find the rims of an open mesh, the longest first: the length of each and its vertices.

    A closed mesh has none, a sheet without holes one. Lengths are taken without the steps that
    a rim has from voxel to voxel.
    """
    edges, _, uses = _edges(mesh.faces)
    rim = edges[uses == 1]
    if not len(rim):
        return []
    count = len(mesh.vertices)
    graph = sparse.coo_array((np.ones(len(rim)), (rim[:, 0], rim[:, 1])), shape=(count, count))
    _, piece = csgraph.connected_components(graph, directed=False)
    half = sparse.csr_array(graph)
    beside = half + half.T
    degree = np.maximum(beside.sum(axis=1), 1)[:, None]
    vertices = mesh.vertices.astype(np.float64)
    for _ in range(RIM_ROUNDS):
        vertices += ((beside @ vertices) / degree - vertices) / 2
    ends = vertices[rim]
    lengths = np.linalg.norm(ends[:, 1] - ends[:, 0], axis=1)
    _, which = np.unique(piece[rim[:, 0]], return_inverse=True)
    totals = np.bincount(which, weights=lengths)
    order = np.argsort(-totals, kind="stable")
    return [(float(totals[k]), np.unique(rim[which == k])) for k in order]


def count_edge_uses(faces: NDArray[Any]) -> dict[int, int]:
    """Count the edges by the triangles they have: of a closed surface all have two."""
    _, _, uses = _edges(faces)
    counts, numbers = np.unique(uses, return_counts=True)
    return dict(zip(counts.tolist(), numbers.tolist(), strict=True))


def _edges(
    faces: NDArray[Any],
) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]:
    """Undirected edges, the edge of every side of every triangle, and sides an edge has."""
    sides = faces[:, [[0, 1], [1, 2], [2, 0]]].reshape(-1, 2).astype(np.int64)
    low, high = sides.min(axis=1), sides.max(axis=1)
    size = int(high.max(initial=0)) + 1
    keys, inverse, uses = np.unique(low * size + high, return_inverse=True, return_counts=True)
    return np.stack([keys // size, keys % size], axis=1), inverse, uses


def _neighbour_faces(faces: NDArray[Any]) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
    """Pairs of triangles that share an edge alone, and whether both run along it the same way."""
    _, edge, uses = _edges(faces)
    forward = (faces[:, [0, 1, 2]] < faces[:, [1, 2, 0]]).ravel()
    order = np.argsort(edge, kind="stable")
    order = order[uses[edge[order]] == 2].reshape(-1, 2)
    same = forward[order[:, 0]] == forward[order[:, 1]]
    return order // 3, same
