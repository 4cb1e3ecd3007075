"""Work that may wait, done in a thread; its outcome comes back to the window's thread."""

from __future__ import annotations

import contextlib
import threading
from typing import TYPE_CHECKING, Any

from qtpy.QtCore import QObject, Signal

from napari_surfseg.errors import SurfsegError

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["Job", "Jobs"]


class Job(QObject):
    """One piece of work.

    Parameters
    ----------
    work : callable
        Called in a thread with the job, so that it can ask :meth:`is_cancelled` and
        tell its :attr:`progressed`.
    """

    done = Signal(object)
    failed = Signal(object)
    progressed = Signal(float)

    def __init__(self, work: Callable[[Job], Any], name: str) -> None:
        super().__init__()
        self._work = work
        self._cancelled = threading.Event()
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def cancel(self) -> None:
        """Ask the work to end and drop its outcome."""
        self._cancelled.set()

    def is_cancelled(self) -> bool:
        """Whether :meth:`cancel` was called."""
        return self._cancelled.is_set()

    def wait(self, seconds: float) -> None:
        """Wait for the thread; for tests and for closing."""
        self._thread.join(seconds)

    def _run(self) -> None:
        try:
            outcome = self._work(self)
        except SurfsegError as error:
            self._emit("failed", error)
        except MemoryError:
            self._emit("failed", SurfsegError("There is not enough memory for this."))
        except Exception as error:  # noqa: BLE001  a thread's fault must reach the window
            self._emit(
                "failed",
                SurfsegError(f"Something unforeseen went wrong ({type(error).__name__}: {error})."),
            )
        else:
            self._emit("done", outcome)

    def _emit(self, signal: str, value: object) -> None:
        # The window may be gone, and with it this object's other half, which has the signals.
        with contextlib.suppress(RuntimeError):
            if not self.is_cancelled():
                getattr(self, signal).emit(value)

    def report(self, share: float) -> None:
        """Tell how much is done, 0 to 1."""
        self._emit("progressed", share)


class Jobs:
    """Starts jobs by name; a new one of a name replaces the one before."""

    def __init__(self) -> None:
        self._running: dict[str, Job] = {}

    def start(
        self,
        name: str,
        work: Callable[[Job], Any],
        *,
        done: Callable[[Any], None],
        failed: Callable[[SurfsegError], None],
        progressed: Callable[[float], None] | None = None,
    ) -> Job:
        """Start work; ``done`` or ``failed`` is called in the window's thread."""
        self.cancel(name)
        job = Job(work, f"surfseg-{name}")
        job.done.connect(done)
        job.failed.connect(failed)
        if progressed is not None:
            job.progressed.connect(progressed)
        self._running[name] = job
        job.start()
        return job

    def cancel(self, name: str) -> None:
        """Drop a job's outcome, if it still runs."""
        job = self._running.pop(name, None)
        if job is not None:
            job.cancel()

    def cancel_all(self) -> None:
        """Drop everything; the threads end by themselves."""
        for name in list(self._running):
            self.cancel(name)
