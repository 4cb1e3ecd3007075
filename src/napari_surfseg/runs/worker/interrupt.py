"""Ctrl-C and similar signals, turned at once into a request to stop.

A Python signal handler runs only when the main thread next comes back from
native code, which in a backward pass can be half a minute. The wake-up file
descriptor is written by the C-level handler itself, so a thread of ours can
answer immediately: the first signal asks for a clean stop, a second interrupt ends.

Only a person who presses Ctrl-C again ends at once. A closed terminal and a batch
system send more than one signal of their own accord, and must not cost what was
trained since the last save.
"""

from __future__ import annotations

import contextlib
import signal
import socket
import threading
import time
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import TracebackType

__all__ = ["InterruptWatch"]

#: Interrupt, the polite kill of batch systems, a closed terminal, and Ctrl-Break on Windows.
WATCHED = ("SIGINT", "SIGTERM", "SIGHUP", "SIGBREAK")
#: What a person sends from the keyboard.
FROM_KEYBOARD = ("SIGINT", "SIGBREAK")
#: One press of Ctrl-C may arrive twice, from the terminal and from a program in between.
SAME_PRESS_SECONDS = 0.1


class InterruptWatch:
    """Watch for signals while the context lasts; does nothing outside the main thread.

    Parameters
    ----------
    on_first, on_second : callable
        Called in the watching thread at the first signal, and at an interrupt after it.

    Attributes
    ----------
    requested : threading.Event
        Set from the first signal on.
    """

    def __init__(self, *, on_first: Callable[[], None], on_second: Callable[[], None]) -> None:
        self.requested = threading.Event()
        self._on_first = on_first
        self._on_second = on_second
        self._handlers: dict[signal.Signals, Any] = {}
        self._previous_fd = -1
        self._sender: socket.socket | None = None
        self._thread: threading.Thread | None = None

    def __enter__(self) -> InterruptWatch:
        if threading.current_thread() is not threading.main_thread():
            return self  # only the main thread may set handlers
        receiver, self._sender = socket.socketpair()
        self._sender.setblocking(False)
        self._previous_fd = signal.set_wakeup_fd(self._sender.fileno(), warn_on_full_buffer=False)
        for name in WATCHED:
            number = getattr(signal, name, None)
            # A signal that is ignored (nohup, a background job of a shell) stays ignored.
            if number is not None and signal.getsignal(number) != signal.SIG_IGN:
                self._handlers[number] = signal.signal(number, _leave_it_to_the_thread)
        self._thread = threading.Thread(
            target=self._watch, args=(receiver, set(self._handlers)), name="signals", daemon=True
        )
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._sender is None or self._thread is None:
            return
        signal.set_wakeup_fd(self._previous_fd)
        for number, handler in self._handlers.items():
            with contextlib.suppress(TypeError):  # a handler that was not set from Python
                signal.signal(number, handler)
        self._sender.close()
        self._thread.join(timeout=5)

    def _watch(self, receiver: socket.socket, watched: set[signal.Signals]) -> None:
        numbers = {int(number) for number in watched}
        keyboard = {int(getattr(signal, name)) for name in FROM_KEYBOARD if hasattr(signal, name)}
        last: dict[int, float] = {}
        with receiver:
            while received := receiver.recv(64):
                for number in received:
                    if number not in numbers:
                        continue
                    now = time.monotonic()
                    is_same = now - last.get(number, float("-inf")) < SAME_PRESS_SECONDS
                    last[number] = now
                    if not self.requested.is_set():
                        self.requested.set()
                        self._on_first()
                    elif number in keyboard and not is_same:
                        self._on_second()


def _leave_it_to_the_thread(number: int, frame: object) -> None:
    """Stand in for the default handler, which would raise KeyboardInterrupt mid-step."""
