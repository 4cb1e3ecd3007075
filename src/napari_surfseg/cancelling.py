"""Long work that asks now and then whether a person wants it to end.

What takes long, such as counting the labels of a large volume, calls :func:`raise_if_stopped`
between two pieces. Whoever started it says how to find out, with :func:`listening`; where nobody
does, nothing is asked.
"""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

from napari_surfseg.errors import CancelledError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

__all__ = ["is_stop_wanted", "listening", "raise_if_stopped"]

_listeners: list[Callable[[], bool]] = []


@contextlib.contextmanager
def listening(is_stopped: Callable[[], bool]) -> Iterator[None]:
    """Let all work inside ask this, from whichever thread."""
    _listeners.append(is_stopped)
    try:
        yield
    finally:
        _listeners.remove(is_stopped)


def is_stop_wanted() -> bool:
    """Whether somebody who listens was asked to stop."""
    return any(is_stopped() for is_stopped in list(_listeners))


def raise_if_stopped(*_progress: object) -> None:
    """Raise :class:`CancelledError` if work should end; also a callback for progress."""
    if is_stop_wanted():
        raise CancelledError("It was stopped as asked.")
