"""Waits for a pause: many changes in a row lead to one call."""

from __future__ import annotations

from typing import TYPE_CHECKING

from qtpy.QtCore import QObject, QTimer

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["Debounce"]


class Debounce(QTimer):
    """Calls a function once, as soon as :meth:`start` was not called for a while.

    Each ``start()`` begins the wait from zero, ``stop()`` ends it without a call, and
    ``isActive()`` says whether a call is due. A destroyed parent takes the wait with it.

    Parameters
    ----------
    parent : QObject
        Whose method is called.
    milliseconds : int
        How long to wait after the last ``start()``; with 0, until the event loop is idle.
    call : callable
        A method of a QObject, or a signal: Qt then drops the call with the object. A signal's
        ``emit`` is no method, and would be called after its object is gone.
    """

    def __init__(self, parent: QObject, milliseconds: int, call: Callable[[], object]) -> None:
        super().__init__(parent)
        self.setSingleShot(True)
        self.setInterval(milliseconds)
        self.timeout.connect(call)
