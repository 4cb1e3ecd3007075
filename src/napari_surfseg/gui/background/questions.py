"""A yes-or-no question that a job in a thread puts to the person in front of the window."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any

from qtpy.QtCore import QObject, Qt, Signal
from qtpy.QtWidgets import QMessageBox, QWidget

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["Asker", "ask_in_dialog"]

#: How often a thread that waits for an answer looks whether it is still wanted.
LOOK_SECONDS = 0.1


def ask_in_dialog(text: str, parent: QWidget | None) -> bool:
    """Show a question in the window's thread; the safe answer is the default one."""
    buttons = QMessageBox.StandardButton.Yes | QMessageBox.StandardButton.Cancel
    box = QMessageBox(QMessageBox.Icon.Question, "Surface segmentation", text, buttons, parent)
    box.setObjectName("copy_question")
    box.button(QMessageBox.StandardButton.Yes).setText("Go on")
    box.setDefaultButton(QMessageBox.StandardButton.Cancel)
    return bool(box.exec() == QMessageBox.StandardButton.Yes)


class Asker(QObject):
    """Puts questions in the window's thread, wherever they come from.

    Parameters
    ----------
    parent : QWidget or None
        Whose question it is; the dialog lies over it.
    show : callable
        Shows the question and returns the answer; replaced in tests.
    """

    _asked = Signal(object)

    def __init__(
        self,
        parent: QWidget | None,
        show: Callable[[str, QWidget | None], bool] = ask_in_dialog,
    ) -> None:
        super().__init__()
        self._parent = parent
        self._show = show
        self._home = threading.get_ident()
        self._asked.connect(self._on_asked, Qt.ConnectionType.QueuedConnection)

    def ask(self, text: str, is_cancelled: Callable[[], bool] = lambda: False) -> bool:
        """Ask, and wait for the answer; no where the job was cancelled meanwhile."""
        if threading.get_ident() == self._home:
            return self._show(text, self._parent)
        question = _Question(text)
        try:
            self._asked.emit(question)
        except RuntimeError:  # the window is gone
            return False
        while not question.is_answered.wait(LOOK_SECONDS):
            if is_cancelled():
                return False
        return question.answer

    def _on_asked(self, question: Any) -> None:
        try:
            question.answer = self._show(question.text, self._parent)
        finally:
            question.is_answered.set()


class _Question:
    def __init__(self, text: str) -> None:
        self.text = text
        self.answer = False
        self.is_answered = threading.Event()
