"""The two live layers: the newest prediction and its skeleton, in place over their volume."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from napari.layers import Image, Labels

from napari_surfseg.gui.layers.colormaps import build_probability_colormap, build_skeleton_colormap
from napari_surfseg.gui.layers.metadata import kind_of, part_of
from napari_surfseg.gui.layers.placement import compute_placement
from napari_surfseg.gui.live.style import center_plane, frame, restyle, style

if TYPE_CHECKING:
    from collections.abc import Callable

    from napari.components import ViewerModel
    from napari.layers import Layer
    from numpy.typing import NDArray

    from napari_surfseg.gui.run_session.previews import LivePreview

__all__ = ["NAMES", "LiveLayers"]

#: What the layers are called at first, by the part that their metadata name.
NAMES = {"prediction": "live prediction", "skeleton": "live skeleton"}


class LiveLayers:
    """Keeps the two live layers of one viewer, over their volume and under its labels.

    Their arrays belong to them and are written in place, so an update costs the
    window a copy and a redraw. They are known by identity; those that an earlier one
    of these left in the viewer are taken over, found by their metadata. A layer that a
    person deletes stays deleted until :meth:`restore`; nothing else in the viewer is
    touched, neither the selection nor any other layer.

    Parameters
    ----------
    viewer : ViewerModel
        Where they appear.
    """

    def __init__(self, viewer: ViewerModel) -> None:
        self._viewer = viewer
        self._deleted: set[str] = set()
        self._source: Layer | None = None
        self.shown: LivePreview | None = None
        self._layers = _find_parts(viewer)
        if self._layers:
            self._deleted = set(NAMES) - set(self._layers)

    @property
    def prediction(self) -> Layer | None:
        """The probability layer, while it is in the viewer."""
        return self._present("prediction")

    @property
    def skeleton(self) -> Layer | None:
        """The skeleton layer, while it is in the viewer."""
        return self._present("skeleton")

    @property
    def source(self) -> Layer | None:
        """The layer they were last shown over."""
        return self._source

    def _present(self, part: str) -> Layer | None:
        layer = self._layers.get(part)
        return layer if layer is not None and layer in self._viewer.layers else None

    def restore(self) -> None:
        """Let deleted layers come back with the next preview."""
        self._note_deletions()
        self._deleted.clear()

    def remove(self) -> None:
        """Take the layers out of the viewer; they come back with the next preview."""
        self._note_deletions()
        for layer in self._layers.values():
            self._viewer.layers.remove(layer)
        self._layers.clear()
        self._source = None

    def set_visible(self, visible: bool) -> None:
        """Show or hide what there is."""
        self._note_deletions()
        for layer in self._layers.values():
            layer.visible = visible

    def restyle(self) -> None:
        """Look as the view needs it: 2-D or 3-D."""
        self._note_deletions()
        for part, layer in self._layers.items():
            restyle(layer, part, self._viewer.dims.ndisplay)

    def plan(
        self, preview: LivePreview, source: Layer | None, placeholder: Layer | None = None
    ) -> list[Callable[[], None]]:
        """Return what shows a preview, in parts that a window can spread over its turns.

        A part is one layer: napari takes some 4 ms to refresh it, whatever its size. Without
        a source, ``placeholder`` says where the volume would lie.
        """
        placement = compute_placement(source if source is not None else placeholder, preview.origin)

        def show_prediction() -> None:
            self._note_deletions()
            if source is not self._source:
                self._source = source
                self._raise_over(source)
            self._show_one("prediction", preview.probabilities, placement)
            self.shown = preview

        def show_skeleton() -> None:
            self._note_deletions()
            self._show_one("skeleton", preview.skeleton, placement)

        return [show_prediction, show_skeleton]

    def _note_deletions(self) -> None:
        for part, layer in list(self._layers.items()):
            if layer not in self._viewer.layers:
                self._deleted.add(part)
                del self._layers[part]
                for left in self._layers.values():
                    frame(left)

    def _raise_over(self, source: Layer | None) -> None:
        """Lift layers that lie under the volume they now belong to; else leave their order."""
        layers = self._viewer.layers
        if source is None or source not in layers:
            return
        for part in NAMES:
            layer = self._layers.get(part)
            if layer is not None and layers.index(layer) < layers.index(source):
                layers.move(layers.index(layer), self._find_place(source))

    def _find_place(self, source: Layer | None) -> int:
        """Find the place in the list over the volume, and under labels that lie over it."""
        layers = self._viewer.layers
        begin = layers.index(source) + 1 if source is not None and source in layers else 0
        mine = self._layers.values()
        for place in range(begin, len(layers)):
            if not isinstance(layers[place], Image) and layers[place] not in mine:
                return place
        return len(layers)

    def _show_one(self, part: str, values: NDArray[np.uint8], placement: dict[str, Any]) -> None:
        if part in self._deleted:
            return
        layer = self._layers.get(part)
        if layer is None:
            self._layers[part] = self._add(part, values, placement)
            return
        if layer.data.shape == values.shape:
            np.copyto(layer.data, values)
            if _same_place(layer, placement):
                layer.refresh(thumbnail=False, highlight=False, extent=False)
            else:
                _place(layer, placement)
                layer.refresh(thumbnail=False, highlight=False)
        else:
            layer.data = values.copy()
            _place(layer, placement)
            center_plane(layer)

    def _add(self, part: str, values: NDArray[np.uint8], placement: dict[str, Any]) -> Layer:
        layer: Layer
        common = {"name": NAMES[part], "metadata": {"surfseg": "live", "part": part}, **placement}
        if part == "prediction":
            layer = Image(
                values.copy(),
                contrast_limits=(0, 255),
                blending="translucent",
                colormap=build_probability_colormap(),
                interpolation2d="nearest",
                **common,
            )
        else:
            layer = Labels(values.copy(), colormap=build_skeleton_colormap(), **common)
            layer.editable = False
        style(layer, part, self._viewer.dims.ndisplay)
        if part == "prediction" or "prediction" in self._deleted:
            frame(layer)
        layers = self._viewer.layers
        selected = list(layers.selection)
        active = layers.selection.active
        layers.insert(self._find_place(self._source), layer)
        # The new layer would take the selection, and a brush stroke under way with it.
        if selected:
            layers.selection = selected
            layers.selection.active = active
        return layer


def _find_parts(viewer: ViewerModel) -> dict[str, Layer]:
    """Find the live layers that are in a viewer, by their metadata: a person may rename them."""
    found: dict[str, Layer] = {}
    for layer in viewer.layers:
        part = part_of(layer)
        if kind_of(layer) == "live" and part in NAMES:
            found.setdefault(part, layer)
    return found


def _same_place(layer: Layer, placement: dict[str, Any]) -> bool:
    return bool(
        np.array_equal(layer.translate, placement["translate"])
        and np.array_equal(layer.scale, placement["scale"])
    )


def _place(layer: Layer, placement: dict[str, Any]) -> None:
    for key, value in placement.items():
        setattr(layer, key, value)
