"""What can be changed while a training runs: one place where commands set flags and numbers."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

from napari_surfseg import events
from napari_surfseg.vocabulary import LOSS_TERMS

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

__all__ = ["Steering"]


@dataclass
class Steering:
    """The settings a watcher may change, and what it asked for.

    Attributes
    ----------
    loss_weights : dict
        Weight of each term, from the next step on.
    max_epochs, max_minutes : optional
        Bounds of the training.
    set_preview : callable
        Takes :class:`SetPreview`; returns why it cannot be carried out, or None.
    set_foreground_share : callable
        Takes the share of patches centred on the surface.
    update_labels : callable
        Takes :class:`UpdateLabels`; returns why it cannot be carried out, or None.
    rate_scale : float
        Factor on the scheduled learning rate.
    is_stopping, is_paused, is_saving : bool
        Asked for; the loop acts on them between two steps.
    """

    loss_weights: dict[str, float]
    max_epochs: int | None
    max_minutes: float | None
    set_preview: Callable[[events.SetPreview], str | None]
    set_foreground_share: Callable[[float], None]
    update_labels: Callable[[events.UpdateLabels], str | None]
    rate_scale: float = 1.0
    is_stopping: bool = False
    is_paused: bool = False
    is_saving: bool = False

    def is_waiting(self) -> bool:
        """Whether training waits for :class:`Resume` or :class:`Stop`."""
        return self.is_paused and not self.is_stopping

    def apply(self, command: events.Command) -> events.CommandApplied | events.CommandRefused:
        """Carry out one command and return the answer to it."""
        name = type(command).__name__
        refusal = None
        match command:
            case events.Stop():
                self.is_stopping = True
            case events.Pause():
                self.is_paused = True
            case events.Resume():
                self.is_paused = False
            case events.SaveNow():
                self.is_saving = True
            case events.SetLossWeights():
                changed = {**self.loss_weights, **command.weights}
                refusal = explain_bad_weights(changed)
                if refusal is None:
                    self.loss_weights = changed
            case events.SetPreview():
                refusal = self.set_preview(command)
            case events.UpdateLabels():
                refusal = self.update_labels(command)
            case events.SetTraining():
                refusal = self._set_training(command)
            case _:
                refusal = f"This worker does not know the command {name}."
        if refusal is not None:
            return events.CommandRefused(command_id=command.id, command=name, message=refusal)
        details = {
            key: value
            for key, value in vars(command).items()
            if key not in ("id", "time") and value is not None
        }
        return events.CommandApplied(command_id=command.id, command=name, details=details)

    def _set_training(self, command: events.SetTraining) -> str | None:
        for name in ("max_epochs", "max_minutes", "learning_rate_scale"):
            value = getattr(command, name)
            if value is not None and not (math.isfinite(value) and value > 0):
                return f"The setting {name} is {value}, but it must be above 0."
        share = command.foreground_share
        if share is not None and not 0 <= share <= 1:
            return f"The setting foreground_share is {share}, but it must be from 0 to 1."
        self.max_epochs = command.max_epochs or self.max_epochs
        self.max_minutes = command.max_minutes or self.max_minutes
        self.rate_scale = command.learning_rate_scale or self.rate_scale
        if share is not None:
            self.set_foreground_share(share)
        return None


def explain_bad_weights(loss_weights: Mapping[str, float]) -> str | None:
    """Return why loss weights cannot be used, or None where they can."""
    for name, value in loss_weights.items():
        if name not in LOSS_TERMS:
            return f"There is no loss term {name!r}; there are {', '.join(LOSS_TERMS)}."
        if not (isinstance(value, int | float) and math.isfinite(value) and value >= 0):
            return f"The weight of {name} is {value}, but it must be a number from 0 up."
    if not any(loss_weights.values()):
        return "All loss weights would be 0; at least one must be above 0."
    return None
