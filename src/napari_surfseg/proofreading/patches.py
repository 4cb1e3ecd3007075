"""Patches of surface that go on along a sheet: across a hole, or across a gap.

Two ways to find one. A gap that a ball cannot pass is sealed by a closing, whatever the sheet's
shape; a wide one by a height map: the sheet is drawn over the two axes it lies along, and the
columns that are missing in between are found in that plane. Either way the patch is then made as
thick as the sheet and bent like it::

    ────┐         ┌────          ────┬─────────┬────
        │  hole   │        ──▶       │  patch  │
    ────┘         └────          ────┴─────────┴────
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from scipy import ndimage

from napari_surfseg.surfaces.block_components import find_structure
from napari_surfseg.surfaces.cleaning import close_gaps

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    from napari_surfseg.proofreading.edit import Crop

__all__ = [
    "CORNERS",
    "Numbers",
    "Patch",
    "count_features",
    "list_likely",
    "list_patches",
]

#: Voxels that touch at a face, an edge or a corner belong together, as everywhere for surfaces.
CORNERS = find_structure(26)
#: A ball of this radius or less seals a gap; larger ones also fill what lies between two sheets.
RADII = (1, 2, 3, 4, 6, 8)
#: Of what a closing fills, the pieces that are looked at; the nearest ones.
NUM_TRIED = 4
#: What lies above one of these probabilities may be a patch.
LEVELS = (0.45, 0.4, 0.35, 0.3, 0.25, 0.2, 0.15)
#: The least that a voxel of a patch costs, where one of no probability costs one half.
CHEAPEST = 0.02
#: A patch so near to the location (voxels) is the one that is meant.
AT_ONCE = 1.8
#: How far from a gap a sheet is looked at to know how it lies and how thick it is (voxels).
CONTEXT = 5
#: A seal reaches no further beyond the place's box.
BEYOND = 3
#: Columns that a bent plane needs.
MIN_COLUMNS = 24
#: Gaps in a height map up to twice this are bridged.
MAX_REACH = 12


class Numbers(NamedTuple):
    """Pieces, tunnels and cavities of a small mask; foreground over corners."""

    pieces: int
    tunnels: int
    cavities: int


def count_features(mask: NDArray[np.bool_]) -> Numbers:
    """Count the pieces (26-connected), tunnels and cavities of a mask.

    `metrics.betti_numbers` takes voxels as corners of a complex, where a tilted sheet one voxel
    thick falls to pieces; here they are cubes, as surfaces are cleaned and labelled.
    """
    from skimage.measure import euler_number

    padded = np.pad(mask, 1)
    _, pieces = ndimage.label(padded, CORNERS)
    _, outside = ndimage.label(~padded)
    cavities = outside - 1
    euler = int(euler_number(padded, connectivity=3))
    return Numbers(pieces, pieces + cavities - euler, cavities)


class Patch(NamedTuple):
    """Background that may become surface, and how dear that is: the least first."""

    voxels: NDArray[np.bool_]
    cost: float
    distance: float


def list_patches(
    crop: Crop, probs: NDArray[np.float32] | None, *, open_ended: bool, within: int
) -> list[Patch]:
    """List patches that may fill a gap at a place, the best first.

    Parameters
    ----------
    crop : Crop
        With a margin around the place.
    probs : array, optional
        Of the crop, 0 to 1: what is nearly surface costs little.
    open_ended : bool
        Look for gaps between two ends, too, besides holes.
    within : int
        Voxels beyond the place's box that a patch may reach; it is cut there.

    Returns
    -------
    list of Patch
        Those at the location first, then by cost: its voxels, each as dear as it is improbable,
        over the thickness of the sheet they continue. So a patch as thick as the sheet is no
        dearer than a bare seal, but a large one is dearer than a small one.
    """
    near, distances = crop.near(within), crop.distances()
    price = np.ones(crop.mask.shape) if probs is None else np.maximum(0.5 - probs, CHEAPEST)
    found: dict[bytes, Patch] = {}
    for voxels, thickness in _iterate_patches(crop, probs, open_ended=open_ended):
        voxels &= near
        key = np.packbits(voxels).tobytes()
        if key in found or not voxels.any():
            continue
        distance = max(0.0, float(distances[voxels].min()) - AT_ONCE)
        # A patch as thick as the sheet may be half as large again: rims are worn.
        cost = float(price[voxels].sum()) / (1.5 * thickness if thickness > 1 else 1)
        found[key] = Patch(voxels, cost, round(distance))
    return sorted(found.values(), key=lambda patch: (patch.distance, patch.cost))


def list_likely(crop: Crop, probs: NDArray[np.float32], *, within: int) -> list[NDArray[np.bool_]]:
    """List what the probabilities promise beyond a rim, the most first; pieces at a place."""
    near, distances = crop.near(within), crop.distances()
    pieces = (
        piece & near
        for level in LEVELS
        for piece in _nearest_pieces(crop, (probs >= level) & ~crop.mask)
    )
    found = [one for one in pieces if one.any() and distances[one].min() <= 2 * AT_ONCE]
    return sorted(found, key=lambda piece: -int(np.count_nonzero(piece)))


def _iterate_patches(
    crop: Crop, probs: NDArray[np.float32] | None, *, open_ended: bool
) -> Iterator[tuple[NDArray[np.bool_], float]]:
    """Iterate over patches, with the thickness of the sheet they go on in; 1 for a bare seal."""
    yield from _iterate_height_maps(crop, open_ended=open_ended)
    if probs is not None:
        for level in LEVELS:
            for patch in _nearest_pieces(crop, (probs >= level) & ~crop.mask):
                yield patch, 1.0
    for seal in _iterate_seals(crop):
        yield seal, 1.0
        thick = _thicken(crop, seal)
        if thick is not None:
            yield thick


def _iterate_seals(crop: Crop) -> Iterator[NDArray[np.bool_]]:
    """Iterate over what growing balls seal, piece by piece, the nearest to the place first."""
    for radius in RADII:
        yield from _nearest_pieces(crop, close_gaps(crop.mask, radius) & ~crop.mask)


def _nearest_pieces(crop: Crop, background: NDArray[np.bool_]) -> Iterator[NDArray[np.bool_]]:
    """Iterate over the pieces of some background at a place, the nearest ones."""
    pieces, count = ndimage.label(background & crop.near(BEYOND), CORNERS)
    if not count:
        return
    found = np.arange(1, count + 1)
    nearest = ndimage.minimum(crop.distances(), pieces, found)
    for piece in found[np.argsort(nearest)][:NUM_TRIED]:
        yield pieces == piece


def _find_sheet(crop: Crop, around: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Find the piece of the surface nearest to the place, as it hangs together in a part."""
    pieces, _ = ndimage.label(crop.mask & around, CORNERS)
    if not pieces.any():
        return np.zeros(crop.mask.shape, bool)
    nearest = np.argmin(np.where(pieces > 0, crop.distances(), np.inf))
    return np.asarray(pieces == pieces.ravel()[nearest])


class _HeightMap(NamedTuple):
    """A sheet over two axes: the middle of each column, and how thick it is."""

    axis: int
    middle: NDArray[np.float64]
    thickness: float

    def fill(
        self, columns: NDArray[np.bool_], shape: tuple[int, ...], beyond: float = 0.0
    ) -> NDArray[np.bool_]:
        """Return the voxels of some columns that lie in the sheet, or so far above or below."""
        heights = np.arange(shape[self.axis]).reshape((-1, 1, 1))
        low = self.middle - self.thickness / 2 - beyond
        high = low + self.thickness + 2 * beyond
        inside = (heights > low) & (heights <= high) & columns
        return np.moveaxis(inside, 0, self.axis)

    def project(self, sheet: NDArray[np.bool_]) -> NDArray[np.bool_]:
        """Return which columns have a voxel of the sheet that lies where it should."""
        every = np.ones(self.middle.shape, bool)
        inside = sheet & self.fill(every, sheet.shape, beyond=1.0)
        return np.asarray(np.moveaxis(inside, self.axis, 0).any(axis=0))


def _fit(sheet: NDArray[np.bool_]) -> _HeightMap | None:
    """Fit a bent plane to the voxels of a sheet, along the axis it lies across most.

    Over that axis a digital plane has one voxel in each column, however it is tilted.
    """
    voxels = np.argwhere(sheet).astype(float)
    if len(voxels) < 3:
        return None
    centered = voxels - voxels.mean(axis=0)
    _, vectors = np.linalg.eigh(centered.T @ centered)
    axis = int(np.argmax(np.abs(vectors[:, 0])))
    u, v = (voxels[:, other] for other in range(3) if other != axis)
    columns = np.moveaxis(sheet, axis, 0).any(axis=0)
    size = max(columns.shape)
    center = (np.asarray(columns.shape) - 1) / 2
    count = int(np.count_nonzero(columns))

    def terms(a: NDArray[np.float64], b: NDArray[np.float64]) -> NDArray[np.float64]:
        a, b = (a - center[0]) / size, (b - center[1]) / size
        flat = [np.ones_like(a), a, b]
        return np.stack([*flat, a * a, a * b, b * b] if count >= MIN_COLUMNS else flat, axis=-1)

    heights = voxels[:, axis]
    used = np.ones(len(heights), bool)
    coefficients = np.zeros(0)
    for _ in range(2):
        coefficients = np.linalg.lstsq(terms(u[used], v[used]), heights[used], rcond=None)[0]
        left = heights - terms(u, v) @ coefficients
        # A bump or a second sheet that touches this one must not bend it.
        used = np.abs(left) <= max(2.5 * float(left[used].std()), 1.0)
    # The spread of voxels that fill a slab evenly.
    thickness = max(float(np.sqrt(12 * left[used].var())), 1.0)
    grid = np.meshgrid(*(np.arange(n, dtype=float) for n in columns.shape), indexing="ij")
    return _HeightMap(axis, terms(*grid) @ coefficients, thickness + 1e-3)


def _thicken(crop: Crop, seal: NDArray[np.bool_]) -> tuple[NDArray[np.bool_], float] | None:
    """Make a seal as thick as the sheet around it; None where that has no clear direction."""
    sheet = _find_sheet(crop, ndimage.binary_dilation(seal, CORNERS, iterations=CONTEXT))
    found = _fit(sheet)
    if found is None:
        return None
    columns = np.asarray(np.moveaxis(seal, found.axis, 0).any(axis=0))
    # A seal can be slanted, and smaller than what is missing.
    present = found.project(sheet)
    missing, _ = ndimage.label(ndimage.binary_fill_holes(present) & ~present, np.ones((3, 3)))
    touched = np.unique(missing[ndimage.binary_dilation(columns)])
    columns |= np.isin(missing, touched[touched > 0])
    patch = _fill(crop, found, columns)
    return (patch, found.thickness) if patch.any() else None


def _fill(crop: Crop, found: _HeightMap, columns: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Fill the background of some columns, and of those at their rim, which may be worn down."""
    patch: NDArray[np.bool_] = found.fill(columns, crop.mask.shape) & ~crop.mask
    every = found.fill(np.ones(columns.shape, bool), crop.mask.shape)
    return patch | (ndimage.binary_dilation(patch, CORNERS) & every & ~crop.mask)


def _iterate_height_maps(
    crop: Crop, *, open_ended: bool
) -> Iterator[tuple[NDArray[np.bool_], float]]:
    """Patches that are found in the plane of the nearest sheet; they may be wide."""
    found = _fit(_find_sheet(crop, crop.near(CONTEXT)))
    if found is None:
        return
    columns = found.project(crop.mask)
    at = [place for axis, place in enumerate(crop.at) if axis != found.axis]
    yield from _fill_columns(
        crop, found, ndimage.binary_fill_holes(columns) & ~columns, (at[0], at[1])
    )
    if not open_ended:
        return
    for reach in range(1, MAX_REACH + 1):
        closed = close_gaps(columns[None], reach)[0]
        yield from _fill_columns(crop, found, closed & ~columns, (at[0], at[1]))


def _fill_columns(
    crop: Crop, found: _HeightMap, columns: NDArray[np.bool_], at: tuple[int, int]
) -> Iterator[tuple[NDArray[np.bool_], float]]:
    gaps, count = ndimage.label(columns, np.ones((3, 3)))
    if not count:
        return
    far = np.hypot(*np.ogrid[-at[0] : columns.shape[0] - at[0], -at[1] : columns.shape[1] - at[1]])
    nearest = ndimage.minimum(far, gaps, np.arange(1, count + 1))
    for gap in np.argsort(nearest)[:NUM_TRIED] + 1:
        patch = _fill(crop, found, gaps == gap)
        if (patch & crop.near(2)).any():
            yield patch, found.thickness
