"""Changes of many tensors that may be interrupted, but leave none of them half changed."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from torch import Tensor

__all__ = ["WholeChange"]

#: Numbers changed at once, at most, where a single tensor does not hold more: few calls for small
#: networks, and little memory for large ones.
GROUP_NUMBERS = 2**20


class WholeChange:
    """Changes tensors in groups; a group is changed as a whole or not at all.

    Memory may run out in the middle, within a library that allocates as it likes. What the group
    held is kept aside in memory that was taken at the start, and put back. So the change can be
    called again, and goes on with that group.

    Parameters
    ----------
    members : sequence of sequence of Tensor
        What belongs together: a weight with all that is remembered of it.
    """

    def __init__(self, members: Sequence[Sequence[Tensor]]) -> None:
        self._groups: list[tuple[int, int]] = []
        self._members = members
        begin, size, largest = 0, 0, 0
        for index, tensors in enumerate(members):
            own = sum(tensor.numel() for tensor in tensors)
            if index > begin and size + own > GROUP_NUMBERS:
                self._groups.append((begin, index))
                begin, size = index, 0
            size += own
            largest = max(largest, size)
        if members:
            self._groups.append((begin, len(members)))
        device = members[0][0].device if members else "cpu"
        self._kept = torch.empty(largest, device=device)
        self._next = 0

    @torch.no_grad()
    def apply(self, change: Callable[[int, int], None]) -> None:
        """Change every group that is not changed yet.

        Parameters
        ----------
        change : callable
            ``change(begin, end)`` changes the members from ``begin`` up to ``end``, in place.
        """
        while self._next < len(self._groups):
            begin, end = self._groups[self._next]
            tensors = [tensor for member in self._members[begin:end] for tensor in member]
            kept = self._places(tensors)
            torch._foreach_copy_(kept, tensors)
            try:
                change(begin, end)
            except BaseException:
                torch._foreach_copy_(tensors, kept)
                raise
            self._next += 1
        self._next = 0

    def forget(self) -> None:
        """Begin with the first group at the next call: the tensors were replaced by others."""
        self._next = 0

    def _places(self, tensors: Sequence[Tensor]) -> list[Tensor]:
        """Give views of the memory kept aside, as large as the tensors."""
        places, begin = [], 0
        for tensor in tensors:
            end = begin + tensor.numel()
            # In the tensor's own order of axes, so that copying is one pass over memory.
            places.append(self._kept[begin:end].as_strided(tensor.shape, tensor.stride(), begin))
            begin = end
        return places
