"""The distance term."""

import math

import pytest
import torch

from napari_surfseg.losses import surface
from napari_surfseg.losses.surface import compute_distance_target, surface_distance


def sure(prediction):
    return 60 * (2 * prediction - 1)


def plane(at, thickness=1, size=16):
    y = torch.zeros(1, 1, size, size, size)
    y[:, :, at : at + thickness] = 1
    return y


def test_by_hand():
    # Predicted one voxel off: w = 1/2 on all of it, and every label voxel is within reach.
    loss = surface_distance(sure(plane(8)), plane(7))
    assert loss.item() == pytest.approx(0.5 * (0.5 * 256 / 257), abs=1e-6)
    # Five voxels off: all of it stray, all of the label uncovered.
    loss = surface_distance(sure(plane(12)), plane(7))
    assert loss.item() == pytest.approx(256 / 257, abs=1e-6)
    # Half of it missing, up to the tolerance of two voxels.
    half = plane(7)
    half[..., 8:] = 0
    loss = surface_distance(sure(half), plane(7))
    assert loss.item() == pytest.approx(0.5 * (16 * 6 / 257), abs=1e-6)


@pytest.mark.parametrize("offset", [-2, -1, 1, 2])
def test_filling_and_emptying_are_worse_than_a_shift(offset):
    """A term that weighs 1 - p instead of p off the surface rewards filling the volume."""
    y = plane(7, 2)
    perfect = surface_distance(sure(y), y)
    shifted = surface_distance(sure(y.roll(offset, 2)), y)
    empty = surface_distance(sure(torch.zeros_like(y)), y)
    full = surface_distance(sure(torch.ones_like(y)), y)
    assert perfect < 1e-6
    assert perfect < shifted < full
    assert shifted < empty


def test_farther_is_worse():
    y = plane(7, 2)
    losses = [surface_distance(sure(y.roll(offset, 2)), y).item() for offset in (0, 1, 2, 3, 4)]
    assert losses == sorted(losses)


def test_the_tolerance_is_a_ball():
    """A neighbour two voxels off along all three axes is 3.5 away and does not cover."""
    y = torch.zeros(1, 1, 9, 9, 9)
    y[0, 0, 4, 4, 4] = 1
    covered = {}
    for offset in ((0, 0, 2), (1, 1, 1), (0, 1, 2), (2, 2, 2)):
        prediction = torch.zeros_like(y)
        prediction[0, 0, 4 + offset[0], 4 + offset[1], 4 + offset[2]] = 1
        stray = min(math.dist((0, 0, 0), offset) / 2, 1) / 2
        covered[offset] = 2 * surface_distance(sure(prediction), y).item() - stray < 0.25
    assert covered == {(0, 0, 2): True, (1, 1, 1): True, (0, 1, 2): False, (2, 2, 2): False}


@pytest.mark.parametrize("scale", [0.25, 7.91])
def test_the_unit_of_length_does_not_matter(scale):
    torch.manual_seed(0)
    y, logits = plane(7, 2), torch.randn(1, 1, 16, 16, 16)
    spacing = (1.0, 0.5, 1.5)
    expected = surface_distance(logits, y, tolerance=2.0, spacing=spacing)
    scaled = tuple(scale * step for step in spacing)
    loss = surface_distance(logits, y, tolerance=2.0 * scale, spacing=scaled)
    assert loss.item() == pytest.approx(expected.item(), rel=1e-5)


def test_the_tolerance_is_physical():
    """Two voxels off is within 2 units of 1, and 4 units off at twice the voxel size."""
    fine = surface_distance(sure(plane(9)), plane(7), tolerance=2.5, spacing=(1, 1, 1))
    coarse = surface_distance(sure(plane(9)), plane(7), tolerance=2.5, spacing=(2, 1, 1))
    assert fine.item() == pytest.approx(0.5 * 0.8 * 256 / 257, abs=1e-6)
    assert coarse.item() == pytest.approx(256 / 257, abs=1e-6)


def test_voxels_larger_than_the_tolerance():
    loss = surface_distance(sure(plane(7)), plane(7), tolerance=2.0, spacing=(40.0, 4.0, 4.0))
    assert loss < 1e-6


def test_compiled_and_plain_search_agree(monkeypatch):
    torch.manual_seed(0)
    y = (torch.rand(2, 1, 12, 10, 14) < 0.1).float()
    logits = torch.randn(y.shape, requires_grad=True)
    target = compute_distance_target(y, tolerance=2.5, spacing=(1.2, 1.0, 0.9))
    loss = surface_distance(logits, y, target=target)
    (expected,) = torch.autograd.grad(loss, logits)
    monkeypatch.setattr(surface, "_has_kernel", lambda values: False)
    plain = surface_distance(logits, y, target=target)
    (gradient,) = torch.autograd.grad(plain, logits)
    assert plain.item() == pytest.approx(loss.item(), rel=1e-6)
    torch.testing.assert_close(gradient, expected)


def test_covering_looks_for_the_greatest_probability_within_reach():
    torch.manual_seed(0)
    logits = torch.randn(1, 1, 7, 7, 7)
    y = torch.zeros_like(logits)
    y[0, 0, 3, 3, 3] = 1
    probs = torch.sigmoid(logits)[0, 0]
    index = torch.stack(torch.meshgrid(*[torch.arange(7.0)] * 3, indexing="ij"))
    distance = (index - 3).square().sum(0).sqrt()
    stray = (probs * distance.clamp(max=2) / 2).sum() / (probs.sum() + 1)
    uncovered = (1 - probs[distance <= 2].max()) / (1 + 1)
    expected = 0.5 * (stray + uncovered)
    assert surface_distance(logits, y).item() == pytest.approx(expected.item(), abs=1e-6)


def test_gradient_in_double():
    torch.manual_seed(0)
    logits = torch.randn(1, 1, 4, 5, 4, dtype=torch.float64, requires_grad=True)
    y = (torch.rand(logits.shape) < 0.2).double()
    target = compute_distance_target(y)
    target = type(target)(target.weight.double(), target.voxels, target.reach, target.offsets)
    assert torch.autograd.gradcheck(
        lambda x: surface_distance(x, y, target=target), logits, eps=1e-7, atol=1e-6
    )
