"""The rim of a sheet's mesh: cut off where the sheet itself ends."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from napari_surfseg.surfaces.mesh_normals import average_over_neighbours, look_along_normals
from napari_surfseg.surfaces.mesh_shape import cut_mesh, find_neighbours

if TYPE_CHECKING:
    from napari_surfseg.geometry import Spacing3
    from napari_surfseg.surfaces.mesh import Mesh
    from napari_surfseg.surfaces.voxel_stores import VoxelReader

__all__ = ["trim_rim"]

#: Rounds in which a sheet's usual thickness spreads to its rim.
USUAL_ROUNDS = 8

#: Share of the usual thickness at which a sheet ends: half of a line through its last voxels
#: and the empty ones beyond.
END = 0.5


def trim_rim(mesh: Mesh, mask: VoxelReader, spacing: Spacing3 = (1.0, 1.0, 1.0)) -> Mesh:
    """Cut off what of a sheet's mesh lies beyond the sheet.

    The ridge that :func:`~.sheet_mesh.build_sheet_mesh` follows goes on for about a voxel beyond
    the last of the mask, whose end it is smoothed over.

    Parameters
    ----------
    mesh : Mesh
        With the centre of voxel (0, 0, 0) at 0.
    mask : array (Z, Y, X)
        The sheet.
    spacing : tuple of float
        Voxel size, in the mesh's units.

    Returns
    -------
    Mesh
        It ends where the line through it has half of the thickness the sheet has near there.
        The mesh as it is, if nothing of it were left.
    """
    local = look_along_normals(mesh, mask, spacing).thickness
    neighbours = find_neighbours(mesh)
    # Weighted by itself, so that what lies outside the sheet does not count.
    square, plain = (
        average_over_neighbours(values, neighbours, USUAL_ROUNDS) for values in (local**2, local)
    )
    usual = square / np.maximum(plain, 1e-12)
    trimmed = cut_mesh(mesh, local - END * usual)
    return trimmed if len(trimmed.faces) else mesh
