"""Where to paint next: marks of the doubtful places of a run's live preview."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from napari_surfseg.gui.layers.mark_points import MarkPoints
from napari_surfseg.gui.layers.metadata import kind_of, part_of
from napari_surfseg.gui.layers.place_looks import (
    BORDER_VOXELS,
    DIMENSIONS,
    ERROR_COLORS,
    SYMBOLS,
    across_slices,
)
from napari_surfseg.gui.layers.placement import compute_placement

if TYPE_CHECKING:
    from collections.abc import Sequence

    from napari.components import ViewerModel
    from napari.layers import Layer, Points
    from numpy.typing import NDArray

    from napari_surfseg.proofreading.places import DoubtfulPlace

__all__ = ["PLACES_NAME", "PlaceMarks"]

PLACES_NAME = "where to paint next"
#: One size: the mark says where to look, not how much is wrong there (voxels).
MARK_VOXELS = 11


class PlaceMarks:
    """Keeps one Points layer of a viewer up to date.

    It is known by identity, or by the metadata of an earlier one of these. Once a person deletes
    it, it stays deleted until :meth:`restore`. Neither the selection, nor the view, nor
    the layer that is painted on changes.

    Parameters
    ----------
    viewer : ViewerModel
        Where it appears.
    """

    def __init__(self, viewer: ViewerModel) -> None:
        self._viewer = viewer
        self._layer: Points | None = next(
            (
                layer
                for layer in viewer.layers
                if kind_of(layer) == "live" and part_of(layer) == "places"
            ),
            None,
        )
        self._is_deleted = False
        self.visible = True

    @property
    def layer(self) -> Points | None:
        """The layer, while it is in the viewer."""
        if self._layer is not None and self._layer not in self._viewer.layers:
            self._layer, self._is_deleted = None, True
        return self._layer

    def restore(self) -> None:
        """Let a deleted layer come back with the next places."""
        _ = self.layer
        self._is_deleted = False

    def remove(self) -> None:
        """Take the layer out of the viewer; it comes back with the next places."""
        if self.layer is not None:
            self._viewer.layers.remove(self.layer)
            self._layer = None

    def set_visible(self, visible: bool) -> None:
        """Show or hide it."""
        self.visible = visible
        if self.layer is not None:
            self.layer.visible = visible

    def show(self, places: Sequence[DoubtfulPlace], source: Layer | None) -> None:
        """Show these places, over the layer of their volume.

        Parameters
        ----------
        places : sequence of DoubtfulPlace
            In voxels of the volume; what matters most first.
        source : Layer, optional
            The layer of the volume.
        """
        layer = self.layer
        if self._is_deleted:
            return
        if layer is None:
            if places:
                self._add(places, source)
            return
        looks = _looks_of(places)
        # Nothing selected, or napari gives the selected ones' looks to those that are new.
        layer.selected_data = set()
        if isinstance(layer, MarkPoints):
            layer.set_volume(source)
        layer.data = _locate(places)
        layer.features = _features_of(places)
        if places:
            for name, value in looks.items():
                setattr(layer, name, value)
        for key, value in compute_placement(source, (0, 0, 0)).items():
            if not np.array_equal(getattr(layer, key), value):
                setattr(layer, key, value)

    def _add(self, places: Sequence[DoubtfulPlace], source: Layer | None) -> None:
        layer = MarkPoints(
            _locate(places),
            source,
            name=PLACES_NAME,
            face_color="transparent",
            border_width=BORDER_VOXELS,
            border_width_is_relative=False,
            features=_features_of(places),
            blending="translucent_no_depth",
            visible=self.visible,
            metadata={"surfseg": "live", "part": "places"},
            **_looks_of(places),
            **across_slices(),
            **compute_placement(source, (0, 0, 0)),
        )
        layers = self._viewer.layers
        selected, active = list(layers.selection), layers.selection.active
        layers.append(layer)
        if selected:
            layers.selection = selected
            layers.selection.active = active
        self._layer = layer


def _locate(places: Sequence[DoubtfulPlace]) -> NDArray[np.float64]:
    return np.array([place.location for place in places], float).reshape(-1, 3)


def _looks_of(places: Sequence[DoubtfulPlace]) -> dict[str, Any]:
    return {
        "border_color": [ERROR_COLORS[place.kind] for place in places],
        "symbol": [SYMBOLS[DIMENSIONS[place.kind]] for place in places],
        "size": MARK_VOXELS,
    }


def _features_of(places: Sequence[DoubtfulPlace]) -> dict[str, list[Any]]:
    return {
        "kind": [place.kind for place in places],
        "size": [place.size for place in places],
        "index": list(range(len(places))),
        "weight": [place.weight for place in places],
        "reason": [place.reason for place in places],
    }
