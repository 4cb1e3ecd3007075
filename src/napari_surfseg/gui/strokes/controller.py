"""Brings what is painted to the run: to its worker, or into its labels while it rests."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from qtpy.QtCore import QObject

from napari_surfseg.errors import DataError, RunBusyError, SurfsegError
from napari_surfseg.events import CommandApplied, CommandRefused, LabelsUpdated
from napari_surfseg.gui.background.signals import disconnect
from napari_surfseg.gui.controls.debounce import Debounce
from napari_surfseg.gui.layers.label_regions import take_labels
from napari_surfseg.gui.layers.layer_volume import take_file
from napari_surfseg.gui.layers.layer_watch import LayerWatch
from napari_surfseg.gui.run_session.run_layers import find_layer, open_volumes, read_run_layers
from napari_surfseg.gui.strokes.changes import find_painted, keep_strokes, pack_strokes
from napari_surfseg.runs.folder import RunState

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from napari.components import ViewerModel
    from napari.layers import Layer

    from napari_surfseg.events import UpdateLabels
    from napari_surfseg.gui.background.threads import Job, Jobs
    from napari_surfseg.gui.run_session.run_layers import OpenedVolume, RunLayers
    from napari_surfseg.gui.run_session.session import Session
    from napari_surfseg.gui.strokes.panel import StrokesPanel
    from napari_surfseg.runs.follow import RunSnapshot

__all__ = ["StrokesController"]

#: A brush that rests so long has finished what it was painting.
REST_MILLISECONDS = 3000


class StrokesController(QObject):
    """Watches the layers that show the labels of the session's run.

    Which layer shows which labels is known to the session, from Start on; a layer that was
    opened from the run's own copy is found by that. So whoever attaches can paint on.

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
        self._run: RunLayers | None = None
        self._layers: dict[str, Layer] = {}
        self._known: dict[str, dict[tuple[int, int, int], int]] = {}
        self._waiting: set[str] = set()
        self._is_dirty = False
        self._is_unseen = False  # perhaps painted on while nobody watched
        self._is_busy = False
        self._is_opening = False
        self._is_refused = False
        self._newest = ""
        self._rest = Debounce(self, REST_MILLISECONDS, self.send)
        view.send_clicked.connect(self.send)
        view.open_clicked.connect(self.open_layers)
        view.automatic_toggled.connect(self._on_automatic)
        session.attached.connect(self._on_attached)
        session.worker_replaced.connect(self._on_attached)
        session.polled.connect(self._on_polled)
        self._watch = LayerWatch(viewer, on_list=self._on_list)
        if session.run_dir is not None:
            self._on_attached(session.run_dir)

    def follow(self, layers: dict[str, Layer], *, are_copied: bool = True) -> None:
        """Watch these layers, by the path of the run's copy of each, and no others.

        Parameters
        ----------
        layers : dict
            By path.
        are_copied : bool
            Whether the copies were made just now; otherwise the layers may have been
            painted on while nobody watched.
        """
        same = self._run_dir == self._session.run_dir and layers == self._layers
        if not same:
            self._forget()
            self._run_dir = self._session.run_dir
            self._layers = dict(layers)
            for path, layer in layers.items():
                self._session.link_layer(path, layer)
                layer.events.paint.connect(self._on_painted)
                layer.events.data.connect(self._on_painted)
                # What an undo does is only told by the slice that is drawn anew.
                layer.events.set_data.connect(self._on_redrawn)
            self._is_unseen = bool(layers)
        self._is_unseen = self._is_unseen and not are_copied
        self._update()

    def close(self) -> None:
        """Let go of the layers and the session."""
        self._rest.stop()
        self._watch.close()
        disconnect(self._session.attached, self._on_attached)
        disconnect(self._session.worker_replaced, self._on_attached)
        disconnect(self._session.polled, self._on_polled)
        self._forget()

    def _forget(self) -> None:
        for layer in self._layers.values():
            disconnect(layer.events.paint, self._on_painted)
            disconnect(layer.events.data, self._on_painted)
            disconnect(layer.events.set_data, self._on_redrawn)
        self._layers = {}
        self._known = {}
        self._waiting.clear()
        self._is_dirty = self._is_unseen = self._is_refused = False
        self._newest = ""
        self._view.set_error("")

    # -- finding the layers --------------------------------------------------------

    def _look(self) -> None:
        """Read in a thread what the run learns from, and find its layers."""
        run_dir = self._session.run_dir
        if run_dir is None:
            return

        def work(_job: Job) -> tuple[Path, RunLayers]:
            return run_dir, read_run_layers(run_dir)

        self._jobs.start("run_layers", work, done=self._on_read, failed=self._on_unread)

    def _on_read(self, found: tuple[Path, RunLayers]) -> None:
        run_dir, run = found
        if run_dir == self._session.run_dir:
            self._run = run
            self._find()

    def _on_unread(self, _error: SurfsegError) -> None:
        self._run = None  # the run panel says what is wrong with the folder
        self._update()

    def _on_list(self) -> None:
        if self._run is not None:
            self._find()

    def _find(self) -> None:
        if self._run is None:
            return
        found = {
            path: layer
            for path in self._run.copies
            if (layer := find_layer(self._viewer, self._session, path)) is not None
            and hasattr(layer.events, "paint")
        }
        for path in self._run.images:
            layer = find_layer(self._viewer, self._session, path)
            if layer is not None:
                self._session.link_layer(path, layer)
        self.follow(found, are_copied=False)

    def open_layers(self) -> None:
        """Open the volumes and labels of the run that are not in the viewer."""
        run = self._run
        if run is None or self._is_opening:
            return
        missing = [
            path
            for path in (*run.images, *run.copies)
            if find_layer(self._viewer, self._session, path) is None
        ]

        def work(_job: Job) -> tuple[RunLayers, list[OpenedVolume]]:
            return run, open_volumes(run, missing)

        self._is_opening = True
        self._update()
        self._jobs.start("open_run", work, done=self._on_opened, failed=self._on_not_opened)

    def _on_opened(self, opened: tuple[RunLayers, list[OpenedVolume]]) -> None:
        self._is_opening = False
        run, volumes = opened
        if run is not self._run:
            return
        for volume in volumes:
            layer = volume.build()
            self._session.link_layer(volume.path, layer)
            self._viewer.layers.append(layer)
            if volume.seen_from is not None and 0 not in self._viewer.dims.displayed:
                start = layer.data_to_world((volume.seen_from, 0, 0))
                self._viewer.dims.set_point(0, start[0])
        self._find()

    def _on_not_opened(self, error: SurfsegError) -> None:
        self._is_opening = False
        self._view.set_error(str(error))
        self._update()

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
        """Whether a worker is there that answers, or none that could be in the way."""
        snapshot = self._session.snapshot
        return (
            snapshot is not None
            and snapshot.state not in {RunState.NEW, RunState.STARTING}
            and self._session.run_dir == self._run_dir
            and bool(self._present())
        )

    def _present(self) -> dict[str, Layer]:
        return {path: layer for path, layer in self._layers.items() if layer in self._viewer.layers}

    # -- sending -------------------------------------------------------------------

    def send(self) -> None:
        """Compare the layers with the run's copies, in a thread, and bring over what differs."""
        self._rest.stop()
        if self._is_busy or self._waiting or not self._can_take() or self._run_dir is None:
            return
        self._view.set_error("")
        try:
            work = self._compare(active=self._session.is_active)
        except DataError as error:
            self._view.set_error(str(error))
            return
        self._is_busy = True
        self._is_dirty = self._is_unseen = self._is_refused = False
        self._update()
        self._jobs.start("strokes", work, done=self._on_packed, failed=self._on_failed)

    def _compare(self, *, active: bool) -> Callable[[Job], list[UpdateLabels] | int]:
        """Return what finds the strokes, and packs them for the worker or writes them."""
        volumes = {path: take_labels(layer) for path, layer in self._present().items()}
        known = {path: self._known.setdefault(path, {}) for path in volumes}
        run_dir = self._run_dir

        def work(job: Job) -> list[UpdateLabels] | int:
            commands = []
            changed = 0
            for path, volume in volumes.items():
                boxes = find_painted(volume, take_file(path), known[path], job.is_cancelled)
                if not boxes or run_dir is None or job.is_cancelled():
                    continue
                if active:
                    commands.append(pack_strokes(run_dir, path, boxes))
                else:
                    changed += keep_strokes(run_dir, path, boxes)
            return commands if active else changed

        return work

    def bring_over(self) -> Callable[[Job], object]:
        """Return work that puts what is painted into the labels of a run at rest.

        Raises
        ------
        DataError
            If a layer is no volume any more.
        """
        self._rest.stop()
        return self._compare(active=False)

    def _on_packed(self, outcome: list[UpdateLabels] | int) -> None:
        self._is_busy = False
        if isinstance(outcome, int):
            if outcome:
                self._newest = f"{_voxels(outcome)} changed in the run's labels, for Resume."
        elif self._session.run_dir == self._run_dir:
            self._waiting |= {self._session.send(command) for command in outcome}
        if not outcome:
            self._newest = self._newest or "The run has everything that is painted."
        self._update()

    def _on_failed(self, error: SurfsegError) -> None:
        if isinstance(error, RunBusyError):
            # The worker has said that it ended and is still writing its report.
            self._is_busy, self._is_dirty = False, True
            self._update()
            return
        self._is_busy, self._is_dirty, self._is_refused = False, True, True
        self._view.set_error(self._session.name_layers(str(error)))
        self._update()

    # -- following -----------------------------------------------------------------

    def _on_attached(self, run_dir: Path) -> None:
        if run_dir != self._run_dir:
            self._forget()
            self._run_dir = run_dir
            self._run = None
        elif self._waiting:
            # Sent to a worker that is gone; the one that takes over has no use for its orders.
            self._waiting.clear()
            self._is_dirty = True
        self._update()
        self._look()

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
        copies = self._run.copies if self._run is not None else ()
        self._view.set_shown(bool(self._run or self._layers))
        self._view.set_can_send(can_take and is_free)
        self._view.set_can_open(len(self._present()) < len(copies), busy=self._is_opening)
        self._view.set_state(self._describe())
        wants = (self._is_dirty or self._is_unseen) and self._view.automatic.isChecked()
        if wants and not self._is_refused and can_take and is_free and not self._rest.isActive():
            self._rest.start()

    def _describe(self) -> str:
        if self._is_opening:
            return "Opening the run's volume and labels…"
        if not self._present():
            if self._run is not None and self._run.copies:
                return "The labels of this run are not open here."
            return "This run's labels are files of your own, which it does not change."
        if self._is_busy:
            return "Looking for what was painted…"
        if self._waiting:
            return "Sent; the worker takes it between two steps."
        if self._is_refused:
            return "Painted, but not taken."
        if self._is_dirty:
            resting = self._view.automatic.isChecked()
            return "Painted; taken when the brush rests." if resting else "Painted, not sent."
        if self._newest:
            return self._newest
        if self._session.is_active:
            return "Paint on the labels to teach the run more."
        return "Paint on the labels; Resume learns from it."


def describe_update(event: LabelsUpdated) -> str:
    """Say what an update of the labels did."""
    surface = sum(int(row.get("num_surface", 0)) for row in event.volumes)
    return f"{_voxels(event.num_changed)} changed; {surface:,} are surface."


def _voxels(count: int) -> str:
    return f"{count:,} {'voxel' if count == 1 else 'voxels'}"
