"""The single-layer mesh of sheets: triangles through their middle.

The middle of a sheet is a ridge of the smoothed mask: where its second
derivative is most negative across the sheet (along ``normal``, an eigenvector
of the Hessian) the first derivative along the normal passes through zero. An
eigenvector has no sign, so signs are matched within each cell of the voxel
lattice, and the zero is followed through the cell's six tetrahedra::

        side A    + + + +          slope along the normal: + before the
      ~~~~~~~~~~~~~~~~~~~~~~~~     ridge, - behind it; the mesh runs
        side B    - - - -          through the zeros between voxels

Furst & Pizer 2001 (marching ridges), with the tetrahedra of Freudenthal's
triangulation, which fit together between cells without a table of cases.
"""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING

import numpy as np
from scipy import ndimage

from napari_surfseg.errors import SurfsegError
from napari_surfseg.geometry import box_at, box_slices, clip_box, grow_box, to_index, whole_box
from napari_surfseg.surfaces.mesh import VertexPool, find_level, make_mesh
from napari_surfseg.surfaces.mesh_shape import keep_large_pieces, orient_faces

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from napari_surfseg.geometry import Index3, Slices3, Spacing3
    from napari_surfseg.surfaces.mesh import Mesh, SliceableArray

__all__ = ["build_sheet_mesh", "choose_smoothing", "estimate_thickness"]

BLOCK = 96

#: Least smoothing, in voxels of the finest axis.
MIN_SIGMA = 1.5

#: Of a sheet that is alone: its smoothing by its thickness, and by the longest voxels, up to a
#: number of the finest.
SMOOTH_SHARE = 0.6
SMOOTH_VOXELS = 1.25
MAX_VOXELS = 4.0

#: Sheets are crowded where this share of their voxels has a middle between two of them beside
#: it, which is where the distance to the nearest rises by less than this.
CROWDED_SHARE = 0.02
MIDDLE_SLOPE = 0.6

#: Least curvature of the logarithm at a ridge, in units of the smoothing: 1 for the
#: thinnest sheet, 0.45 for one three times as thick as the smoothing, and about 0
#: between sheets, where the largest curvature is that along them.
MIN_RIDGE = 0.25

#: The seven edges that start at a lattice point: (0,0,1), (0,1,0), ... (1,1,1).
DIRECTIONS = np.array(list(itertools.product((0, 1), repeat=3))[1:])

#: Corners of the six tetrahedra of a cell, each a way from (0,0,0) to (1,1,1) along
#: the axes; odd orders of the axes are mirrored, which is undone by orienting the faces.
TETRAHEDRA = np.array(
    [
        [np.zeros(3, int), *np.cumsum(np.eye(3, dtype=int)[list(order)], axis=0)]
        for order in itertools.permutations(range(3))
    ]
)

#: Edges of a tetrahedron, as pairs of its corners.
SIDES = tuple(itertools.combinations(range(4), 2))

#: Triangles, as triples of SIDES, by which corners are positive (bit k: corner k).
TRIANGLES = {
    0b0001: ((0, 1, 2),), 0b1110: ((0, 1, 2),),
    0b0010: ((0, 3, 4),), 0b1101: ((0, 3, 4),),
    0b0100: ((1, 3, 5),), 0b1011: ((1, 3, 5),),
    0b1000: ((2, 4, 5),), 0b0111: ((2, 4, 5),),
    0b0011: ((1, 2, 4), (1, 4, 3)), 0b1100: ((1, 2, 4), (1, 4, 3)),
    0b0101: ((0, 2, 5), (0, 5, 3)), 0b1010: ((0, 2, 5), (0, 5, 3)),
    0b1001: ((0, 1, 5), (0, 5, 4)), 0b0110: ((0, 1, 5), (0, 5, 4)),
}  # fmt: skip


def build_sheet_mesh(
    values: SliceableArray,
    *,
    level: float | None = None,
    spacing: Spacing3 = (1.0, 1.0, 1.0),
    origin: Spacing3 = (0.0, 0.0, 0.0),
    sigma: float | None = None,
    min_area: float | None = None,
    block: int = BLOCK,
    name: str = "the volume",
    should_stop: Callable[[], None] | None = None,
) -> Mesh:
    """Mesh the middle of sheets as one layer of triangles.

    Many parameters: those of :func:`~.mesh.build_mesh`, whose place it can take, and two
    that only sheets have.

    Parameters
    ----------
    values : array (Z, Y, X)
        Mask or probabilities; read block by block.
    level : float, optional
        Grey value above which a voxel is surface; see :func:`~.mesh.find_level`.
    spacing : tuple of float
        Voxel size, ZYX.
    origin : tuple of float
        Place of the centre of voxel (0, 0, 0), ZYX.
    sigma : float, optional
        Smoothing, in voxels of the finest axis; by default a third of the
        sheets' thickness (:func:`estimate_thickness`), at least 1.5. Below a quarter
        of the thickness a sheet gets holes, and more than half the distance of
        neighbours joins them.
    min_area : float, optional
        Drop smaller pieces, in units squared; by default those below 25 voxel
        faces of the finest axis.
    block : int
        Edge of the blocks, in voxels.
    name : str
        What the sentence calls the volume.
    should_stop : callable, optional
        Called before each block; raises to stop.

    Returns
    -------
    Mesh
        Open at the sheets' rims, each piece turned the same way where it can be.

    Raises
    ------
    SurfsegError
        If there is no surface.
    """
    if level is None:
        level = find_level(values)
    finest = min(spacing)
    if sigma is None:
        sigma = max(MIN_SIGMA, estimate_thickness(values, level, spacing) / finest / 3)
    sigmas = tuple(sigma * finest / step for step in spacing)
    halo = tuple(int(np.ceil(4 * s)) + 2 for s in sigmas)
    lattice = to_index(values.shape)
    pool = VertexPool(lattice, num_directions=len(DIRECTIONS))
    for start in itertools.product(*(range(0, max(n - 1, 0), block) for n in lattice)):
        if should_stop is not None:
            should_stop()
        cells = box_at(start, (block + 1,) * 3)
        wide = grow_box(cells, halo, whole_box(lattice))
        cube = np.asarray(values[box_slices(wide)])
        mask = cube > level
        if not mask.any():
            continue
        core = box_slices(clip_box(cells, whole_box(lattice)), wide[0])
        _add_ridges(pool, cube, mask, core, wide[0], sigmas, spacing)
    vertices, faces = pool.merge()
    if not len(faces):
        raise SurfsegError(f"There is no surface to mesh in {name}: no sheet lies above {level:g}.")
    placed = vertices * np.asarray(spacing) + np.asarray(origin)
    mesh = make_mesh(placed, faces)
    mesh = keep_large_pieces(mesh, 25 * finest**2 if min_area is None else min_area)
    if not len(mesh.faces):
        raise SurfsegError(
            f"There is no surface to mesh in {name}: all pieces above {level:g} are smaller "
            "than the least area."
        )
    return orient_faces(mesh)


def choose_smoothing(mask: NDArray[np.bool_], spacing: Spacing3) -> float:
    """Choose ``sigma`` for a mask in memory: as large as no two sheets of it are joined by.

    With a third of the thickness, the default of :func:`build_sheet_mesh`, the middle forks
    where a sheet ends, as its end is as near as its sides. With more than half of it, and more
    than the longest voxels, it doesn't; but sheets with little space between them are joined.

    Parameters
    ----------
    mask : bool array (Z, Y, X)
        The sheets.
    spacing : tuple of float
        Voxel size.
    """
    finest = min(spacing)
    if not mask.any():
        return MIN_SIGMA
    # Three of four voxels of a plate are nearer to a side than 0.375 of its thickness. The
    # volume's own sides count: one that lies against them is not twice as thick.
    padded = np.pad(mask, 1)
    depth = ndimage.distance_transform_edt(padded, sampling=spacing)[padded]
    thickness = max(1.0, float(np.percentile(depth, 75)) / 0.375 / finest - 1)
    if _are_crowded(mask, spacing, SMOOTH_SHARE * thickness * finest):
        return max(MIN_SIGMA, thickness / 3)
    longest = min(SMOOTH_VOXELS * max(spacing) / finest, MAX_VOXELS)
    return max(MIN_SIGMA, SMOOTH_SHARE * thickness, longest)


def _are_crowded(mask: NDArray[np.bool_], spacing: Spacing3, distance: float) -> bool:
    """Whether much of the mask has more of it on its other side, nearer than twice a distance."""
    if mask.all():
        return False
    away = ndimage.distance_transform_edt(~mask, sampling=spacing).astype(np.float32)
    steepness = np.zeros(mask.shape, np.float32)
    for axis, step in enumerate(spacing):
        if mask.shape[axis] > 1:
            steepness += np.gradient(away, step, axis=axis) ** 2
    # In the middle between two sheets the distance to the nearest rises no way.
    middle = ~mask & (away < distance) & (steepness < MIDDLE_SLOPE**2)
    return bool(np.count_nonzero(middle) > CROWDED_SHARE * np.count_nonzero(mask))


def estimate_thickness(values: SliceableArray, level: float, spacing: Spacing3) -> float:
    """Estimate the mean thickness of the sheets of a mask, in the units of the spacing.

    Twice the volume over the area of its skin. A sheet's voxel faces overstate its
    area by 1.5 on the average over all orientations.
    """
    volume, area = 0.0, 0.0
    voxel = float(np.prod(spacing))
    previous: NDArray[np.bool_] | None = None
    for start in range(0, values.shape[0], 16):
        mask = np.asarray(values[start : start + 16]) > level
        volume += float(mask.sum()) * voxel
        joined = mask if previous is None else np.concatenate([previous, mask])
        previous = mask[-1:]
        for axis, part in enumerate((joined, mask, mask)):
            steps = np.diff(part.view(np.int8), axis=axis) != 0
            area += float(np.count_nonzero(steps)) * voxel / spacing[axis]
    return 3 * volume / area if area else 0.0


def _add_ridges(
    pool: VertexPool,
    cube: NDArray[np.generic],
    mask: NDArray[np.bool_],
    core: Slices3,
    low: Index3,
    sigmas: tuple[float, ...],
    spacing: Spacing3,
) -> None:
    """Add the ridges in the cells of a block's core."""
    smooth = ndimage.gaussian_filter(cube.astype(np.float32), sigmas, mode="nearest")
    # The mask's own voxels and those a step away: the ridge of a sheet of one voxel lies
    # between voxels that are not all in it.
    near = ndimage.binary_dilation(mask, np.ones((3, 3, 3), bool))
    corners = np.zeros_like(near)
    corners[core] = near[core]
    where = np.argwhere(corners)
    slope, normal, curvature = _slopes(smooth, where, spacing)
    ridge = curvature < -MIN_RIDGE / (spacing[0] * sigmas[0]) ** 2
    row = np.full(cube.shape, -1, np.int32)
    row[tuple(where.T)] = np.where(ridge, np.arange(len(where)), -1)

    cells = where[(where < [s.stop - 1 for s in core]).all(axis=1)]
    steps = np.array(list(itertools.product((0, 1), repeat=3)))
    at = cells[:, None, :] + steps  # (cells, 8, 3)
    rows = row[at[..., 0], at[..., 1], at[..., 2]]
    # Beside a rim the valley between two sheets bends like a ridge; it touches no mask.
    touches = mask[at[..., 0], at[..., 1], at[..., 2]].any(axis=1)
    whole = (rows >= 0).all(axis=1) & touches
    cells, rows = cells[whole], rows[whole]
    if not len(cells):
        return
    # The steepest corner's normal decides which side is positive in the cell.
    lead = rows[np.arange(len(rows)), np.abs(slope[rows]).argmax(axis=1)]
    side = np.einsum("cka,ca->ck", normal[rows], normal[lead])
    signed = np.where(side < 0, -slope[rows], slope[rows])
    _march(pool, cells, rows, signed, slope, low)


def _slopes(
    smooth: NDArray[np.float32], where: NDArray[np.int64], spacing: Spacing3
) -> tuple[NDArray[np.float32], NDArray[np.float32], NDArray[np.float32]]:
    """Give slope of the logarithm across the sheet, the normal, and the curvature, at voxels."""
    padded = np.pad(smooth, 1, mode="edge")
    centre = where + 1

    def value(*offset: int) -> NDArray[np.float32]:
        z, y, x = (centre + offset).T
        taken: NDArray[np.float32] = padded[z, y, x]
        return taken

    unit = np.eye(3, dtype=int)
    gradient = np.empty((len(where), 3), np.float32)
    hessian = np.empty((len(where), 3, 3), np.float32)
    middle = value(0, 0, 0)
    for i in range(3):
        ahead, behind = value(*unit[i]), value(*-unit[i])
        gradient[:, i] = (ahead - behind) / (2 * spacing[i])
        hessian[:, i, i] = (ahead - 2 * middle + behind) / spacing[i] ** 2
        for j in range(i):
            mixed = (
                value(*unit[i] + unit[j])
                - value(*unit[i] - unit[j])
                - value(*unit[j] - unit[i])
                + value(*-unit[i] - unit[j])
            )
            hessian[:, i, j] = hessian[:, j, i] = mixed / (4 * spacing[i] * spacing[j])
    # Of the logarithm: a smoothed sheet's profile is concave there on its flanks too, so
    # that the axis across the sheet stands out beyond the profile's turning points.
    middle = np.maximum(middle, np.float32(1e-6))[:, None]
    gradient /= middle
    hessian /= middle[..., None]
    hessian -= gradient[:, :, None] * gradient[:, None, :]
    curvature, axes = np.linalg.eigh(hessian)
    normal = axes[:, :, 0]
    slope = np.einsum("va,va->v", gradient, normal)
    # A slope of exactly zero would put several vertices on the voxel itself.
    slope = np.where(np.abs(slope) < 1e-12, np.float32(1e-12), slope)
    return slope, normal, curvature[:, 0]


def _march(
    pool: VertexPool,
    cells: NDArray[np.int64],
    rows: NDArray[np.int32],
    signed: NDArray[np.float32],
    slope: NDArray[np.float32],
    low: Index3,
) -> None:
    """Follow the zero through the cells' tetrahedra."""
    starts, directions, shares = [], [], []
    for corners in TETRAHEDRA:
        index = corners @ [4, 2, 1]
        values = signed[:, index]
        case = (values > 0) @ np.array([1, 2, 4, 8])
        for bits, triangles in TRIANGLES.items():
            chosen = np.flatnonzero(case == bits)
            if not len(chosen):
                continue
            for side in itertools.chain.from_iterable(triangles):
                a, b = SIDES[side]
                # By the unsigned slopes: every cell around an edge puts its vertex in one place.
                first = np.abs(slope[rows[chosen, index[a]]])
                second = np.abs(slope[rows[chosen, index[b]]])
                starts.append(cells[chosen] + corners[a])
                step = corners[b] - corners[a]
                directions.append(np.full(len(chosen), int(step @ [4, 2, 1]) - 1))
                shares.append(first / (first + second))
            # Triangles are complete once three sides of the same cells are in the lists.
    if not starts:
        return
    # Each triple of consecutive entries is one triangle per chosen cell.
    triples = range(0, len(starts), 3)
    order = [np.arange(len(starts[t])) for t in triples]
    offsets = np.cumsum([0, *(len(s) for s in starts)])
    faces = np.concatenate(
        [
            np.stack([offsets[t + k] + rows_of for k in range(3)], axis=1)
            for t, rows_of in zip(triples, order, strict=True)
        ]
    )
    lower = np.concatenate(starts) + np.asarray(low)
    direction = np.concatenate(directions)
    vertices = lower + DIRECTIONS[direction] * np.concatenate(shares)[:, None].astype(np.float64)
    pool.add_keyed(vertices, faces, np.arange(len(vertices)), lower, direction)
