"""What holds for each loss term alike."""

import math

import pytest
import torch

from napari_surfseg.losses.prediction import Prediction
from napari_surfseg.losses.skeleton import cldice, morph_skeleton, skeleton_recall
from napari_surfseg.losses.surface import surface_distance
from napari_surfseg.losses.topology import toploss_simple
from napari_surfseg.losses.voxel import soft_dice, weighted_bce
from napari_surfseg.vocabulary import LOSS_TERMS

FUNCTIONS = {
    "weighted_bce": weighted_bce,
    "soft_dice": soft_dice,
    "cldice": cldice,
    "morph_skeleton": morph_skeleton,
    "surface_distance": surface_distance,
    "toploss_simple": toploss_simple,
    "skeleton_recall": skeleton_recall,
}

every_term = pytest.mark.parametrize("term", FUNCTIONS.values(), ids=FUNCTIONS)


def make_labels(seed=0, batch=2, size=20):
    """Build wavy sheets with an ignored block and an ignored slab: (y, mask)."""
    generator = torch.Generator().manual_seed(seed)
    z, y, x = torch.meshgrid(*[torch.arange(size, dtype=torch.float32)] * 3, indexing="ij")
    labels = torch.zeros(batch, 1, size, size, size)
    for sample in range(batch):
        phase = torch.rand((), generator=generator) * 6
        height = z - 2 * torch.sin(y / 5 + phase) - x * 0.2
        labels[sample, 0] = ((height % 9) < 2.5).float()
    mask = torch.ones_like(labels, dtype=torch.bool)
    mask[:, :, 12:17, 3:9, 2:10] = False
    mask[..., -2:] = False
    return labels * mask, mask


def make_logits(y, seed=0, strength=1.0):
    generator = torch.Generator().manual_seed(seed)
    return strength * (2 * y - 1) + 2 * torch.randn(y.shape, generator=generator)


def gradient(term, logits, y, mask):
    logits = logits.clone().requires_grad_()
    loss = term(logits, y, mask)
    loss.backward()
    return loss.detach(), logits.grad


def test_every_term_is_tested():
    assert list(FUNCTIONS) == list(LOSS_TERMS)


@every_term
@pytest.mark.parametrize("seed", range(4))
def test_value_is_a_finite_scalar_of_at_least_zero(term, seed):
    y, mask = make_labels(seed)
    value = term(make_logits(y, seed), y, mask)
    assert value.shape == ()
    assert value.dtype == torch.float32
    assert math.isfinite(value)
    assert value > 0


@every_term
@pytest.mark.parametrize("seed", range(3))
def test_a_perfect_prediction_costs_nothing(term, seed):
    y, mask = make_labels(seed)
    logits = 60 * (2 * y - 1)
    assert 0 <= term(logits, y, mask) < 1e-6
    assert 0 <= term(logits, y) < 1e-6


@every_term
def test_an_empty_prediction_of_an_empty_label_costs_nothing(term):
    y = torch.zeros(1, 1, 12, 12, 12)
    assert 0 <= term(torch.full_like(y, -60), y) < 1e-6


@every_term
def test_one_channel_is_not_constant(term):
    # MONAI's SoftclDiceLoss drops channel 0 and returns 0 whatever is predicted.
    y, mask = make_labels(1)
    values = {round(term(make_logits(y, 1, strength), y, mask).item(), 6) for strength in (0, 2, 4)}
    assert len(values) == 3


@every_term
@pytest.mark.parametrize("junk", [0.0, 1e4, -1e30, math.inf, math.nan])
def test_nothing_inside_ignored_voxels_matters(term, junk):
    y, mask = make_labels(2)
    logits = make_logits(y, 2)
    value, slope = gradient(term, logits, y, mask)
    spoilt = torch.where(mask, logits, torch.full_like(logits, junk))
    spoilt_value, spoilt_slope = gradient(term, spoilt, y, mask)
    assert spoilt_value == value
    assert torch.equal(spoilt_slope, slope)
    assert (slope[~mask] == 0).all()
    assert slope.abs().max() > 0


@every_term
def test_random_logits_inside_ignored_voxels_do_not_matter(term):
    y, mask = make_labels(3)
    logits = make_logits(y, 3)
    value = term(logits, y, mask)
    for seed in range(5):
        other = torch.where(mask, logits, 10 * make_logits(y, 50 + seed))
        assert term(other, y, mask) == value


@every_term
def test_all_ignored_costs_nothing_and_has_no_gradient(term):
    y = torch.zeros(2, 1, 12, 12, 12)
    mask = torch.zeros_like(y, dtype=torch.bool)
    value, slope = gradient(term, torch.randn(y.shape), y, mask)
    assert value == 0
    assert (slope == 0).all()


@every_term
def test_one_ignored_sample_leaves_the_other_its_gradient(term):
    y, mask = make_labels(4)
    mask = mask.clone()
    mask[1] = False
    _, slope = gradient(term, make_logits(y, 4), y * mask, mask)
    assert (slope[1] == 0).all()
    assert slope[0].abs().max() > 0


@every_term
@pytest.mark.parametrize("size", [1e-3, 1.0, 100.0, 1e4])
def test_bf16_logits_give_finite_values_and_gradients(term, size):
    y, mask = make_labels(5)
    logits = (size * make_logits(y, 5)).to(torch.bfloat16)
    value, slope = gradient(term, logits, y, mask)
    assert math.isfinite(value)
    assert value.dtype == torch.float32
    assert slope.isfinite().all()


@every_term
def test_autocast_changes_nothing(term):
    y, mask = make_labels(6)
    logits = make_logits(y, 6)
    value, slope = gradient(term, logits, y, mask)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        cast_value, cast_slope = gradient(term, logits, y, mask)
    assert cast_value == value
    assert torch.equal(cast_slope, slope)


@every_term
@pytest.mark.parametrize("seed", range(3))
def test_the_gradient_moves_towards_the_label(term, seed):
    """From a mostly right prediction, descending makes the loss and the error less."""
    y, mask = make_labels(seed, batch=1)
    logits = make_logits(y, seed, strength=3.0)
    value, slope = gradient(term, logits, y, mask)
    towards = (2 * y - 1) * mask
    assert (slope * towards).sum() < 0
    for _ in range(15):
        _, slope = gradient(term, logits, y, mask)
        logits = logits - 0.5 * slope / slope.abs().max()
    assert term(logits, y, mask) < value


@every_term
@pytest.mark.parametrize("flip", [(2,), (3,), (4,), (2, 3, 4)])
def test_flips_change_nothing(term, flip):
    y, mask = make_labels(7, size=15)
    logits = make_logits(y, 7)
    flipped = term(logits.flip(flip), y.flip(flip), mask.flip(flip))
    assert flipped == pytest.approx(
        term(logits, y, mask).item(), rel=2e-2 if _has_runs(term) else 1e-5
    )


@every_term
@pytest.mark.parametrize("order", [(0, 1, 3, 4, 2), (0, 1, 4, 3, 2)])
def test_turned_axes_change_nothing(term, order):
    y, mask = make_labels(8, size=15)
    logits = make_logits(y, 8)
    turned = term(logits.permute(order), y.permute(order), mask.permute(order))
    assert turned == pytest.approx(term(logits, y, mask).item(), rel=1e-5)


def _has_runs(term):
    # The middle of an even run is rounded down, so a flip moves it by a voxel; S is dilated.
    return term is skeleton_recall


@every_term
def test_a_batch_of_twins_costs_what_one_does(term):
    y, mask = make_labels(9, batch=1)
    logits = make_logits(y, 9)
    twice = term(logits.repeat(2, 1, 1, 1, 1), y.repeat(2, 1, 1, 1, 1), mask.repeat(2, 1, 1, 1, 1))
    # The smoothing of one voxel counts half in the batch's sums.
    assert twice == pytest.approx(term(logits, y, mask).item(), rel=2e-3)


@every_term
def test_shapes_other_than_cubes_work(term):
    y = torch.zeros(1, 1, 5, 18, 9)
    y[:, :, 2:4] = 1
    value, slope = gradient(term, make_logits(y), y, None)
    assert value > 0
    assert slope.shape == y.shape


@every_term
def test_memory_order_of_the_logits_does_not_matter(term):
    y, mask = make_labels(10)
    logits = make_logits(y, 10)
    value, slope = gradient(term, logits, y, mask)
    strided = logits.permute(0, 1, 4, 3, 2).contiguous().permute(0, 1, 4, 3, 2)
    assert not strided.is_contiguous()
    other_value, other_slope = gradient(term, strided, y, mask)
    assert other_value == pytest.approx(value.item(), rel=1e-6)
    torch.testing.assert_close(other_slope, slope, rtol=1e-4, atol=1e-7)


@every_term
def test_a_shared_prediction_brings_its_mask(term):
    y, mask = make_labels(11)
    logits = make_logits(y, 11)
    assert term(Prediction(logits, mask), y) == term(logits, y, mask)
