"""Sums over a batch whose patches lie in several processes.

Most terms are ratios of sums over the whole batch, so that the mean of what two processes compute
of half a batch each is another number than one process computes of all. Where a batch is divided,
the sums are added up over the processes before a term divides one by another: every process has
the same, whole loss then, and its gradient with respect to its own patches. The gradients of the
processes, added up, are those of one process.

Where nobody divides a batch, nothing is added and no bit of a loss changes.
"""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

__all__ = ["MOST_SUMS", "batch_divided", "is_batch_divided", "mean_over_batch", "of_whole_batch"]

#: Numbers that a term adds up at once, at most.
MOST_SUMS = 4

_adders: list[Callable[[Tensor], Tensor]] = []


@contextlib.contextmanager
def batch_divided(add: Callable[[Tensor], Tensor]) -> Iterator[None]:
    """Let the terms computed inside be those of a batch of which this process has a part.

    Parameters
    ----------
    add : callable
        Takes a float64 tensor of at most :data:`MOST_SUMS` numbers and returns their sums over
        all processes; each process computes the same terms in the same order.
    """
    _adders.append(add)
    try:
        yield
    finally:
        _adders.remove(add)


def is_batch_divided() -> bool:
    """Whether other processes have parts of the batch."""
    return bool(_adders)


def of_whole_batch(*sums: Tensor) -> tuple[Tensor, ...]:
    """Return sums over the whole batch; the given ones themselves where it is not divided.

    Parameters
    ----------
    *sums : Tensor
        Scalars, each a sum over the patches of this process.
    """
    if not _adders:
        return sums
    added: tuple[Tensor, ...] = _AddUp.apply(_adders[-1], *sums)  # type: ignore[no-untyped-call]
    return added


def mean_over_batch(values: Tensor) -> Tensor:
    """Average values of the patches, one each, over the whole batch."""
    if not _adders:
        return values.mean()
    total, count = of_whole_batch(values.sum(), values.new_tensor(float(values.numel())))
    return total / count


class _AddUp(torch.autograd.Function):
    """Adds scalars up over processes.

    Every process computes the same loss from the same sums, so that the gradient of a sum is that
    of each of its parts, and nothing has to be exchanged on the way back.
    """

    @staticmethod
    def forward(ctx: Any, add: Callable[[Tensor], Tensor], *sums: Tensor) -> tuple[Tensor, ...]:
        """Add up in float64: voxels are counted as well."""
        total = add(torch.stack([value.detach().double() for value in sums]))
        return tuple(total[i].to(value.dtype, copy=True) for i, value in enumerate(sums))

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        """Pass the gradients on."""
        return (None, *gradients)
