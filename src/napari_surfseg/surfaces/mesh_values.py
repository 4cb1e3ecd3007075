"""What is shown as the colour of a mesh: thickness, curvature or the gap to the next surface."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from napari_surfseg.surfaces.measures import compute_curvature
from napari_surfseg.surfaces.mesh_normals import average_over_neighbours, look_along_normals
from napari_surfseg.surfaces.mesh_shape import find_neighbours

if TYPE_CHECKING:
    from napari_surfseg.geometry import Spacing3
    from napari_surfseg.surfaces.mesh import Mesh
    from napari_surfseg.surfaces.voxel_stores import VoxelReader

__all__ = ["GAP_REACH", "measure_at_vertices"]

#: How far the next surface is looked for, in voxels of the finest axis.
GAP_REACH = 64.0

#: Rounds in which values are averaged with their neighbours: the steps of the voxels go out.
ROUNDS = 5


def measure_at_vertices(
    mesh: Mesh,
    what: str,
    mask: VoxelReader,
    spacing: Spacing3 = (1.0, 1.0, 1.0),
    *,
    others: VoxelReader | None = None,
) -> Mesh:
    """Return the mesh with what was measured at each of its vertices.

    Parameters
    ----------
    mesh : Mesh
        With the centre of voxel (0, 0, 0) at 0.
    what : str
        ``thickness``: length within the sheet along the normal; ``gap``: from its face to the
        next surface, on the nearer side, NaN where there is none within 64 voxels (both in
        units); ``curvature``: mean curvature in 1 / units, above 0 where it bulges to where the
        normals point.
    mask : array (Z, Y, X)
        The sheet.
    spacing : tuple of float
        Voxel size.
    others : array (Z, Y, X), optional
        Surfaces a gap ends at; by default the mask.
    """
    neighbours = find_neighbours(mesh)
    if what == "curvature":
        values = compute_curvature(mesh)[0]
    elif what == "gap":
        found = look_along_normals(mesh, mask, spacing, others=others, reach=GAP_REACH)
        values = np.where(np.isfinite(found.gap), found.gap, np.nan)
    else:
        found = look_along_normals(mesh, mask, spacing)
        values = average_over_neighbours(found.thickness, neighbours, ROUNDS)
    return replace(mesh, values={what: values.astype(np.float32)})
