"""Brings what is painted during a run to its worker."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Any

from qtpy.QtCore import QObject, QTimer

from napari_surfseg.errors import DataError, SurfsegError
from napari_surfseg.events import CommandApplied, CommandRefused, LabelsUpdated
from napari_surfseg.gui.layers import let_go
from napari_surfseg.gui.sources import take_file, take_layer
from napari_surfseg.gui.strokes import find_painted, pack_strokes
from napari_surfseg.runs.folder import RunState

if TYPE_CHECKING:
    from pathlib import Path

    from napari.components import ViewerModel
    from napari.layers import Layer

    from napari_surfseg.events import UpdateLabels
    from napari_surfseg.gui.jobs import Job, Jobs
    from napari_surfseg.gui.session import Session
    from napari_surfseg.gui.strokes_panel import StrokesPanel
    from napari_surfseg.runs.follow import RunSnapshot

__all__ = ["StrokesController"]

#: A brush that rests so long has finished what it was painting.
REST_MILLISECONDS = 3000


class StrokesController(QObject):
    """Watches the labels layers that a run was started from.

    Parameters
    ----------
    viewer : ViewerModel
        Where they are.
    view : StrokesPanel
        Passive.
    session : Session
        Whose run takes them.
    jobs : Jobs
        Compares and writes, in a thread.
    """

    def __init__(
        self, viewer: ViewerModel, view: StrokesPanel, session: Session, jobs: Jobs
    ) -> None:
        super().__init__()
        self._viewer = viewer
        self._view = view
        self._session = session
        self._jobs = jobs
        self._run_dir: Path | None = None
        self._layers: dict[str, Layer] = {}
        self._known: dict[str, dict[tuple[int, int, int], int]] = {}
        self._waiting: set[str] = set()
        self._is_dirty = False
        self._is_busy = False
        self._is_refused = False
        self._newest = ""
        self._rest = QTimer(self)
        self._rest.setSingleShot(True)
        self._rest.setInterval(REST_MILLISECONDS)
        self._rest.timeout.connect(self.send)
        view.send_clicked.connect(self.send)
        view.automatic_toggled.connect(self._on_automatic)
        session.attached.connect(self._on_attached)
        session.polled.connect(self._on_polled)

    def follow(self, layers: dict[str, Layer]) -> None:
        """Watch these layers, by the path of the run's copy of each, and no others."""
        self._let_go()
        self._run_dir = self._session.run_dir
        self._layers = dict(layers)
        for layer in layers.values():
            layer.events.paint.connect(self._on_painted)
            layer.events.data.connect(self._on_painted)
            # What an undo does is only told by the slice that is drawn anew.
            layer.events.set_data.connect(self._on_redrawn)
        self._update()

    def close(self) -> None:
        """Let go of the layers."""
        self._rest.stop()
        let_go(self._session.attached, self._on_attached)
        let_go(self._session.polled, self._on_polled)
        self._let_go()

    def _let_go(self) -> None:
        for layer in self._layers.values():
            for event, slot in (
                (layer.events.paint, self._on_painted),
                (layer.events.data, self._on_painted),
                (layer.events.set_data, self._on_redrawn),
            ):
                with contextlib.suppress(ValueError, RuntimeError):
                    event.disconnect(slot)
        self._layers = {}
        self._known = {}
        self._waiting.clear()
        self._is_dirty = self._is_refused = False
        self._newest = ""
        self._view.set_error("")

    # -- painting ------------------------------------------------------------------

    def _on_painted(self, _event: Any = None) -> None:
        self._is_dirty = True
        self._is_refused = False
        self._view.set_error("")
        self._rest.stop()
        self._update()

    def _on_redrawn(self, _event: Any = None) -> None:
        # Every look at another slice comes here too: only a person who paints can undo.
        if self._known and self._view.automatic.isChecked() and self._can_take():
            self._rest.start()

    def _on_automatic(self, _checked: bool) -> None:
        self._rest.stop()
        self._update()

    def _can_take(self) -> bool:
        """Whether a worker is there that answers."""
        snapshot = self._session.snapshot
        return (
            snapshot is not None
            and snapshot.state in {RunState.RUNNING, RunState.PAUSED}
            and self._session.run_dir == self._run_dir
            and bool(self._present())
        )

    def _present(self) -> dict[str, Layer]:
        return {path: layer for path, layer in self._layers.items() if layer in self._viewer.layers}

    # -- sending -------------------------------------------------------------------

    def send(self) -> None:
        """Compare the layers with the run's copies, in a thread, and send what differs."""
        self._rest.stop()
        if self._is_busy or self._waiting or not self._can_take() or self._run_dir is None:
            return
        self._view.set_error("")
        try:
            volumes = {path: take_layer(layer) for path, layer in self._present().items()}
        except DataError as error:
            self._view.set_error(str(error))
            return
        run_dir = self._run_dir
        known = {path: self._known.setdefault(path, {}) for path in volumes}
        self._is_busy, self._is_dirty, self._is_refused = True, False, False

        def work(job: Job) -> list[UpdateLabels]:
            commands = []
            for path, volume in volumes.items():
                boxes = find_painted(volume, take_file(path), known[path], job.is_cancelled)
                if boxes and not job.is_cancelled():
                    commands.append(pack_strokes(run_dir, path, boxes))
            return commands

        self._update()
        self._jobs.start("strokes", work, done=self._on_packed, failed=self._on_failed)

    def _on_packed(self, commands: list[UpdateLabels]) -> None:
        self._is_busy = False
        if self._session.run_dir == self._run_dir:
            self._waiting |= {self._session.send(command) for command in commands}
        if not commands:
            self._newest = self._newest or "The run has everything that is painted."
        self._update()

    def _on_failed(self, error: SurfsegError) -> None:
        self._is_busy, self._is_dirty, self._is_refused = False, True, True
        self._view.set_error(str(error))
        self._update()

    # -- following -----------------------------------------------------------------

    def _on_attached(self, run_dir: Path) -> None:
        if run_dir != self._run_dir:
            self._let_go()
            self._run_dir = None
        elif self._waiting:
            # Sent to a worker that is gone; the one that takes over has no use for its orders.
            self._waiting.clear()
            self._is_dirty = True
        self._update()

    def _on_polled(self, snapshot: RunSnapshot) -> None:
        for event in snapshot.new_events:
            match event:
                case CommandApplied() if event.command_id in self._waiting:
                    self._waiting.discard(event.command_id)
                case CommandRefused() if event.command_id in self._waiting:
                    self._waiting.discard(event.command_id)
                    self._is_dirty = self._is_refused = True
                    self._view.set_error(event.message)
                case LabelsUpdated():
                    self._newest = describe_update(event)
        if self._waiting and not self._session.is_active:
            self._waiting.clear()
            self._is_dirty = True
        self._update()

    def _update(self) -> None:
        """Show where the strokes are, and let the brush's rest send them."""
        can_take = self._can_take()
        is_free = not (self._is_busy or self._waiting)
        self._view.set_shown(self._session.is_active and self._session.is_own)
        self._view.set_can_send(can_take and is_free)
        self._view.set_state(self._describe())
        wants = self._is_dirty and not self._is_refused and self._view.automatic.isChecked()
        if wants and can_take and is_free and not self._rest.isActive():
            self._rest.start()

    def _describe(self) -> str:
        if not self._present():
            return "The run reads its labels from files; painting changes neither."
        if self._is_busy:
            return "Looking for what was painted…"
        if self._waiting:
            return "Sent; the worker takes it between two steps."
        if self._is_refused:
            return "Painted, but not taken."
        if self._is_dirty:
            resting = self._view.automatic.isChecked()
            return "Painted; sent when the brush rests." if resting else "Painted, not sent."
        return self._newest or "Paint on the labels to teach the run more."


def describe_update(event: LabelsUpdated) -> str:
    """Say what an update of the labels did."""
    surface = sum(int(row.get("num_surface", 0)) for row in event.volumes)
    voxels = "voxel" if event.num_changed == 1 else "voxels"
    return f"{event.num_changed:,} {voxels} changed; {surface:,} are surface."
