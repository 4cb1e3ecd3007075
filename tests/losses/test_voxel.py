"""Cross entropy and Dice against hand-computed values."""

import math

import pytest
import torch
from torch.nn import functional

from napari_surfseg.losses.voxel import soft_dice, weighted_bce


def volume(*values):
    return torch.tensor(values, dtype=torch.float32).reshape(1, 1, 1, 1, -1)


def test_bce_by_hand():
    # sigmoid(0) = 1/2 on one surface and one background voxel: (2.8 + 1) ln 2 / 2.
    assert weighted_bce(volume(0, 0), volume(1, 0)).item() == pytest.approx(1.9 * math.log(2))


def test_bce_counts_supervised_voxels_only():
    mask = torch.tensor([True, True, False, False]).reshape(1, 1, 1, 1, -1)
    loss = weighted_bce(volume(0, 0, 7, -7), volume(1, 0, 0, 0), mask)
    assert loss.item() == pytest.approx(1.9 * math.log(2))


@pytest.mark.parametrize("pos_weight", [0.5, 1.0, 2.8])
def test_bce_is_that_of_torch(pos_weight):
    torch.manual_seed(0)
    logits = (4 * torch.randn(2, 1, 5, 6, 7)).requires_grad_()
    y = (torch.rand(logits.shape) < 0.3).float()
    reference = functional.binary_cross_entropy_with_logits(
        logits, y, pos_weight=torch.tensor(pos_weight)
    )
    (expected,) = torch.autograd.grad(reference, logits)
    loss = weighted_bce(logits, y, pos_weight=pos_weight)
    loss.backward()
    torch.testing.assert_close(loss, reference)
    torch.testing.assert_close(logits.grad, expected)


def test_bce_gradient_in_double():
    torch.manual_seed(0)
    logits = torch.randn(1, 1, 2, 3, 3, dtype=torch.float64, requires_grad=True)
    y = (torch.rand(logits.shape) < 0.5).double()
    assert torch.autograd.gradcheck(lambda x: weighted_bce(x, y), logits)


def test_bce_stays_finite_when_surely_wrong():
    assert weighted_bce(volume(1e4, -1e4), volume(0, 1)).item() == pytest.approx(1.9e4)


def test_dice_by_hand():
    # p = 1/2, 1/2 against 1, 0: 1 - (2 * 1/2 + 1) / (1 + 1 + 1).
    assert soft_dice(volume(0, 0), volume(1, 0)).item() == pytest.approx(1 / 3)
    assert soft_dice(volume(0, 0), volume(1, 0), smooth=0.5).item() == pytest.approx(1 - 1.5 / 2.5)


def test_dice_is_taken_sample_by_sample():
    torch.manual_seed(0)
    logits = torch.randn(2, 1, 4, 4, 4)
    y = torch.zeros_like(logits)
    y[0] = 1
    y[1, 0, 0, 0, 0] = 1
    each = [soft_dice(logits[i : i + 1], y[i : i + 1]) for i in range(2)]
    assert soft_dice(logits, y).item() == pytest.approx(sum(each).item() / 2)


def test_dice_ignores_as_if_cut_out():
    torch.manual_seed(0)
    logits = torch.randn(1, 1, 4, 4, 6)
    y = (torch.rand(logits.shape) < 0.4).float()
    mask = torch.ones_like(y, dtype=torch.bool)
    mask[..., 4:] = False
    cut = soft_dice(logits[..., :4], y[..., :4])
    assert soft_dice(logits, y * mask, mask).item() == pytest.approx(cut.item())


def test_dice_gradient_in_double():
    torch.manual_seed(0)
    logits = torch.randn(2, 1, 2, 3, 3, dtype=torch.float64, requires_grad=True)
    y = (torch.rand(logits.shape) < 0.5).double()
    assert torch.autograd.gradcheck(lambda x: soft_dice(x, y), logits)


def test_dice_ranks_predictions(sheet):
    def loss(prediction):
        return soft_dice(60 * (2 * prediction - 1), sheet).item()

    shifted = loss(sheet.roll(1, 2))
    assert loss(sheet) < shifted < loss(torch.zeros_like(sheet))
    assert shifted < loss(torch.ones_like(sheet))
