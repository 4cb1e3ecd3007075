"""Copies of tensors in host memory, which training does not change any more."""

from __future__ import annotations

from typing import Any

import torch

__all__ = ["copy_to_host"]


def copy_to_host(values: Any) -> Any:
    """Copy dictionaries, lists and the tensors in them.

    A tensor that goes by several names, as in networks that list a layer twice, is copied once:
    the copies share memory as the tensors did, and a file holds them once.
    """
    return _copy(values, {})


def _copy(values: Any, known: dict[tuple[object, ...], torch.Tensor]) -> Any:
    if isinstance(values, torch.Tensor):
        key = (values.data_ptr(), values.dtype, values.shape, values.stride())
        if values.numel() == 0 or key not in known:
            known[key] = values.detach().to("cpu", copy=True)
        return known[key]
    if isinstance(values, dict):
        return {key: _copy(value, known) for key, value in values.items()}
    if isinstance(values, list):
        return [_copy(value, known) for value in values]
    return values
