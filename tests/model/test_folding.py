import pytest
import torch
from torch import nn

from napari_surfseg.model.folding import FoldedConv3d, fold_voxels, unfold_voxels


def test_folding_voxels_loses_nothing():
    x = torch.arange(2 * 3 * 4 * 6 * 8.0).reshape(2, 3, 4, 6, 8)
    folded = fold_voxels(x, 2)
    assert folded.shape == (2, 24, 2, 3, 4)
    # Channel (c, dz, dy, dx) at (z, y, x) is voxel (2z + dz, 2y + dy, 2x + dx).
    assert folded[1, 8 + 4 + 1, 1, 2, 3] == x[1, 1, 3, 4, 7]
    assert torch.equal(unfold_voxels(folded, 2), x)
    assert fold_voxels(x, 1) is x


@pytest.mark.parametrize("factor", [2, 4])
def test_a_folded_convolution_is_the_convolution(factor):
    torch.manual_seed(0)
    folded = FoldedConv3d(3, factor)
    nn.init.normal_(folded.weight)
    nn.init.normal_(folded.bias)
    x = torch.randn(2, 3, 2 * factor, 3 * factor, 4 * factor)
    expected = nn.functional.conv3d(x, folded.weight, folded.bias, padding=1)
    found = unfold_voxels(folded(fold_voxels(x, factor)), factor)
    torch.testing.assert_close(found, expected, atol=1e-5, rtol=1e-5)
    one = unfold_voxels(folded(fold_voxels(x[:1], factor)), factor)
    torch.testing.assert_close(one, expected[:1], atol=1e-5, rtol=1e-5)


def test_its_gradient_is_the_convolutions():
    torch.manual_seed(0)
    folded = FoldedConv3d(2, 2)
    x = torch.randn(1, 2, 4, 8, 6)
    weight = folded.weight.detach().clone().requires_grad_()
    nn.functional.conv3d(x, weight, padding=1).square().sum().backward()
    folded(fold_voxels(x, 2)).square().sum().backward()
    torch.testing.assert_close(folded.weight.grad, weight.grad, atol=1e-3, rtol=1e-4)


def test_it_starts_as_linear_interpolation_of_sub_voxels_that_are_alike():
    folded = FoldedConv3d(1, 2)
    coarse = torch.randn(1, 1, 4, 6, 8)
    alike = coarse.repeat_interleave(8, dim=1)
    found = unfold_voxels(folded(alike), 2)
    expected = nn.functional.interpolate(coarse, scale_factor=2, mode="trilinear")
    inner = (slice(None), slice(None), slice(1, -1), slice(1, -1), slice(1, -1))
    torch.testing.assert_close(found[inner], expected[inner])


def test_what_it_keeps_are_the_weights_of_the_convolution_alone():
    assert set(FoldedConv3d(4, 2).state_dict()) == {"weight", "bias"}
