"""The residual block against MONAI's, which it stands for."""

from __future__ import annotations

import pytest
import torch
from monai.networks.blocks import UnetResBlock

from napari_surfseg.model.residual import ResidualBlock, build_activation

MONAI_ACTIVATIONS = {
    "mish": ("mish", {"inplace": True}),
    "leakyrelu": ("leakyrelu", {"inplace": True, "negative_slope": 0.01}),
    "relu": ("relu", {"inplace": True}),
    "silu": ("swish", {}),
}


def _in_their_words(name: str) -> str:
    """Name of a weight in MONAI's block."""
    name = name.replace("shortcut.0.", "conv3.conv.").replace("shortcut.2.", "norm3.")
    return name.replace("conv1.weight", "conv1.conv.weight").replace(
        "conv2.weight", "conv2.conv.weight"
    )


@pytest.mark.parametrize("activation", MONAI_ACTIVATIONS)
@pytest.mark.parametrize(("inputs", "outputs"), [(4, 4), (3, 6)])
def test_equals_monai_forward_and_backward(activation: str, inputs: int, outputs: int) -> None:
    torch.manual_seed(0)
    ours = ResidualBlock(inputs, outputs, activation=activation)
    theirs = UnetResBlock(
        spatial_dims=3,
        in_channels=inputs,
        out_channels=outputs,
        kernel_size=3,
        stride=1,
        norm_name=("INSTANCE", {"affine": True}),
        act_name=MONAI_ACTIVATIONS[activation],
    )
    weights = {_in_their_words(name): value for name, value in ours.state_dict().items()}
    theirs.load_state_dict(weights)
    image = torch.randn(2, inputs, 5, 6, 7)
    results = []
    for block in (ours, theirs):
        given = image.clone().requires_grad_()
        output = block(given)
        (output * torch.linspace(-1, 1, output.numel()).view_as(output)).sum().backward()
        results.append((output, given.grad, next(block.conv1.parameters()).grad))
    for mine, other in zip(*results, strict=True):
        torch.testing.assert_close(mine, other, rtol=1e-4, atol=2e-5)


def test_gradients_are_those_of_finite_differences() -> None:
    torch.manual_seed(1)
    block = ResidualBlock(2, 3, activation="mish").double()
    image = torch.randn(1, 2, 3, 3, 3, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(block, (image,), atol=1e-6)


def test_dropout_acts_in_training_only() -> None:
    torch.manual_seed(2)
    block = ResidualBlock(3, 3, activation="relu", dropout=0.5)
    image = torch.randn(1, 3, 4, 4, 4)
    assert not torch.equal(block(image), block(image))
    block.eval()
    assert torch.equal(block(image), block(image))


def test_activations_are_by_name() -> None:
    values = torch.tensor([-2.0, 0.0, 3.0])
    assert build_activation("relu")(values.clone()).tolist() == [0.0, 0.0, 3.0]
    assert build_activation("leakyrelu")(values.clone()).tolist() == pytest.approx([-0.02, 0, 3])
