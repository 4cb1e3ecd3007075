"""Hears a Stop while something else than training goes on, and keeps all other commands."""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING

from napari_surfseg import events

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

__all__ = ["StopListener", "answer_before_the_start"]

#: Commands lie in a file, which is not looked at for every piece of work.
LISTEN_SECONDS = 0.25


class StopListener:
    """Returns the commands as its source does, and can look ahead for a ``Stop``.

    Parameters
    ----------
    poll_commands : callable
        The source: the commands that came since its last call.
    """

    def __init__(self, poll_commands: Callable[[], list[events.Command]]) -> None:
        self._poll_commands = poll_commands
        self._kept: list[events.Command] = []
        self._asked = float("-inf")
        self._error: BaseException | None = None
        self._lock = threading.Lock()

    def __call__(self) -> Iterator[events.Command]:
        """Give the new commands, oldest first.

        Each is taken when it is asked for: while one is carried out, a ``Stop`` after it is heard.
        """
        with self._lock:
            if self._error is not None:
                raise self._error
            self._kept += self._poll_commands()
            count = len(self._kept)
        for _ in range(count):
            with self._lock:
                command = self._kept.pop(0)
            yield command

    def is_stopped(self) -> bool:
        """Whether a ``Stop`` is among the commands that nobody took yet; from any thread.

        Where the source fails, who takes the commands meets its error: not the middle of a step.
        """
        with self._lock:
            now = time.monotonic()
            if self._error is None and now - self._asked >= LISTEN_SECONDS:
                self._asked = now
                try:
                    self._kept += self._poll_commands()
                except BaseException as error:  # noqa: BLE001 - it is raised above
                    self._error = error
            return any(isinstance(command, events.Stop) for command in self._kept)


def answer_before_the_start(
    commands: Iterable[events.Command], report: Callable[[events.Event], None]
) -> None:
    """Answer what was sent to a run that was stopped before its first step."""
    for command in commands:
        name = type(command).__name__
        answer: events.Event = events.CommandApplied(command_id=command.id, command=name)
        if not isinstance(command, events.Stop):
            answer = events.CommandRefused(
                command_id=command.id,
                command=name,
                message="The run was stopped before it began.",
            )
        report(answer)
