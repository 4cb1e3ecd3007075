import pytest
import torch
from torch import nn

from napari_surfseg.config import Model
from napari_surfseg.model.folded import FoldedConv3d, fold_small_convolutions
from napari_surfseg.model.network import build_unet, fold_voxels, unfold_voxels

NARROW = {"base_channels": 4, "multipliers": (1, 2, 2)}


def test_folding_voxels_loses_nothing():
    x = torch.arange(2 * 3 * 4 * 6 * 8.0).reshape(2, 3, 4, 6, 8)
    folded = fold_voxels(x, 2)
    assert folded.shape == (2, 24, 2, 3, 4)
    # Channel (c, dz, dy, dx) at (z, y, x) is voxel (2z + dz, 2y + dy, 2x + dx).
    assert folded[1, 8 + 4 + 1, 1, 2, 3] == x[1, 1, 3, 4, 7]
    assert torch.equal(unfold_voxels(folded, 2), x)
    assert fold_voxels(x, 1) is x


@pytest.mark.parametrize("shape", [(8, 6, 10), (5, 6, 7), (3, 5, 8), (3, 3, 3)])
@pytest.mark.parametrize("channels", [(4, 4), (8, 16)])
def test_a_folded_convolution_is_the_convolution(shape, channels):
    torch.manual_seed(0)
    plain = nn.Conv3d(*channels, 3, padding=1)
    folded = nn.Conv3d(*channels, 3, padding=1)
    folded.load_state_dict(plain.state_dict())
    fold_small_convolutions(folded)
    assert type(folded) is FoldedConv3d
    x = torch.randn(1, channels[0], *shape)
    inputs = [x.clone().requires_grad_(), x.clone().requires_grad_()]
    outputs = [plain(inputs[0]), folded(inputs[1])]
    torch.testing.assert_close(outputs[1], outputs[0], atol=1e-5, rtol=1e-5)
    for output in outputs:
        output.square().sum().backward()
    torch.testing.assert_close(inputs[1].grad, inputs[0].grad, atol=1e-4, rtol=1e-4)
    torch.testing.assert_close(folded.weight.grad, plain.weight.grad, atol=1e-3, rtol=1e-4)


def test_other_convolutions_are_left_alone():
    layers = nn.Sequential(nn.Conv3d(2, 2, 1), nn.Conv3d(2, 2, 3, stride=2, padding=1))
    fold_small_convolutions(layers)
    assert [type(layer) for layer in layers] == [nn.Conv3d, nn.Conv3d]


@pytest.mark.parametrize("preset", ["tiny", "base", "exp001"])
def test_heads_have_the_shapes_that_are_announced(preset):
    model = Model(preset=preset, base_channels=4, deep_supervision=True)
    network = build_unet(model)
    size = network.architecture.divisor
    patch = (size, size, 2 * size)
    image = torch.randn(1, 1, *patch)
    heads = network.train()(image)
    announced = network.architecture.head_shapes(patch)
    assert [tuple(head.shape[2:]) for head in heads] == announced
    assert len(heads) > 1
    with torch.inference_mode():
        assert network.eval()(image).shape == image.shape


def test_every_parameter_gets_a_gradient():
    network = build_unet(Model(preset="base", **NARROW, deep_supervision=True)).train()
    sum(head.square().mean() for head in network(torch.randn(2, 1, 16, 16, 16))).backward()
    without = [name for name, p in network.named_parameters() if p.grad is None]
    assert without == []


def test_the_first_probability_is_a_rare_surface():
    torch.manual_seed(0)
    network = build_unet(Model(preset="tiny")).eval()
    with torch.inference_mode():
        probs = network(torch.randn(1, 1, 16, 32, 32)).sigmoid()
    assert 0.05 < probs.mean() < 0.4


def test_it_learns_to_tell_a_sheet():
    """A few steps on one patch lower the error: the parts are connected as they should be."""
    torch.manual_seed(0)
    network = build_unet(Model(preset="tiny", base_channels=8)).train()
    target = torch.zeros(1, 1, 16, 32, 16)
    target[:, :, :, 7:9] = 1
    image = target + 0.3 * torch.randn_like(target)
    optimizer = torch.optim.AdamW(network.parameters(), lr=1e-2)
    errors = []
    for _ in range(30):
        optimizer.zero_grad()
        error = nn.functional.binary_cross_entropy_with_logits(network(image)[0], target)
        error.backward()
        optimizer.step()
        errors.append(error.item())
    assert errors[-1] < 0.4 * errors[0]


def test_the_first_prediction_has_no_checkerboard():
    """The eight sub-voxels of a folded voxel start alike; only the data may tell them apart."""
    torch.manual_seed(0)
    network = build_unet(Model(preset="tiny")).eval()
    with torch.inference_mode():
        probs = network(torch.randn(1, 1, 16, 32, 32)).sigmoid()
    assert fold_voxels(probs, 2).var(dim=1).max() < 1e-12
    assert probs.var() > 1e-6
