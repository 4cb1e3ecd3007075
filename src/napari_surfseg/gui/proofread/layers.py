"""Places in the viewer: a Points layer for each kind, and the camera's way to each."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from napari_surfseg.gui.layers.camera import camera_of
from napari_surfseg.gui.layers.layer_adder import LayerAdder
from napari_surfseg.gui.layers.mark_points import MarkPoints
from napari_surfseg.gui.layers.place_looks import (
    BORDER_VOXELS,
    DIMENSIONS,
    ERROR_COLORS,
    MARK_SIZES,
    MARKED_BORDER_VOXELS,
    SYMBOLS,
    across_slices,
)
from napari_surfseg.gui.layers.placement import compute_placement
from napari_surfseg.metrics.error_table import TopologyError
from napari_surfseg.proofreading.places import DoubtfulPlace

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from napari.components import ViewerModel
    from napari.layers import Layer, Points
    from numpy.typing import NDArray

    from napari_surfseg.gui.proofread.listing import Listed

__all__ = [
    "DIMENSIONS",
    "ERROR_COLORS",
    "ErrorLayers",
    "build_error_layers",
    "choose_zoom",
    "fly_to",
]

#: Edge of what is shown around an error, at least and at most: in voxels, and in its extents.
NEAR_VOXELS, FAR_VOXELS = 30, 120
NEAR_EXTENTS, FAR_EXTENTS = 1.6, 8.0
#: An error larger than this (voxels) is not shown whole, but about its marked voxel.
MAX_EXTENT = 128


def build_error_layers(
    errors: Sequence[Listed], source: Layer | None, spacing: Sequence[float] = (1, 1, 1)
) -> Iterator[tuple[str, Points]]:
    """Make a Points layer of each name that occurs, the features in the order given.

    Parameters
    ----------
    errors : sequence of TopologyError or DoubtfulPlace
        What matters most first.
    source : Layer or None
        A layer of the volume they were found in; the marks lie exactly over it.
    spacing : sequence of float
        Z, Y, X voxel size where there is no such layer.
    """
    place = compute_placement(source, (0, 0, 0)) if source is not None else {"scale": spacing}
    for name, dimension in DIMENSIONS.items():
        chosen = [(index, e) for index, e in enumerate(errors) if e.name == name]
        if not chosen:
            continue
        layer = MarkPoints(
            np.array([e.location for _, e in chosen], float),
            source,
            name=f"{_describe(chosen[0][1])}: {name}",
            size=np.clip([max(e.extent) + 3 for _, e in chosen], *MARK_SIZES[dimension]),
            # Rings: what is wrong must be seen inside them.
            face_color="transparent",
            border_color=ERROR_COLORS[name],
            border_width=BORDER_VOXELS,
            border_width_is_relative=False,
            symbol=SYMBOLS[dimension],
            features={
                "kind": [name] * len(chosen),
                "size": [e.size for _, e in chosen],
                "index": [index for index, _ in chosen],
                **_weights([e for _, e in chosen]),
            },
            # In 3-D the surface must not hide what is wrong behind it.
            blending="translucent_no_depth",
            metadata={"surfseg": "places"},
            **across_slices(),
            **place,
        )
        yield name, layer


def _describe(place: Listed) -> str:
    return "error" if isinstance(place, TopologyError) else "doubtful"


def _weights(places: Sequence[Listed]) -> dict[str, list[float]]:
    """Return the feature that only doubtful places have."""
    weights = [place.weight for place in places if isinstance(place, DoubtfulPlace)]
    return {"weight": weights} if weights else {}


def choose_zoom(current: float, canvas: float, extent: float, voxel: float) -> float:
    """Keep the zoom if an error is well seen with it, else change it as little as will do.

    Parameters
    ----------
    current : float
        Canvas pixels a world unit.
    canvas : float
        Shorter edge of the canvas, in pixels.
    extent, voxel : float
        Largest edges of the error and of a voxel, in world units.
    """
    extent = min(extent, MAX_EXTENT * voxel)
    least = canvas / max(FAR_EXTENTS * extent, FAR_VOXELS * voxel)
    most = canvas / max(NEAR_EXTENTS * extent, NEAR_VOXELS * voxel)
    return float(np.clip(current, least, most))


def fly_to(viewer: ViewerModel, layer: Points, error: Listed) -> None:
    """Show the slice of an error, in the middle of the canvas and large enough.

    Parameters
    ----------
    viewer : ViewerModel
        In 2-D or 3-D; with more than three dimensions the volume has the last three.
    layer : Points
        Says where voxels lie in the world; it need not be in the viewer any more.
    error : TopologyError
        In voxels of the layer.
    """
    at = np.asarray(error.location, float)
    world = np.asarray(layer.data_to_world(at), float)[-3:]
    dims = viewer.dims
    first = dims.ndim - 3
    dims.set_point([first, first + 1, first + 2], world.tolist())
    displayed = [axis - first for axis in dims.displayed if axis >= first]
    step = np.abs(np.asarray(layer.data_to_world(at + 1), float)[-3:] - world)
    corners = [np.asarray(layer.data_to_world(c), float)[-3:] for c in (error.start, error.stop)]
    extent = np.abs(corners[1] - corners[0])
    camera = camera_of(viewer)
    # In this order: a change of the dims may move the camera.
    camera.center = (*[0.0] * (3 - len(displayed)), *world[displayed].tolist())
    camera.zoom = choose_zoom(
        camera.zoom, canvas_edge(viewer), float(extent[displayed].max()), float(step.max())
    )


def canvas_edge(viewer: ViewerModel) -> float:
    """Return the shorter edge of the canvas in pixels; napari 0.9 keeps it elsewhere."""
    canvas: Any = getattr(viewer, "canvas", None)
    size: NDArray[Any] | tuple[int, int]
    size = getattr(viewer, "_canvas_size", (600, 600)) if canvas is None else canvas.size
    return float(max(min(size), 1))


class ErrorLayers:
    """The layers of one list of errors in one viewer.

    Parameters
    ----------
    viewer : ViewerModel
        Takes the layers.
    """

    def __init__(self, viewer: ViewerModel) -> None:
        self._viewer = viewer
        self._layers: dict[str, Points] = {}
        #: Name of the layer and row in it, by the error's index in the list.
        self._rows: dict[int, tuple[str, int]] = {}
        #: Places whose marks are hidden.
        self._hidden: set[int] = set()
        self.adder = LayerAdder(viewer, keep_active=True)

    @property
    def layers(self) -> dict[str, Points]:
        """By name of the error; some may have been deleted from the viewer."""
        return self._layers

    def show(
        self,
        errors: Sequence[Listed],
        source: Layer | None,
        spacing: Sequence[float],
        done: Callable[[], None] | None = None,
    ) -> None:
        """Replace what is shown, a layer at a time; parameters as of :func:`build_error_layers`.

        ``done`` is called after the last layer.
        """
        self.remove()
        self.adder.start(self._build(errors, source, spacing), done)

    def _build(
        self, errors: Sequence[Listed], source: Layer | None, spacing: Sequence[float]
    ) -> Iterator[Layer]:
        for name, layer in build_error_layers(errors, source, spacing):
            self._layers[name] = layer
            for row, index in enumerate(layer.features["index"]):
                self._rows[int(index)] = (name, row)
            self._show_open(layer)
            yield layer

    def remove(self) -> None:
        """Take the layers out of the viewer, and add none any more."""
        self.adder.stop()
        for layer in self._layers.values():
            if layer in self._viewer.layers:
                self._viewer.layers.remove(layer)
        self._layers, self._rows, self._hidden = {}, {}, set()

    def go_to(self, index: int, error: Listed) -> None:
        """Fly to an error and mark it, and no other."""
        if index not in self._rows:
            return
        name, row = self._rows[index]
        layer = self._layers[name]
        fly_to(self._viewer, layer, error)
        for other in self._layers.values():
            if other is not layer and other.selected_data:
                _mark(other, None)
        _mark(layer, row)

    def hide_decided(self, decided: Sequence[bool], current: int | None) -> None:
        """Hide the marks of places that are decided, but for the one that is looked at.

        Parameters
        ----------
        decided : sequence of bool
            Of each place of the list.
        current : int, optional
            Index of the place that is looked at.
        """
        self._hidden = {i for i, done in enumerate(decided) if done and i != current}
        for layer in self._layers.values():
            self._show_open(layer)

    def _show_open(self, layer: Points) -> None:
        shown = np.array([i not in self._hidden for i in layer.features["index"]], bool)
        if not np.array_equal(layer.shown, shown):
            layer.shown = shown


def _mark(layer: Points, row: int | None) -> None:
    """Select one point and draw it thicker: napari's own highlight is hard to see on a ring."""
    widths = np.full(len(layer.data), BORDER_VOXELS)
    if row is not None:
        widths[row] = MARKED_BORDER_VOXELS
    layer.border_width = widths
    layer.selected_data = set() if row is None else {row}
