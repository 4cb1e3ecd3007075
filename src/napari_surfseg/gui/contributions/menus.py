"""The plugin's entries in napari's Layers menu: each opens a dock."""

from __future__ import annotations

from typing import TYPE_CHECKING

from napari.utils.notifications import show_info

if TYPE_CHECKING:
    from napari.viewer import Viewer

__all__ = [
    "find_viewer",
    "open_curves",
    "open_predict",
    "open_proofread",
    "open_tools",
    "open_training",
]

PLUGIN = "napari-surfseg"


def open_training() -> None:
    """Open "Surface training"."""
    _open("Surface training")


def open_predict() -> None:
    """Open "Predict surfaces"."""
    _open("Predict surfaces")


def open_curves() -> None:
    """Open "Loss curves"."""
    _open("Loss curves")


def open_proofread() -> None:
    """Open "Proofread"."""
    _open("Proofread")


def open_tools() -> None:
    """Open "Surface tools"."""
    _open("Surface tools")


def _open(widget: str) -> None:
    viewer = find_viewer()
    if viewer is None:
        show_info("Open a napari window first.")
        return
    viewer.window.add_plugin_dock_widget(PLUGIN, widget)


def find_viewer() -> Viewer | None:
    """Return the window that is in front, if there is one."""
    from napari import current_viewer

    return current_viewer()
