import pytest
import torch
from torch import nn

from napari_surfseg.config import Model
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


def test_it_learns_a_sheet():
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
    """The eight sub-voxels of a folded voxel start alike; only the data may make them differ."""
    torch.manual_seed(0)
    network = build_unet(Model(preset="tiny")).eval()
    with torch.inference_mode():
        probs = network(torch.randn(1, 1, 16, 32, 32)).sigmoid()
    assert fold_voxels(probs, 2).var(dim=1).max() < 1e-12
    assert probs.var() > 1e-6
