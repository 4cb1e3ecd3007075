"""Checks between the layers of a network, so that a stop need not wait for a whole pass.

A training step of a large network takes most of a minute on a CPU, and a layer of it seconds at
most. So each layer that takes long asks :mod:`~napari_surfseg.cancelling` before it computes and
again before its gradient is computed. Where nobody listens, nothing is asked.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

from torch import Tensor

from napari_surfseg.cancelling import raise_if_stopped

if TYPE_CHECKING:
    from torch import nn

__all__ = ["check_backward", "check_between_layers"]

NetworkT = TypeVar("NetworkT", bound="nn.Module")


def check_between_layers(network: NetworkT) -> NetworkT:
    """Let a network raise :class:`CancelledError` between two layers if work should end.

    Only convolutions and matrix products are asked: they are what takes long, in networks of
    other packages as well.
    """
    for layer in network.modules():
        if any(weight.dim() > 1 for weight in layer.parameters(recurse=False)):
            layer.register_forward_pre_hook(raise_if_stopped)
            layer.register_forward_hook(_check_gradient)
    return network


def check_backward(values: Tensor) -> None:
    """Let a backward pass raise as well, before it passes the function that made these values."""
    if values.grad_fn is not None:
        # Of the function and not of the tensor, which the next layer may change in place.
        values.grad_fn.register_prehook(raise_if_stopped)


def _check_gradient(_layer: nn.Module, _inputs: object, output: object) -> None:
    if isinstance(output, Tensor):
        check_backward(output)
