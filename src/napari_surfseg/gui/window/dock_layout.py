"""Where the plugin's docks go: tabs at the right, the curves below the canvas.

napari puts every dock that is opened below the one before, and a window must hold the sum of
their smallest heights: five of them are higher than a laptop's screen.
"""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Any, TypeVar

from qtpy.QtCore import QEvent, QObject, Qt, QTimer
from qtpy.QtWidgets import QDockWidget, QMainWindow, QWidget

from napari_surfseg.gui.window.main_window import find_main_window

if TYPE_CHECKING:
    from napari.viewer import Viewer

__all__ = [
    "DockPlacer",
    "bring_up",
    "find_dock",
    "open_plugin_dock",
    "place_below_canvas",
    "show_dock",
    "tab_with_others",
]

WidgetT = TypeVar("WidgetT", bound=QWidget)

PLUGIN = "napari-surfseg"

#: Of the loss curves, until a person drags their edge (pixels).
CURVES_HEIGHT = 200

RIGHT = Qt.DockWidgetArea.RightDockWidgetArea
BOTTOM = Qt.DockWidgetArea.BottomDockWidgetArea


def find_dock(widget: QWidget) -> tuple[QMainWindow, QDockWidget] | None:
    """Find the dock that holds a widget and the window that holds the dock."""
    dock = widget.parentWidget()
    while dock is not None and not isinstance(dock, QDockWidget):
        dock = dock.parentWidget()
    window = dock.parentWidget() if dock is not None else None
    if dock is None or not isinstance(window, QMainWindow):
        return None
    return window, dock


def bring_up(kind: type[WidgetT], beside: QWidget) -> WidgetT | None:
    """Bring a dock to the front and return its content; None where there is none of the kind.

    Parameters
    ----------
    kind : type of QWidget
        Of the content.
    beside : QWidget
        A widget of the same window.
    """
    window = find_main_window(beside)
    shown = window.findChild(kind) if window is not None else None
    found = find_dock(shown) if shown is not None else None
    if found is None:
        return None
    found[1].show()
    found[1].raise_()
    return shown


def show_dock(kind: type[WidgetT], viewer: Viewer, beside: QWidget) -> WidgetT:
    """Open a dock of the plugin, or bring the one that is open to the front.

    Parameters
    ----------
    kind : type of QWidget
        Of the content. Its ``dock_name`` is what the dock is called, and its ``dock_area``, if
        it has one, where it opens; at the right by default.
    viewer : napari.Viewer
        In whose window.
    beside : QWidget
        A widget of the same window.
    """
    shown = bring_up(kind, beside)
    if shown is None:
        shown = kind(viewer)
        area = getattr(kind, "dock_area", "right")
        viewer.window.add_dock_widget(shown, name=kind.dock_name, area=area)
    return shown


def open_plugin_dock(viewer: Viewer, name: str, beside: QWidget | None = None) -> QWidget | None:
    """Open a dock of the plugin by its name, or bring it to the front; return its content.

    For a dock whose folder may not be imported; its content is called as the dock is,
    ``runs_widget``. None where the viewer has no window. One that was opened in another way is
    found only in the window of ``beside``.
    """
    window = getattr(viewer, "window", None)
    if window is None:
        return None
    main = find_main_window(beside) if beside is not None else None
    content = main.findChild(QWidget, f"{name.lower().replace(' ', '_')}_widget") if main else None
    if content is None:
        _, content = window.add_plugin_dock_widget(PLUGIN, name)
    found = find_dock(content) if content is not None else None
    if found is not None:
        found[1].show()
        found[1].raise_()
    opened: QWidget | None = content
    return opened


def tab_with_others(window: QMainWindow, dock: QDockWidget) -> None:
    """Put a dock at the right on top of those that are there, as a tab of its own."""
    if dock.isFloating() or window.dockWidgetArea(dock) != RIGHT:
        return
    others = [
        other
        for other in window.findChildren(QDockWidget)
        if other is not dock
        and other.isVisible()
        and not other.isFloating()
        and window.dockWidgetArea(other) == RIGHT
    ]
    if others:
        window.tabifyDockWidget(others[-1], dock)
        dock.show()
        dock.raise_()


def place_below_canvas(window: QMainWindow, dock: QDockWidget) -> None:
    """Put a dock below the canvas, and only there: the docks at the sides keep their height."""
    window.setCorner(Qt.Corner.BottomRightCorner, RIGHT)
    window.setCorner(Qt.Corner.BottomLeftCorner, Qt.DockWidgetArea.LeftDockWidgetArea)
    if dock.isFloating():
        return
    if window.dockWidgetArea(dock) == RIGHT:
        window.addDockWidget(BOTTOM, dock)
        dock.show()
    if window.dockWidgetArea(dock) == BOTTOM:
        window.resizeDocks([dock], [CURVES_HEIGHT], Qt.Orientation.Vertical)


class DockPlacer(QObject):
    """Places the dock of a widget when it is first shown; later it is where a person puts it.

    Parameters
    ----------
    widget : QWidget
        The dock's content.
    title : str
        Of its tab. napari's own also names the plugin, and four tabs of it fit no dock.
    below_canvas : bool
        Below the canvas instead of at the right.
    """

    def __init__(self, widget: QWidget, title: str, *, below_canvas: bool = False) -> None:
        super().__init__(widget)
        self._widget = widget
        self._title = title
        self._place_in = place_below_canvas if below_canvas else tab_with_others
        widget.installEventFilter(self)

    def eventFilter(self, watched: Any, event: Any) -> bool:  # noqa: N802
        """Wait for the first time the widget is shown."""
        if watched is self._widget and event.type() == QEvent.Type.Show:
            watched.removeEventFilter(self)
            # The window is still laying out the new dock while it is being shown.
            QTimer.singleShot(0, self.place)
        return False

    def place(self) -> None:
        """Place the dock now."""
        with contextlib.suppress(RuntimeError):  # the widget is gone already
            found = find_dock(self._widget)
            if found is not None:
                window, dock = found
                dock.setWindowTitle(self._title)
                self._place_in(window, dock)
