"""Asks, when napari is closed while its run trains, whether the training goes on."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from qtpy.QtCore import QEvent, QObject
from qtpy.QtWidgets import QDockWidget, QMainWindow, QMessageBox, QWidget

from napari_surfseg.events import Stop

if TYPE_CHECKING:
    from napari_surfseg.gui.session import Session

__all__ = ["CloseGuard", "find_main_window"]


def find_main_window(widget: QWidget) -> QMainWindow | None:
    """Find the napari window that a dock, floating or not, belongs to."""
    found: Any = widget
    while found is not None:
        if isinstance(found, QMainWindow) and not isinstance(found, QDockWidget):
            return found
        found = found.parentWidget()
    return None


class CloseGuard(QObject):
    """Watches one main window for one session.

    Parameters
    ----------
    window : QMainWindow
        napari's.
    session : Session
        Whose run is asked about.
    """

    def __init__(self, window: QMainWindow, session: Session) -> None:
        super().__init__(window)
        self.setObjectName("surfseg_close_guard")
        self._session = session
        self._window = window
        self._answered = False
        window.installEventFilter(self)
        window.destroyed.connect(session.close)

    @staticmethod
    def install(widget: QWidget, session: Session) -> CloseGuard | None:
        """Guard the window a dock lies in, once."""
        window = find_main_window(widget)
        if window is None:
            return None
        guard = window.findChild(CloseGuard, "surfseg_close_guard")
        return guard if guard is not None else CloseGuard(window, session)

    def eventFilter(self, watched: Any, event: Any) -> bool:  # noqa: N802
        """Ask before the window closes; the answer may keep it open."""
        # PySide still delivers events while the window takes this object down, emptied already.
        window = getattr(self, "_window", None)
        if watched is not window or event.type() != QEvent.Type.Close or self._answered:
            return False
        if not (self._session.is_own and self._session.is_active):
            return False
        answer = self.ask()
        if answer == "cancel":
            event.ignore()
            return True
        if answer == "stop":
            self._session.send(Stop())
        # napari may send a second close event on its way out; one question is enough.
        self._answered = True
        return False

    def ask(self) -> str:
        """Ask the person; returns ``"keep"``, ``"stop"`` or ``"cancel"``."""
        box = QMessageBox(self._window)
        box.setObjectName("close_while_training")
        box.setIcon(QMessageBox.Icon.Question)
        box.setWindowTitle("Training goes on")
        name = self._session.run_dir.name if self._session.run_dir else "The run"
        box.setText(f"{name} is still training in a process of its own.")
        box.setInformativeText(
            "It can go on without napari; open its folder later to watch it again. Or it can "
            "finish its step, save and stop."
        )
        keep = box.addButton("Keep training", QMessageBox.ButtonRole.AcceptRole)
        stop = box.addButton("Stop and save", QMessageBox.ButtonRole.DestructiveRole)
        cancel = box.addButton("Cancel", QMessageBox.ButtonRole.RejectRole)
        for button, name in ((keep, "keep_training"), (stop, "stop_training"), (cancel, "cancel")):
            button.setObjectName(name)
        box.setDefaultButton(keep)
        box.setEscapeButton(cancel)
        box.exec()
        clicked = box.clickedButton()
        if clicked is keep:
            return "keep"
        return "stop" if clicked is stop else "cancel"
