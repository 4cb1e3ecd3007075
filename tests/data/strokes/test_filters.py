"""Filter responses: by hand on simple volumes, and alike however a volume is turned."""

from __future__ import annotations

import numpy as np
import pytest

from napari_surfseg.data.strokes.filters import (
    FILTER_MARGIN,
    NUM_RESPONSES,
    SCALES,
    compute_filter_responses,
)


def smooth_noise(shape=(20, 22, 24), seed=0):
    return np.random.default_rng(seed).integers(0, 256, shape).astype(np.uint8)


def test_a_constant_volume_has_no_edges():
    responses = compute_filter_responses(np.full((8, 9, 10), 77, np.uint8))
    assert responses.shape == (8, 9, 10, NUM_RESPONSES)
    np.testing.assert_allclose(responses[..., 0], 77)
    for number in range(len(SCALES)):
        np.testing.assert_allclose(responses[..., 1 + 5 * number], 77, rtol=1e-5)
        np.testing.assert_allclose(responses[..., 2 + 5 * number : 6 + 5 * number], 0, atol=1e-3)


def test_a_ramp_has_its_slope_and_no_curvature():
    ramp = np.broadcast_to(3.0 * np.arange(40, dtype=np.float32), (30, 30, 40))
    middle = compute_filter_responses(ramp)[15, 15, 20]
    np.testing.assert_allclose(middle[2 : 2 + 5 * len(SCALES) : 5], 3, rtol=1e-4)
    np.testing.assert_allclose(middle[3:6], 0, atol=1e-3)
    # The gradient's square along X, and nothing along the others.
    np.testing.assert_allclose(middle[-3:], [0, 0, 9], atol=1e-2)


def test_a_bright_sheet_has_one_large_negative_eigenvalue():
    sheet = np.zeros((32, 32, 32), np.uint8)
    sheet[15:17] = 200
    low, middle, high = compute_filter_responses(sheet)[15, 16, 16][1 + 5 + 2 : 1 + 5 + 5]
    assert low < -20
    assert abs(middle) < 1e-2
    assert abs(high) < 1e-2


@pytest.mark.parametrize("axes", [(1, 2, 0), (2, 1, 0), (0, 2, 1)])
def test_turning_a_volume_turns_its_responses(axes):
    image = smooth_noise()
    turned = compute_filter_responses(image.transpose(axes)[::-1])
    expected = compute_filter_responses(image).transpose(*axes, 3)[::-1]
    np.testing.assert_allclose(turned, expected, rtol=1e-3, atol=0.05)


def test_the_margin_is_all_that_a_box_needs():
    image = smooth_noise((2 * FILTER_MARGIN + 6,) * 3)
    inside = slice(FILTER_MARGIN, FILTER_MARGIN + 6)
    bright = image.copy()
    bright[:2] = 255
    near = compute_filter_responses(image[2:])[
        (slice(FILTER_MARGIN - 2, FILTER_MARGIN + 4), inside, inside)
    ]
    whole = compute_filter_responses(bright)[inside, inside, inside]
    np.testing.assert_allclose(near, whole, rtol=1e-3, atol=0.2)


def test_a_coarse_axis_is_smoothed_by_fewer_voxels():
    spike = np.zeros((21, 21, 21), np.float32)
    spike[10, 10, 10] = 1000
    widest = compute_filter_responses(spike, (4.0, 1.0, 1.0))[..., 1 + 5 * (len(SCALES) - 1)]
    assert widest[10, 14, 10] == pytest.approx(widest[11, 10, 10], rel=0.05)
