"""The commands that watchers send to a worker, without those that were meant for an earlier one."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import TYPE_CHECKING

import psutil

from napari_surfseg import events

if TYPE_CHECKING:
    from collections.abc import Callable
    from threading import Event as Flag

    from napari_surfseg.runs.folder import RunFolder

__all__ = ["CommandSource"]

#: A command sent a moment before the process was created, by a clock that is not exactly ours.
CLOCK_TOLERANCE_SECONDS = 2.0


class CommandSource:
    """Returns the commands that came since the last call.

    A watcher may send a command while the worker still loads its libraries, so
    in a new run everything in the file counts. In a resumed one, what was sent
    before this process was created was meant for an earlier worker: if nobody
    answered it, it is refused now.

    Parameters
    ----------
    folder : RunFolder
        The run.
    stop_requested : threading.Event
        A signal came: a ``Stop`` is handed out, once.
    emit : callable
        Takes the refusals.
    resume : bool
        Whether an earlier worker was here.
    """

    def __init__(
        self,
        folder: RunFolder,
        stop_requested: Flag,
        emit: Callable[[events.Event], None],
        *,
        resume: bool,
    ) -> None:
        self._folder = folder
        self._stop_requested = stop_requested
        self._stop_given = False
        self._emit = emit
        self._reader = events.LineReader(folder.commands_path)
        self._resume = resume
        self._is_first = True

    def __call__(self) -> list[events.Command]:
        """Return the new commands, oldest first; never raises for a file in a bad state."""
        try:
            commands = events.read_commands(self._reader)
        except OSError:  # a network disk may be away for a moment; the next call reads on
            commands = []
        if commands and self._is_first and self._resume:
            commands = self._leave_out_old(commands)
        self._is_first = False
        commands = [
            found for command in commands if (found := self._resolve_paths(command)) is not None
        ]
        if self._stop_requested.is_set() and not self._stop_given:
            self._stop_given = True
            commands.append(events.Stop())
        return commands

    def _resolve_paths(self, command: events.Command) -> events.Command | None:
        """Make paths that are relative to the run folder absolute: the trainer knows no run folder.

        Strokes that lie anywhere but in the run's folder for them are refused, since their file
        is removed once they are used.
        """
        if not isinstance(command, events.UpdateLabels):
            return command
        strokes = (self._folder.path / command.strokes).resolve()
        if strokes.parent == self._folder.strokes.resolve():
            return replace(command, strokes=str(strokes))
        self._refuse(
            command,
            f"The strokes {command.strokes} do not lie in {self._folder.strokes}, the only place "
            "they are taken from.",
        )
        return None

    def _refuse(self, command: events.Command, message: str) -> None:
        self._emit(
            events.CommandRefused(
                command_id=command.id, command=type(command).__name__, message=message
            )
        )

    def _leave_out_old(self, commands: list[events.Command]) -> list[events.Command]:
        answered = _answered_ids(self._folder)
        not_before = psutil.Process().create_time() - CLOCK_TOLERANCE_SECONDS
        waiting = [command for command in commands if command.id not in answered]
        for command in waiting:
            if command.time < not_before:
                self._refuse(command, "It was sent before this worker started.")
        return [command for command in waiting if command.time >= not_before]


def _answered_ids(folder: RunFolder) -> set[str]:
    found = set()
    for line in events.LineReader(folder.events_path).read_lines():
        if b'"command_id"' in line:
            try:
                found.add(json.loads(line)["command_id"])
            except (ValueError, KeyError, TypeError):
                continue
    return found
