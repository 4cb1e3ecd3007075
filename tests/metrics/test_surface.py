"""Surface Dice, precision and recall by hand and against distances taken the plain way."""

import numpy as np
import pytest
from scipy.ndimage import distance_transform_edt

from napari_surfseg.errors import DataError
from napari_surfseg.metrics import surface as surface_module
from napari_surfseg.metrics.surface import (
    compute_dice,
    compute_surface_agreement,
    surface_element_areas,
)


def sheet(shape, position, thickness=2):
    mask = np.zeros(shape, np.uint8)
    mask[position : position + thickness] = 1
    return mask


def agreement_by_distance(pred, label, spacing, tolerance):
    """Nikolov's definition with full distance transforms over the whole volume."""
    areas = surface_element_areas(spacing)
    sides = []
    for mask in (pred, label):
        padded = np.pad(mask.astype(np.int64), 1)
        corners = [
            padded[z : z + mask.shape[0] + 1, y : y + mask.shape[1] + 1, x : x + mask.shape[2] + 1]
            for z in (0, 1)
            for y in (0, 1)
            for x in (0, 1)
        ]
        sides.append(sum(c << (7 - i) for i, c in enumerate(corners)))
    borders = [(codes != 0) & (codes != 255) for codes in sides]
    near, total = [], []
    for own, other in ((0, 1), (1, 0)):
        distance = distance_transform_edt(~borders[other], sampling=spacing)[borders[own]]
        area = areas[sides[own][borders[own]]]
        near.append(area[distance <= tolerance].sum())
        total.append(area.sum())
    return sum(near) / sum(total), near[0] / total[0], near[1] / total[1]


def test_areas_of_the_plain_configurations():
    areas = surface_element_areas((1.0, 1.0, 1.0))
    assert areas[0] == areas[255] == 0
    assert areas[0b11110000] == pytest.approx(1.0)  # a face across Z
    assert areas[0b10000000] == pytest.approx(np.sqrt(3) / 8)  # a corner
    assert areas[0b11000000] == pytest.approx(np.sqrt(2) / 2)  # an edge
    np.testing.assert_allclose(areas, areas[::-1])  # inside and outside are alike
    stretched = surface_element_areas((3.0, 1.0, 2.0))
    assert stretched[0b11110000] == pytest.approx(2.0)
    assert stretched[0b11001100] == pytest.approx(6.0)


def test_areas_equal_the_surface_distance_package():
    package = pytest.importorskip("surface_distance.lookup_tables")
    for spacing in ((1.0, 1.0, 1.0), (0.5, 2.0, 3.0)):
        expected = package.create_table_neighbour_code_to_surface_area(spacing)
        np.testing.assert_allclose(surface_element_areas(spacing), expected, atol=1e-9)


@pytest.mark.parametrize("seed", range(6))
def test_agreement_equals_full_distance_transforms(seed):
    rng = np.random.default_rng(seed)
    shape = tuple(rng.integers(3, 12, 3))
    pred, label = (rng.random((2, *shape)) < rng.uniform(0.02, 0.5)).astype(np.uint8)
    pred[0, 0, 0] = label[-1, -1, -1] = 1
    spacing = tuple(rng.choice([0.5, 1.0, 2.0], 3))
    tolerance = float(rng.choice([0.0, 1.0, 2.0, 3.5]))
    got = compute_surface_agreement(pred, label, spacing=spacing, tolerance=tolerance)
    assert got == pytest.approx(agreement_by_distance(pred, label, spacing, tolerance))


def test_large_tolerances_take_the_distance_transform(monkeypatch):
    rng = np.random.default_rng(1)
    pred, label = (rng.random((2, 12, 12, 40)) < 0.02).astype(np.uint8)
    near = compute_surface_agreement(pred, label, tolerance=2.5)
    monkeypatch.setattr(surface_module, "MAX_BALL", 1)
    assert compute_surface_agreement(pred, label, tolerance=2.5) == pytest.approx(near)


@pytest.mark.parametrize(("shift", "expected"), [(0, 1.0), (2, 1.0), (3, 0.0)])
def test_tolerance_is_inclusive(shift, expected):
    pred, label = sheet((20, 9, 9), 6, 1), sheet((20, 9, 9), 6 + shift, 1)
    box = (slice(None), slice(3, 6), slice(3, 6))
    pred, label = np.zeros_like(pred), np.zeros_like(label)
    pred[6, 4, 4] = label[6 + shift, 4, 4] = 1
    assert pred[box].sum() == 1
    got = compute_surface_agreement(pred, label, tolerance=2.0)
    # A single voxel's surface elements sit at its eight corners: at a shift of three voxels
    # only the corners that face each other are two apart.
    assert got.surface_dice == pytest.approx(expected if shift < 3 else 0.5)


def test_spacing_counts_in_the_tolerance():
    pred, label = sheet((20, 8, 8), 6), sheet((20, 8, 8), 8)
    assert compute_surface_agreement(pred, label, spacing=(1, 1, 1)).surface_dice == 1
    assert compute_surface_agreement(pred, label, spacing=(2, 2, 2)).surface_dice < 1


def test_extra_surface_costs_precision_and_missing_surface_recall():
    label = sheet((30, 10, 10), 5)
    extra = label | sheet((30, 10, 10), 20)
    got = compute_surface_agreement(extra, label)
    assert (got.precision, got.recall) == (pytest.approx(0.5), 1.0)
    got = compute_surface_agreement(label, extra)
    assert (got.precision, got.recall) == (1.0, pytest.approx(0.5))


def test_empty_masks():
    empty, full = np.zeros((5, 5, 5), np.uint8), sheet((5, 5, 5), 2)
    assert compute_surface_agreement(empty, empty) == (1, 1, 1)
    assert compute_surface_agreement(full, empty) == (0, 0, 0)
    assert compute_surface_agreement(empty, full) == (0, 0, 0)
    assert compute_dice(empty, empty) == 1
    assert compute_dice(full, empty) == 0


def test_dice_by_hand():
    a, b = np.zeros((1, 1, 6), np.uint8), np.zeros((1, 1, 6), np.uint8)
    a[..., :4], b[..., 2:5] = 1, 1
    assert compute_dice(a, b) == pytest.approx(2 * 2 / 7)


@pytest.mark.parametrize(
    "settings",
    [{"spacing": (1, 0, 1)}, {"spacing": (1, 1)}, {"tolerance": -1}, {"tolerance": np.nan}],
)
def test_bad_settings_are_refused_in_a_sentence(settings):
    mask = np.ones((3, 3, 3), np.uint8)
    with pytest.raises(DataError, match=r"found .*\.$"):
        compute_surface_agreement(mask, mask, **settings)
