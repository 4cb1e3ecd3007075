"""Brings strokes to the run: to its worker, or into its labels while it has none."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from qtpy.QtCore import QObject

from napari_surfseg.errors import DataError, RunBusyError, SurfsegError
from napari_surfseg.events import CommandApplied, CommandRefused, LabelsUpdated
from napari_surfseg.gui.background.signals import disconnect
from napari_surfseg.gui.controls.debounce import Debounce
from napari_surfseg.gui.layers.label_regions import take_labels
from napari_surfseg.gui.strokes.collect_strokes import collect_strokes
from napari_surfseg.gui.strokes.run_labels import RunLabels
from napari_surfseg.gui.strokes.status import (
    StrokesStatus,
    describe_changes,
    describe_status,
    describe_update,
)
from napari_surfseg.runs.folder import RunState

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from napari.components import ViewerModel
    from napari.layers import Layer

    from napari_surfseg.events import UpdateLabels
    from napari_surfseg.geometry import Index3
    from napari_surfseg.gui.background.threads import Job, Jobs
    from napari_surfseg.gui.run_session.session import Session
    from napari_surfseg.gui.strokes.protocols import StrokesPanelProtocol
    from napari_surfseg.runs.follow import RunSnapshot

__all__ = ["StrokesController"]

#: A stroke is over when the brush has rested for so long.
REST_MILLISECONDS = 3000


class StrokesController(QObject):
    """Watches the layers that show the labels of the session's run, and sends their strokes.

    Parameters
    ----------
    viewer : ViewerModel
        Where the layers are.
    view : StrokesPanelProtocol
        Passive.
    session : Session
        Whose run takes the strokes.
    jobs : Jobs
        Compares and writes, in a thread.
    """

    def __init__(
        self, viewer: ViewerModel, view: StrokesPanelProtocol, session: Session, jobs: Jobs
    ) -> None:
        super().__init__()
        self._viewer = viewer
        self._view = view
        self._session = session
        self._jobs = jobs
        self._run_dir: Path | None = None
        self._layers: dict[str, Layer] = {}
        self._known: dict[str, dict[Index3, int]] = {}
        self._awaited: set[str] = set()
        self._is_unsent = False
        self._is_unseen = False  # perhaps painted on while nobody watched
        self._is_collecting = False
        self._is_refused = False
        self._newest = ""
        self._rest = Debounce(self, REST_MILLISECONDS, self.send)
        self._labels = RunLabels(viewer, session, jobs)
        self._labels.found.connect(self._on_found)
        self._labels.changed.connect(self._update)
        self._labels.failed.connect(view.set_error)
        view.send_clicked.connect(self.send)
        view.open_clicked.connect(self._labels.open_missing)
        view.automatic_toggled.connect(self._on_automatic)
        session.attached.connect(self._on_attached)
        session.worker_replaced.connect(self._on_attached)
        session.polled.connect(self._on_polled)
        if session.run_dir is not None:
            self._on_attached(session.run_dir)

    def close(self) -> None:
        """Disconnect from the layers and the session."""
        self._rest.stop()
        self._labels.close()
        disconnect(self._session.attached, self._on_attached)
        disconnect(self._session.worker_replaced, self._on_attached)
        disconnect(self._session.polled, self._on_polled)
        self._forget()

    # -- the layers ----------------------------------------------------------------

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
                # An undo shows only in the slice being drawn again.
                layer.events.set_data.connect(self._on_redrawn)
            self._is_unseen = bool(layers)
        self._is_unseen = self._is_unseen and not are_copied
        self._update()

    def _on_found(self, layers: dict[str, Layer]) -> None:
        self.follow(layers, are_copied=False)

    def _forget(self) -> None:
        for layer in self._layers.values():
            disconnect(layer.events.paint, self._on_painted)
            disconnect(layer.events.data, self._on_painted)
            disconnect(layer.events.set_data, self._on_redrawn)
        self._layers = {}
        self._known = {}
        self._awaited.clear()
        self._is_unsent = self._is_unseen = self._is_refused = False
        self._newest = ""
        self._view.set_error("")

    def _present(self) -> dict[str, Layer]:
        return {path: layer for path, layer in self._layers.items() if layer in self._viewer.layers}

    # -- painting ------------------------------------------------------------------

    def _on_painted(self, _event: Any = None) -> None:
        self._is_unsent = True
        self._is_refused = False
        self._view.set_error("")
        self._rest.stop()
        self._update()

    def _on_redrawn(self, _event: Any = None) -> None:
        # Every look at another slice comes here too: only a person who paints can undo.
        if self._known and self._view.is_automatic() and self._can_take():
            self._rest.start()

    def _on_automatic(self, _checked: bool) -> None:
        self._rest.stop()
        self._update()

    # -- sending -------------------------------------------------------------------

    def send(self) -> None:
        """Compare the layers with the run's copies, in a thread, and bring over what differs."""
        self._rest.stop()
        if self._is_collecting or self._awaited or not self._can_take():
            return
        self._view.set_error("")
        try:
            work = self._prepare(has_worker=self._session.is_active)
        except DataError as error:
            self._view.set_error(str(error))
            return
        self._is_collecting = True
        self._is_unsent = self._is_unseen = self._is_refused = False
        self._update()
        self._jobs.start("strokes", work, done=self._on_collected, failed=self._on_failed)

    def prepare_for_worker(self) -> Callable[[Job], object]:
        """Return work that puts what is painted into the labels of a run without a worker.

        Raises
        ------
        DataError
            If a layer is no volume any more.
        """
        self._rest.stop()
        return self._prepare(has_worker=False)

    def _prepare(self, *, has_worker: bool) -> Callable[[Job], list[UpdateLabels] | int]:
        """Look at the layers in the window's thread; return the rest of the work."""
        layers = {
            path: (take_labels(layer), self._known.setdefault(path, {}))
            for path, layer in self._present().items()
        }
        run_dir = self._run_dir

        def work(job: Job) -> list[UpdateLabels] | int:
            if run_dir is None:
                return 0
            return collect_strokes(
                run_dir, layers, has_worker=has_worker, should_stop=job.is_cancelled
            )

        return work

    def _can_take(self) -> bool:
        """Whether a worker is there that answers, or none that could be in the way."""
        snapshot = self._session.snapshot
        return (
            snapshot is not None
            and snapshot.state not in {RunState.NEW, RunState.STARTING}
            and self._run_dir is not None
            and self._session.run_dir == self._run_dir
            and bool(self._present())
        )

    def _on_collected(self, outcome: list[UpdateLabels] | int) -> None:
        self._is_collecting = False
        if isinstance(outcome, int):
            if outcome:
                self._newest = describe_changes(outcome)
        elif self._session.run_dir == self._run_dir:
            self._awaited |= {self._session.send(command) for command in outcome}
        if not outcome:
            self._newest = self._newest or "The run has everything that is painted."
        self._update()

    def _on_failed(self, error: SurfsegError) -> None:
        self._is_collecting, self._is_unsent = False, True
        # A busy run has ended but still writes its report: the strokes follow by themselves.
        if not isinstance(error, RunBusyError):
            self._is_refused = True
            self._view.set_error(self._session.name_layers(str(error)))
        self._update()

    # -- following the run ---------------------------------------------------------

    def _on_attached(self, run_dir: Path) -> None:
        if run_dir != self._run_dir:
            self._forget()
            self._run_dir = run_dir
            self._labels.forget()
        elif self._awaited:
            # The worker they were sent to is gone; the next one does not carry out its commands.
            self._awaited.clear()
            self._is_unsent = True
        self._update()
        self._labels.read()

    def _on_polled(self, snapshot: RunSnapshot) -> None:
        for event in snapshot.new_events:
            match event:
                case CommandApplied() if event.command_id in self._awaited:
                    self._awaited.discard(event.command_id)
                case CommandRefused() if event.command_id in self._awaited:
                    self._awaited.discard(event.command_id)
                    self._is_unsent = self._is_refused = True
                    self._view.set_error(event.message)
                case LabelsUpdated():
                    self._newest = describe_update(event)
        if self._awaited and not self._session.is_active:
            self._awaited.clear()
            self._is_unsent = True
        self._update()

    def _update(self) -> None:
        """Show where the strokes are, and send them when the brush rests."""
        labels, present = self._labels, self._present()
        can_take = self._can_take()
        is_free = not (self._is_collecting or self._awaited)
        is_automatic = self._view.is_automatic()
        self._view.set_shown(labels.is_known or bool(self._layers))
        self._view.set_can_send(can_take and is_free)
        self._view.set_can_open(len(present) < len(labels.copies), busy=labels.is_opening)
        status = StrokesStatus(
            is_opening=labels.is_opening,
            has_layers=bool(present),
            has_copies=bool(labels.copies),
            is_collecting=self._is_collecting,
            is_awaited=bool(self._awaited),
            is_refused=self._is_refused,
            is_unsent=self._is_unsent,
            is_automatic=is_automatic,
            is_active=self._session.is_active,
            newest=self._newest,
        )
        self._view.set_state(describe_status(status))
        wants = (self._is_unsent or self._is_unseen) and is_automatic
        if wants and not self._is_refused and can_take and is_free and not self._rest.isActive():
            self._rest.start()
