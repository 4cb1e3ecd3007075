import subprocess
import sys

import pytest
import torch
from torch import nn

from napari_surfseg.config import Model
from napari_surfseg.model.folding import fold_voxels
from napari_surfseg.model.network import build_unet

NARROW = {"base_channels": 4, "multipliers": (1, 2, 2)}


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


def block_ratio(probs):
    """Steps between neighbours in two blocks of the fold, as a ratio to those within one block.

    Mean squares; 1 is no checker board, whatever the surfaces look like.
    """
    ratios = []
    for axis in (2, 3, 4):
        steps = probs.diff(dim=axis).square()
        size = steps.shape[axis]
        within = steps.index_select(axis, torch.arange(0, size, 2)).mean()
        across = steps.index_select(axis, torch.arange(1, size, 2)).mean()
        ratios.append((across / within).item())
    return ratios


def phase_spread(values):
    """Spread of the means of the eight places in the fold, in standard deviations of a voxel."""
    means = fold_voxels(values, 2).mean(dim=(2, 3, 4))
    return (means.std() / values.std()).item()


def make_waves():
    """Noisy sheets two voxels thick in all directions, and their image."""
    z, y, x = torch.meshgrid(*(torch.arange(48.0),) * 3, indexing="ij")
    wave = z + 0.7 * y + 0.45 * x + 3 * torch.sin(y / 7) + 3 * torch.cos(x / 6)
    target = (torch.remainder(wave, 9) < 2.5).float()[None, None]
    return target, target + 0.4 * torch.randn_like(target)


@pytest.mark.parametrize("preset", ["tiny", "small"])
def test_the_first_prediction_has_no_checker_board(preset):
    torch.manual_seed(0)
    network = build_unet(Model(preset=preset, base_channels=8)).eval()
    _, image = make_waves()
    with torch.inference_mode():
        probs = network(image).sigmoid()
    assert max(block_ratio(probs)) < 4
    assert phase_spread(probs) < 0.1


@pytest.mark.parametrize("preset", ["tiny", "small"])
def test_a_short_training_leaves_no_checker_board(preset):
    """Without the refinement steps between blocks are five to fifty times those within."""
    torch.manual_seed(0)
    network = build_unet(Model(preset=preset, base_channels=8)).train()
    target, image = make_waves()
    optimizer = torch.optim.AdamW(network.parameters(), lr=5e-3)
    for _ in range(40):
        optimizer.zero_grad()
        logits = network(image)[0]
        nn.functional.binary_cross_entropy_with_logits(logits, target).backward()
        optimizer.step()
    probs = logits.detach().sigmoid()
    expected = block_ratio(target)
    for found, alike in zip(block_ratio(probs), expected, strict=True):
        assert 0.6 < found / alike < 1.6
    assert phase_spread(probs - target) < 0.1


def test_building_without_memory_imports_no_compiler():
    """It is done whenever a network is read: a compiler would take seconds to import."""
    script = (
        "import sys, torch\n"
        "from napari_surfseg.config import Model\n"
        "from napari_surfseg.model.network import build_unet\n"
        "with torch.device('meta'):\n"
        "    build_unet(Model(preset='tiny'), device='meta')\n"
        "assert not {'torch._dynamo', 'sympy'} & set(sys.modules)\n"
    )
    subprocess.run([sys.executable, "-c", script], check=True)
