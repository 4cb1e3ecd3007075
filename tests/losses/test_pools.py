"""The soft skeleton: what it keeps, and that its compiled gradient is autograd's."""

import numpy as np
import pytest
import torch
from torch.nn import functional

from napari_surfseg.losses.pools import (
    dilate,
    erode,
    soft_skeleton,
    soft_skeleton_reference,
)


def distinct(shape, seed=0):
    """Build random probabilities without equal values, where the gradient is unique."""
    generator = torch.Generator().manual_seed(seed)
    count = int(np.prod(shape))
    values = torch.randperm(count, generator=generator).float() / count
    return (0.98 * values + 0.01).reshape(shape)


@pytest.mark.parametrize(
    "shape", [(1, 1, 9, 10, 11), (2, 1, 8, 5, 33), (1, 1, 1, 4, 2), (1, 1, 3, 1, 1)]
)
def test_pools_are_those_of_torch(shape):
    values = distinct(shape) - 0.5
    assert torch.equal(dilate(values), functional.max_pool3d(values, 3, 1, 1))
    assert torch.equal(erode(values), -functional.max_pool3d(-values, 3, 1, 1))


def test_pools_can_be_differentiated():
    values = distinct((1, 1, 4, 4, 4)).requires_grad_()
    (dilate(values).sum() + erode(values).sum()).backward()
    assert values.grad.sum() == pytest.approx(128)


@pytest.mark.parametrize("iterations", [1, 2, 3, 5])
@pytest.mark.parametrize("shape", [(1, 1, 16, 16, 16), (2, 1, 12, 9, 19), (1, 2, 6, 7, 8)])
def test_compiled_skeleton_is_autograds(shape, iterations):
    probs = distinct(shape, iterations).requires_grad_()
    upstream = torch.randn(shape, generator=torch.Generator().manual_seed(1))
    reference = soft_skeleton_reference(probs, iterations)
    (expected,) = torch.autograd.grad(reference, probs, upstream)
    skeleton = soft_skeleton(probs, iterations)
    (gradient,) = torch.autograd.grad(skeleton, probs, upstream)
    torch.testing.assert_close(skeleton, reference, rtol=0, atol=1e-6)
    torch.testing.assert_close(gradient, expected, rtol=1e-4, atol=2e-5)


def test_compiled_skeleton_without_gradient_is_the_same():
    probs = distinct((2, 1, 12, 11, 10))
    expected = soft_skeleton_reference(probs, 3)
    torch.testing.assert_close(soft_skeleton(probs, 3), expected, rtol=0, atol=1e-6)
    with torch.no_grad():
        plain = soft_skeleton(probs.clone().requires_grad_(), 3)
    torch.testing.assert_close(plain, expected, rtol=0, atol=1e-6)
    assert torch.equal(probs, distinct((2, 1, 12, 11, 10)))


def test_gradient_passes_only_where_it_came_from():
    """Among equal values a gradient goes to one of them, whole: nothing is lost or doubled."""
    probs = torch.full((1, 1, 8, 8, 8), 0.5, requires_grad=True)
    soft_skeleton(probs, 2).sum().backward()
    exact = torch.full((1, 1, 8, 8, 8), 0.5, requires_grad=True)
    soft_skeleton_reference(exact, 2).sum().backward()
    assert probs.grad.sum().item() == pytest.approx(exact.grad.sum().item(), abs=1e-4)


def test_skeleton_gradient_in_double():
    probs = distinct((1, 1, 4, 5, 4)).double().requires_grad_()
    assert torch.autograd.gradcheck(lambda p: soft_skeleton(p, 2), probs, eps=1e-7, atol=1e-5)


@pytest.mark.parametrize("axis", [2, 3, 4])
@pytest.mark.parametrize(("thickness", "kept"), [(1, 1), (2, 2), (3, 1), (4, 2), (5, 1), (7, 1)])
def test_skeleton_of_a_sheet_is_its_middle(axis, thickness, kept):
    volume = torch.zeros(1, 1, 20, 20, 20)
    volume.narrow(axis, 6, thickness).fill_(1)
    skeleton = soft_skeleton(volume, 3)
    middle = torch.zeros_like(volume)
    middle.narrow(axis, 6 + (thickness - kept) // 2, kept).fill_(1)
    assert torch.equal(skeleton, middle)


@pytest.mark.parametrize(("iterations", "layers"), [(1, 9), (2, 7), (3, 5), (4, 3), (5, 1), (6, 1)])
def test_more_iterations_reach_the_middle_of_thicker_sheets(iterations, layers):
    volume = torch.zeros(1, 1, 21, 20, 20)
    volume[:, :, 5:16] = 1
    skeleton = soft_skeleton(volume, iterations)
    assert skeleton[0, 0, :, 9, 9].nonzero().flatten().tolist() == list(
        range(10 - layers // 2, 11 + layers // 2)
    )


def test_a_filled_volume_has_a_skeleton():
    """Without the rest after the last erosion it would have none, and filling would pay."""
    assert soft_skeleton(torch.ones(1, 1, 16, 16, 16), 3).min() == 1


def test_a_tilted_sheet_is_kept_whole(tilted):
    """The cross-shaped erosion of the original clDice keeps a fifth of it."""
    assert torch.equal(soft_skeleton(tilted, 3), tilted)
    inner = (slice(None), slice(None), *[slice(4, -4)] * 3)
    share = cross_skeleton(tilted, 3)[inner].sum() / tilted[inner].sum()
    assert share < 0.35


def test_parallel_sheets_keep_a_skeleton_each():
    volume = torch.zeros(1, 1, 20, 16, 16)
    volume[:, :, 3:6] = 1
    volume[:, :, 7:10] = 1
    assert soft_skeleton(volume, 3)[0, 0, :, 8, 8].nonzero().flatten().tolist() == [4, 8]


def test_skeleton_lies_between_zero_and_the_probabilities():
    probs = distinct((1, 1, 14, 14, 14))
    skeleton = soft_skeleton(probs, 3)
    assert (skeleton >= 0).all()
    assert (skeleton <= probs + 1e-6).all()


def test_skeleton_turns_with_the_volume():
    probs = distinct((1, 1, 9, 11, 13))
    expected = soft_skeleton(probs, 3)
    assert torch.equal(soft_skeleton(probs.flip(2, 4), 3).flip(2, 4), expected)
    turned = soft_skeleton(probs.permute(0, 1, 4, 2, 3), 3)
    assert torch.equal(turned.permute(0, 1, 3, 4, 2), expected)


def cross_skeleton(volume, iterations):
    """Skeletonise as the clDice paper does: erosion by a cross, dilation by a cube."""

    def cross_erode(x):
        pools = [
            -functional.max_pool3d(-x, tuple(size), 1, tuple((s - 1) // 2 for s in size))
            for size in np.eye(3, dtype=int) * 2 + 1
        ]
        return torch.minimum(torch.minimum(pools[0], pools[1]), pools[2])

    def top(x):
        return functional.relu(x - functional.max_pool3d(cross_erode(x), 3, 1, 1))

    skeleton = top(volume)
    for _ in range(iterations):
        volume = cross_erode(volume)
        delta = top(volume)
        skeleton = skeleton + functional.relu(delta - skeleton * delta)
    return skeleton
