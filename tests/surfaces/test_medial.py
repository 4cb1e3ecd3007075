"""The medial surface keeps sheets as sheets."""

import numpy as np
import pytest
from scipy import ndimage

from napari_surfseg.surfaces.medial import compute_medial_surface

CUBE = np.ones((3, 3, 3))


def make_sheet(normal, thickness, size=40, offset=0.0):
    """One flat sheet across the volume: (mask, signed distance to its middle)."""
    normal = np.asarray(normal, float)
    normal /= np.linalg.norm(normal)
    index = np.indices((size,) * 3) - (size - 1) / 2 + 0.013
    height = np.tensordot(normal, index, 1) - offset
    return np.abs(height) <= thickness / 2, height


NORMALS = [
    (1, 0, 0), (0, 1, 0), (0, 0, 1), (1, 1, 0), (0, 1, -1), (1, 1, 1), (1, -1, 1),
    (3, 1, 0), (1, 4, 2), (5, -2, 3), (0.2, 1, 0.1), (2, 2, 1),
]  # fmt: skip


def interior(mask, margin):
    cut = (slice(margin, -margin),) * mask.ndim
    return mask[cut]


@pytest.mark.parametrize("normal", NORMALS)
@pytest.mark.parametrize("thickness", [2, 3, 5, 8])
def test_sheets_in_any_orientation_keep_a_closed_middle(normal, thickness):
    mask, height = make_sheet(normal, thickness)
    medial = compute_medial_surface(mask)
    assert not (medial & ~mask).any()
    # Thin: within a voxel of the middle, leaving out where the volume's border cuts runs short.
    inner = interior(medial, thickness + 2)
    assert np.abs(interior(height, thickness + 2)[inner]).max() <= 1.2
    # Closed: the two sides of the inner part are still apart when only the middle blocks the way.
    sides, count = ndimage.label(~inner)
    below = np.unique(sides[(interior(height, thickness + 2) < -1.3)])
    above = np.unique(sides[(interior(height, thickness + 2) > 1.3)])
    assert count >= 2
    assert not set(below) & set(above)


@pytest.mark.parametrize("normal", NORMALS)
def test_sheets_are_not_thinned_to_curves(normal):
    """skimage.morphology.skeletonize leaves a line or less of a sheet in 3-D."""
    mask, _ = make_sheet(normal, 5)
    inner = interior(compute_medial_surface(mask), 8)
    volume = interior(mask, 8).sum()
    assert volume / 5 * 0.5 < inner.sum() < volume / 5 * 2.0
    # Every voxel of the sheet has some of the middle within half its thickness.
    reach = ndimage.distance_transform_edt(~compute_medial_surface(mask))
    assert interior(reach, 8)[interior(mask, 8)].max() <= 5 / 2 + 1


@pytest.mark.parametrize("axis", range(3))
@pytest.mark.parametrize("thickness", [1, 2, 3, 4, 7])
def test_a_flat_sheet_becomes_its_middle_layer(axis, thickness):
    mask = np.zeros((24, 24, 24), bool)
    np.moveaxis(mask, axis, 0)[8 : 8 + thickness] = True
    medial = np.moveaxis(compute_medial_surface(mask), axis, 0)
    layers = np.flatnonzero(medial.any(axis=(1, 2)))
    assert layers.tolist() == [8 + (thickness - 1) // 2]
    assert medial[layers[0]].all()


@pytest.mark.parametrize("axis", range(3))
def test_parallel_sheets_stay_apart(axis):
    mask = np.zeros((30, 30, 30), bool)
    lines = np.moveaxis(mask, axis, 0)
    for start in (3, 8, 13, 18, 23):
        lines[start : start + 4] = True
    medial = compute_medial_surface(mask)
    _, count = ndimage.label(medial, CUBE)
    assert count == 5
    assert medial.sum() == 5 * 30 * 30


def test_tilted_parallel_sheets_stay_apart():
    mask = make_sheet((3, 2, 1), 4, offset=-4)[0] | make_sheet((3, 2, 1), 4, offset=4)[0]
    assert ndimage.label(mask, CUBE)[1] == 2
    assert ndimage.label(compute_medial_surface(mask), CUBE)[1] == 2


def test_a_rolled_sheet_stays_one_rolled_sheet():
    z, y, x = np.mgrid[:24, :64, :64].astype(float)
    angle = np.arctan2(y - 31.5, x - 31.5)
    turns = (np.hypot(y - 31.5, x - 31.5) + 9 * angle / (2 * np.pi)) / 9
    mask = (np.abs(turns % 1 - 0.5) * 9 <= 2) & (turns > 0.9) & (turns < 3.2) & (z > 1)
    assert ndimage.label(mask, CUBE)[1] == 1
    medial = compute_medial_surface(mask)
    sizes = np.bincount(ndimage.label(medial, CUBE)[0].ravel())[1:]
    # A notch one voxel deep in the sheet's cut end may keep its own middle.
    assert sizes.max() > 0.98 * sizes.sum()
    assert 0.15 < medial.sum() / mask.sum() < 0.45
    reach = ndimage.distance_transform_edt(~medial)
    assert reach[mask].max() <= 3.5


def test_noisy_faces_leave_no_holes():
    mask, height = make_sheet((4, 1, 2), 6)
    rng = np.random.default_rng(0)
    ragged = ndimage.gaussian_filter(rng.standard_normal(mask.shape), 1)
    mask = np.abs(height) + ragged / ragged.std() * 0.5 <= 3
    medial = interior(compute_medial_surface(mask), 9)
    sides, _ = ndimage.label(~medial)
    inner = interior(height, 9)
    assert not set(np.unique(sides[inner < -3])) & set(np.unique(sides[inner > 3])) - {0}


def test_spacing_decides_which_way_through_is_short():
    """A slab 4 by 9 voxels is thin along Z, until the voxels are 5 times as high."""
    mask = np.zeros((14, 20, 40), bool)
    mask[5:9, 5:14] = True
    isotropic = compute_medial_surface(mask)
    assert isotropic[6, 9, 20]
    assert isotropic[6, 6, 20]
    stretched = compute_medial_surface(mask, (5.0, 1.0, 1.0))
    assert not stretched[6, 6, 20]
    assert stretched[5:9, 9, 20].all()


def test_nothing_everything_and_odd_shapes():
    assert not compute_medial_surface(np.zeros((3, 4, 5), bool)).any()
    assert compute_medial_surface(np.ones((9, 9, 9), bool)).any()
    assert compute_medial_surface(np.ones((1, 1, 1), bool)).all()
    thin = compute_medial_surface(np.ones((1, 6, 6), bool))
    assert thin.all()
    assert compute_medial_surface(np.zeros((0, 4, 4), bool)).shape == (0, 4, 4)


def test_the_mask_is_left_alone_whatever_its_memory_order():
    mask = np.asfortranarray(make_sheet((1, 2, 3), 4, size=16)[0])
    before = mask.copy()
    medial = compute_medial_surface(mask)
    np.testing.assert_array_equal(mask, before)
    np.testing.assert_array_equal(medial, compute_medial_surface(np.ascontiguousarray(mask)))
