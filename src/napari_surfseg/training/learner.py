"""The network while it learns: weights, optimizer, average, and one step at a time."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import torch

from napari_surfseg.errors import NonFiniteLossError
from napari_surfseg.model.stop_checks import check_between_layers
from napari_surfseg.out_of_memory import when_out_of_memory
from napari_surfseg.training.average import WeightAverage
from napari_surfseg.training.optimizer import AdamW
from napari_surfseg.vocabulary import LOSS_TERMS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from torch import Tensor

    from napari_surfseg.config import Training
    from napari_surfseg.data.patches.loader import Batch
    from napari_surfseg.training.gradients import GradientComputer
    from napari_surfseg.training.lead import Lead

__all__ = ["Learner"]


class Learner:
    """Holds what a step changes, and takes steps.

    Parameters
    ----------
    gradients : GradientComputer
        Has the network, and computes the gradients of a step.
    training : Training
        Settings of the optimizer and the average.
    ema_decay : float
        Decay of the average where the settings leave it to the network.
    """

    def __init__(
        self, gradients: GradientComputer, training: Training, *, ema_decay: float
    ) -> None:
        self._clip = training.gradient_clip
        self.gradients = gradients
        self.network = gradients.network
        decay = training.ema_decay
        self.average = WeightAverage(self.network, ema_decay if decay == "auto" else decay)
        self.gradients.check_between_layers()
        check_between_layers(self.average.network)
        self._optimizer = AdamW(self.network.parameters(), weight_decay=training.weight_decay)
        #: Where other processes have parts of each batch: adds their gradients to this one's.
        self.lead: Lead | None = None
        #: False from the first change of a weight until the whole step is taken.
        self.is_whole = True

    @property
    def patches_at_once(self) -> int:
        """Patches of a batch that go through the network together; the others follow."""
        return self.gradients.patches_at_once

    @patches_at_once.setter
    def patches_at_once(self, count: int) -> None:
        self.gradients.patches_at_once = count

    @property
    def num_parameters(self) -> int:
        """Trainable numbers in the network."""
        return sum(parameter.numel() for parameter in self.network.parameters())

    def learn_from_strokes(self) -> None:
        """Learn from targets that are filled in around strokes."""
        self.gradients.learn_from_strokes()

    def take_step(
        self, batches: Iterator[Batch], loss_weights: Mapping[str, float], rate: float, step: int
    ) -> dict[str, float]:
        """Take one optimizer step.

        Parameters
        ----------
        batches : iterator of Batch
            ``training.accumulate`` of them are taken, each in parts of ``patches_at_once``.
        loss_weights : mapping
            Weight of each term.
        rate : float
            Learning rate.
        step : int
            Number of this step, from 0.

        Returns
        -------
        dict
            ``total``, ``head_total``, ``gradient_norm`` (before clipping) and
            every term that was evaluated, raw.

        Raises
        ------
        NonFiniteLossError, CancelledError
            Before any weight was changed.
        """
        statistics = [tensor.clone() for tensor in self.gradients.statistics]
        try:
            return self._take_step(batches, loss_weights, rate, step)
        except BaseException:
            # The forward pass counts batches in, also those of a step that is not taken.
            for tensor, before in zip(self.gradients.statistics, statistics, strict=True):
                tensor.copy_(before)
            raise

    def _take_step(
        self, batches: Iterator[Batch], loss_weights: Mapping[str, float], rate: float, step: int
    ) -> dict[str, float]:
        self._optimizer.forget_gradients()
        if self.lead is None:
            loss = self.gradients.compute(batches, loss_weights, step)
        else:
            loss = self.lead.compute(self.gradients, batches, loss_weights, step)
        norm = torch.nn.utils.clip_grad_norm_(
            self.network.parameters(), math.inf if self._clip is None else self._clip
        )
        # One transfer a step: the values are wanted for the log and for the check below.
        found = torch.cat([loss.values, norm.detach()[None]]).tolist()
        values = dict(zip([*loss.names, "gradient_norm"], found, strict=True))
        _refuse_nonfinite(values, step)
        self.is_whole = False
        changes: tuple[Callable[[], None], ...] = (
            lambda: self._optimizer.step(rate),
            lambda: self.average.update(self.network),
        )
        for change in changes:
            # What was changed already stays, and the step becomes whole: the graph is gone by
            # now and weights are small beside it, so that freed memory is likely to help.
            with when_out_of_memory(change):
                change()
        self.is_whole = True
        return values

    def forget_step(self) -> None:
        """Drop what is left of a step that could not be finished."""
        self._optimizer.forget_gradients()

    def compile_ahead(self, loss_weights: Mapping[str, float]) -> None:
        """Run the compiled loops of the loss once, on a patch too small to take time."""
        self.gradients.compile_ahead(loss_weights)

    def start_with(self, weights: Mapping[str, Tensor]) -> None:
        """Begin with other weights than fresh ones; coarse heads they lack stay fresh."""
        for network in (self.network, self.average.network):
            network.load_state_dict(weights, strict=False)

    def state(self) -> dict[str, Any]:
        """Return what resuming needs besides the averaged weights: tensors and plain values."""
        return {
            "weights": self.network.state_dict(),
            "optimizer": self._optimizer.state_dict(),
            "num_updates": self.average.num_updates,
        }

    def restore(self, state: Mapping[str, Any], averaged: Mapping[str, Tensor]) -> None:
        """Go on from :meth:`state`; what does not fit raises as torch does."""
        self.network.load_state_dict(state["weights"])
        self.average.restore(averaged, int(state["num_updates"]))
        self._optimizer.load_state_dict(state["optimizer"])
        self.is_whole = True


def _refuse_nonfinite(values: Mapping[str, float], step: int) -> None:
    bad = [name for name, value in values.items() if not math.isfinite(value)]
    if not bad:
        return
    culprit = next((name for name in LOSS_TERMS if name in bad), bad[0])
    raise NonFiniteLossError(
        f"The {culprit.replace('gradient_norm', 'norm of the gradient')} became "
        f"{values[culprit]} at step {step + 1}, before the weights were changed; lower "
        "training.max_learning_rate or the weight of that term, or use "
        "training.precision=float32, and resume.",
        field="training.max_learning_rate",
    )
