"""Fewer triangles, by quadric errors: a mesh that stays within a distance of what it was.

Garland & Heckbert 1997, as the library fast-simplification has it; it is an extra.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from scipy.spatial import cKDTree

from napari_surfseg.cancelling import raise_if_stopped
from napari_surfseg.errors import SurfsegError
from napari_surfseg.surfaces.mesh import make_mesh
from napari_surfseg.surfaces.mesh_shape import count_edge_uses

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from napari_surfseg.surfaces.mesh import Mesh

__all__ = ["decimate_mesh", "measure_deviation"]

#: Tries, each with half as many triangles left out as the one before.
TRIES = 6

#: Where a triangle is looked at: corners, middles of sides, centre.
SAMPLES = np.array(
    [
        [1, 0, 0], [0, 1, 0], [0, 0, 1],
        [0.5, 0.5, 0], [0, 0.5, 0.5], [0.5, 0, 0.5],
        [1 / 3, 1 / 3, 1 / 3],
    ]
)  # fmt: skip


def decimate_mesh(mesh: Mesh, share: float, max_error: float) -> Mesh:
    """Leave out triangles where the mesh is flattest.

    Parameters
    ----------
    mesh : Mesh
        What to thin out; its rim stays as it is, and what was measured at its vertices goes.
    share : float
        Of its triangles that are to stay, above 0; 1 leaves it as it is.
    max_error : float
        Greatest distance from what it was, in its units. More triangles stay where the share
        cannot be reached within it.

    Raises
    ------
    SurfsegError
        If the library is not installed.
    """
    if share >= 1 or not len(mesh.faces):
        return mesh
    try:
        from fast_simplification import simplify
    except ImportError:
        raise SurfsegError(
            "To leave out triangles fast-simplification is needed; install it with "
            "'pip install \"napari-surfseg[mesh]\"', or keep all of them (triangles 1)."
        ) from None
    vertices = np.ascontiguousarray(mesh.vertices, np.float64)
    faces = np.ascontiguousarray(mesh.faces, np.int32)
    before = count_edge_uses(mesh.faces)
    left_out = 1 - share
    for _ in range(TRIES):
        raise_if_stopped()
        places, kept = simplify(vertices, faces, left_out, preserve_border=True)
        found = make_mesh(np.asarray(places), np.asarray(kept))
        after = count_edge_uses(found.faces)
        # Edges of three triangles and more: none may come, nor may a hole open.
        sound = after.get(1, 0) <= before.get(1, 0) and _count_forks(after) <= _count_forks(before)
        if sound and len(kept) and measure_deviation(found, mesh) <= max_error:
            return found
        left_out /= 2
    return mesh


def _count_forks(uses: dict[int, int]) -> int:
    return sum(number for count, number in uses.items() if count > 2)


def measure_deviation(mesh: Mesh, original: Mesh) -> float:
    """Find how far a mesh lies from a finer one, at most.

    Corners, middles of sides and centres of its triangles are held against the plane through the
    nearest vertex of the finer one.
    """
    samples = np.einsum("sk,fkc->fsc", SAMPLES, mesh.vertices[mesh.faces].astype(np.float64))
    points: NDArray[np.float64] = samples.reshape(-1, 3)
    nearest = cKDTree(original.vertices).query(points)[1]
    away = points - original.vertices[nearest]
    return float(np.abs((away * original.normals[nearest]).sum(axis=1)).max(initial=0.0))
