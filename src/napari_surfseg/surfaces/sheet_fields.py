"""At each voxel of a surface: the sheet's normal, and how far its two faces are.

::

    probabilities --> structure tensor --> normal                  of what is around the voxel
                  --> rays along +-normal --> distance to each face

A ray ends where the probability falls below the level, or in a valley between two sheets that
touch. Rays of a bridge between sheets, or of sheets pressed together, run through both: that the
two distances add up to more than a thickness is how such places are known.
"""

from __future__ import annotations

import heapq
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from scipy import ndimage

from napari_surfseg.cancelling import raise_if_stopped
from napari_surfseg.compiling import compiled

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from napari_surfseg.geometry import Spacing3

__all__ = ["SheetField", "compute_normals", "measure_field", "spread_owners"]

#: Gradients are taken after smoothing by this, in the finest voxels, or by so much of the longest
#: edge of a voxel, up to a limit, and by the least in voxels: the steps of slanted sheets from one
#: slice to the next are no slopes, and a narrower kernel takes none along the long edge. Whatever
#: the smoothing, the gradient of a plane points along its normal.
GRADIENT_SIGMA, GRADIENT_SHARE, MOST_SIGMA, LEAST_VOXELS = 1.0, 0.6, 3.0, 0.8
#: Eigenvectors are found for so many voxels at a time.
CHUNK = 200_000
#: Steps of rays, in the finest voxels.
STEP = 0.5
#: Between two sheets the probability falls, and rises again, by at least this (of 255).
VALLEY = 25.0
#: No ray is followed further than this, in the finest voxels.
FURTHEST = 64.0
#: Where voxels are shared out, a step across a sheet counts so many times one along it.
ACROSS = 3.0


@dataclass(frozen=True)
class SheetField:
    """Voxels of a surface, each with what is known of the sheet there.

    Attributes
    ----------
    places : int32 array, shape (N, 3)
        The voxels.
    normals : float32 array, shape (N, 3)
        Unit vectors in space, of either sign.
    ahead, behind : float32 array, shape (N,)
        Distance to the face along the normal and against it, in the finest voxels.
    between : bool array, shape (N,)
        Whether the probability rises both ways: the voxel lies in a valley between two sheets.
    """

    places: NDArray[np.int32]
    normals: NDArray[np.float32]
    ahead: NDArray[np.float32]
    behind: NDArray[np.float32]
    between: NDArray[np.bool_]

    @property
    def thickness(self) -> NDArray[np.float32]:
        """From face to face."""
        return self.ahead + self.behind


def measure_field(
    probs: NDArray[np.uint8], size: Spacing3, level: float, width: float
) -> SheetField:
    """Find the normal and the faces at each voxel of a surface.

    Parameters
    ----------
    probs : uint8 array, shape (Z, Y, X)
        Probability of surface, 0 to 255.
    size : tuple of float
        Voxel size, the finest being 1.
    level : float
        Above it, of 255, is surface.
    width : float
        Standard deviation of the neighbourhood that a normal is taken over, in the finest voxels.
    """
    places = np.argwhere(probs > level).astype(np.int32)
    normals = compute_normals(probs, places, size, width)
    raise_if_stopped()
    ahead, behind = np.empty((2, len(places)), np.float32)
    between = np.empty(len(places), np.bool_)
    _follow_rays(probs, places, normals, np.asarray(size), float(level), ahead, behind, between)
    return SheetField(places, normals, ahead, behind, between)


def compute_normals(
    values: NDArray[Any], places: NDArray[np.int32], size: Spacing3, width: float
) -> NDArray[np.float32]:
    """Find the direction across which a volume changes most, at some of its voxels.

    Parameters
    ----------
    values : array (Z, Y, X)
        Grey values.
    places : int array, shape (N, 3)
        Where.
    size : tuple of float
        Voxel size, the finest being 1.
    width : float
        Standard deviation of the neighbourhood.

    Returns
    -------
    float32 array, shape (N, 3)
        Unit vectors in space, Z, Y, X, of either sign.
    """
    where = tuple(places.T)
    grey = values.astype(np.float32)
    sigma = min(max(GRADIENT_SIGMA, GRADIENT_SHARE * max(size)), MOST_SIGMA)
    near, wide = ([max(s / step, LEAST_VOXELS) for step in size] for s in (sigma, width))
    slopes = []
    for axis in range(3):
        order = [int(i == axis) for i in range(3)]
        if grey.shape[axis] == 1:
            slopes.append(np.zeros_like(grey))
            continue
        slope = ndimage.gaussian_filter(grey, near, order=order, mode="nearest", truncate=3)
        slopes.append(slope / np.float32(size[axis]))
        raise_if_stopped()
    tensor = np.empty((len(places), 3, 3), np.float32)
    for i in range(3):
        for j in range(i, 3):
            product = slopes[i] * slopes[j]
            product = ndimage.gaussian_filter(product, wide, mode="nearest", truncate=2.5)
            tensor[:, i, j] = tensor[:, j, i] = product[where]
            raise_if_stopped()
    normals = np.empty((len(places), 3), np.float32)
    for start in range(0, len(places), CHUNK):
        part = slice(start, start + CHUNK)
        normals[part] = np.linalg.eigh(tensor[part])[1][:, :, 2]
        raise_if_stopped()
    return normals


@compiled
def _follow_rays(
    probs: Any,
    places: Any,
    normals: Any,
    size: Any,
    level: float,
    ahead: Any,
    behind: Any,
    between: Any,
) -> None:
    for i in range(len(places)):
        forth, leaves, climbs = _follow_ray(probs, places[i], normals[i], size, level)
        back, leaves_back, climbs_back = _follow_ray(probs, places[i], -normals[i], size, level)
        # Beyond the border a sheet is taken to go on as it does on its other side.
        if leaves and not leaves_back:
            forth = max(forth, back)
        elif leaves_back and not leaves:
            back = max(back, forth)
        ahead[i], behind[i], between[i] = forth, back, climbs and climbs_back


@compiled
def _follow_ray(probs: Any, place: Any, normal: Any, size: Any, level: float) -> Any:
    """Return the distance to the face, whether the volume ended first, and whether it climbed."""
    start = before = float(probs[place[0], place[1], place[2]])
    highest = lowest = before
    lowest_at = 0.0
    for k in range(1, int(FURTHEST / STEP)):
        reach = k * STEP
        value = _interpolate(probs, place, normal, size, reach)
        if value < 0:
            return reach - STEP, True, highest >= start + VALLEY
        if value <= level:
            part = (level - value) / max(before - value, 1e-6)
            return reach - STEP * part, False, highest >= start + VALLEY
        if value < lowest:
            lowest, lowest_at = value, reach
        if highest - lowest >= VALLEY and value - lowest >= VALLEY:
            return lowest_at, False, highest >= start + VALLEY
        if value > highest:
            highest = lowest = value
        before = value
    return FURTHEST, False, highest >= start + VALLEY


@compiled
def _interpolate(probs: Any, place: Any, normal: Any, size: Any, reach: float) -> float:
    """Return the value at a point of a ray, or -1 beyond the centres of the outermost voxels."""
    z = place[0] + normal[0] * reach / size[0]
    y = place[1] + normal[1] * reach / size[1]
    x = place[2] + normal[2] * reach / size[2]
    if (
        z < -1e-3 or y < -1e-3 or x < -1e-3
        or z > probs.shape[0] - 0.999 or y > probs.shape[1] - 0.999 or x > probs.shape[2] - 0.999
    ):  # fmt: skip
        return -1.0
    z, y, x = max(z, 0.0), max(y, 0.0), max(x, 0.0)
    iz = min(int(z), max(probs.shape[0] - 2, 0))
    iy = min(int(y), max(probs.shape[1] - 2, 0))
    ix = min(int(x), max(probs.shape[2] - 2, 0))
    total = 0.0
    for a in range(2):
        wz = z - iz if a else 1 - (z - iz)
        if wz <= 0 or iz + a >= probs.shape[0]:
            continue
        for b in range(2):
            wy = y - iy if b else 1 - (y - iy)
            if wy <= 0 or iy + b >= probs.shape[1]:
                continue
            for c in range(2):
                wx = x - ix if c else 1 - (x - ix)
                if wx <= 0 or ix + c >= probs.shape[2]:
                    continue
                total += wz * wy * wx * probs[iz + a, iy + b, ix + c]
    return total


def spread_owners(
    field: SheetField, is_seed: NDArray[np.bool_], shape: tuple[int, ...], size: Spacing3
) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
    """Give each voxel of a surface to the seed from which the way to it is shortest.

    Ways run within the surface, and those along the sheet are shorter: two sheets grow side by
    side into a place where they are pressed together.

    Parameters
    ----------
    field : SheetField
        The surface.
    is_seed : bool array, shape (N,)
        Which of its voxels are seeds.
    shape : tuple of int
        Of the volume.
    size : tuple of float
        Voxel size, the finest being 1.

    Returns
    -------
    owners : int64 array, shape (N,)
        The seed of each voxel, by its place in ``field``; -1 where there is no way.
    lengths : float32 array, shape (N,)
        Of the ways; infinite where there is none.
    """
    index = np.full(shape, -1, np.int32)
    index[tuple(field.places.T)] = np.arange(len(field.places), dtype=np.int32)
    owners = np.where(is_seed, np.arange(len(is_seed)), -1)
    lengths = np.where(is_seed, np.float32(0), np.float32(np.inf))
    _spread(index, field.places, field.normals, np.asarray(size), owners, lengths)
    return owners, lengths


@compiled
def _spread(index: Any, places: Any, normals: Any, size: Any, owners: Any, lengths: Any) -> None:
    depth, height, width = index.shape
    # A first entry that is taken out again gives the heap its type.
    heap = [(np.float32(0.0), np.int64(0))]
    heap.pop()
    for i in range(len(places)):
        if owners[i] >= 0:
            heap.append((np.float32(0.0), np.int64(i)))  # noqa: PERF401
    while len(heap):
        so_far, near = heapq.heappop(heap)
        if so_far > lengths[near]:
            continue
        z, y, x = places[near]
        for dz in range(-1, 2):
            for dy in range(-1, 2):
                for dx in range(-1, 2):
                    a, b, c = z + dz, y + dy, x + dx
                    if a < 0 or b < 0 or c < 0 or a >= depth or b >= height or c >= width:
                        continue
                    j = index[a, b, c]
                    if j < 0 or j == near:
                        continue
                    sz, sy, sx = dz * size[0], dy * size[1], dx * size[2]
                    across = sz * normals[j, 0] + sy * normals[j, 1] + sx * normals[j, 2]
                    square = sz * sz + sy * sy + sx * sx
                    square += (ACROSS * ACROSS - 1) * across * across
                    total = np.float32(so_far + np.sqrt(square))
                    if total < lengths[j]:
                        lengths[j] = total
                        owners[j] = owners[near]
                        heapq.heappush(heap, (total, np.int64(j)))
