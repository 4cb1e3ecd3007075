"""What lies along a mesh's normals: how thick the sheet is there, and how far the next one is.

A line runs from each vertex to both sides of the sheet::

      ____________________        next surface
               :
               :  gap             from face to face
      _________:__________
      ~~~~~~~~~o~~~~~~~~~~  mesh  thickness: the length of the line within the sheet,
      _________:__________        both ways

The length within the sheet is the integral of the linearly interpolated mask along the line. Its
mean over an area is the volume by that area, so the steps of the voxels go out in the mean; a
distance to the nearest voxel outside would be too large by up to a voxel, everywhere.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from scipy import ndimage, sparse

from napari_surfseg.cancelling import raise_if_stopped
from napari_surfseg.geometry import box_slices, grow_box, to_index, whole_box
from napari_surfseg.surfaces.mesh_shape import find_neighbours, smooth_mesh

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from napari_surfseg.geometry import Spacing3
    from napari_surfseg.surfaces.mesh import Mesh
    from napari_surfseg.surfaces.voxel_stores import VoxelReader

__all__ = ["AlongNormals", "average_over_neighbours", "look_along_normals"]

#: Length of a step, in voxels of the finest axis: the mask is linear between voxels, so that
#: trapezia this long miss less than a hundredth of a voxel.
STEP = 0.25

#: Rounds in which normals are averaged with their neighbours.
NORMAL_ROUNDS = 5

#: Rounds of smoothing before normals are taken: those of a mesh from a mask have its steps.
SMOOTHING = 10

#: Edge of the blocks in which vertices are done, in voxels, and what of a sheet lies within
#: reach beyond them, in the finest voxels: thicker ones are cut off there.
BLOCK = 128
LONGEST = 48

HALF = 0.5
TOUCHING = 0.75
OUTSIDE = 0.25


@dataclass(frozen=True)
class AlongNormals:
    """What was found at each vertex, in the units of the spacing.

    Attributes
    ----------
    thickness : float64 array, shape (N,)
        Length of the normal's line within the sheet.
    gap : float64 array, shape (N,)
        To the next surface, from face to face, on the nearer side; infinite where there is none
        within reach.
    """

    thickness: NDArray[np.float64]
    gap: NDArray[np.float64]


def look_along_normals(
    mesh: Mesh,
    mask: VoxelReader,
    spacing: Spacing3 = (1.0, 1.0, 1.0),
    *,
    others: VoxelReader | None = None,
    reach: float = 0.0,
) -> AlongNormals:
    """Measure the sheet along the normals of its mesh.

    Parameters
    ----------
    mesh : Mesh
        Of the middle of the sheet or of its skin, with the centre of voxel (0, 0, 0) at 0.
    mask : array-like (Z, Y, X)
        The sheet; read by blocks.
    spacing : tuple of float
        Voxel size, in the mesh's units.
    others : array-like (Z, Y, X), optional
        Surfaces a gap ends at; by default the mask itself, whose next winding counts.
    reach : float
        How far from the sheet the next one is looked for, in voxels of the finest axis; 0 looks
        for none.
    """
    neighbours = find_neighbours(mesh)
    normals = smooth_mesh(mesh, SMOOTHING).normals.astype(np.float64)
    for _ in range(NORMAL_ROUNDS):
        normals += neighbours @ normals
        normals /= np.maximum(np.linalg.norm(normals, axis=1, keepdims=True), 1e-12)
    start = mesh.vertices / np.asarray(spacing, np.float64)
    length, gap = np.zeros(len(start)), np.full(len(start), np.inf)
    margin = int(np.ceil(max(LONGEST, reach + LONGEST if reach > 0 else 0)))
    halo = to_index(int(np.ceil(margin * min(spacing) / step)) for step in spacing)
    whole = whole_box(mask.shape)
    cell = np.floor(start / BLOCK).astype(np.int64)
    _, group = np.unique(cell, axis=0, return_inverse=True)
    order = np.argsort(group.ravel(), kind="stable")
    for rows in np.split(order, np.flatnonzero(np.diff(group.ravel()[order])) + 1):
        raise_if_stopped()
        here = start[rows]
        low, high = np.floor(here.min(axis=0)), np.ceil(here.max(axis=0)) + 1
        box = grow_box((to_index(low.astype(int)), to_index(high.astype(int))), halo, whole)
        place = box_slices(box)
        sheet = np.asarray(np.asarray(mask[place]) != 0, np.float32)
        solid = sheet
        if others is not None:
            solid = np.maximum(sheet, np.asarray(others[place]) != 0)
        for way in (normals[rows], -normals[rows]):
            within, beyond = _walk(sheet, solid, here - box[0], way, spacing, reach)
            length[rows] += within
            gap[rows] = np.minimum(gap[rows], beyond)
    return AlongNormals(length, gap)


def average_over_neighbours(
    values: NDArray[np.float64], neighbours: sparse.csr_array, rounds: int
) -> NDArray[np.float64]:
    """Average the values of vertices with those of their neighbours, again and again."""
    degree = np.asarray(neighbours.sum(axis=1)).ravel() + 1
    for _ in range(rounds):
        values = (values + neighbours @ values) / degree
    return values


def _walk(
    sheet: NDArray[np.float32],
    solid: NDArray[np.float32],
    start: NDArray[np.float64],
    ways: NDArray[np.float64],
    spacing: Spacing3,
    reach: float,
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Walk from each start one way: the length in the sheet, and from its end to the next."""
    step = STEP * min(spacing)
    moves = ways * step / np.asarray(spacing)
    top = np.asarray(sheet.shape) - 1
    length, gap = np.zeros(len(start)), np.full(len(start), np.inf)

    def look(volume: NDArray[np.float32], places: NDArray[np.float64]) -> NDArray[np.float64]:
        found = ndimage.map_coordinates(volume, places.T, order=1, mode="nearest")
        # A voxel reaches half a step beyond its centre, as at any other end of a sheet.
        outside = ((places < -HALF) | (places > top + HALF)).any(axis=1)
        return np.where(outside, 0.0, found)

    # Through the sheet: to where the mask is 0, or rises again after it fell below one half.
    active = np.flatnonzero((ways != 0).any(axis=1))
    place = start[active]
    value = look(sheet, place)
    # One on the skin is near one half and may go in; one beyond the rim is outside already.
    below = value < OUTSIDE
    ends = start.copy()
    while len(active):
        raise_if_stopped()
        place = place + moves[active]
        following = look(sheet, place)
        falls = (value >= HALF) & (following < HALF)
        share = (value - HALF) / np.where(falls, value - following, 1)
        ends[active[falls]] = (place - (1 - share)[:, None] * moves[active])[falls]
        below |= (following < HALF) & (following <= value)
        rises = below & (following > value)
        length[active] += np.where(rises, 0, (value + following) / 2 * step)
        goes = (following > 0) & ~rises
        active, place, value, below = active[goes], place[goes], following[goes], below[goes]
    if reach <= 0:
        return length, gap
    # From the sheet's face on, to where a surface begins.
    active = np.flatnonzero((ways != 0).any(axis=1))
    place = ends[active]
    value = look(solid, place)
    # At its own face a sheet is one half; more, where another lies against it.
    touches = value > TOUCHING
    gap[active[touches]] = 0.0
    active, place, value = active[~touches], place[~touches], value[~touches]
    was_open = np.zeros(len(active), bool)
    for done in range(1, int(np.ceil(reach / STEP)) + 1):
        raise_if_stopped()
        place = place + moves[active]
        following = look(solid, place)
        enters = was_open & (value < HALF) & (following >= HALF)
        share = (HALF - value) / np.where(enters, following - value, 1)
        gap[active[enters]] = ((done - 1 + share) * step)[enters]
        was_open |= following < HALF
        inside = ((place >= -HALF) & (place <= top + HALF)).all(axis=1)
        goes = ~enters & inside
        active, place, value, was_open = active[goes], place[goes], following[goes], was_open[goes]
        if not len(active):
            break
    return length, gap
