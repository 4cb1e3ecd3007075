"""What a person chose to work on: a layer or a file, and an image with its labels."""

from __future__ import annotations

import weakref
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from napari.layers import Layer

__all__ = ["PairChoice", "SourceChoice"]


@dataclass(frozen=True)
class SourceChoice:
    """A layer of the viewer or a file; equal to another if it is the same layer or path.

    A layer is held by identity, so another name changes nothing, and weakly, so that
    one that left the viewer can go.

    Attributes
    ----------
    path : str
        Of a file; empty for a layer.
    ref : weakref.ref or None
        To a layer; None for a file.
    seen_name : str
        What the layer was called when it was chosen.
    """

    path: str = ""
    ref: weakref.ref[Layer] | None = None
    seen_name: str = field(default="", compare=False)

    @classmethod
    def of_layer(cls, layer: Layer) -> SourceChoice:
        """Choose a layer."""
        ref = weakref.ref(layer)
        hash(ref)  # kept by the reference: it can be hashed when the layer is gone, too
        return cls(ref=ref, seen_name=layer.name)

    @classmethod
    def of_file(cls, path: str) -> SourceChoice:
        """Choose a file."""
        return cls(path=path)

    @property
    def kind(self) -> str:
        """``"layer"`` or ``"file"``."""
        return "file" if self.ref is None else "layer"

    @property
    def layer(self) -> Layer | None:
        """The layer, unless it is a file or the layer is gone."""
        return None if self.ref is None else self.ref()

    @property
    def name(self) -> str:
        """The layer's present name, or the path."""
        layer = self.layer
        return layer.name if layer is not None else self.path or self.seen_name


@dataclass(frozen=True)
class PairChoice:
    """A volume with its labels and what it is for: ``"train"`` or ``"validation"``.

    `roi` is the box that is used, as a person writes it (:func:`read_roi`); empty for all.
    """

    image: SourceChoice | None
    labels: SourceChoice | None
    role: str = "train"
    roi: str = ""
