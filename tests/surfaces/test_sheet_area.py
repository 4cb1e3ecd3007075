"""The area of sheets, against known shapes."""

import itertools

import numpy as np
import pytest

from napari_surfseg.surfaces.sheet_area import compute_sheet_area, remove_small_sheets

PLACES = np.indices((48, 48, 48)) - 23.5
RADIUS = np.sqrt((PLACES**2).sum(axis=0))


@pytest.mark.parametrize("thickness", [1, 2, 3, 5])
def test_a_flat_sheet_has_the_area_of_one_side_however_thick(thickness):
    mask = np.zeros((9, 20, 30))
    mask[2 : 2 + thickness] = 1
    inner = compute_sheet_area(mask)[:, 5:-5, 5:-5]
    assert inner.sum() == pytest.approx(10 * 20)


def test_a_flat_sheet_in_physical_units():
    mask = np.zeros((9, 20, 30))
    mask[2:4] = 1
    inner = compute_sheet_area(mask, (2.0, 4.0, 3.0))[:, 5:-5, 5:-5]
    assert inner.sum() == pytest.approx(10 * 20 * 4.0 * 3.0)


@pytest.mark.parametrize("normal", [(1, 1, 0), (1, 0.5, 0), (1, 0.4, 0.3), (1, 1, 1)])
def test_a_tilted_disc_to_within_a_sixth(normal):
    normal = np.array(normal) / np.linalg.norm(normal)
    mask = (abs(np.tensordot(normal, PLACES, 1)) < 1.5) & (RADIUS < 20)
    assert compute_sheet_area(mask).sum() == pytest.approx(np.pi * 20**2, rel=0.17)


def test_a_shell_and_a_ball_of_equal_voxels_differ():
    shell = abs(RADIUS - 15) < 1
    assert compute_sheet_area(shell).sum() == pytest.approx(4 * np.pi * 15**2, rel=0.1)
    ball = (3 / (4 * np.pi) * shell.sum()) ** (1 / 3) > RADIUS
    assert ball.sum() == pytest.approx(shell.sum(), rel=0.02)
    assert compute_sheet_area(ball).sum() < 0.4 * compute_sheet_area(shell).sum()


def test_flips_and_transposes_of_uneven_voxels():
    mask = np.random.default_rng(0).random((6, 7, 8)) < 0.5
    spacing = (3.0, 1.0, 2.0)
    wanted = compute_sheet_area(mask, spacing)
    for axes in itertools.permutations(range(3)):
        found = compute_sheet_area(mask.transpose(axes)[::-1], tuple(spacing[i] for i in axes))
        np.testing.assert_allclose(found, wanted.transpose(axes)[::-1], rtol=1e-6)


def test_a_sheet_stays_where_a_ball_of_as_many_voxels_goes():
    mask = np.zeros((20, 20, 30), bool)
    mask[2, 2:12, 2:12] = True  # 100 voxels, area 100
    mask[10:15, 10:14, 20:25] = True  # 100 voxels, area about 20
    kept = remove_small_sheets(mask, 60)
    assert kept.sum() == 100
    assert kept[2].sum() == 100
    assert remove_small_sheets(mask, 0).sum() == 200
    assert remove_small_sheets(mask, 15, spacing=(0.5, 0.5, 0.5)).sum() == 100
    assert not remove_small_sheets(np.zeros((2, 3, 4)), 5).any()
