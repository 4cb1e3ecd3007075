"""Variation of information, components and Betti numbers against plain counting."""

import numpy as np
import pytest
from scipy import ndimage

from napari_surfseg.metrics.partition import compute_voi
from napari_surfseg.metrics.run_lengths import (
    count_enclosed,
    enclosed_labels,
    label_components,
    paint_labels,
)
from napari_surfseg.metrics.topology import BettiNumbers, compute_betti_numbers

SIX = ndimage.generate_binary_structure(3, 1)
TWENTY_SIX = ndimage.generate_binary_structure(3, 3)


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize(("connectivity", "structure"), [(6, SIX), (26, TWENTY_SIX)])
@pytest.mark.parametrize("background", [False, True])
def test_components_equal_scipy(seed, connectivity, structure, background):
    rng = np.random.default_rng(seed)
    shape = tuple(rng.integers(1, 14, 3))
    mask = (rng.random(shape) < rng.uniform(0.05, 0.95)).astype(np.uint8)
    expected, num = ndimage.label(mask == (not background), structure)
    parts = label_components(mask, connectivity=connectivity, background=background)
    painted = paint_labels(parts)
    assert parts.num == num
    # Both number components by their first voxel.
    np.testing.assert_array_equal(painted, expected)
    touching = set(
        np.unique(np.concatenate([np.take(expected, (0, -1), axis).ravel() for axis in range(3)]))
    ) - {0}
    assert enclosed_labels(parts).tolist() == [i + 1 not in touching for i in range(num)]
    assert count_enclosed(parts) == num - len(touching)


def voi_by_counting(pred, label):
    a, _ = ndimage.label(pred, TWENTY_SIX)
    b, _ = ndimage.label(label, TWENTY_SIX)
    chosen = (pred + label) > 0
    pairs, counts = np.unique(np.stack([a[chosen], b[chosen]]), axis=1, return_counts=True)
    share = counts / counts.sum()
    split = merge = 0.0
    for (i, j), p in zip(pairs.T, share, strict=True):
        split -= p * np.log2(p / share[pairs[1] == j].sum())
        merge -= p * np.log2(p / share[pairs[0] == i].sum())
    return split, merge


@pytest.mark.parametrize("seed", range(8))
def test_voi_equals_counting(seed):
    rng = np.random.default_rng(seed)
    shape = tuple(rng.integers(1, 16, 3))
    pred, label = (rng.random((2, *shape)) < rng.uniform(0.02, 0.4)).astype(np.uint8)
    label[0, 0, 0] = 1
    got = compute_voi(pred, label)
    split, merge = voi_by_counting(pred, label)
    assert got.split == pytest.approx(split, abs=1e-9)
    assert got.merge == pytest.approx(merge, abs=1e-9)
    assert got.score == pytest.approx(1 / (1 + 0.3 * (split + merge)))
    swapped = compute_voi(label, pred)
    assert (swapped.split, swapped.merge) == pytest.approx((got.merge, got.split))


def test_voi_of_a_sheet_cut_in_two_and_of_two_sheets_joined():
    whole = np.zeros((4, 10, 10), np.uint8)
    whole[1] = 1
    cut = whole.copy()
    cut[:, 4] = 0
    # 40 and 50 of 100 voxels lie in two pieces, 10 in none.
    shares = np.array([0.4, 0.5, 0.1])
    bits = float(-(shares * np.log2(shares)).sum())
    assert compute_voi(cut, whole).split == pytest.approx(bits)
    assert compute_voi(cut, whole).merge == pytest.approx(0)
    assert compute_voi(whole, cut).merge == pytest.approx(bits)
    assert compute_voi(whole, cut).split == pytest.approx(0)


def test_voi_of_empty_masks():
    empty, some = np.zeros((3, 3, 3), np.uint8), np.ones((3, 3, 3), np.uint8)
    assert compute_voi(empty, empty) == (0, 0, 1)
    assert compute_voi(some, empty) == (0, 0, 1)  # one component against one: nothing to tell


def solid(shape=(9, 9, 9)):
    mask = np.zeros(shape, np.uint8)
    mask[2:7, 2:7, 2:7] = 1
    return mask


def drill(mask):
    mask = mask.copy()
    mask[:, 4, 4] = 0
    return mask


def hollow(mask):
    mask = mask.copy()
    mask[3:6, 3:6, 3:6] = 0
    return mask


@pytest.mark.parametrize(
    ("mask", "expected"),
    [
        (np.zeros((4, 4, 4), np.uint8), (0, 0, 0)),
        (np.ones((4, 4, 4), np.uint8), (1, 0, 0)),
        (np.ones((1, 1, 1), np.uint8), (1, 0, 0)),
        (solid(), (1, 0, 0)),
        (drill(solid()), (1, 1, 0)),
        (hollow(solid()), (1, 0, 1)),
        (drill(hollow(solid())), (1, 1, 0)),
    ],
)
def test_betti_numbers_of_plain_shapes(mask, expected):
    assert compute_betti_numbers(mask) == BettiNumbers(*expected)


def test_foreground_connects_over_faces_only():
    mask = np.zeros((2, 2, 2), np.uint8)
    mask[0, 0, 0] = mask[1, 1, 1] = mask[0, 1, 1] = 1
    assert compute_betti_numbers(mask) == (2, 0, 0)


@pytest.mark.parametrize("seed", range(6))
def test_betti_numbers_survive_symmetries(seed):
    rng = np.random.default_rng(seed)
    mask = (rng.random(tuple(rng.integers(2, 12, 3))) < rng.uniform(0.2, 0.8)).astype(np.uint8)
    expected = compute_betti_numbers(mask)
    for other in (mask[::-1], mask[:, ::-1, ::-1], mask.transpose(2, 0, 1)):
        assert compute_betti_numbers(np.ascontiguousarray(other)) == expected
