"""AdamW, and what it remembers.

The arithmetic is torch's own ``adamw``. Its class ``torch.optim.AdamW`` is left alone
because making one imports torch's compiler, 3 s that everyone who presses Start would
wait for and that nothing here uses.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch
from torch.optim.adamw import adamw

from napari_surfseg.training.whole_change import WholeChange

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from torch import Tensor
    from torch.nn import Parameter

__all__ = ["AdamW"]

BETAS = (0.9, 0.999)
EPSILON = 1e-8


class AdamW:
    """Adam with decoupled weight decay (Loshchilov and Hutter 2019).

    Parameters
    ----------
    parameters : iterable of Parameter
        What it changes; float32.
    weight_decay : float
        Share of a weight that a step takes away, times the learning rate.
    """

    def __init__(self, parameters: Iterable[Parameter], *, weight_decay: float) -> None:
        self._parameters = list(parameters)
        self._weight_decay = weight_decay
        on_gpu = any(parameter.is_cuda for parameter in self._parameters)
        self._fused = on_gpu
        self._means = [self._zeros_like(parameter) for parameter in self._parameters]
        self._squares = [self._zeros_like(parameter) for parameter in self._parameters]
        self._steps = [
            torch.zeros((), device=parameter.device if on_gpu else "cpu")
            for parameter in self._parameters
        ]
        members = zip(self._parameters, self._means, self._squares, self._steps, strict=True)
        self._change = WholeChange(list(members))

    @staticmethod
    def _zeros_like(parameter: Parameter) -> Tensor:
        return torch.zeros_like(parameter, memory_format=torch.preserve_format)

    def forget_gradients(self) -> None:
        """Drop all gradients, as before a backward pass."""
        for parameter in self._parameters:
            parameter.grad = None

    def step(self, rate: float) -> None:
        """Change every parameter that has a gradient, with this learning rate.

        Where it is interrupted by an error, another call changes those that are left.
        """
        self._change.apply(lambda begin, end: self._step_some(range(begin, end), rate))

    @torch.no_grad()
    def _step_some(self, indices: range, rate: float) -> None:
        used = [i for i in indices if self._parameters[i].grad is not None]
        gradients = [gradient for i in used if (gradient := self._parameters[i].grad) is not None]
        adamw(
            [self._parameters[i] for i in used],
            gradients,
            [self._means[i] for i in used],
            [self._squares[i] for i in used],
            [],
            [self._steps[i] for i in used],
            fused=self._fused,
            foreach=False if self._fused else None,
            amsgrad=False,
            beta1=BETAS[0],
            beta2=BETAS[1],
            lr=rate,
            weight_decay=self._weight_decay,
            eps=EPSILON,
            maximize=False,
        )

    def state_dict(self) -> dict[str, Any]:
        """Return what :meth:`load_state_dict` takes: lists of tensors, in order of parameters."""
        return {"means": self._means, "squares": self._squares, "steps": self._steps}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on from a state.

        Raises
        ------
        ValueError
            If it belongs to other parameters.
        """
        self._change.forget()
        for name, own in self.state_dict().items():
            given = state[name]
            if [tensor.shape for tensor in given] != [tensor.shape for tensor in own]:
                raise ValueError("The state of the optimizer belongs to another network.")
            for old, new in zip(own, given, strict=True):
                old.copy_(new)
