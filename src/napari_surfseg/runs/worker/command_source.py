"""The commands that watchers send to a worker, without those that were meant for an earlier one."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import TYPE_CHECKING

from napari_surfseg import events
from napari_surfseg.config_files import resolve_path
from napari_surfseg.lines import LineReader, iterate_lines
from napari_surfseg.runs.launch_record import to_there
from napari_surfseg.runs.worker.command_lines import MalformedCommand, parse_command

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from threading import Event as Flag

    from napari_surfseg.runs.folder import RunFolder
    from napari_surfseg.runs.launch_record import LaunchRecord

__all__ = ["CommandSource"]


class CommandSource:
    """Returns the commands that came since the last call, each command once.

    A watcher may send a command while the worker still loads its libraries, so
    everything counts that was written since the run was taken. What lies before
    was meant for an earlier worker: if nobody answered it, it is refused now.
    Where it lies decides, not its time, since clocks of watchers differ.

    Parameters
    ----------
    folder : RunFolder
        The run.
    stop_requested : threading.Event
        A signal came: a ``Stop`` is handed out, once.
    emit : callable
        Takes the refusals.
    old_bytes : int
        Length of ``commands.jsonl`` when the run was taken, if an earlier worker was here.
    launch : LaunchRecord, optional
        Of a run that is watched from a machine that calls its volumes differently.
    """

    def __init__(
        self,
        folder: RunFolder,
        stop_requested: Flag,
        emit: Callable[[events.Event], None],
        *,
        old_bytes: int = 0,
        launch: LaunchRecord | None = None,
    ) -> None:
        self._folder = folder
        self._stop_requested = stop_requested
        self._stop_given = False
        self._emit = emit
        self._reader = LineReader(folder.commands_path)
        self._old_bytes = old_bytes
        self._launch = launch
        self._seen: set[str] = set()

    def __call__(self) -> list[events.Command]:
        """Return the new commands, oldest first; never raises for a file in a bad state."""
        try:
            if self._old_bytes:
                self._pass_over_old()
            lines = self._reader.read_lines()
        except OSError:  # a network disk may be away for a moment; the next call reads on
            lines = []
        commands = [
            found
            for command in self._parse(lines)
            if (found := self._resolve_paths(command)) is not None
        ]
        if self._stop_requested.is_set() and not self._stop_given:
            self._stop_given = True
            commands.append(events.Stop())
        return commands

    def _pass_over_old(self) -> None:
        """Refuse what was meant for an earlier worker, unless it was answered."""
        with self._folder.commands_path.open("rb") as file:
            old = file.read(self._old_bytes)
        self._seen |= _answered_ids(self._folder)
        self._reader.offset = old.rfind(b"\n") + 1
        self._old_bytes = 0
        for command in self._parse(old[: self._reader.offset].splitlines()):
            self._refuse(command, "It was sent before this worker started.")

    def _parse(self, lines: list[bytes]) -> Iterator[events.Command]:
        """Refuse what is no command, and pass over what was handed out or answered before."""
        for line in filter(None, lines):
            command = parse_command(line)
            if command.id and command.id in self._seen:
                continue
            self._seen.add(command.id)
            if not isinstance(command, MalformedCommand):
                yield command
            elif command.id:
                self._emit(
                    events.CommandRefused(
                        command_id=command.id, command=command.kind, message=command.message
                    )
                )
            else:  # nobody can be answered
                self._emit(events.WarningIssued(message=command.message))

    def _resolve_paths(self, command: events.Command) -> events.Command | None:
        """Make paths that are relative to the run folder absolute: the trainer knows no run folder.

        Strokes that lie anywhere but in the run's folder for them are refused, since their file
        is removed once they are used.
        """
        if isinstance(command, events.SetPreview) and command.image and self._launch is not None:
            return replace(command, image=self._call_as_here(command.image, self._launch))
        if not isinstance(command, events.UpdateLabels):
            return command
        if self._launch is not None:
            command = replace(command, labels=self._call_as_here(command.labels, self._launch))
        try:
            strokes = (self._folder.path / command.strokes).resolve()
            if strokes.parent == self._folder.strokes.resolve():
                return replace(command, strokes=str(strokes))
        except OSError:  # too long a name, for example
            pass
        self._refuse(
            command,
            f"The strokes {command.strokes} do not lie in {self._folder.strokes}, the only place "
            "they are taken from.",
        )
        return None

    def _call_as_here(self, source: str, launch: LaunchRecord) -> str:
        """Name a volume as this worker's configuration does, links followed."""
        return resolve_path(to_there(source, launch), self._folder.path)

    def _refuse(self, command: events.Command, message: str) -> None:
        self._emit(
            events.CommandRefused(
                command_id=command.id, command=type(command).__name__, message=message
            )
        )


def _answered_ids(folder: RunFolder) -> set[str]:
    found = set()
    for line in iterate_lines(folder.events_path):
        if b'"command_id"' in line:
            try:
                found.add(str(json.loads(line)["command_id"]))
            except (ValueError, KeyError, TypeError, RecursionError):
                continue
    return found
