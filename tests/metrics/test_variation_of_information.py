"""Variation of information against plain counting."""

import numpy as np
import pytest
from scipy import ndimage

from napari_surfseg.metrics.variation_of_information import compute_voi

TWENTY_SIX = ndimage.generate_binary_structure(3, 3)


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
    assert compute_voi(some, empty) == (0, 0, 1)  # one component against one
