"""What the plugin writes into a layer's metadata, by which it recognises the layer later.

A person may rename any layer, so nothing is recognised by its name.

==================  ========================================================================
Key                 Value
==================  ========================================================================
``surfseg``         what the plugin made the layer as: ``"live"``, ``"prediction"``, ``"curves"``
``part``            which of several layers it is: ``"surface"``, ``"skeleton"``, ``"mesh"``
``folder``          of a prediction, where its files are
``threshold``       of a prediction, the probability above which it has surface
``network``         of a prediction, the checkpoint or the network of the package that made it
``surfseg_file``    path of the volume that it was opened from
``surfseg_labels``  meaning of each label value
``surfseg_region``  box of the volume that the labels cover, and the volume's shape
``surfseg_record``  path of the decisions that were made on the layer
==================  ========================================================================
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from napari.layers import Layer

__all__ = ["file_of", "kind_of", "meanings_of", "part_of"]


def kind_of(layer: Layer) -> str | None:
    """Return what the plugin made a layer as; None for a layer that a person added."""
    return layer.metadata.get("surfseg")


def part_of(layer: Layer) -> str | None:
    """Return which of several layers that the plugin makes together this one is."""
    return layer.metadata.get("part")


def file_of(layer: Layer) -> str | None:
    """Return the path or URL that a layer was opened from, by the plugin or by napari."""
    path = layer.metadata.get("surfseg_file") or layer.source.path
    return str(path) if path else None


def meanings_of(layer: Layer | None) -> dict[int, str]:
    """Return the meaning of each label value, where the layer was made or opened with one."""
    return dict(layer.metadata.get("surfseg_labels") or {}) if layer is not None else {}
