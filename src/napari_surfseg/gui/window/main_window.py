"""Finds napari's main window from a widget inside it."""

from __future__ import annotations

from typing import Any

from qtpy.QtWidgets import QDockWidget, QMainWindow, QWidget

__all__ = ["find_main_window"]


def find_main_window(widget: QWidget) -> QMainWindow | None:
    """Find the napari window that a dock, floating or not, belongs to."""
    found: Any = widget
    while found is not None:
        if isinstance(found, QMainWindow) and not isinstance(found, QDockWidget):
            return found
        found = found.parentWidget()
    return None
