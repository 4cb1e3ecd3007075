"""clDice, the morphological skeleton and skeleton recall."""

import numpy as np
import pytest
import torch

from napari_surfseg.losses.pools import soft_skeleton
from napari_surfseg.losses.prediction import Prediction
from napari_surfseg.losses.skeleton import (
    cldice,
    compute_recall_target,
    compute_skeleton_target,
    morph_skeleton,
    skeleton_recall,
)


def sure(prediction):
    return 60 * (2 * prediction - 1)


def test_cldice_by_hand(sheet):
    # The prediction is the sheet without its last quarter, and a second one half as large
    # in clear air: both two thick, so each is its own skeleton.
    prediction = sheet.clone()
    prediction[..., 12:] = 0
    prediction[:, :, 12:14, :, :8] = 1
    precision = (2 * 16 * 12 + 1) / (2 * 16 * 12 + 2 * 16 * 8 + 1)
    recall = (2 * 16 * 12 + 1) / (2 * 16 * 16 + 1)
    expected = 1 - 2 * precision * recall / (precision + recall)
    assert cldice(sure(prediction), sheet).item() == pytest.approx(expected, abs=1e-6)


def test_morph_skeleton_by_hand(sheet):
    prediction = sheet.clone()
    prediction[..., 12:] = 0
    prediction[:, :, 12:14, :, :8] = 1
    missing, extra, both = 2 * 16 * 4, 2 * 16 * 8, 2 * 16 * 12
    expected = (missing + extra) / (missing + extra + 2 * both + 1)
    assert morph_skeleton(sure(prediction), sheet).item() == pytest.approx(expected, abs=1e-6)


def test_skeleton_recall_by_hand(sheet):
    prediction = sheet.clone()
    prediction[..., 12:] = 0
    expected = 2 * 16 * 4 / (2 * 16 * 16 + 1)
    assert skeleton_recall(sure(prediction), sheet).item() == pytest.approx(expected, abs=1e-6)


def test_skeleton_recall_forgives_what_is_extra(sheet):
    everything = torch.ones_like(sheet)
    assert skeleton_recall(sure(everything), sheet) < 1e-6
    assert cldice(sure(everything), sheet) > 0.5


@pytest.mark.parametrize("term", [cldice, morph_skeleton])
def test_perfect_is_best(term, tilted):
    shifted = term(sure(tilted.roll(2, 2)), tilted)
    assert term(sure(tilted), tilted) < 1e-6
    assert shifted > 0.1
    for other in (torch.zeros_like(tilted), torch.ones_like(tilted)):
        assert term(sure(other), tilted) > shifted


def test_a_hole_costs_more_than_ragged_faces_of_the_same_size():
    """A thick sheet's skeleton is its middle: topology, not volume, is what counts."""
    y = torch.zeros(1, 1, 20, 24, 24)
    y[:, :, 8:13] = 1
    hole, ragged = y.clone(), y.clone()
    hole[:, :, 8:13, 8:12, 8:12] = 0
    ragged[:, :, 8, 4:14, 4:12] = 0
    assert (hole != y).sum() == (ragged != y).sum()
    assert cldice(sure(hole), y) > 1.5 * cldice(sure(ragged), y)


def test_both_terms_share_one_skeleton(tilted, monkeypatch):
    calls = []

    def counted(probs, iterations):
        calls.append(probs.requires_grad)
        return soft_skeleton(probs, iterations)

    monkeypatch.setattr("napari_surfseg.losses.prediction.soft_skeleton", counted)
    target = compute_skeleton_target(tilted, iterations=3)
    prediction = Prediction(torch.randn(tilted.shape, requires_grad=True))
    loss = cldice(prediction, tilted, target=target)
    loss = loss + morph_skeleton(prediction, tilted, target=target)
    loss.backward()
    assert calls == [True]


def test_the_label_side_has_no_gradient(tilted):
    target = compute_skeleton_target(tilted.requires_grad_(), iterations=3)
    assert not target.skeleton.requires_grad
    assert not compute_recall_target(tilted).requires_grad


def test_an_ignored_border_is_no_skeleton():
    """Masked first, the cut through a thick sheet would become a skeleton of its own."""
    y = torch.zeros(1, 1, 20, 32, 32)
    y[:, :, 7:12] = 1
    mask = torch.ones_like(y, dtype=torch.bool)
    mask[..., 20:] = False
    whole = soft_skeleton(y, 3)
    masked_first = soft_skeleton(y * mask, 3)
    assert (masked_first[..., :20] - whole[..., :20]).abs().sum() > 0
    target = compute_skeleton_target(y * mask, mask, iterations=3)
    assert torch.equal(target.skeleton, whole * target.core)
    assert target.core[..., :17].min() == 1
    assert target.core[..., 17:].max() == 0


@pytest.mark.parametrize("iterations", [1, 2, 4])
def test_the_margin_is_as_wide_as_the_erosions(iterations):
    y = torch.zeros(1, 1, 21, 21, 21)
    mask = torch.ones_like(y, dtype=torch.bool)
    mask[:, :, 10, 10, 10] = False
    core = compute_skeleton_target(y, mask, iterations=iterations).core
    assert (core == 0).sum() == (2 * iterations + 1) ** 3


def test_a_sheet_running_into_an_ignored_region_is_perfect_when_predicted():
    y = torch.zeros(1, 1, 24, 24, 24)
    y[:, :, 9:14] = 1
    mask = torch.ones_like(y, dtype=torch.bool)
    mask[:, :, 5:18, 6:18, 6:18] = False
    prediction = torch.where(mask, sure(y), torch.tensor(float("nan")))
    for term in (cldice, morph_skeleton):
        assert term(prediction, y * mask, mask) < 1e-6


def test_recall_target_lies_within_the_supervised_label(tilted):
    mask = torch.ones_like(tilted, dtype=torch.bool)
    mask[..., 10:14] = False
    target = compute_recall_target(tilted * mask, mask)
    assert (target <= tilted * mask).all()
    assert target.sum() > 0.9 * (tilted * mask).sum()


def test_recall_target_of_a_thick_sheet_is_its_middle():
    y = torch.zeros(1, 1, 24, 24, 24)
    y[:, :, 6:15] = 1
    target = compute_recall_target(y)[0, 0]
    np.testing.assert_array_equal(target[:, 12, 12].nonzero().flatten().numpy(), [9, 10, 11])


def test_gradient_reaches_a_hole_and_a_bridge(tilted):
    prediction = tilted.clone()
    prediction[:, :, 10:14, 10:14, 10:14] = 0
    hole = (tilted > prediction).squeeze()
    for term in (cldice, morph_skeleton, skeleton_recall):
        logits = (3 * (2 * prediction - 1)).requires_grad_()
        term(logits, tilted).backward()
        assert logits.grad.squeeze()[hole].sum() < 0


@pytest.mark.parametrize("term", [cldice, morph_skeleton])
def test_gradient_in_double(term):
    torch.manual_seed(0)
    logits = torch.randn(1, 1, 5, 5, 4, dtype=torch.float64, requires_grad=True)
    y = torch.zeros_like(logits)
    y[:, :, 2:4] = 1
    target = compute_skeleton_target(y, iterations=2)
    target = type(target)(
        *(part.double() for part in (target.skeleton, target.inside, target.core)), 2
    )
    assert torch.autograd.gradcheck(
        lambda x: term(x, y, target=target), logits, eps=1e-7, atol=1e-5
    )
