"""Baseline: MONAI's ``DynUNet``: nnU-Net's plan for 48³ patches, half as wide for a CPU."""

from __future__ import annotations

from baseline_io import parse_arguments
from monai.networks.nets import DynUNet
from monai_training import run_monai_baseline


def build_network() -> DynUNet:
    """Five levels of two 3³ convolutions, 16 to 160 channels, deep supervision."""
    return DynUNet(
        spatial_dims=3,
        in_channels=1,
        out_channels=1,
        kernel_size=[3] * 5,
        strides=[1, 2, 2, 2, 2],
        upsample_kernel_size=[2] * 4,
        filters=[16, 32, 64, 128, 160],
        deep_supervision=True,
        deep_supr_num=2,
    )


if __name__ == "__main__":
    run_monai_baseline(build_network, parse_arguments(__doc__), learning_rate=2e-3)
