"""Fragments: small pieces of the middles of sheets, and what each pair of neighbours says.

::

                     normal
                       ^      cells of a grid
    ____ | ____ | ____ | ____      a fragment: connected middle within one cell
    ____ | __________  | ____  )
          ` same layer         ) the next layer up

A *link* is a pair of fragments with a step: 0 where one continues the other in its plane, 1 where
the second lies above the first, with a weight. A bridge makes a link of step 0 with little weight
between fragments that have a strong one of step 1.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from scipy import sparse
from scipy.spatial import cKDTree

from napari_surfseg.cancelling import raise_if_stopped
from napari_surfseg.compiling import compiled

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from napari_surfseg.geometry import Spacing3

__all__ = ["Fragments", "Links", "cut_fragments", "find_links", "judge_plane"]

#: Neighbours are looked for within so many cells.
NEAR = 1.8
#: A fragment that does not touch counts this much of one that does.
APART = 0.25
#: Least cosine between the normals of fragments of which one continues the other, or lies above.
PARALLEL = 0.5
#: Two fragments of one sheet are shifted along their normals by this share of a thickness, and of
#: the distance between them, and seldom by more.
RISE, SLOPE = 0.4, 0.2
#: What lies above a whole fragment counts as much as a contact along its whole edge, this often.
STACKED = 1.0
#: Edge of the cells of the grid, in thicknesses, and its limits in the finest voxels.
CELL, CELL_LIMITS = 2.0, (5.0, 16.0)


@dataclass(frozen=True)
class Fragments:
    """Pieces of the middles of sheets.

    Attributes
    ----------
    places : int32 array, shape (N, 3)
        Voxels of the middles.
    normals : float32 array, shape (N, 3)
        At these voxels.
    of_voxel : int32 array, shape (N,)
        The fragment of each, from 0.
    centres, axes : float64 array, shape (M, 3)
        Middle of each fragment, in the finest voxels, and its mean normal, of either sign.
    sizes : float64 array, shape (M,)
        Voxels of each.
    """

    places: NDArray[np.int32]
    normals: NDArray[np.float32]
    of_voxel: NDArray[np.int32]
    centres: NDArray[np.float64]
    axes: NDArray[np.float64]
    sizes: NDArray[np.float64]

    def __len__(self) -> int:
        return len(self.sizes)


@dataclass(frozen=True)
class Links:
    """Pairs of fragments.

    Attributes
    ----------
    pairs : int64 array, shape (K, 2)
        The two fragments.
    steps : int64 array, shape (K,)
        0: one layer; 1: the second lies one layer further in the direction of the axis of the
        first; -1: against it.
    weights : float64 array, shape (K,)
        How much speaks for it.
    """

    pairs: NDArray[np.int64]
    steps: NDArray[np.int64]
    weights: NDArray[np.float64]


def cut_fragments(
    places: NDArray[np.int32],
    normals: NDArray[np.float32],
    size: Spacing3,
    thickness: float,
    groups: NDArray[np.int32] | None = None,
) -> Fragments:
    """Cut the middles of sheets into fragments.

    Parameters
    ----------
    places, normals : arrays, shape (N, 3)
        Voxels of the middles.
    size : tuple of float
        Voxel size, the finest being 1.
    thickness : float
        Of a sheet, in the finest voxels; it sets the size of the fragments.
    groups : int array, shape (N,), optional
        Voxels of different groups are never in one fragment.
    """
    steps = np.asarray(size)
    cells = (places * steps / find_cell(thickness)).astype(np.int64)
    widths = cells.max(axis=0, initial=0) + 1
    keys = (cells[:, 0] * widths[1] + cells[:, 1]) * widths[2] + cells[:, 2]
    if groups is not None:
        keys = keys * (int(groups.max(initial=0)) + 1) + groups
    index = np.full(places.max(axis=0, initial=0) + 1, -1, np.int32)
    index[tuple(places.T)] = np.arange(len(places), dtype=np.int32)
    parent = np.arange(len(places), dtype=np.int32)
    _join_within(index, places, keys, normals, parent)
    of_voxel = np.asarray(np.unique(parent, return_inverse=True)[1], np.int32)
    number = int(of_voxel.max(initial=-1)) + 1

    def add_up(values: NDArray[Any]) -> NDArray[np.float64]:
        return np.asarray(np.bincount(of_voxel, values, number), np.float64)

    sizes = add_up(np.ones(len(places)))
    at = places * steps
    centres = np.stack([add_up(at[:, i]) for i in range(3)], 1) / sizes[:, None]
    tensor = np.empty((number, 3, 3))
    for i in range(3):
        for j in range(3):
            tensor[:, i, j] = add_up(normals[:, i] * normals[:, j])
    axes = np.asarray(np.linalg.eigh(tensor)[1][:, :, 2], np.float64)
    return Fragments(places, normals, of_voxel, centres, axes, sizes)


def find_cell(thickness: float) -> float:
    """Edge of a cell of the grid, in the finest voxels."""
    return float(np.clip(CELL * thickness, *CELL_LIMITS))


@compiled
def _find_root(parent: Any, i: int) -> int:
    while parent[i] != i:
        parent[i] = parent[parent[i]]
        i = parent[i]
    return i


@compiled
def _join_within(index: Any, places: Any, keys: Any, normals: Any, parent: Any) -> None:
    """Union-find over neighbouring voxels of one cell whose normals are not across."""
    _, height, width = index.shape
    for i in range(len(places)):
        z, y, x = places[i]
        for dz in range(-1, 1):
            for dy in range(-1, 2):
                for dx in range(-1, 2):
                    if dz == 0 and (dy > 0 or (dy == 0 and dx >= 0)):
                        continue
                    a, b, c = z + dz, y + dy, x + dx
                    if a < 0 or b < 0 or c < 0 or b >= height or c >= width:
                        continue
                    j = index[a, b, c]
                    if j < 0 or keys[j] != keys[i]:
                        continue
                    cosine = 0.0
                    for k in range(3):
                        cosine += normals[i, k] * normals[j, k]
                    if abs(cosine) < 0.5:
                        continue
                    first, second = _find_root(parent, i), _find_root(parent, j)
                    if first != second:
                        parent[max(first, second)] = min(first, second)
    for i in range(len(places)):
        parent[i] = _find_root(parent, i)


def find_links(
    fragments: Fragments,
    shape: tuple[int, ...],
    size: Spacing3,
    thickness: float,
    reach: float,
) -> Links:
    """Find which fragments continue each other, and which lie one above the other.

    Parameters
    ----------
    fragments : Fragments
        All of them.
    shape : tuple of int
        Of the volume.
    size : tuple of float
        Voxel size, the finest being 1.
    thickness : float
        Of a sheet, in the finest voxels.
    reach : float
        How far above a sheet the next is looked for, in the finest voxels.
    """
    index = np.full(shape, -1, np.int32)
    index[tuple(fragments.places.T)] = fragments.of_voxel
    plane = _link_in_plane(fragments, index, thickness)
    raise_if_stopped()
    stacked = _link_stacked(fragments, index, size, thickness, reach)
    return Links(
        *(
            np.concatenate([getattr(plane, name), getattr(stacked, name)])
            for name in ("pairs", "steps", "weights")
        )
    )


def _link_in_plane(fragments: Fragments, index: NDArray[np.int32], thickness: float) -> Links:
    if not len(fragments):
        return _no_links()
    pairs = cKDTree(fragments.centres).query_pairs(
        NEAR * find_cell(thickness), output_type="ndarray"
    )
    pairs = pairs.astype(np.int64).reshape(-1, 2)
    if not len(pairs):
        return _no_links()
    likely, cosine = judge_plane(fragments, pairs, thickness)
    touching = _count_contacts(fragments, index)
    faces = np.asarray(touching[pairs[:, 0], pairs[:, 1]]).ravel()
    smaller = np.sqrt(np.minimum(fragments.sizes[pairs[:, 0]], fragments.sizes[pairs[:, 1]]))
    weights = likely * np.where(faces > 0, np.minimum(faces, smaller), APART * smaller)
    kept = (cosine > PARALLEL) & (weights > 0.05)
    pairs, weights = pairs[kept], weights[kept]
    return Links(pairs, np.zeros(len(pairs), np.int64), weights)


def judge_plane(
    fragments: Fragments, pairs: NDArray[np.int64], thickness: float
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Judge how likely one fragment continues another, 0 to 1, by place and normal alone.

    Returns
    -------
    likely, cosine : float64 arrays, shape (K,)
        The second is that of the angle between their normals.
    """
    apart = fragments.centres[pairs[:, 1]] - fragments.centres[pairs[:, 0]]
    first, second = fragments.axes[pairs[:, 0]], fragments.axes[pairs[:, 1]]
    cosine = (first * second).sum(1)
    second = np.where(cosine[:, None] < 0, -second, second)
    cosine = np.abs(cosine)
    # On an arc one fragment is as far above the other's plane as that is below its own, and the
    # mean is 0; of two layers one lies above in both senses.
    rise = np.abs((apart * (first + second)).sum(1)) / 2
    along = np.sqrt(np.maximum((apart**2).sum(1) - rise**2, 0))
    likely = np.exp(-((rise / (RISE * thickness + SLOPE * along)) ** 2)) * cosine**2
    return likely, cosine


def _no_links() -> Links:
    return Links(np.zeros((0, 2), np.int64), np.zeros(0, np.int64), np.zeros(0))


def _count_contacts(fragments: Fragments, index: NDArray[np.int32]) -> Any:
    """Count the voxels of each fragment that touch another, as a symmetric sparse matrix."""
    number = len(fragments)
    padded = np.pad(index, 1, constant_values=-1)
    z, y, x = (fragments.places + 1).T
    total = sparse.csr_array((number, number))
    for dz in range(-1, 2):
        for dy in range(-1, 2):
            for dx in range(-1, 2):
                if (dz, dy, dx) <= (0, 0, 0):
                    continue
                other = padded[z + dz, y + dy, x + dx]
                differ = (other >= 0) & (other != fragments.of_voxel)
                share = 1 / (dz * dz + dy * dy + dx * dx) / 2
                total = total + sparse.csr_array(
                    (
                        np.full(int(differ.sum()), share),
                        (fragments.of_voxel[differ], other[differ]),
                    ),
                    shape=(number, number),
                )
        raise_if_stopped()
    return (total + total.T).tocsr()


def _link_stacked(
    fragments: Fragments,
    index: NDArray[np.int32],
    size: Spacing3,
    thickness: float,
    reach: float,
) -> Links:
    """Follow a ray from each voxel of a middle, both ways, to the next sheet."""
    if not len(fragments):
        return _no_links()
    hits = np.empty((2, len(fragments.places)), np.int32)
    # Rays run along the fragment's mean normal, turned as its axis.
    _find_next(
        index,
        fragments.places,
        fragments.axes,
        fragments.of_voxel,
        fragments.centres,
        np.asarray(size),
        0.6 * thickness + 0.5,
        reach,
        hits,
    )
    keys, weights = [], []
    number = len(fragments)
    for sign, hit in zip((1, -1), hits, strict=True):
        found = hit >= 0
        key = (fragments.of_voxel[found].astype(np.int64) * number + hit[found]) * 2 + (sign > 0)
        values, counts = np.unique(key, return_counts=True)
        keys.append(values)
        weights.append(counts)
    key = np.concatenate(keys)
    pairs = np.stack([key // 2 // number, key // 2 % number], 1)
    steps = np.where(key % 2 > 0, 1, -1)
    cosine = np.abs((fragments.axes[pairs[:, 0]] * fragments.axes[pairs[:, 1]]).sum(1))
    # Each of the two finds the other: half of what they say together. An area by its edge is a
    # length, as contacts within a plane are.
    edge = np.sqrt(np.maximum(fragments.sizes[pairs[:, 0]], fragments.sizes[pairs[:, 1]]))
    weight = np.concatenate(weights) / edge * cosine**2 / 2 * STACKED
    kept = cosine > PARALLEL
    return Links(pairs[kept], steps[kept], weight[kept])


@compiled
def _find_next(
    index: Any,
    places: Any,
    axes: Any,
    of_voxel: Any,
    centres: Any,
    size: Any,
    clear: float,
    reach: float,
    hits: Any,
) -> None:
    for i in range(len(places)):
        own = of_voxel[i]
        for way in range(2):
            hits[way, i] = -1
            sign = 1.0 - 2.0 * way
            for k in range(1, int(reach / 0.5)):
                ahead = sign * 0.5 * k
                z = round(places[i, 0] + ahead * axes[own, 0] / size[0])
                y = round(places[i, 1] + ahead * axes[own, 1] / size[1])
                x = round(places[i, 2] + ahead * axes[own, 2] / size[2])
                if (
                    z < 0 or y < 0 or x < 0
                    or z >= index.shape[0] or y >= index.shape[1] or x >= index.shape[2]
                ):  # fmt: skip
                    break
                other = index[z, y, x]
                if other < 0 or other == own:
                    continue
                # Where the ray crosses the plane of the other fragment.
                slope = distance = 0.0
                for a in range(3):
                    slope += axes[own, a] * axes[other, a]
                    distance += (centres[other, a] - places[i, a] * size[a]) * axes[other, a]
                if abs(slope) > 0.3 and abs(distance / slope) > clear and 0.5 * k > clear:
                    hits[way, i] = other
                    break
