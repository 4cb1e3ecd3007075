"""The residual block that the U-Net is stacked from.

It computes what MONAI's ``UnetResBlock`` does (the tests compare the two) without MONAI:
importing that library takes twice as long as importing torch, and everyone who presses Start
would wait for it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

from torch import Tensor, nn

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["ResidualBlock", "build_activation"]


def build_activation(name: str) -> nn.Module:
    """Build ``mish``, ``leakyrelu`` (slope 0.01), ``relu`` or ``silu``, working in place."""
    kinds: dict[str, Callable[..., nn.Module]] = {
        "mish": nn.Mish,
        "leakyrelu": nn.LeakyReLU,
        "relu": nn.ReLU,
        "silu": nn.SiLU,
    }
    return kinds[name](inplace=True)


class ResidualBlock(nn.Module):
    """Two 3x3x3 convolutions with instance normalisation, added to a shortcut.

    The shortcut is the input itself, or where the widths differ a normalised 1x1x1
    convolution of it (He et al. 2016, "Deep residual learning", option B).

    Parameters
    ----------
    inputs, outputs : int
        Channels.
    activation : str
        As :func:`build_activation` takes it.
    dropout : float
        Probability that a value after a convolution is dropped in training.
    """

    def __init__(self, inputs: int, outputs: int, *, activation: str, dropout: float = 0.0) -> None:
        super().__init__()
        self.conv1 = nn.Conv3d(inputs, outputs, 3, padding=1, bias=False)
        self.norm1 = nn.InstanceNorm3d(outputs, affine=True)
        self.conv2 = nn.Conv3d(outputs, outputs, 3, padding=1, bias=False)
        self.norm2 = nn.InstanceNorm3d(outputs, affine=True)
        self.act = build_activation(activation)
        self.drop = nn.Dropout(dropout) if dropout else nn.Identity()
        self.shortcut: nn.Module = nn.Identity()
        if inputs != outputs:
            self.shortcut = nn.Sequential(
                nn.Conv3d(inputs, outputs, 1, bias=False),
                self.drop,
                nn.InstanceNorm3d(outputs, affine=True),
            )

    def forward(self, x: Tensor) -> Tensor:
        """Map (B, inputs, Z, Y, X) to (B, outputs, Z, Y, X)."""
        inner = self.act(self.norm1(self.drop(self.conv1(x))))
        inner = self.norm2(self.drop(self.conv2(inner)))
        return cast("Tensor", self.act(inner + self.shortcut(x)))
