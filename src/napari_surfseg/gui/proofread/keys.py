"""The keys of the dock, in the canvas: each bound only where it is free."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from napari_surfseg.gui.window.free_keys import is_free_key

if TYPE_CHECKING:
    from collections.abc import Callable

    from napari.components import ViewerModel

__all__ = ["KEYS", "BoundKeys"]

#: What each key does, as napari writes it; docs/proofread.md lists them.
KEYS = {
    "next": "N",
    "previous": "Shift-N",
    "accept": "K",
    "reject": "W",
    "fill hole": "Shift-F",
    "cut bridge": "Shift-C",
    "join ends": "J",
    "remove piece": "Shift-R",
    "follow labels": "Shift-G",
    "mark unsure": "Q",
    "undo": "Shift-Z",
}


class BoundKeys:
    """Keys of a viewer that are bound to the actions of a dock.

    Parameters
    ----------
    viewer : ViewerModel
        In whose canvas they are pressed.
    act : callable
        Called with the name of the action at a press.
    """

    def __init__(self, viewer: ViewerModel, act: Callable[[str], None]) -> None:
        self._viewer = viewer
        #: The keys that were free, by action.
        self.keys = {name: key for name, key in KEYS.items() if is_free_key(viewer, key)}
        for name, key in self.keys.items():
            viewer.bind_key(key, _press(act, name))

    def close(self) -> None:
        """Give the keys back."""
        for key in self.keys.values():
            self._viewer.bind_key(key, None)
        self.keys = {}


def _press(act: Callable[[str], None], name: str) -> Callable[[Any], None]:
    def press(_viewer: Any) -> None:
        act(name)

    return press
