"""Hears a Stop while something else than training goes on, and keeps all other commands."""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING

from napari_surfseg import events

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["StopListener"]

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
        self._lock = threading.Lock()

    def __call__(self) -> list[events.Command]:
        """Return the new commands, oldest first."""
        with self._lock:
            self._kept += self._poll_commands()
            commands, self._kept = self._kept, []
            return commands

    def is_stopped(self) -> bool:
        """Whether a ``Stop`` is among the commands that nobody took yet; from any thread."""
        with self._lock:
            now = time.monotonic()
            if now - self._asked >= LISTEN_SECONDS:
                self._asked = now
                self._kept += self._poll_commands()
            return any(isinstance(command, events.Stop) for command in self._kept)
