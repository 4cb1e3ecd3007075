"""Copies of tensors in host memory, which training does not change any more."""

from __future__ import annotations

from typing import Any

import torch

__all__ = ["copy_to_host"]


def copy_to_host(values: Any) -> Any:
    """Copy dictionaries, lists and the tensors in them."""
    if isinstance(values, torch.Tensor):
        return values.detach().to("cpu", copy=True)
    if isinstance(values, dict):
        return {key: copy_to_host(value) for key, value in values.items()}
    if isinstance(values, list):
        return [copy_to_host(value) for value in values]
    return values
