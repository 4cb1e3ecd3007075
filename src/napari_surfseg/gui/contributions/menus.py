"""The plugin's entries in napari's Layers menu: each opens a dock."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from napari.utils.notifications import show_info

from napari_surfseg.gui.window.dock_layout import open_plugin_dock

if TYPE_CHECKING:
    from napari.viewer import Viewer

__all__ = [
    "find_viewer",
    "open_curves",
    "open_dock",
    "open_predict",
    "open_proofread",
    "open_tools",
    "open_training",
]


def open_training() -> None:
    """Open "Surface training"."""
    open_dock("Surface training")


def open_predict() -> None:
    """Open "Predict surfaces"."""
    open_dock("Predict surfaces")


def open_curves() -> None:
    """Open "Loss curves"."""
    open_dock("Loss curves")


def open_proofread() -> None:
    """Open "Proofread"."""
    open_dock("Proofread")


def open_tools() -> None:
    """Open "Surface tools"."""
    open_dock("Surface tools")


def open_dock(widget: str) -> Any:
    """Open a dock of the plugin and return its widget; None, and a sentence, without a window."""
    viewer = find_viewer()
    if viewer is None:
        show_info("Open a napari window first.")
        return None
    return open_plugin_dock(viewer, widget)


def find_viewer() -> Viewer | None:
    """Return the window that is in front, if there is one."""
    from napari import current_viewer

    return current_viewer()
