"""Which device and which precision a network runs with: one rule for training and prediction."""

from __future__ import annotations

from typing import Literal

import torch

from napari_surfseg.errors import ConfigError

__all__ = ["choose_device", "choose_precision"]

#: Generation of NVIDIA's GPUs that brought bf16 (A100, RTX 30).
BF16_CAPABILITY = 8


def choose_device(wanted: str) -> torch.device:
    """Turn ``auto``, ``cpu`` or ``cuda`` into a device.

    Raises
    ------
    ConfigError
        If a GPU is asked for and torch sees none, or the name is unknown.
    """
    if wanted == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    kind = wanted.partition(":")[0]
    if kind not in ("cpu", "cuda"):
        raise ConfigError(
            f"The device is {wanted!r}, but it must be auto, cpu or cuda.", field="device"
        )
    if kind == "cuda" and not torch.cuda.is_available():
        raise ConfigError(
            "The device cuda was asked for, but PyTorch finds no CUDA GPU here; choose the "
            "device cpu or auto.",
            field="device",
        )
    try:
        return torch.device(wanted)
    except RuntimeError:
        raise ConfigError(
            f"The device is {wanted!r}, but it must be auto, cpu, cuda or cuda:N.", field="device"
        ) from None


def choose_precision(
    wanted: Literal["auto", "float32", "bf16"], device: torch.device
) -> Literal["float32", "bf16"]:
    """Turn ``auto`` into ``bf16`` where a GPU computes in it, and into ``float32`` elsewhere.

    Older GPUs (V100, T4) take bf16 and imitate it, slower than float32; torch does not tell.
    """
    if wanted != "auto":
        return wanted
    if device.type != "cuda":
        return "float32"
    has_bf16 = torch.cuda.get_device_capability(device)[0] >= BF16_CAPABILITY
    return "bf16" if has_bf16 and torch.cuda.is_bf16_supported() else "float32"
