"""Layers of a viewer, known by identity and followed while they are in it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from napari_surfseg.gui.background.signals import disconnect

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable

    from napari.components import ViewerModel
    from napari.layers import Layer

__all__ = ["LayerWatch", "unwrap"]


def unwrap(thing: Any) -> Any:
    """Return what napari hands to plugins behind a proxy.

    Two looks at the same layer through a proxy give two objects, so nothing can be
    recognised by identity there.
    """
    return getattr(thing, "__wrapped__", thing)


class LayerWatch:
    """Follows the layers of a viewer: those that are open already and those that come.

    Parameters
    ----------
    viewer : ViewerModel
        Not behind a proxy.
    on_list : callable
        Called without arguments when layers came, went, were moved or renamed.
    on_values : callable
        Called with a labels layer when it was painted on, and with any layer when its
        data were replaced. A labels layer that is drawn again in an unchanged view counts as
        painted on: an undo, or a change of its array, shows only there (seen with napari 0.9).
    """

    def __init__(
        self,
        viewer: ViewerModel,
        *,
        on_list: Callable[[], None],
        on_values: Callable[[Layer], None] = lambda _layer: None,
    ) -> None:
        self._viewer = viewer
        self._on_list = on_list
        self._on_values = on_values
        self._followed: list[Layer] = []
        self._seen_from: dict[int, Hashable] = {}
        for name in ("inserted", "removed", "reordered"):
            getattr(viewer.layers.events, name).connect(self._on_layers)
        self._sync()

    def close(self) -> None:
        """Disconnect from the viewer and every layer."""
        for name in ("inserted", "removed", "reordered"):
            disconnect(getattr(self._viewer.layers.events, name), self._on_layers)
        for layer in self._followed:
            self._leave(layer)
        self._followed = []

    def _sync(self) -> None:
        present = list(self._viewer.layers)
        for layer in self._followed:
            if not any(layer is other for other in present):
                self._leave(layer)
        known = self._followed
        self._followed = present
        for layer in present:
            if any(layer is other for other in known):
                continue
            layer.events.name.connect(self._on_name)
            for event in _value_events(layer):
                event.connect(self._on_changed)
            if hasattr(layer.events, "paint"):
                self._seen_from[id(layer)] = self._find_view()
                layer.events.set_data.connect(self._on_redrawn)

    def _leave(self, layer: Layer) -> None:
        disconnect(layer.events.name, self._on_name)
        if self._seen_from.pop(id(layer), None) is not None:
            disconnect(layer.events.set_data, self._on_redrawn)
        for event in _value_events(layer):
            disconnect(event, self._on_changed)

    def _on_layers(self, _event: object = None) -> None:
        self._sync()
        self._on_list()

    def _on_name(self, _event: object = None) -> None:
        self._on_list()

    def _find_view(self) -> Hashable:
        dims = self._viewer.dims
        return dims.ndisplay, tuple(dims.order), tuple(dims.point)

    def _on_redrawn(self, event: Any) -> None:
        view, layer = self._find_view(), event.source
        is_same = self._seen_from.get(id(layer)) == view
        self._seen_from[id(layer)] = view
        if is_same:
            self._on_changed(event)

    def _on_changed(self, event: Any) -> None:
        layer = event.source
        if any(layer is followed for followed in self._followed):
            self._on_values(layer)


def _value_events(layer: Layer) -> list[Any]:
    return [
        getattr(layer.events, name) for name in ("data", "paint") if hasattr(layer.events, name)
    ]
