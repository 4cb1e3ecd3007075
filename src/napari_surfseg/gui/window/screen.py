"""Pictures of the real screen, and waiting in Qt's own event loop.

``viewer.screenshot`` and ``QWidget.grab`` draw again for the picture, and so show what a person
may never see; ``QApplication.processEvents`` in a loop repaints when Qt itself would not.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from qtpy.QtCore import QEventLoop, QPoint, QRect, QTimer
from qtpy.QtGui import QGuiApplication

if TYPE_CHECKING:
    from collections.abc import Callable

    from qtpy.QtGui import QPixmap
    from qtpy.QtWidgets import QWidget

__all__ = ["grab_screen", "live", "settle"]

LOOK_MILLISECONDS = 50


def live(seconds: float, until: Callable[[], bool] | None = None) -> bool:
    """Run Qt's own event loop for a while.

    Parameters
    ----------
    seconds : float
        At most for this time.
    until : callable, optional
        Ends it as soon as it returns True.

    Returns
    -------
    bool
        Whether ``until`` came true; always True without one.
    """
    loop = QEventLoop()
    fulfilled: list[bool] = []
    raised: list[Exception] = []

    def look() -> None:
        try:
            done = until is not None and until()
        except Exception as error:  # noqa: BLE001 PyQt would abort; the caller gets it instead
            raised.append(error)
        else:
            if not done:
                return
            fulfilled.append(True)
        loop.quit()

    looks, end = QTimer(), QTimer()
    looks.timeout.connect(look)
    end.timeout.connect(loop.quit)
    if until is not None:
        looks.start(LOOK_MILLISECONDS)
    end.start(round(1000 * seconds))
    loop.exec()
    looks.stop()
    end.stop()
    if raised:
        raise raised[0]
    return until is None or bool(fulfilled)


def settle(seconds: float = 10.0) -> None:
    """Run the event loop until everything that waits to be painted is on the screen.

    Parameters
    ----------
    seconds : float
        At most about so long.
    """
    end = time.monotonic() + seconds
    live(1.0)
    while time.monotonic() < end:
        begun = time.monotonic()
        live(0.2)
        if time.monotonic() - begun < 0.3:
            return  # it had nothing to do


def grab_screen(widget: QWidget | None = None) -> QPixmap:
    """Take a picture of what the primary screen shows.

    Parameters
    ----------
    widget : QWidget, optional
        Only of its place; a window's is without the frame that the desktop draws.

    Returns
    -------
    QPixmap
        Null where the platform lets no program look at the screen.
    """
    screen = QGuiApplication.primaryScreen()
    picture = screen.grabWindow(0)
    if widget is None or picture.isNull():
        return picture
    ratio = picture.width() / screen.geometry().width()
    corner = widget.mapToGlobal(QPoint(0, 0)) - screen.geometry().topLeft()
    place = QRect(
        round(corner.x() * ratio),
        round(corner.y() * ratio),
        round(widget.width() * ratio),
        round(widget.height() * ratio),
    )
    return picture.copy(place.intersected(picture.rect()))
