"""The Tab key moves in reading order: from left to right, line by line, page by page."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING, Any

from qtpy.QtCore import QEvent, QObject, QPoint, Qt
from qtpy.QtWidgets import QScrollArea, QWidget

from napari_surfseg.gui.controls.debounce import Debounce

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["TabOrder", "order_by_eye"]

#: Controls whose middles are closer than this are in one line (pixels).
LINE_PIXELS = 10
#: Rows are added and removed; the order is set once that has stopped for this long.
REST_MILLISECONDS = 50


def order_by_eye(root: QWidget) -> list[QWidget]:
    """List the controls that Tab reaches below a widget and that are shown, as a person reads.

    A page that scrolls is read to its end before what stands below it.
    """
    placed: list[tuple[QPoint, list[QWidget]]] = []
    _collect(root, root, placed)
    return [control for controls in _sort_by_place(placed) for control in controls]


def _collect(parent: QWidget, root: QWidget, placed: list[tuple[QPoint, list[QWidget]]]) -> None:
    for child in parent.children():
        if not isinstance(child, QWidget) or child.isWindow() or not child.isVisibleTo(root):
            continue
        place = child.mapTo(root, child.rect().center())
        if isinstance(child, QScrollArea) and child.widget() is not None:
            placed.append((place, order_by_eye(child.widget())))
        elif child.focusPolicy() & Qt.FocusPolicy.TabFocus and child.focusProxy() is None:
            placed.append((place, [child]))
        else:
            _collect(child, root, placed)


def _sort_by_place(placed: Sequence[tuple[QPoint, Any]]) -> list[Any]:
    """Sort by lines from top to bottom, and in a line from left to right."""
    lines: list[list[tuple[QPoint, Any]]] = []
    for point, item in sorted(placed, key=lambda pair: pair[0].y()):
        if lines and point.y() - lines[-1][0][0].y() < LINE_PIXELS:
            lines[-1].append((point, item))
        else:
            lines.append([(point, item)])
    return [item for line in lines for _, item in sorted(line, key=lambda pair: pair[0].x())]


class TabOrder(QObject):
    """Keeps the Tab order of a widget in reading order, as controls are added and removed.

    Parameters
    ----------
    root : QWidget
        The whole of a dock.
    """

    def __init__(self, root: QWidget) -> None:
        super().__init__(root)
        self._root = root
        self._order: list[QWidget] = []
        self._rest = Debounce(self, REST_MILLISECONDS, self.arrange)
        # A page that scrolls does not report to its parent that its layout changed.
        pages = [area.widget() for area in root.findChildren(QScrollArea)]
        self._watched = [root, *(page for page in pages if page is not None)]
        for widget in self._watched:
            widget.installEventFilter(self)

    def eventFilter(self, watched: Any, event: Any) -> bool:  # noqa: N802
        """Arrange when the layout of the widget changed."""
        if event.type() in {QEvent.Type.Show, QEvent.Type.LayoutRequest}:
            self._rest.start()
        return False

    def arrange(self) -> None:
        """Set the order now."""
        order = order_by_eye(self._root)
        if order != self._order:
            self._order = order
            for before, after in itertools.pairwise(order):
                QWidget.setTabOrder(before, after)
