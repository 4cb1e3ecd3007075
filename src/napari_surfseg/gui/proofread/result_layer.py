"""The layer that is mended: read and written by voxels, with napari's own undo."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from napari.layers import Labels
from napari.utils.colormaps import DirectLabelColormap

from napari_surfseg.errors import DataError
from napari_surfseg.geometry import box_shape, box_slices, contains_box, whole_box
from napari_surfseg.gui.layers.placement import compute_placement

if TYPE_CHECKING:
    from napari.layers import Layer
    from numpy.typing import NDArray

    from napari_surfseg.geometry import Box, Index3, Size3
    from napari_surfseg.proofreading.edit import Edit

__all__ = ["ResultLayer", "build_unsure_layer", "require_editable"]


def require_editable(layer: Layer | None, name: str) -> Labels:
    """Return the labels layer that can be mended in place.

    Raises
    ------
    DataError
        If it is a file, gone, or napari cannot paint on it.
    """
    if not isinstance(layer, Labels):
        raise DataError(
            f"{name} is a file or gone from the viewer; open it as a labels layer and choose that "
            "as the prediction to mend it.",
            field="prediction",
        )
    data = layer.data
    if layer.multiscale or not hasattr(data, "__setitem__") or _is_lazy(data):
        raise DataError(
            f"The layer {layer.name!r} is read from its file as it is looked at, so it cannot be "
            "mended; Copy to mend makes a layer of it that can.",
            field="prediction",
        )
    return layer


def _is_lazy(data: Any) -> bool:
    if isinstance(data, np.ndarray):
        return not data.flags.writeable
    # A zarr array would change the file itself, and each painted voxel a chunk of it.
    return True


class ResultLayer:
    """A labels layer as a volume of three axes, whose changes can be undone.

    Parameters
    ----------
    layer : Labels
        As :func:`require_editable` returns.
    """

    def __init__(self, layer: Labels) -> None:
        self.layer = layer
        #: What napari's history holds of each change that was made here, the newest last.
        self._made: list[Any] = []

    @property
    def data(self) -> NDArray[Any]:
        """The voxels (Z, Y, X), not a copy."""
        array: NDArray[Any] = self.layer.data
        return array[(0,) * (array.ndim - 3)]

    @property
    def shape(self) -> Size3:
        """Z, Y, X voxels."""
        z, y, x = self.layer.data.shape[-3:]
        return z, y, x

    def holds(self, box: Box) -> bool:
        """Whether a box lies in the volume."""
        return contains_box(whole_box(self.shape), box)

    def has(self, edit: Edit, *, before: bool = False) -> bool:
        """Whether the voxels that an edit changes are as after it, or as before it."""
        if not self.holds(edit.box):
            return False
        wanted = edit.before if before else edit.after
        found = self.data[box_slices(edit.box)]
        return bool(np.array_equal(found[edit.changed], wanted[edit.changed]))

    def apply(self, edits: list[Edit]) -> None:
        """Change what the edits change; one Ctrl+Z takes all of it back."""
        self.paint([(edit.start, edit.changed, edit.after) for edit in edits])

    def revert(self, edit: Edit) -> None:
        """Take an edit back: by napari's undo if nothing was painted since, else by painting."""
        history = getattr(self.layer, "_undo_history", None)
        if history and self._made and history[-1] is self._made[-1] and self.has(edit):
            self.layer.undo()
            if self.has(edit, before=True):
                self._made.pop()
                return
            self.layer.redo()
        self.paint([(edit.start, edit.changed, edit.before)])

    def paint(self, boxes: list[tuple[Index3, NDArray[np.bool_], NDArray[Any]]]) -> None:
        """Give some voxels of boxes their values: first voxel, which of them, values."""
        layer = self.layer
        leading = layer.data.ndim - 3
        changed = False
        with layer.block_history():
            for start, which, values in boxes:
                voxels = np.nonzero(which)
                if not voxels[0].size:
                    continue
                at = tuple(axis + first for axis, first in zip(voxels, start, strict=True))
                at = (np.zeros_like(at[0]),) * leading + at
                wanted = values[voxels].astype(layer.data.dtype)
                if np.array_equal(layer.data[at], wanted):
                    continue
                changed = True
                for value in np.unique(wanted):
                    one = wanted == value
                    layer.data_setitem(tuple(axis[one] for axis in at), value, refresh=False)
        if changed:
            layer.refresh()
            history = getattr(layer, "_undo_history", None)
            if history:
                self._made.append(history[-1])


def build_unsure_layer(layer: Labels) -> Labels:
    """Make an empty layer over a result, for what nobody can decide there."""
    shape = box_shape(whole_box(layer.data.shape[-3:]))
    return Labels(
        np.zeros(shape, np.uint8),
        name=f"{layer.name} unsure",
        colormap=DirectLabelColormap(color_dict={None: "transparent", 1: "#F0E442"}),
        opacity=0.6,
        metadata={"surfseg": "unsure"},
        **compute_placement(layer, (0, 0, 0)),
    )
