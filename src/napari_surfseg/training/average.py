"""The exponential moving average of the weights, which is what is scored and used."""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from napari_surfseg.training.schedule import compute_ema_decay
from napari_surfseg.training.whole_change import WholeChange

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["WeightAverage"]


class WeightAverage:
    """A second network that follows the first one smoothly.

    Parameters
    ----------
    network : nn.Module
        The network that is trained.
    decay : float
        Share of the average kept at each update, once it has seen enough of them.
    """

    def __init__(self, network: nn.Module, decay: float) -> None:
        self.network = copy.deepcopy(network).eval().requires_grad_(False)
        self.decay = decay
        self.num_updates = 0
        self._averaged, self._copied = _split(self.network)
        self._change = WholeChange([[tensor] for tensor in self._averaged])

    @torch.no_grad()
    def update(self, network: nn.Module) -> None:
        """Move a little towards the trained network.

        Where it is interrupted by an error, another call moves what is left.
        """
        share = 1 - compute_ema_decay(self.num_updates, self.decay)
        current, copied = _split(network)

        def move(begin: int, end: int) -> None:
            torch._foreach_lerp_(self._averaged[begin:end], current[begin:end], share)

        self._change.apply(move)
        for own, other in zip(self._copied, copied, strict=True):
            own.copy_(other)
        self.num_updates += 1

    def restore(self, weights: Mapping[str, torch.Tensor], num_updates: int) -> None:
        """Go on from weights averaged over so many updates."""
        self.network.load_state_dict(weights)
        self.num_updates = num_updates
        self._change.forget()


def _split(network: nn.Module) -> tuple[list[Tensor], list[Tensor]]:
    """Return what can be averaged, statistics of batches too, and what counts or points."""
    tensors = [*network.parameters(), *network.buffers()]
    return (
        [tensor for tensor in tensors if tensor.is_floating_point()],
        [tensor for tensor in tensors if not tensor.is_floating_point()],
    )
