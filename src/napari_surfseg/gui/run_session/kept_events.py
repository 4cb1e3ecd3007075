"""What a window remembers of a run, however long it looks at it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from napari_surfseg.events import CheckpointSaved, PreviewWritten, StepFinished, TuningProgressed

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from napari_surfseg.events import Event

__all__ = ["EvenThinner", "KeptEvents"]

#: More points than a screen is wide show nothing more.
MOST_STEPS = 4096
#: Of no use to who comes later: the newest is asked for, or in place.
PASSING = (CheckpointSaved, PreviewWritten, TuningProgressed)


class EvenThinner:
    """Says which of ever more items to keep: evenly spaced, and no more than a number.

    Whoever keeps them asks :meth:`keeps` for each that comes, and where :meth:`is_full` drops
    every second one, beginning with the second.

    Parameters
    ----------
    most : int
        So many are kept at most.
    """

    def __init__(self, most: int) -> None:
        self._most = most
        self._stride = 1
        self._count = 0

    def keeps(self) -> bool:
        """Whether to keep the item that comes now."""
        self._count += 1
        return (self._count - 1) % self._stride == 0

    def is_full(self, number: int) -> bool:
        """Whether so many are too many; from then on half as many are kept of those that come."""
        if number <= self._most:
            return False
        self._stride *= 2
        return True


class KeptEvents:
    """The events of a run for who comes later, such as a dock that is opened; steps thinned."""

    def __init__(self) -> None:
        self._events: list[Event] = []
        self._thinner = EvenThinner(MOST_STEPS)
        self._num_steps = 0

    def __len__(self) -> int:
        return len(self._events)

    def __iter__(self) -> Iterator[Event]:
        return iter(self._events)

    def extend(self, events: Iterable[Event]) -> None:
        """Take in what is new."""
        for event in events:
            if isinstance(event, StepFinished):
                if not self._thinner.keeps():
                    continue
                self._num_steps += 1
            elif isinstance(event, PASSING):
                continue
            self._events.append(event)
            if self._thinner.is_full(self._num_steps):
                self._drop_every_second()

    def _drop_every_second(self) -> None:
        steps = [event for event in self._events if isinstance(event, StepFinished)]
        dropped = set(map(id, steps[1::2]))
        self._events = [event for event in self._events if id(event) not in dropped]
        self._num_steps -= len(dropped)
