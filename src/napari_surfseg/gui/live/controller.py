"""Shows the previews of a run over their volume."""

from __future__ import annotations

import contextlib
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
from napari.layers import Image
from qtpy.QtCore import QObject, Signal

from napari_surfseg.events import SetPreview
from napari_surfseg.gui.controls.debounce import Debounce
from napari_surfseg.gui.layers.metadata import kind_of
from napari_surfseg.gui.layers.placement import place_of
from napari_surfseg.gui.live.layers import LiveLayers
from napari_surfseg.gui.live.place_marks import PlaceMarks
from napari_surfseg.gui.live.toggle_key import bind_key, unbind_key
from napari_surfseg.gui.live.view_follower import ViewFollower
from napari_surfseg.gui.run_session.run_layers import find_layer

if TYPE_CHECKING:
    from collections.abc import Callable

    from napari.components import ViewerModel
    from napari.layers import Layer

    from napari_surfseg.geometry import Size3
    from napari_surfseg.gui.run_session.previews import LivePreview
    from napari_surfseg.gui.run_session.session import Session

__all__ = ["LiveController", "get_live_controller"]

#: Between the two live layers; without a graphics card a repaint takes some 30 ms.
NEXT_LAYER_MILLISECONDS = 150


class LiveController(QObject):
    """Shows the previews of a session's run in a viewer.

    A preview is shown over the layer of its volume. Where that layer is not in the viewer
    but others are, nothing is shown: it would lie over the wrong volume.

    Parameters
    ----------
    viewer : ViewerModel
        The viewer, window or none.
    session : Session
        Whose run is shown.
    """

    shown = Signal(object)
    missed = Signal(object)
    """A preview that is not shown: its volume is not in the viewer."""
    enabled_changed = Signal(bool)
    size_changed = Signal(object)
    """The size of the live box, Z, Y, X voxels, as the run has it."""

    def __init__(self, viewer: ViewerModel, session: Session) -> None:
        super().__init__()
        self._viewer = viewer
        self._session = session
        self.layers = LiveLayers(viewer)
        self.marks = PlaceMarks(viewer)
        self.enabled = True
        #: Of the live box, once a person has chosen it.
        self.size: Size3 | None = None
        self.key = bind_key(viewer, self.toggle)
        self._last: LivePreview | None = None
        #: Volumes whose layers a person deleted.
        self._lost: set[str] = set()
        # One layer at a time, each drawn before the next, so that the window never stalls for both.
        self._parts: list[Callable[[], None]] = []
        self._next = Debounce(self, NEXT_LAYER_MILLISECONDS, self._show_next)
        self.follower = ViewFollower(viewer, session)
        session.preview_loaded.connect(self.show)
        session.attached.connect(self._on_attached)
        session.worker_replaced.connect(self._on_worker_replaced)
        viewer.dims.events.ndisplay.connect(self._on_ndisplay)
        viewer.layers.events.removed.connect(self._on_removed)
        viewer.layers.events.inserted.connect(self._on_inserted)

    def close(self) -> None:
        """Disconnect from the viewer and the session."""
        self.follower.close()
        self._next.stop()
        self._parts.clear()
        unbind_key(self._viewer, self.key)
        self._viewer.dims.events.ndisplay.disconnect(self._on_ndisplay)
        self._viewer.layers.events.removed.disconnect(self._on_removed)
        self._viewer.layers.events.inserted.disconnect(self._on_inserted)

    def toggle(self) -> None:
        """Show what is hidden, hide what is shown."""
        self.set_enabled(not self.enabled)

    def set_enabled(self, enabled: bool) -> None:
        """Show the live layers, deleted ones too, or hide them."""
        if enabled == self.enabled:
            return
        self.enabled = self.follower.enabled = enabled
        if enabled:
            self.layers.restore()
            self.marks.restore()
            if self._last is not None:
                self.show(self._last)
        self.layers.set_visible(enabled)
        self.marks.set_visible(enabled)
        self.enabled_changed.emit(enabled)

    def set_size(self, size: Size3) -> None:
        """Set the size of the live box (Z, Y, X voxels), for this run and those to come."""
        self.size = size
        if self._session.is_active:
            self._session.send(SetPreview(size=size))

    def show(self, preview: LivePreview) -> None:
        """Show a preview."""
        if self._last is None and self.size is None and not self._session.is_own:
            self.size_changed.emit(preview.probabilities.shape)
        self._last = self.follower.last = preview
        if not self.enabled:
            return
        source = self.find_source(preview.image)
        if source is None and (preview.image in self._lost or self._shows_other_volumes()):
            self._remove()
            self.missed.emit(preview)
            return
        placeholder = self._build_placeholder(preview.image) if source is None else None
        first, *self._parts = self.layers.plan(preview, source, placeholder)
        if preview.places is not None:
            over = source if source is not None else placeholder
            self._parts.append(partial(self.marks.show, preview.places, over))
        first()
        self._next.start()
        self.shown.emit(preview)

    def _build_placeholder(self, image: str) -> Layer | None:
        """Make a layer that lies where a volume of the run would lie if it were open."""
        row = next((row for row in self._session.volumes if row.get("image") == image), None)
        if row is None or "spacing" not in row:
            return None
        place = place_of(tuple(row["spacing"]), units=row.get("units"))
        return Image(np.zeros((1, 1, 1), np.uint8), **place)

    def _shows_other_volumes(self) -> bool:
        return any(
            isinstance(layer, Image) and kind_of(layer) is None for layer in self._viewer.layers
        )

    def _show_next(self) -> None:
        if self._parts:
            self._parts.pop(0)()
        if self._parts:
            self._next.start()

    def _on_removed(self, event: Any) -> None:
        if event.value is self.layers.source and self.layers.shown is not None:
            self._lost.add(self.layers.shown.image)
            self._remove()

    def _remove(self) -> None:
        self._parts.clear()
        self.layers.remove()
        self.marks.remove()

    def _on_inserted(self, event: Any) -> None:
        """Show the newest preview as soon as its volume is there."""
        last = self._last
        waits = last is not None and self.layers.source is None
        if last is not None and waits and event.value is self.find_source(last.image):
            self.show(last)

    def _on_ndisplay(self, _event: object = None) -> None:
        self.layers.restyle()

    def find_source(self, image: str) -> Layer | None:
        """Find the layer that shows a volume: as started from here, or by its file."""
        return find_layer(self._viewer, self._session, image)

    def _on_attached(self, _run_dir: object) -> None:
        self._last = None
        self.marks.remove()  # another run's
        self._on_worker_replaced()

    def _on_worker_replaced(self, _run_dir: object = None) -> None:
        if self.size is not None and self._session.is_own:
            self._session.send(SetPreview(size=self.size))


_controllers: dict[int, LiveController] = {}


def get_live_controller(viewer: ViewerModel, session: Session) -> LiveController:
    """Return the controller of a session, made at the first call.

    It belongs to the session, not to a dock: the live layers are kept up to date while the dock
    is closed, and a dock that is opened again finds them as they are.
    """
    key = id(session)
    found = _controllers.get(key)
    if found is None:
        found = _controllers[key] = LiveController(viewer, session)
        session.closed.connect(lambda: _forget(key))
    return found


def _forget(key: int) -> None:
    found = _controllers.pop(key, None)
    if found is not None:
        # Qt may have deleted its timers before the window said that it is gone.
        with contextlib.suppress(RuntimeError):
            found.close()
