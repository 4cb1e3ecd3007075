"""Questions that a thread puts to the person in front of the window."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any

from qtpy.QtCore import QObject, Qt, Signal

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["Asker"]

#: How often a thread that waits for an answer checks whether its job was cancelled.
CHECK_SECONDS = 0.1


class Asker(QObject):
    """Puts yes-or-no questions in the window's thread, whichever thread they come from.

    Parameters
    ----------
    show : callable
        Shows a question and returns the answer; only called in the thread that made this.
    """

    _asked = Signal(object)

    def __init__(self, show: Callable[[str], bool]) -> None:
        super().__init__()
        self._show = show
        self._window_thread = threading.get_ident()
        self._asked.connect(self._on_asked, Qt.ConnectionType.QueuedConnection)

    def ask(self, text: str, is_cancelled: Callable[[], bool] = lambda: False) -> bool:
        """Ask and wait for the answer; False if the job is cancelled meanwhile."""
        if threading.get_ident() == self._window_thread:
            return self._show(text)
        question = _Question(text)
        try:
            self._asked.emit(question)
        except RuntimeError:  # the window is gone
            return False
        while not question.is_answered.wait(CHECK_SECONDS):
            if is_cancelled():
                return False
        return question.answer

    def _on_asked(self, question: Any) -> None:
        try:
            question.answer = self._show(question.text)
        finally:
            question.is_answered.set()


class _Question:
    def __init__(self, text: str) -> None:
        self.text = text
        self.answer = False
        self.is_answered = threading.Event()
