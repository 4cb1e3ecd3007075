"""Slow work in a thread, whose outcome comes back to the window's thread."""

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
        Called in the thread with the job, so that it can ask :meth:`is_cancelled` and
        :meth:`report` its progress.
    name : str
        Of the thread.
    """

    done = Signal(object)
    """Carries what the work returned."""
    failed = Signal(object)
    """Carries a SurfsegError, whatever the work raised."""
    progressed = Signal(float)
    """Carries the share that is done, 0 to 1."""

    def __init__(self, work: Callable[[Job], Any], name: str) -> None:
        super().__init__()
        self._work = work
        self._cancelled = threading.Event()
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)

    def start(self) -> None:
        """Start the thread."""
        self._thread.start()

    def cancel(self) -> None:
        """Ask the work to end; no signal is emitted any more."""
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
        except Exception as error:  # noqa: BLE001  every error of a thread must reach the window
            self._emit(
                "failed",
                SurfsegError(f"Something unforeseen went wrong ({type(error).__name__}: {error})."),
            )
        else:
            self._emit("done", outcome)

    def _emit(self, signal: str, value: object) -> None:
        # The window may be gone, and with it the C++ object that emits the signals.
        with contextlib.suppress(RuntimeError):
            if not self.is_cancelled():
                getattr(self, signal).emit(value)

    def report(self, share: float) -> None:
        """Report the share that is done, 0 to 1; from the thread."""
        self._emit("progressed", share)


class Jobs:
    """Starts jobs by name; a job replaces an earlier one of the same name."""

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
        """Start work in a thread.

        Parameters
        ----------
        name : str
            An earlier job of this name is cancelled.
        work : callable
            As for :class:`Job`.
        done, failed, progressed : callable
            Called in the window's thread, as the signals of :class:`Job`.
        """
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
        """Cancel a job, if it still runs."""
        job = self._running.pop(name, None)
        if job is not None:
            job.cancel()

    def cancel_all(self) -> None:
        """Cancel every job; the threads end by themselves."""
        for name in list(self._running):
            self.cancel(name)
