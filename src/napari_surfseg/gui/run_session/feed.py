"""Follows a run from a thread, so that a slow disk never stalls the window."""

from __future__ import annotations

import contextlib
import queue
import threading
import time
from dataclasses import replace
from typing import TYPE_CHECKING, Protocol

from qtpy.QtCore import QObject, Signal

from napari_surfseg.errors import SurfsegError
from napari_surfseg.events import PreviewWritten, StepFinished
from napari_surfseg.gui.run_session.previews import load_preview
from napari_surfseg.runs.follow import RunFollower

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from napari_surfseg.events import Event
    from napari_surfseg.runs.follow import RunSnapshot

__all__ = ["Follower", "RunFeed", "follow_run"]

#: Often enough that a button's effect is felt at once, rare enough to cost nothing.
POLL_SECONDS = 0.25
#: Steps alone are reported this often: any change in a window repaints all of it.
REPORT_SECONDS = 2.0
#: Read at a time when attaching to a long run: about 2000 steps, a few tens of milliseconds.
MAX_POLL_BYTES = 1 << 20


class Follower(Protocol):
    """Reports what is new in a run since it was last asked."""

    def poll(self) -> RunSnapshot:
        """Read what is new."""


def follow_run(run_dir: Path) -> RunFollower:
    """Return the follower of a real run folder."""
    return RunFollower(run_dir, max_bytes=MAX_POLL_BYTES)


class RunFeed(QObject):
    """Polls a run in a thread and reports what is new to the window's thread.

    Parameters
    ----------
    run_dir : Path
        The run folder.
    make_follower : callable
        Returns the follower; called in the thread.
    """

    polled = Signal(object)
    preview_loaded = Signal(object)
    previews_changed = Signal(object)
    follow_failed = Signal(str)

    def __init__(
        self,
        run_dir: Path,
        make_follower: Callable[[Path], Follower] = follow_run,
        parent: QObject | None = None,
    ) -> None:
        super().__init__(parent)
        self.run_dir = run_dir
        self._make_follower = make_follower
        self._stop = threading.Event()
        self._requests: queue.SimpleQueue[int | None] = queue.SimpleQueue()
        self._thread = threading.Thread(
            target=self._follow, name=f"surfseg-feed-{run_dir.name}", daemon=True
        )

    def start(self) -> None:
        """Start following."""
        self._thread.start()

    def stop(self, *, wait_seconds: float = 0.0) -> None:
        """Stop following; by default without waiting for the thread."""
        self._stop.set()
        if wait_seconds and self._thread.is_alive():
            self._thread.join(wait_seconds)

    def show_preview(self, index: int | None) -> None:
        """Ask for an earlier preview, or with None for the newest one from now on."""
        self._requests.put(index)

    def _follow(self) -> None:
        previews: dict[int, PreviewWritten] = {}
        wanted: int | None = None
        shown: int | None = None
        last: tuple[object, ...] | None = None
        unreported: list[Event] = []
        reported_at = 0.0
        try:
            follower = self._make_follower(self.run_dir)
            while not self._stop.is_set():
                snapshot = follower.poll()
                events = snapshot.new_events
                now = (snapshot.state, snapshot.message)
                unreported += events
                has_news = now != last or any(
                    not isinstance(event, StepFinished) for event in events
                )
                if has_news or (unreported and time.monotonic() - reported_at >= REPORT_SECONDS):
                    last, reported_at = now, time.monotonic()
                    self._emit("polled", replace(snapshot, new_events=tuple(unreported)))
                    unreported = []
                new = [event for event in events if isinstance(event, PreviewWritten)]
                if new:
                    previews.update({event.index: event for event in new})
                    previews = self._kept(previews)
                    self._emit("previews_changed", sorted(previews))
                while True:
                    try:
                        wanted = self._requests.get_nowait()
                        shown = None
                    except queue.Empty:
                        break
                target = wanted if wanted in previews else max(previews, default=None)
                if target is not None and target != shown:
                    loaded = load_preview(self.run_dir, previews[target])
                    shown = target
                    if loaded is not None:
                        self._emit("preview_loaded", loaded)
                self._stop.wait(0.01 if len(events) > 500 else POLL_SECONDS)
        except SurfsegError as error:
            self._emit("follow_failed", str(error))

    def _kept(self, previews: dict[int, PreviewWritten]) -> dict[int, PreviewWritten]:
        """Leave out the previews whose files the worker has cleared away."""
        return {
            index: event
            for index, event in previews.items()
            if (self.run_dir / event.probabilities).exists()
        }

    def _emit(self, signal: str, value: object) -> None:
        # The window and its signals may be gone while the thread is still at work.
        with contextlib.suppress(RuntimeError):
            if not self._stop.is_set():
                getattr(self, signal).emit(value)
