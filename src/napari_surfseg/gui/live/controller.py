"""Which preview is shown where, and where the worker should look next."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Any

import numpy as np
from napari.layers import Image
from qtpy.QtCore import QObject, Signal

from napari_surfseg.events import SetPreview
from napari_surfseg.gui.controls.debounce import Debounce
from napari_surfseg.gui.layers.camera import camera_of, compute_view_center
from napari_surfseg.gui.layers.metadata import kind_of
from napari_surfseg.gui.layers.placement import place_of
from napari_surfseg.gui.live.layers import LiveLayers
from napari_surfseg.gui.live.toggle_key import bind_key, unbind_key
from napari_surfseg.gui.run_session.run_layers import find_layer

if TYPE_CHECKING:
    from collections.abc import Callable

    from napari.components import ViewerModel
    from napari.layers import Layer

    from napari_surfseg.geometry import Index3, Size3
    from napari_surfseg.gui.run_session.previews import LivePreview
    from napari_surfseg.gui.run_session.session import Session

__all__ = ["LiveController", "get_live_controller"]

#: A moving view sends one command when it rests.
REST_MILLISECONDS = 350
#: Between the two live layers; without a graphics card a repaint takes some 30 ms.
NEXT_LAYER_MILLISECONDS = 150
#: A view that moved by less than this share of the preview's size still looks at the same part.
SAME_PLACE = 0.2


class LiveController(QObject):
    """Shows the previews of a session's run in a viewer and lets them follow its view.

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
        self.enabled = True
        #: Of the live box, once a person has chosen it.
        self.size: Size3 | None = None
        self.key = bind_key(viewer, self.toggle)
        self._last: LivePreview | None = None
        #: Volumes whose layers a person deleted.
        self._lost: set[str] = set()
        self._asked: tuple[str, Index3] | None = None
        self._rest = Debounce(self, REST_MILLISECONDS, self.look_here)
        # One layer at a time, each with its paint, so that two refreshes are never felt as one.
        self._parts: list[Callable[[], None]] = []
        self._next = Debounce(self, NEXT_LAYER_MILLISECONDS, self._show_next)
        session.preview_loaded.connect(self.show)
        session.attached.connect(self._on_attached)
        session.worker_replaced.connect(self._on_worker_replaced)
        viewer.dims.events.current_step.connect(self._on_moved)
        camera_of(viewer).events.center.connect(self._on_moved)
        viewer.dims.events.ndisplay.connect(self._on_ndisplay)
        viewer.layers.events.removed.connect(self._on_removed)
        viewer.layers.events.inserted.connect(self._on_inserted)

    def close(self) -> None:
        """Let go of the viewer and the session."""
        self._rest.stop()
        self._next.stop()
        self._parts.clear()
        unbind_key(self._viewer, self.key)
        self._viewer.dims.events.current_step.disconnect(self._on_moved)
        camera_of(self._viewer).events.center.disconnect(self._on_moved)
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
        self.enabled = enabled
        if enabled:
            self.layers.restore()
            if self._last is not None:
                self.show(self._last)
        self.layers.set_visible(enabled)
        self.enabled_changed.emit(enabled)

    def set_size(self, size: Size3) -> None:
        """Let the live box have a size (Z, Y, X voxels), in this run and in those to come."""
        self.size = size
        if self._session.is_active:
            self._session.send(SetPreview(size=size))

    def show(self, preview: LivePreview) -> None:
        """Show a preview."""
        if self._last is None and self.size is None and not self._session.is_own:
            self.size_changed.emit(preview.probabilities.shape)
        self._last = preview
        if not self.enabled:
            return
        source = self.find_source(preview.image)
        if source is None and (preview.image in self._lost or self._shows_other_volumes()):
            self._parts.clear()
            self.layers.remove()
            self.missed.emit(preview)
            return
        stand_in = self._build_stand_in(preview.image) if source is None else None
        first, *self._parts = self.layers.plan(preview, source, stand_in)
        first()
        self._next.start()
        self.shown.emit(preview)

    def _build_stand_in(self, image: str) -> Layer | None:
        """Make a layer that lies where a volume of the run would, were it open."""
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
            self._parts.clear()
            self.layers.remove()

    def _on_inserted(self, event: Any) -> None:
        """Show the newest preview as soon as its volume is there."""
        last = self._last
        waits = last is not None and self.layers.source is None
        if last is not None and waits and event.value is self.find_source(last.image):
            self.show(last)

    def _on_ndisplay(self, _event: object = None) -> None:
        self.layers.restyle()
        self._on_moved()

    def find_source(self, image: str) -> Layer | None:
        """Find the layer that shows a volume: as started from here, or by its file."""
        return find_layer(self._viewer, self._session, image)

    def _on_attached(self, _run_dir: object) -> None:
        self._last = None
        self._on_worker_replaced()

    def _on_worker_replaced(self, _run_dir: object = None) -> None:
        # The new worker looks where it would at first, not where the last one was sent.
        self._asked = None
        if self.size is not None and self._session.is_own:
            self._session.send(SetPreview(size=self.size))

    def _on_moved(self, _event: object = None) -> None:
        if self.enabled and self._session.is_active:
            self._rest.start()

    def look_here(self) -> None:
        """Ask the worker for the part of the volume that the view shows, unless it does that."""
        if not self._session.is_active:
            return
        command = self.wish()
        if command is None:
            return
        size = self._last.probabilities.shape if self._last is not None else (32, 64, 64)
        here = (str(command.image), command.center or (0, 0, 0))
        if self._asked is not None and self._asked[0] == here[0]:
            moved = [
                abs(new - old) / edge
                for new, old, edge in zip(here[1], self._asked[1], size, strict=True)
            ]
            if max(moved) < SAME_PLACE:
                return
        self._asked = here
        self._session.send(command)

    def wish(self) -> SetPreview | None:
        """Return the command that asks for what the view shows; None where no volume is shown."""
        for image in self._candidates():
            source = self.find_source(image)
            if source is not None and source.visible:
                return SetPreview(image=image, center=compute_view_center(self._viewer, source))
        return None

    def _candidates(self) -> list[str]:
        """Volumes of the run; the one in the active layer first, then the one shown last."""
        rows = [str(row["image"]) for row in self._session.volumes if "image" in row]
        images = list(dict.fromkeys(rows)) or self._session.linked
        active = self._viewer.layers.selection.active
        last = self._last.image if self._last is not None else None

        def rank(image: str) -> tuple[bool, bool]:
            return self.find_source(image) is not active, image != last

        return sorted(images, key=rank)


_controllers: dict[int, LiveController] = {}


def get_live_controller(viewer: ViewerModel, session: Session) -> LiveController:
    """Return the controller of a session, made at the first call.

    It belongs to the session, not to a dock: the live layers go on while the dock is closed,
    and one that is opened again finds them as they are.
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
