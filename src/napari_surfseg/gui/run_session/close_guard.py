"""Ends a window's session when the window closes; asks first what a run under way should do."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from napari.qt import QtViewer
from qtpy.QtCore import QEvent, QObject, QTimer
from qtpy.QtWidgets import QMainWindow, QMessageBox, QWidget

from napari_surfseg.gui.window import preferences
from napari_surfseg.gui.window.main_window import find_main_window

if TYPE_CHECKING:
    from napari_surfseg.gui.run_session.session import Session

__all__ = ["CloseGuard"]


class CloseGuard(QObject):
    """Watches one main window for one session.

    The session is closed as soon as the window has accepted to close and is hidden: its docks and
    their canvases are whole then. Where the window is destroyed without ever closing, that is the
    last moment to do it.

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
        self._window: QMainWindow | None = window
        self._answered = False
        self._closing = False
        self._over = False
        window.installEventFilter(self)
        window.destroyed.connect(self._end)

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
        if watched is not window:
            return False
        kind = event.type()
        if kind == QEvent.Type.Close:
            return self._on_close(event)
        if kind == QEvent.Type.Hide and self._closing and not event.spontaneous():
            self._end()
        return False

    def _on_close(self, event: Any) -> bool:
        """Return whether the window stays open."""
        if not self._answered and self._must_ask():
            answer = self.ask()
            if answer == "cancel":
                event.ignore()
                return True
            if answer == "stop":
                self._session.stop_run()
            # napari may send a second close event on its way out; one question is enough.
            self._answered = True
        self._closing = True
        # napari may still refuse to close; hiding the window later must not end the session then.
        QTimer.singleShot(0, self._forget_refused)
        return False

    def _must_ask(self) -> bool:
        """Whether a run is under way that this window started, and a person is there to answer.

        ``Viewer.close`` takes the viewer's inside down before the window: a program closes it,
        and there is no way back.
        """
        if not (self._session.is_own and self._session.is_active):
            return False
        if not preferences.read_preferences().ask_before_closing:
            return False
        center = None if self._window is None else self._window.centralWidget()
        inside = None if center is None else center.findChild(QtViewer)
        return inside is None or not inside.isHidden()

    def _forget_refused(self) -> None:
        if self._window is not None and self._window.isVisible():
            self._closing = self._answered = False

    def _end(self) -> None:
        if not self._over:
            self._over = True
            # PySide6 keeps what a timer was to call, and so this object: not the window with it.
            self._window = None
            self._session.close()

    def ask(self) -> str:
        """Ask the person; returns ``"keep"``, ``"stop"`` or ``"cancel"``."""
        box = QMessageBox(self._window)
        box.setObjectName("close_while_training")
        box.setIcon(QMessageBox.Icon.Question)
        box.setWindowTitle("Training goes on")
        name = self._session.run_dir.name if self._session.run_dir else "The run"
        snapshot = self._session.snapshot
        if snapshot is not None and snapshot.is_waiting:
            box.setText(f"{name} waits for another machine. {snapshot.message}")
            box.setInformativeText(
                "It can wait and train without napari; open its folder later to watch it. Or its "
                "job can be cancelled."
            )
            kept, stopped = "Keep waiting", "Cancel the job"
        else:
            box.setText(f"{name} is still training in a process of its own.")
            box.setInformativeText(
                "It can go on without napari; open its folder later to watch it again. Or it can "
                "finish its step, save and stop."
            )
            kept, stopped = "Keep training", "Stop and save"
        keep = box.addButton(kept, QMessageBox.ButtonRole.AcceptRole)
        stop = box.addButton(stopped, QMessageBox.ButtonRole.DestructiveRole)
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
