"""One head's prediction as the loss terms see it: each derived tensor made once."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, ParamSpec, TypeVar

import torch

from napari_surfseg.losses.pools import soft_skeleton

if TYPE_CHECKING:
    from collections.abc import Callable

    from torch import Tensor

__all__ = ["IGNORED_LOGIT", "Prediction", "in_float32", "sum_of_products"]

#: Logit given to ignored voxels: its probability and its cross entropy are exactly 0.
IGNORED_LOGIT = -1e4

_P = ParamSpec("_P")
_R = TypeVar("_R")


def in_float32(function: Callable[_P, _R]) -> Callable[_P, _R]:
    """Run a function with autocast off.

    Sums over 10^5 voxels and products of eight probabilities need more than
    bf16's eight bits, whatever the network was computed in.
    """

    @functools.wraps(function)
    def wrapped(*args: _P.args, **kwargs: _P.kwargs) -> _R:
        with (
            torch.autocast("cpu", enabled=False),
            torch.autocast("cuda", enabled=False),
        ):
            return function(*args, **kwargs)

    return wrapped


class Prediction:
    """Logits with ignored voxels taken out, and what several terms derive from them.

    Parameters
    ----------
    logits : Tensor
        Shape ``(B, 1, Z, Y, X)``, any floating type; computed with in float32
        (float64 stays).
    mask : Tensor of bool, optional
        True where supervised. None means everywhere.

    Attributes
    ----------
    logits : Tensor
        ``IGNORED_LOGIT`` where ignored: whatever stood there, NaN included, has
        no effect on any value and gets a gradient of exactly 0.
    mask : Tensor of bool or None
        As given.
    """

    def __init__(self, logits: Tensor, mask: Tensor | None = None) -> None:
        if logits.dtype != torch.float64:
            logits = logits.float()
        self.mask = mask
        self.logits = logits if mask is None else logits.masked_fill(~mask, IGNORED_LOGIT)
        self._skeletons: dict[int, Tensor] = {}

    @classmethod
    def of(cls, logits: Tensor | Prediction, mask: Tensor | None) -> Prediction:
        """Wrap logits; a prediction that is already wrapped is shared as it is."""
        return logits if isinstance(logits, Prediction) else cls(logits, mask)

    @functools.cached_property
    def probs(self) -> Tensor:
        """Foreground probability, exactly 0 where ignored."""
        return torch.sigmoid(self.logits)

    def skeleton(self, iterations: int) -> Tensor:
        """Soft skeleton of the probabilities, computed once per number of iterations."""
        if iterations not in self._skeletons:
            self._skeletons[iterations] = soft_skeleton(
                fill_ignored(self.probs, self.mask), iterations
            )
        return self._skeletons[iterations]


def fill_ignored(probs: Tensor, mask: Tensor | None) -> Tensor:
    """Set ignored voxels to 1, which an erosion treats like the outside of the volume.

    Set to 0 they would cut every sheet that runs into them, and the cut would
    count as the end of a surface.
    """
    return probs if mask is None else probs.masked_fill(~mask, 1.0)


def sum_of_products(a: Tensor, b: Tensor) -> Tensor:
    """Sum of ``a * b`` over each sample, without writing the product down; shape ``(B,)``."""
    # A dot product reads both once; multiply and sum would write and read a third volume.
    return torch.stack(
        [torch.dot(left, right) for left, right in zip(a.flatten(1), b.flatten(1), strict=True)]
    )
