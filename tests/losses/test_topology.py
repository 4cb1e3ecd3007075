"""The windowed Euler characteristic."""

import numpy as np
import pytest
import torch
from skimage.measure import euler_number

from napari_surfseg.losses.topology import (
    compute_euler_target,
    soft_euler,
    soft_euler_reference,
    toploss_simple,
)


def sure(prediction):
    return 60 * (2 * prediction - 1)


def euler(volume):
    return soft_euler(torch.as_tensor(volume).float()[None, None], 64).item()


def test_known_shapes():
    volume = torch.zeros(9, 9, 9)
    assert euler(volume) == 0
    volume[2, 2, 2] = 1
    assert euler(volume) == 1, "a piece"
    volume[6, 6, 6] = 1
    assert euler(volume) == 2, "two pieces"
    ball = torch.zeros(9, 9, 9)
    ball[2:7, 2:7, 2:7] = 1
    assert euler(ball) == 1, "a solid"
    ball[4, 4, 4] = 0
    assert euler(ball) == 2, "a cavity"
    ball[:, 4, 4] = 0
    assert euler(ball) == 0, "a tunnel"


def test_the_foreground_is_6_connected():
    volume = torch.zeros(4, 4, 4)
    volume[1, 1, 1] = volume[1, 2, 2] = volume[2, 2, 3] = 1
    assert euler(volume) == 3


@pytest.mark.parametrize("seed", range(5))
def test_it_is_the_euler_number_of_the_field(seed):
    mask = np.random.default_rng(seed).random((10, 11, 12)) < 0.2 + 0.1 * seed
    assert euler(mask) == pytest.approx(euler_number(mask, connectivity=1), abs=1e-3)


@pytest.mark.parametrize(
    ("shape", "window"),
    [((2, 1, 20, 21, 33), 16), ((1, 2, 7, 8, 9), 16), ((1, 1, 1, 5, 1), 3), ((1, 1, 8, 8, 8), 2)],
)
def test_compiled_and_plain_counts_agree(shape, window):
    torch.manual_seed(0)
    values = torch.rand(shape, requires_grad=True)
    expected = soft_euler_reference(values, window)
    counts = soft_euler(values, window)
    assert counts.shape == expected.shape
    upstream = torch.randn(expected.shape)
    (slope,) = torch.autograd.grad(counts, values, upstream)
    (expected_slope,) = torch.autograd.grad(expected, values, upstream)
    torch.testing.assert_close(counts, expected, rtol=1e-5, atol=1e-3)
    torch.testing.assert_close(slope, expected_slope, rtol=1e-5, atol=1e-5)


def test_windows_add_up_to_the_volume():
    mask = torch.from_numpy(np.random.default_rng(0).random((1, 1, 20, 24, 17)) < 0.3).float()
    whole = soft_euler(mask, 64).item()
    for window in (4, 5, 16):
        assert soft_euler(mask, window).sum().item() == pytest.approx(whole, abs=1e-2)


def test_by_hand(sheet):
    """Two windows along X; one holds a hole: X goes from 1 to 0 there, error 1 / (0 + 1 + 1)."""
    y = torch.zeros(1, 1, 8, 8, 16)
    y[:, :, 3:5] = 1
    target = compute_euler_target(y, window=8)
    # The left window also counts the edges, squares and cubes that lead into the right one.
    assert target.euler.flatten().tolist() == [0, 1]
    prediction = y.clone()
    prediction[:, :, :, 3:5, 11:13] = 0
    assert toploss_simple(sure(prediction), y, window=8).item() == pytest.approx(0.25)
    assert toploss_simple(sure(prediction), y, window=16).item() == pytest.approx(0.5)


@pytest.mark.parametrize("thickness", [1, 2, 3])
@pytest.mark.parametrize("at", [6, 7, 8])
def test_a_hole_is_seen_in_thin_sheets_and_on_window_borders(thickness, at):
    """An erosion-based term is 0 for sheets thinner than its kernel, whatever is predicted."""
    y = torch.zeros(1, 1, 16, 16, 16)
    y[:, :, 5 : 5 + thickness] = 1
    prediction = y.clone()
    prediction[:, :, :, at : at + 2, at : at + 2] = 0
    assert toploss_simple(sure(prediction), y, window=8) > 0.05


def descend(logits, y, steps=40):
    for _ in range(steps):
        logits.requires_grad_()
        (slope,) = torch.autograd.grad(toploss_simple(logits, y), logits)
        logits = (logits - 0.1 * slope / slope.abs().max()).detach()
    return logits


def test_descent_plugs_an_unsure_hole(sheet):
    """One in clear doubt: a hole predicted as surely as the background is left to the other terms.

    Filling it and raising the background's haze change ``X`` alike.
    """
    logits = 3 * (2 * sheet - 1)
    logits[:, :, 7:9, 6, 6] = -0.7
    assert toploss_simple(logits, sheet) > 0.3
    logits = descend(logits, sheet)
    # One of the two layers is enough to close the tunnel.
    assert (logits[0, 0, 7:9, 6, 6] > 0).any()
    assert toploss_simple(logits, sheet) < 0.1


def test_descent_removes_an_unsure_speck(sheet):
    logits = 3 * (2 * sheet - 1)
    logits[:, :, 13, 12, 12] = 0.7
    assert toploss_simple(logits, sheet) > 0.2
    logits = descend(logits, sheet)
    assert logits[0, 0, 13, 12, 12] < 0
    assert toploss_simple(logits, sheet) < 0.1


def test_haze_is_not_counted(sheet):
    """A thousand background voxels at 5 % are no pieces."""
    faint = torch.where(sheet > 0, 6.0, torch.logit(torch.tensor(0.05)))
    assert toploss_simple(faint, sheet) < 0.01


def test_windows_without_supervision_do_not_count():
    y = torch.zeros(1, 1, 8, 8, 16)
    y[:, :, 3:5] = 1
    mask = torch.ones_like(y, dtype=torch.bool)
    mask[..., 8:] = False
    prediction = y.clone()
    prediction[:, :, :, 3:5, 3:5] = 0
    loss = toploss_simple(sure(prediction), y * mask, mask, window=8)
    alone = toploss_simple(sure(prediction[..., :8]), y[..., :8], window=8)
    assert loss.item() == pytest.approx(alone.item())


def test_gradient_in_double():
    torch.manual_seed(0)
    logits = torch.randn(1, 1, 5, 4, 6, dtype=torch.float64, requires_grad=True)
    y = (torch.rand(logits.shape) < 0.4).double()
    target = compute_euler_target(y, window=3)
    target = type(target)(target.euler.double(), target.share.double(), 3)
    assert torch.autograd.gradcheck(
        lambda x: toploss_simple(x, y, sharpness=2.0, target=target), logits
    )
