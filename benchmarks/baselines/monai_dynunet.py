"""Baseline: MONAI's ``DynUNet`` with the widths nnU-Net would choose for 64³ patches."""

from __future__ import annotations

from baseline_io import parse_arguments
from monai.networks.nets import DynUNet
from monai_training import run_monai_baseline


def build_network() -> DynUNet:
    """Five levels of two 3³ convolutions, 32 to 320 channels, instance norm."""
    return DynUNet(
        spatial_dims=3,
        in_channels=1,
        out_channels=1,
        kernel_size=[3] * 5,
        strides=[1, 2, 2, 2, 2],
        upsample_kernel_size=[2] * 4,
        filters=[32, 64, 128, 256, 320],
    )


if __name__ == "__main__":
    run_monai_baseline(build_network, parse_arguments(__doc__), learning_rate=1e-3)
