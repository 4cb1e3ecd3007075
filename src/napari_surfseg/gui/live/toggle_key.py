"""One key that shows and hides the live layers, taken only if nobody else has it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from napari_surfseg.gui.window.free_keys import is_free_key

if TYPE_CHECKING:
    from collections.abc import Callable

    from napari.components import ViewerModel

__all__ = ["KEYS", "bind_key", "unbind_key"]

#: H for hide; the others are for a person, or another plugin, who uses it for something else.
KEYS = ("H", "Shift-H", "U", "Shift-U")


def bind_key(viewer: ViewerModel, toggle: Callable[[], None]) -> str | None:
    """Bind the first free key to an action.

    Parameters
    ----------
    viewer : ViewerModel
        In whose canvas it is pressed.
    toggle : callable
        Called at a press.

    Returns
    -------
    str or None
        The key, as napari writes it; None where all are taken.
    """

    def press(_viewer: Any) -> None:
        toggle()

    for key in KEYS:
        if is_free_key(viewer, key):
            viewer.bind_key(key, press)
            return key
    return None


def unbind_key(viewer: ViewerModel, key: str | None) -> None:
    """Give a key back."""
    if key is not None:
        viewer.bind_key(key, None)
