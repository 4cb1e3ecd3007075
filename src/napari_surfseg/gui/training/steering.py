"""Sends what a person changes while a run trains as commands, and shows the answers."""

from __future__ import annotations

from typing import TYPE_CHECKING

from qtpy.QtCore import QObject

from napari_surfseg.events import (
    Command,
    CommandApplied,
    CommandRefused,
    SetLossWeights,
    SetPreview,
    SetTraining,
)
from napari_surfseg.gui.controls.debounce import Debounce

if TYPE_CHECKING:
    from napari_surfseg.gui.run_session.session import Session
    from napari_surfseg.gui.training.protocols import TrainingViewProtocol
    from napari_surfseg.runs.follow import RunSnapshot

__all__ = ["SteeringController"]

#: A spin box that rests so long has its value.
REST_MILLISECONDS = 600


class SteeringController(QObject):
    """Sends commands and shows the answers.

    Parameters
    ----------
    view : TrainingViewProtocol
        Passive.
    session : Session
        Whose run is steered.
    """

    def __init__(self, view: TrainingViewProtocol, session: Session) -> None:
        super().__init__()
        self._view = view
        self._session = session
        self._pending: set[str] = set()
        self._loss_weights_shown = False
        self._length = Debounce(self, REST_MILLISECONDS, self.send_length)
        view.length_changed.connect(self._on_length)
        view.live_setting_changed.connect(self.send_setting)
        view.loss.settled.connect(self.send_loss_weights)

    def close(self) -> None:
        """Send nothing more."""
        self._length.stop()

    def send(self, command: Command) -> str:
        """Send a command and return its id."""
        self._view.run.set_error("")
        return self._session.send(command)

    def send_loss_weights(self, weights: dict[str, float]) -> None:
        """Send a running training the weight of every term, unless all of them are 0."""
        if self._session.is_active and any(weights.values()):
            self._view.run.set_error("")
            self._pending.add(self._session.send(SetLossWeights(weights=weights)))

    def _on_length(self) -> None:
        if self._session.is_active:
            self._length.start()

    def send_length(self) -> None:
        """Send a running training how long it should take."""
        settings = self._view.form().settings
        self.send(
            SetTraining(
                max_minutes=settings["training.max_minutes"],
                max_epochs=settings["training.max_epochs"],
            )
        )

    def send_setting(self, key: str) -> None:
        """Send a running training one of the settings that it takes."""
        if not self._session.is_active:
            return
        value = self._view.setting(key)
        if key == "data.foreground_share":
            self.send(SetTraining(foreground_share=value))
        elif key == "preview.seconds":
            self.send(SetPreview(seconds=value))

    def forget(self) -> None:
        """Forget what was sent to another run."""
        self._pending.clear()
        self._loss_weights_shown = False

    def take(self, snapshot: RunSnapshot) -> None:
        """Show the answers to commands, and the weights in force unless others are on their way."""
        for event in snapshot.new_events:
            if isinstance(event, CommandApplied | CommandRefused):
                self._pending.discard(event.command_id)
                # Strokes have a place of their own for what is said to them.
                if isinstance(event, CommandRefused) and event.command != "UpdateLabels":
                    self._view.run.set_error(event.message)
                elif event.command == "SetLossWeights":
                    self._loss_weights_shown = False
        if snapshot.loss_weights and not self._pending and not self._loss_weights_shown:
            self._loss_weights_shown = snapshot.started is not None
            self._view.loss.set_weights(snapshot.loss_weights)
