"""What a worker writes to ``events.jsonl``: steps ever more sparsely, the rest in full.

Ten steps a second would be 400 MB a day, which nobody can open. What is written of the steps
therefore thins as the run grows, at first with its length, so that a curve keeps its resolution
wherever one looks, and then evenly::

    running time      two minutes     an hour        12 hours      a week
    between steps     none left out   2.4 s          29 s          30 s
    lines so far      1,500           6,300          10,000        29,000

A disk that takes nothing for a while ends no run: what matters is held back and follows later.
"""

from __future__ import annotations

import time
from dataclasses import replace
from typing import TYPE_CHECKING

from napari_surfseg import events

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["EventLog"]

#: Steps written of a time and of all before it, as long as the next limit allows it.
WRITTEN_STEPS = 1500
#: A person who looks at a run of days waits no longer than this for news.
LONGEST_SECONDS = 30.0
#: Held back while the disk takes nothing: days of epochs and validations.
MAX_HELD = 10_000
#: Worth nothing later: a next one follows.
PASSING = (events.StepFinished, events.PreviewWritten, events.TuningProgressed)


class EventLog:
    """Appends events, leaving steps out as the run grows and holding back what cannot be written.

    Parameters
    ----------
    writer : EventWriter
        Of the run's file.
    say : callable
        Takes a line about a disk that takes nothing.
    """

    def __init__(self, writer: events.EventWriter, say: Callable[[str], None]) -> None:
        self._writer = writer
        self._say = say
        self._held: list[events.Event] = []
        self._trouble = ""
        self._step_written = self._preview_written = float("-inf")
        self._elapsed = 0.0
        self._terms_left_out: dict[str, float] = {}

    def write(self, event: events.Event) -> events.Event:
        """Write an event, or leave it out; return it as it was written.

        Raises
        ------
        OSError
            If the last event of the run cannot be written.
        """
        thinned = self._thin(event)
        if thinned is None:
            return event
        is_last = isinstance(event, events.TERMINAL_EVENTS)
        try:
            self._write_held()
            return self._writer.write(thinned)
        except OSError as error:
            if is_last:
                return self._writer.write(thinned)
            self._hold(thinned, error)
            return thinned

    def _write_held(self) -> None:
        while self._held:
            self._writer.write(self._held[0], at=self._held[0].time)
            del self._held[0]
        if self._trouble:
            message = f"For a while events could not be written ({self._trouble}); they follow."
            self._writer.write(events.WarningIssued(message=message))
            self._say("events can be written again")
            self._trouble = ""

    def _hold(self, event: events.Event, error: OSError) -> None:
        if not self._trouble:
            self._trouble = error.strerror or str(error)
            self._say(
                f"warning: {self._writer.path} cannot be written ({self._trouble}); training goes "
                "on, and what happens is added once it can"
            )
        if not isinstance(event, PASSING) and len(self._held) < MAX_HELD:
            self._held.append(replace(event, time=time.time()))

    def _thin(self, event: events.Event) -> events.Event | None:
        """Return the event to write, None for one that is left out."""
        match event:
            case events.StepFinished():
                self._elapsed = event.elapsed_seconds or 0.0
                if self._is_soon(self._step_written):
                    self._terms_left_out |= event.losses
                    return None
                self._step_written = self._elapsed
                # A term that only some steps compute must not be missed by chance.
                losses, self._terms_left_out = {**self._terms_left_out, **event.losses}, {}
                return replace(event, losses=losses)
            case events.PreviewWritten():
                if self._is_soon(self._preview_written):
                    return None
                self._preview_written = self._elapsed
            case events.CommandApplied():
                self._preview_written = float("-inf")  # somebody waits to see what it does
            case _:
                pass
        return event

    def _is_soon(self, written: float) -> bool:
        rest = min(self._elapsed / WRITTEN_STEPS, LONGEST_SECONDS)
        return 0 <= self._elapsed - written < rest
