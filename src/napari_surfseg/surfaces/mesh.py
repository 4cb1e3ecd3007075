"""Triangle meshes of surfaces: the closed skin of a mask, made block by block.

Marching cubes on blocks that share one plane of voxels. A vertex on a shared
plane lies on one edge of the voxel lattice, which names it, so the blocks are
stitched exactly and a closed surface stays closed. The single-layer mesh of a
sheet's middle is in ``sheet_mesh``, smoothing and thinning out in
``mesh_shape``, files in ``mesh_writing`` and
``mesh_reading``.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from napari_surfseg.errors import SurfsegError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from numpy.typing import NDArray

    from napari_surfseg.geometry import Size3, Spacing3

__all__ = ["Mesh", "VertexPool", "build_mesh", "compute_normals", "find_level", "make_mesh"]


#: Block edge: marching cubes takes some 30 bytes a voxel.
BLOCK = 128


@dataclass(frozen=True)
class Mesh:
    """Triangles in physical units.

    Attributes
    ----------
    vertices : ndarray of float32, shape (N, 3)
        ZYX.
    faces : ndarray of int32, shape (M, 3)
        Vertices of each triangle, counter-clockwise seen from outside where
        X, Y, Z is right-handed (what mesh files, napari and OpenGL take).
    normals : ndarray of float32, shape (N, 3)
        Unit vectors at the vertices, ZYX, pointing outwards.
    values : mapping
        Of what was measured at the vertices (``thickness``) a float32 array, shape (N,).
    """

    vertices: NDArray[np.float32]
    faces: NDArray[np.int32]
    normals: NDArray[np.float32]
    values: Mapping[str, NDArray[np.float32]] = field(default_factory=dict)

    def with_vertices(self, vertices: NDArray[Any]) -> Mesh:
        """Return the same triangles with other vertices, and normals that fit them."""
        moved = vertices.astype(np.float32)
        return replace(self, vertices=moved, normals=compute_normals(moved, self.faces))


class SliceableArray(Protocol):
    """A numpy array, a memory map or a zarr array."""

    shape: tuple[int, ...]
    dtype: Any

    def __getitem__(self, index: Any, /) -> Any: ...


def find_level(values: SliceableArray) -> float:
    """Choose the grey value at which a volume's surface lies.

    Returns
    -------
    float
        One half for masks (0/1, bool) and for real numbers 0..1; 127.5 for uint8
        probabilities 0..255. Between integers, so that no voxel lies on it.
    """
    if values.dtype == np.uint8:
        highest = max((int(plane.max()) for plane in _planes(values)), default=0)
        return 127.5 if highest > 1 else 0.5
    return 0.5


def _planes(values: SliceableArray, depth: int = 32) -> Iterator[NDArray[Any]]:
    for start in range(0, values.shape[0], depth):
        yield np.asarray(values[start : start + depth])


def build_mesh(
    values: SliceableArray,
    *,
    level: float | None = None,
    spacing: Spacing3 = (1.0, 1.0, 1.0),
    origin: Spacing3 = (0.0, 0.0, 0.0),
    closed: bool = True,
    block: int = BLOCK,
    name: str = "the volume",
    should_stop: Callable[[], None] | None = None,
) -> Mesh:
    """Mesh the skin of a mask or of probabilities.

    Parameters
    ----------
    values : array (Z, Y, X)
        Mask or probabilities; anything that can be sliced, so a zarr array is
        read block by block.
    level : float, optional
        Grey value at which the surface lies; by default that of :func:`find_level`.
    spacing : tuple of float
        Voxel size, ZYX.
    origin : tuple of float
        Place of the centre of voxel (0, 0, 0), ZYX, in the units of ``spacing``.
    closed : bool
        Close the surface where it leaves the volume.
    block : int
        Edge of the blocks, in voxels.
    name : str
        What the sentence calls the volume.
    should_stop : callable, optional
        Called before each block; raises to stop.

    Returns
    -------
    Mesh
        A thin sheet gives two layers, its two sides.

    Raises
    ------
    SurfsegError
        If nothing lies above the level (or everything does, if not closed).

    Notes
    -----
    Lewiner et al. 2003, topologically consistent marching cubes.
    """
    from skimage.measure import marching_cubes

    if level is None:
        level = find_level(values)
    margin = 1 if closed else 0
    # Vertices are counted in a lattice that has the closing border around the volume.
    lattice = tuple(size + 2 * margin for size in values.shape)
    pool = VertexPool((lattice[0], lattice[1], lattice[2]), num_directions=3)
    outside = 0.0 if level > 0 else 2 * level - 1
    slack = 1e-3 * max(abs(level), 1e-3)
    for start in itertools.product(*(range(0, max(n - 1, 0), block) for n in lattice)):
        if should_stop is not None:
            should_stop()
        cube = _read_block(values, start, block, margin, outside)
        above = cube > level
        if above.all() or not above.any():
            continue
        # A voxel on the level would put the vertices of its edges in one point, without
        # a name of their own; it is moved to the side it counts to.
        np.copyto(
            cube, np.where(above, level + slack, level - slack), where=abs(cube - level) < slack
        )
        vertices, faces, _, _ = marching_cubes(
            cube, level, gradient_direction="descent", allow_degenerate=True
        )
        pool.add(vertices, faces, start)
    vertices, faces = pool.merge()
    if not len(faces):
        raise SurfsegError(
            f"There is no surface to mesh in {name}: no voxel lies above {level:g} with one "
            "below it beside it."
        )
    physical = (vertices - margin) * np.asarray(spacing) + np.asarray(origin)
    return make_mesh(physical, faces)


def make_mesh(vertices: NDArray[Any], faces: NDArray[Any]) -> Mesh:
    """Make a mesh of plain arrays, with normals."""
    placed = vertices.astype(np.float32)
    triangles = faces.astype(np.int32)
    return Mesh(placed, triangles, compute_normals(placed, triangles))


def _read_block(
    values: SliceableArray, start: tuple[int, ...], block: int, margin: int, outside: float
) -> NDArray[np.float32]:
    """Voxels of the cells of a block, one plane more than cells along each axis."""
    inside, pads = [], []
    for low, size in zip(start, values.shape, strict=True):
        high = min(low + block + 1, size + 2 * margin)
        begin, end = max(low - margin, 0), min(high - margin, size)
        inside.append(slice(begin, end))
        pads.append((begin - (low - margin), (high - margin) - end))
    cube = np.asarray(values[tuple(inside)]).astype(np.float32)
    return np.pad(cube, pads, constant_values=outside)


class VertexPool:
    """Vertices and faces of blocks, stitched where they meet.

    Every vertex on a block's border lies on an edge of a lattice; the edge's
    lower end and its direction name it.

    Parameters
    ----------
    lattice : tuple of int
        Points of the whole lattice.
    num_directions : int
        Edge directions a point has: 3 for cubes.
    """

    def __init__(self, lattice: Size3, *, num_directions: int) -> None:
        self._lattice, self._num_directions = lattice, num_directions
        self._vertices: list[NDArray[np.float64]] = []
        self._faces: list[NDArray[np.int64]] = []
        self._keys: list[NDArray[np.int64]] = []
        self._keyed: list[NDArray[np.int64]] = []
        self._count = 0

    def add(
        self, vertices: NDArray[np.float32], faces: NDArray[np.int32], start: tuple[int, ...]
    ) -> None:
        """Take a block of marching cubes whose voxel 0 is the lattice's ``start``."""
        rounded = np.rint(vertices)
        top = rounded.max(axis=0, initial=0)
        border = ((vertices == 0) | (vertices >= top)).any(axis=1)
        index = np.flatnonzero(border)
        local = vertices[index]
        direction = np.abs(local - rounded[index]).argmax(axis=1)
        lower = rounded[index].astype(np.int64)
        rows = np.arange(len(index))
        lower[rows, direction] = np.floor(local[rows, direction]).astype(np.int64)
        self.add_keyed(
            vertices.astype(np.float64) + start,
            faces,
            index,
            lower + np.asarray(start),
            direction,
        )

    def add_keyed(
        self,
        vertices: NDArray[np.float64],
        faces: NDArray[Any],
        index: NDArray[np.int64],
        lower: NDArray[np.int64],
        direction: NDArray[np.int64],
    ) -> None:
        """Take vertices (lattice coordinates), those at ``index`` named by edges."""
        _, ny, nx = self._lattice
        place = (lower[:, 0] * ny + lower[:, 1]) * nx + lower[:, 2]
        self._keys.append(place * self._num_directions + direction)
        self._keyed.append(index + self._count)
        self._vertices.append(vertices)
        self._faces.append(faces.astype(np.int64) + self._count)
        self._count += len(vertices)

    def merge(self) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
        """Vertices and faces of all blocks, each vertex once."""
        if not self._vertices:
            return np.zeros((0, 3)), np.zeros((0, 3), np.int64)
        vertices = np.concatenate(self._vertices)
        faces = np.concatenate(self._faces)
        keyed = np.concatenate(self._keyed)
        _, first, inverse = np.unique(
            np.concatenate(self._keys), return_index=True, return_inverse=True
        )
        target = np.arange(self._count)
        target[keyed] = keyed[first[inverse]]
        return drop_unused(vertices, target[faces])


def drop_unused(
    vertices: NDArray[Any], faces: NDArray[np.int64]
) -> tuple[NDArray[Any], NDArray[np.int64]]:
    """Leave out vertices of no triangle, and triangles that have lost a corner."""
    a, b, c = faces.T
    faces = faces[(a != b) & (b != c) & (c != a)]
    used = np.zeros(len(vertices), bool)
    used[faces] = True
    number = np.cumsum(used) - 1
    return vertices[used], number[faces]


def compute_normals(vertices: NDArray[Any], faces: NDArray[Any]) -> NDArray[np.float32]:
    """Average the triangles' normals at each vertex, weighted by area.

    Parameters
    ----------
    vertices : array (N, 3)
        ZYX.
    faces : array (M, 3)
        Counter-clockwise from outside where X, Y, Z is right-handed.

    Returns
    -------
    ndarray of float32, shape (N, 3)
        Unit vectors, ZYX; 0 where triangles cancel out or have no area.
    """
    corners = vertices[:, ::-1].astype(np.float64)[faces]  # in XYZ, where the winding is meant
    across = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
    normals = np.stack(
        [
            np.bincount(faces.ravel(), np.repeat(across[:, axis], 3), minlength=len(vertices))
            for axis in (2, 1, 0)
        ],
        axis=1,
    ).astype(np.float64)  # of no triangles NumPy counts whole numbers
    length = np.linalg.norm(normals, axis=1, keepdims=True)
    np.divide(normals, length, out=normals, where=length > 0)
    return normals.astype(np.float32)
