"""Baseline: MONAI's small residual ``UNet``, the strongest plain choice on a CPU."""

from __future__ import annotations

from baseline_io import parse_arguments
from monai.networks.nets import UNet
from monai_training import run_monai_baseline


def build_network() -> UNet:
    """Channels 16 to 256 and two residual units, as in MONAI's own tutorials."""
    return UNet(
        spatial_dims=3,
        in_channels=1,
        out_channels=1,
        channels=(16, 32, 64, 128, 256),
        strides=(2, 2, 2, 2),
        num_res_units=2,
    )


if __name__ == "__main__":
    run_monai_baseline(build_network, parse_arguments(__doc__), learning_rate=3e-3)
