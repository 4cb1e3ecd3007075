"""Keys of the canvas that nobody else has: neither napari, nor a person, nor another plugin."""

from __future__ import annotations

from typing import TYPE_CHECKING

from napari import layers
from napari.utils.key_bindings import coerce_keybinding

if TYPE_CHECKING:
    from napari.components import ViewerModel

__all__ = ["is_free_key"]

#: While such a layer is selected, its keys come before the viewer's.
LAYER_KINDS = (layers.Image, layers.Labels, layers.Points, layers.Shapes, layers.Surface)


def is_free_key(viewer: ViewerModel, key: str) -> bool:
    """Whether a key, as napari writes it, does nothing yet in the canvas of a viewer."""
    binding = coerce_keybinding(key)
    keymaps = [viewer.keymap, type(viewer).class_keymap]
    keymaps += [kind.class_keymap for kind in LAYER_KINDS]
    return not any(binding in keymap for keymap in keymaps)
