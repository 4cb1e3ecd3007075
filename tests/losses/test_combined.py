"""The weighted sum: heads, targets, raw terms, settings."""

import itertools

import pytest
import torch

from napari_surfseg import config
from napari_surfseg.losses import combined
from napari_surfseg.losses.combined import (
    FUNCTIONS,
    LossSettings,
    compute_combined_loss,
    compute_loss_targets,
    terms_at_step,
)
from napari_surfseg.losses.voxel import soft_dice, weighted_bce
from napari_surfseg.vocabulary import LOSS_TERMS

WEIGHTS = config.Loss().weights
ALL = {**WEIGHTS, "skeleton_recall": 0.2}


def make_labels(size=16, ignored=True):
    labels = torch.zeros(1, 1, size, size, size, dtype=torch.uint8)
    labels[:, :, 4:6] = 1
    labels[:, :, 10:13] = 1
    if ignored:
        labels[..., -3:] = 2
    return labels


def make_logits(labels, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(labels.shape, generator=generator)


def test_every_term_of_the_vocabulary_has_a_function():
    assert list(FUNCTIONS) == list(LOSS_TERMS)


def test_one_skeleton_of_the_label_serves_two_terms(monkeypatch):
    calls = []
    original = combined.compute_skeleton_target
    monkeypatch.setattr(
        combined,
        "compute_skeleton_target",
        lambda *args, **kwargs: calls.append(1) or original(*args, **kwargs),
    )
    labels = make_labels()
    weights = {"cldice": 0.5, "morph_skeleton": 0.5}
    compute_combined_loss([make_logits(labels)], compute_loss_targets(labels), weights)
    assert calls == [1]


@pytest.mark.parametrize("ignored", [False, True])
def test_the_sum_of_weight_times_term_is_the_head_total(ignored):
    labels = make_labels(ignored=ignored)
    targets = compute_loss_targets(labels)
    result = compute_combined_loss([make_logits(labels)], targets, ALL)
    assert list(result.terms) == list(LOSS_TERMS)
    expected = sum(ALL[name] * value.item() for name, value in result.terms.items())
    assert result.head_total.item() == pytest.approx(expected, rel=1e-6)
    assert result.total.item() == result.head_total.item()


@pytest.mark.parametrize(
    "wanted", [*itertools.combinations(LOSS_TERMS, 1), *itertools.combinations(LOSS_TERMS, 2)]
)
def test_any_subset_gives_the_same_raw_terms(wanted):
    labels = make_labels()
    logits = make_logits(labels)
    everything = compute_combined_loss([logits], compute_loss_targets(labels), ALL)
    weights = dict.fromkeys(LOSS_TERMS, 0.0) | dict.fromkeys(wanted, 0.5)
    result = compute_combined_loss([logits], compute_loss_targets(labels), weights)
    assert tuple(result.terms) == wanted
    for name, value in result.terms.items():
        assert value.item() == everything.terms[name].item()


def test_a_term_of_weight_zero_is_neither_computed_nor_prepared():
    labels = make_labels()
    weights = {**dict.fromkeys(LOSS_TERMS, 0.0), "soft_dice": 1.0}
    (target,) = compute_loss_targets(labels)
    result = compute_combined_loss([make_logits(labels)], [target], weights)
    assert list(result.terms) == ["soft_dice"]
    assert not {"skeleton", "distance", "euler", "medial"} & set(vars(target))


def test_weights_scale_the_gradient():
    labels = make_labels()
    slopes = []
    for factor in (1.0, 3.0):
        weights = {name: factor * weight for name, weight in ALL.items()}
        logits = make_logits(labels).requires_grad_()
        targets = compute_loss_targets(labels)
        compute_combined_loss([logits], targets, weights).total.backward()
        slopes.append(logits.grad)
    torch.testing.assert_close(slopes[1], 3 * slopes[0])


def test_settings_reach_their_terms():
    labels = make_labels()
    logits = make_logits(labels)

    def terms(**settings):
        targets = compute_loss_targets(labels, LossSettings(**settings))
        result = compute_combined_loss([logits], targets, ALL)
        return {name: value.item() for name, value in result.terms.items()}

    plain = terms()
    for change, touched in (
        ({"pos_weight": 1.0}, {"weighted_bce"}),
        ({"skeleton_iterations": 1}, {"cldice", "morph_skeleton"}),
        ({"tolerance": 3.0}, {"surface_distance"}),
        ({"euler_window": 4}, {"toploss_simple"}),
        ({"spacing": (3.0, 1.0, 1.0)}, {"surface_distance"}),
    ):
        changed = {name for name, value in terms(**change).items() if value != plain[name]}
        assert changed == touched, change


def test_ignore_index_is_a_setting():
    labels = make_labels()
    moved = labels.clone()
    moved[labels == 2] = 255
    logits = make_logits(labels)
    expected = compute_combined_loss([logits], compute_loss_targets(labels), ALL)
    targets = compute_loss_targets(moved, ignore_index=255)
    assert compute_combined_loss([logits], targets, ALL).total == expected.total


def test_heads_are_scored_at_their_own_resolution():
    labels = make_labels()
    shapes = [(16, 16, 16), (8, 8, 8), (4, 4, 4)]
    targets = compute_loss_targets(labels, head_shapes=shapes)
    assert [tuple(target.y.shape[2:]) for target in targets] == shapes
    heads = [make_logits(target.y, seed) for seed, target in enumerate(targets)]
    result = compute_combined_loss(heads, targets, WEIGHTS)
    totals = [result.head_total.item()]
    for head, target in zip(heads[1:], targets[1:], strict=True):
        totals.append(
            0.35 * weighted_bce(head, target.y, target.mask).item()
            + 0.35 * soft_dice(head, target.y, target.mask).item()
        )
    expected = (totals[0] + totals[1] / 2 + totals[2] / 4) / 1.75
    assert result.total.item() == pytest.approx(expected, rel=1e-6)


def test_coarse_heads_need_a_voxel_term():
    labels = make_labels()
    weights = {"cldice": 1.0}
    targets = compute_loss_targets(labels, head_shapes=[(16,) * 3, (8,) * 3])
    coarse = torch.randn(1, 1, 8, 8, 8, requires_grad=True)
    result = compute_combined_loss([make_logits(labels), coarse], targets, weights)
    assert result.total == result.head_total


@pytest.mark.parametrize("shape", [(4, 4, 4), (3, 3, 3)])
def test_coarse_labels_put_surface_over_ignored_over_background(shape):
    labels = torch.zeros(1, 1, 8, 8, 8, dtype=torch.uint8)
    labels[..., 0:2] = 2
    labels[:, :, 0, 0, 0] = 1
    labels[:, :, 7, 7, 7] = 1
    coarse = compute_loss_targets(labels, head_shapes=[(8,) * 3, shape])[1]
    last = shape[0] - 1
    assert coarse.y.sum() == 2
    assert coarse.y[0, 0, 0, 0, 0] == coarse.y[0, 0, last, last, last] == 1
    assert coarse.mask[0, 0, 0, 0, 0]
    assert not coarse.mask[0, 0, 1, 1, 0]
    assert coarse.mask[..., 1:].all()


def test_a_thin_sheet_survives_in_the_coarse_heads():
    labels = torch.zeros(1, 1, 16, 16, 16, dtype=torch.uint8)
    labels[:, :, 7] = 1
    shapes = [(16,) * 3, (8,) * 3, (4,) * 3]
    for target in compute_loss_targets(labels, head_shapes=shapes):
        assert target.y.sum() == target.y.shape[-1] ** 2


@pytest.mark.parametrize("seed", range(2))
def test_ignored_voxels_matter_to_no_head(seed):
    labels = make_labels()
    labels[:, :, 3:9, 2:9, 4:8] = 2
    shapes = [(16,) * 3, (8,) * 3]
    targets = compute_loss_targets(labels, head_shapes=shapes)
    heads = [make_logits(target.y, seed).requires_grad_() for target in targets]
    result = compute_combined_loss(heads, targets, ALL)
    slopes = torch.autograd.grad(result.total, heads)
    spoilt = [
        head.detach().masked_fill(~target.mask, float("nan"))
        for head, target in zip(heads, targets, strict=True)
    ]
    assert compute_combined_loss(spoilt, targets, ALL).total == result.total
    for slope, target in zip(slopes, targets, strict=True):
        assert (slope[~target.mask] == 0).all()
        assert slope.isfinite().all()


def test_an_all_ignored_batch_is_zero_with_zero_gradient():
    labels = torch.full((2, 1, 16, 16, 16), 2, dtype=torch.uint8)
    shapes = [(16,) * 3, (8,) * 3]
    targets = compute_loss_targets(labels, head_shapes=shapes)
    heads = [make_logits(target.y).requires_grad_() for target in targets]
    result = compute_combined_loss(heads, targets, ALL)
    result.total.backward()
    assert result.total == 0
    assert all((head.grad == 0).all() for head in heads)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_half_precision_heads_under_autocast(dtype):
    labels = make_labels()
    shapes = [(16,) * 3, (8,) * 3]
    targets = compute_loss_targets(labels, head_shapes=shapes)
    heads = [(8 * make_logits(target.y)).to(dtype).requires_grad_() for target in targets]
    with torch.autocast("cpu", dtype=torch.bfloat16):
        result = compute_combined_loss(heads, targets, ALL)
    result.total.backward()
    assert result.total.dtype == torch.float32
    assert result.total.isfinite()
    assert all(head.grad.isfinite().all() for head in heads)
    exact = compute_combined_loss([head.detach().float() for head in heads], targets, ALL)
    assert result.total.item() == pytest.approx(exact.total.item(), rel=1e-6)


def test_nan_in_a_supervised_voxel_is_not_hidden():
    labels = make_labels()
    logits = make_logits(labels)
    logits[0, 0, 0, 0, 0] = float("nan")
    targets = compute_loss_targets(labels)
    result = compute_combined_loss([logits], targets, WEIGHTS)
    assert result.total.isnan()


def test_targets_hold_no_gradient_and_leave_the_labels_alone():
    labels = make_labels()
    before = labels.clone()
    (target,) = compute_loss_targets(labels)
    parts = [
        target.y,
        target.skeleton.skeleton,
        target.distance.weight,
        target.euler.euler,
        target.medial,
    ]
    assert not any(part.requires_grad for part in parts)
    assert torch.equal(labels, before)


def test_descending_finds_the_label():
    labels = make_labels()
    targets = compute_loss_targets(labels)
    logits = torch.zeros(labels.shape, requires_grad=True)
    optimizer = torch.optim.Adam([logits], lr=0.5)
    for _ in range(60):
        optimizer.zero_grad()
        result = compute_combined_loss([logits], targets, ALL)
        result.total.backward()
        optimizer.step()
    wrong = ((logits > 0) != (labels == 1)) & (labels != 2)
    assert wrong.sum() == 0
    assert all(value < 0.05 for value in result.terms.values())


def test_an_interval_counts_optimizer_steps_and_spares_the_voxel_terms():
    weights = {"weighted_bce": 0.5, "cldice": 0.1, "toploss_simple": 0.1, "soft_dice": 0.0}
    labels = make_labels()
    targets = compute_loss_targets(labels)

    def evaluated(step, interval):
        due = terms_at_step(step, interval)
        return set(compute_combined_loss([make_logits(labels)], targets, weights, among=due).terms)

    every = {"weighted_bce", "cldice", "toploss_simple"}
    assert [evaluated(step, 3) for step in range(7)] == [
        every if step % 3 == 0 else {"weighted_bce"} for step in range(7)
    ]
    assert evaluated(5, 1) == every


@pytest.mark.parametrize(
    ("heads", "weights", "message"),
    [
        (1, {"cl_dice": 1.0}, "there is no loss term 'cl_dice'"),
        (1, {"soft_dice": 0.0}, "at least one loss weight must be above 0"),
        (2, {"soft_dice": 1.0}, "2 heads need as many targets, not 1"),
    ],
)
def test_misuse_is_refused(heads, weights, message):
    labels = make_labels()
    targets = compute_loss_targets(labels)
    with pytest.raises(ValueError, match=message):
        compute_combined_loss([make_logits(labels)] * heads, targets, weights)


def test_a_complete_patch_needs_no_mask(monkeypatch):
    """Most patches are annotated throughout; masking them would cost a tenth of the loss."""
    labels = make_labels(ignored=False)
    (target,) = compute_loss_targets(labels)
    assert target.complete
    masks = []
    original = combined.Prediction

    def spy(logits, mask):
        masks.append(mask)
        return original(logits, mask)

    monkeypatch.setattr(combined, "Prediction", spy)
    compute_combined_loss([make_logits(labels)], [target], ALL)
    assert masks == [None]
