"""Components, tunnels and cavities of plain shapes."""

import numpy as np
import pytest

from napari_surfseg.metrics.betti_numbers import BettiNumbers, compute_betti_numbers


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
