"""Asks the worker for previews of the part of the volume that the view shows."""

from __future__ import annotations

from typing import TYPE_CHECKING

from qtpy.QtCore import QObject

from napari_surfseg.events import SetPreview
from napari_surfseg.gui.background.signals import disconnect
from napari_surfseg.gui.controls.debounce import Debounce
from napari_surfseg.gui.layers.camera import camera_of, compute_view_center
from napari_surfseg.gui.run_session.run_layers import find_layer

if TYPE_CHECKING:
    from napari.components import ViewerModel

    from napari_surfseg.geometry import Index3
    from napari_surfseg.gui.run_session.previews import LivePreview
    from napari_surfseg.gui.run_session.session import Session

__all__ = ["ViewFollower"]

#: A moving view sends one command when it rests.
REST_MILLISECONDS = 350
#: A view that moved by less than this share of the preview's size still shows the same part.
SAME_PLACE = 0.2


class ViewFollower(QObject):
    """Follows the camera and the slider, and sends the worker where they rest.

    Parameters
    ----------
    viewer : ViewerModel
        Whose view is followed.
    session : Session
        Whose worker is asked.

    Attributes
    ----------
    enabled : bool
        Whether a moving view is followed.
    last : LivePreview or None
        The newest preview; says how large the next one will be.
    """

    def __init__(self, viewer: ViewerModel, session: Session) -> None:
        super().__init__()
        self._viewer = viewer
        self._session = session
        self._sent: tuple[str, Index3] | None = None
        self.enabled = True
        self.last: LivePreview | None = None
        self._rest = Debounce(self, REST_MILLISECONDS, self.send)
        session.attached.connect(self._on_attached)
        session.worker_replaced.connect(self._on_worker_replaced)
        self._events = (
            viewer.dims.events.current_step,
            viewer.dims.events.ndisplay,
            camera_of(viewer).events.center,
        )
        for event in self._events:
            event.connect(self._on_moved)

    def close(self) -> None:
        """Disconnect from the viewer."""
        self._rest.stop()
        for event in self._events:
            disconnect(event, self._on_moved)

    def _on_attached(self, _run_dir: object) -> None:
        self.last = None
        self._sent = None

    def _on_worker_replaced(self, _run_dir: object) -> None:
        # The new worker begins where the configuration says, not where the last one was sent.
        self._sent = None

    def _on_moved(self, _event: object = None) -> None:
        if self.enabled and self._session.is_active:
            self._rest.start()

    def send(self) -> None:
        """Ask the worker for the part of the volume that the view shows, unless it was asked."""
        if not self._session.is_active:
            return
        command = self.build_command()
        if command is None:
            return
        size = self.last.probabilities.shape if self.last is not None else (32, 64, 64)
        here = (str(command.image), command.center or (0, 0, 0))
        if self._sent is not None and self._sent[0] == here[0]:
            moved = [
                abs(new - old) / edge
                for new, old, edge in zip(here[1], self._sent[1], size, strict=True)
            ]
            if max(moved) < SAME_PLACE:
                return
        self._sent = here
        self._session.send(command)

    def build_command(self) -> SetPreview | None:
        """Return the command that asks for what the view shows; None where it shows no volume."""
        for image in self._candidates():
            source = find_layer(self._viewer, self._session, image)
            if source is not None and source.visible:
                return SetPreview(image=image, center=compute_view_center(self._viewer, source))
        return None

    def _candidates(self) -> list[str]:
        """Volumes of the run; the one in the active layer first, then the one shown last."""
        rows = [str(row["image"]) for row in self._session.volumes if "image" in row]
        images = list(dict.fromkeys(rows)) or self._session.linked
        active = self._viewer.layers.selection.active
        last = self.last.image if self.last is not None else None

        def rank(image: str) -> tuple[bool, bool]:
            layer = find_layer(self._viewer, self._session, image)
            return layer is not active, image != last

        return sorted(images, key=rank)
