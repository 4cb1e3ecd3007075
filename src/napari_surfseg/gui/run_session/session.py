"""The run that a napari window is looking at, shared by its docks."""

from __future__ import annotations

import contextlib
import os
import threading
import weakref
from collections import deque
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from qtpy.QtCore import QObject, Signal

from napari_surfseg.config_files import find_own_path
from napari_surfseg.errors import SurfsegError
from napari_surfseg.events import (
    Command,
    CommandRefused,
    DataChecked,
    RunFailed,
    Stop,
    WarningIssued,
    append_command,
)
from napari_surfseg.gui.background.messages import name_copies, name_layers, name_switches
from napari_surfseg.gui.layers.layer_watch import unwrap
from napari_surfseg.gui.run_session.feed import RunFeed
from napari_surfseg.gui.run_session.kept_events import KeptEvents
from napari_surfseg.runs.folder import RunFolder
from napari_surfseg.runs.launchers.job import cancel_job

if TYPE_CHECKING:
    from collections.abc import Callable

    from napari.layers import Layer

    from napari_surfseg.runs.follow import RunSnapshot

__all__ = ["Session", "Taught", "get_session"]

_sessions: dict[int, Session] = {}


@dataclass(frozen=True, eq=False)
class Taught:
    """Labels that were made for the next run.

    Attributes
    ----------
    image : Layer or None
        The volume, where it is open.
    labels : Layer
        What is to be learned from.
    network : str
        Checkpoint, or network of the package, to start from; empty for none.
    """

    image: Layer | None
    labels: Layer
    network: str = ""


class Session(QObject):
    """Follows one run at a time and sends it commands.

    Parameters
    ----------
    make_feed : callable
        Makes the feed of a run folder; replaced in tests.
    """

    attached = Signal(object)
    """Another run is followed; carries its folder."""
    worker_replaced = Signal(object)
    """A new worker is on the same run; carries its folder."""
    polled = Signal(object)
    """The newest :class:`RunSnapshot`, with what is new since the last one."""
    preview_loaded = Signal(object)
    previews_changed = Signal(object)
    follow_failed = Signal(str)
    """The run cannot be read, or a command not be written; carries why."""
    closed = Signal()
    taught = Signal(object)
    """Carries labels for the next run, :class:`Taught`; they wait in :attr:`waiting_lesson`."""

    def __init__(self, make_feed: Callable[[Path], RunFeed] = RunFeed) -> None:
        super().__init__()
        self._make_feed = make_feed
        self._feed: RunFeed | None = None
        # One thread, so that commands arrive in the order in which they were given.
        self._sender = ThreadPoolExecutor(max_workers=1, thread_name_prefix="surfseg-commands")
        self.run_dir: Path | None = None
        self.snapshot: RunSnapshot | None = None
        self.history = KeptEvents()
        self.volumes: list[dict[str, Any]] = []
        self._layers: dict[str, weakref.ref[Layer]] = {}
        self._linked: list[str] = []
        self.is_own = False
        self.waiting_lesson: Taught | None = None
        self._waiting: deque[RunSnapshot] = deque()
        self._is_publishing = False

    @property
    def is_active(self) -> bool:
        """Whether a worker is at work on the run."""
        return self.snapshot is not None and self.snapshot.state.is_active

    def attach(
        self, run_dir: Path, *, own: bool = False, layers: dict[str, Layer] | None = None
    ) -> None:
        """Follow a run, and no other from now on.

        A run that is followed already stays so: what a new worker writes is appended to what
        an earlier one wrote, and nothing is read or drawn twice.

        Parameters
        ----------
        run_dir : Path
            The run folder.
        own : bool
            Whether this window started it, and so asks before it closes.
        layers : dict, optional
            The layer that shows each of its volumes and labels, by path.
        """
        same = self.run_dir == run_dir
        if not same:
            self._linked = []
        for path, layer in (layers or {}).items():
            self.link_layer(path, layer)
        if same and self._feed is not None:
            self.is_own = own or self.is_own
            self.worker_replaced.emit(run_dir)
            return
        if self._feed is not None:
            self._feed.stop()
        self._waiting.clear()
        self.run_dir = run_dir
        self.snapshot = None
        self.history = KeptEvents()
        self.is_own = own or (same and self.is_own)
        feed = self._make_feed(run_dir)
        self._feed = feed
        feed.polled.connect(self._on_polled)
        feed.preview_loaded.connect(self.preview_loaded)
        feed.previews_changed.connect(self.previews_changed)
        feed.follow_failed.connect(self._on_follow_failed)
        self.attached.emit(run_dir)
        feed.start()

    @property
    def linked(self) -> list[str]:
        """Paths of the run's volumes and labels that a layer shows."""
        return [path for path in self._linked if self.layer_of(path) is not None]

    def link_layer(self, image_path: str, layer: Layer) -> None:
        """Remember which layer shows a volume or labels of the run; held weakly.

        A link outlives the run's turn: who comes back to it finds its layers.
        """
        path = _same_path(image_path)
        self._layers[path] = weakref.ref(unwrap(layer))
        if path not in self._linked:
            self._linked.append(path)

    def layer_of(self, image_path: str) -> Layer | None:
        """Return the layer that shows a volume or labels of the run, if this window knows it.

        The layer may have left the viewer.
        """
        ref = self._layers.get(_same_path(image_path))
        return ref() if ref is not None else None

    def send(self, command: Command) -> str:
        """Send a command to the run's worker; returns its id at once."""
        if self.run_dir is not None:
            path = RunFolder(self.run_dir).commands_path
            self._sender.submit(append_command, path, command).add_done_callback(self._on_sent)
        return command.id

    def cancel_job(self) -> None:
        """Take the run's job out of the queue of another machine; what fails is said later."""
        run_dir = self.run_dir
        if run_dir is None:
            return
        try:
            finish = cancel_job(run_dir)
        except SurfsegError as error:
            self.follow_failed.emit(str(error))
            return

        def work() -> None:
            try:
                finish()
            except SurfsegError as error:
                with contextlib.suppress(RuntimeError):
                    self.follow_failed.emit(str(error))

        # The command itself outlives the window.
        threading.Thread(target=work, name="surfseg-cancel", daemon=True).start()

    def stop_run(self) -> None:
        """Stop the run, wherever it is: at work, or in a queue."""
        if self.snapshot is not None and self.snapshot.is_waiting:
            self.cancel_job()
        else:
            self.send(Stop())

    def teach(self, taught: Taught) -> None:
        """Hand labels to the form of the next run; they wait for it until it is open."""
        self.waiting_lesson = taught
        self.taught.emit(taught)

    def take_lesson(self) -> Taught | None:
        """Return the labels that wait, once."""
        taught, self.waiting_lesson = self.waiting_lesson, None
        return taught

    def show_preview(self, index: int | None) -> None:
        """Ask for an earlier preview, or with None for the newest from now on."""
        if self._feed is not None:
            self._feed.show_preview(index)

    def close(self) -> None:
        """Stop following the run, which continues."""
        if self._feed is not None:
            self._feed.stop()
            self._feed = None
        self._sender.shutdown(wait=True)
        with contextlib.suppress(RuntimeError):
            self.closed.emit()

    def _on_follow_failed(self, message: str) -> None:
        if self.sender() is self._feed:
            self._feed = None  # it has ended; attaching again starts another
        self.follow_failed.emit(message)

    def _on_sent(self, sent: Future[str]) -> None:
        error = sent.exception()
        if error is not None:
            with contextlib.suppress(RuntimeError):
                self.follow_failed.emit(str(error))

    def _on_polled(self, snapshot: RunSnapshot) -> None:
        if self.sender() is not None and self.sender() is not self._feed:
            return  # a late snapshot of a feed that was replaced
        self._waiting.append(snapshot)
        if self._is_publishing:
            return
        # napari's progress bar runs the event loop in the middle of a slot, and the next snapshot
        # would reach the remaining slots before this one.
        self._is_publishing = True
        try:
            while self._waiting:
                self._publish(self._waiting.popleft())
        finally:
            self._is_publishing = False

    def name_layers(self, message: str) -> str:
        """Put a sentence of the worker into the window's words: layers for paths, no switches."""
        layers = ((path, ref()) for path, ref in self._layers.items())
        named = {path: layer.name for path, layer in layers if layer is not None}
        message = name_layers(message, named)
        if self.run_dir is not None:
            message = name_copies(message, RunFolder(self.run_dir).inputs)
        return name_switches(message)

    def _publish(self, snapshot: RunSnapshot) -> None:
        snapshot = replace(
            snapshot,
            message=self.name_layers(snapshot.message),
            new_events=tuple(
                replace(event, message=self.name_layers(event.message))
                if isinstance(event, CommandRefused | RunFailed | WarningIssued)
                else event
                for event in snapshot.new_events
            ),
        )
        self.snapshot = snapshot
        self.history.extend(snapshot.new_events)
        for event in snapshot.new_events:
            if isinstance(event, DataChecked):
                self.volumes = [self._find_present(row) for row in event.volumes]
        self.polled.emit(snapshot)

    def _find_present(self, row: dict[str, Any]) -> dict[str, Any]:
        """Say where a volume lies now, though the folder was moved since the event."""
        if self.run_dir is None:
            return row
        paths = {key: str(row[key]) for key in ("image", "labels") if key in row}
        return row | {key: find_own_path(path, self.run_dir) for key, path in paths.items()}


def _same_path(source: str) -> str:
    path, separator, key = source.partition("::")
    if "://" in source:
        return source
    return os.path.normcase(str(Path(path).resolve())) + separator + key


def get_session(viewer: Any) -> Session:
    """Return the session of a viewer, made at the first call and shared by its docks."""
    key = id(unwrap(viewer))
    session = _sessions.get(key)
    if session is None:
        session = _sessions[key] = Session()
        # No reference to the viewer is kept, so a closed window's memory is free to go.
        session.closed.connect(lambda: _sessions.pop(key, None))
    return session
