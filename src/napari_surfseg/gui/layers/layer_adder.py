"""Adds layers to a viewer one after another: each takes napari tenths of a second."""

from __future__ import annotations

from typing import TYPE_CHECKING

from qtpy.QtCore import QObject

from napari_surfseg.gui.controls.debounce import Debounce

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from napari.components import ViewerModel
    from napari.layers import Layer

__all__ = ["LayerAdder"]


class LayerAdder(QObject):
    """Adds layers one by one; between two of them the window handles its events.

    Parameters
    ----------
    viewer : ViewerModel
        Takes the layers.
    milliseconds : int
        Wait before each layer.
    keep_active : bool
        Leave the layer active that is: a person who paints goes on painting on it. Otherwise
        a new layer becomes the active one, as napari does it.
    """

    def __init__(
        self, viewer: ViewerModel, *, milliseconds: int = 0, keep_active: bool = False
    ) -> None:
        super().__init__()
        self._viewer = viewer
        self._keep_active = keep_active
        self._layers: Iterator[Layer] | None = None
        self._done: Callable[[], None] | None = None
        self._next = Debounce(self, milliseconds, self._add_next)

    def start(self, layers: Iterator[Layer], done: Callable[[], None] | None = None) -> None:
        """Add these layers, each made when its turn comes, instead of any that are left.

        ``done`` is called after the last one.
        """
        self._layers, self._done = layers, done
        self._next.start()

    def finish(self) -> None:
        """Add what is left now."""
        while self._layers is not None:
            self._add_next()

    def stop(self) -> None:
        """Add no more."""
        self._next.stop()
        self._layers = self._done = None

    def _add_next(self) -> None:
        if self._layers is None:
            return
        layer = next(self._layers, None)
        if layer is None:
            done = self._done
            self.stop()
            if done is not None:
                done()
            return
        selection = self._viewer.layers.selection
        active = selection.active
        self._viewer.add_layer(layer)
        if self._keep_active and active is not None and active in self._viewer.layers:
            selection.active = active
        self._next.start()
