"""What a dock does with a job in a process: start it, show how far it is, end it."""

from __future__ import annotations

import contextlib
from functools import partial
from typing import TYPE_CHECKING, Any, Protocol

from napari.utils import progress
from qtpy.QtCore import QObject, Signal

from napari_surfseg.gui.background.processes import JobProcess
from napari_surfseg.gui.background.questions import Asker
from napari_surfseg.time_left import TimeLeft
from napari_surfseg.wording import format_duration

if TYPE_CHECKING:
    from collections.abc import Callable

    from napari_surfseg.errors import SurfsegError
    from napari_surfseg.gui.background.threads import Jobs

__all__ = ["JobView", "ProcessJob"]


class JobView(Protocol):
    """What a dock shows of its job."""

    def set_busy(self, busy: bool) -> None:
        """Switch between Start and Cancel."""

    def set_state(self, text: str, share: float | None = None) -> None:
        """Say what is going on, and how much of it is done, 0 to 1."""

    def ask(self, question: str) -> bool:
        """Put a yes-or-no question to the person; in the window's thread."""


class ProcessJob(QObject):
    """Runs one job at a time in a thread and a process, and shows its stages.

    They are shown in the dock and in napari's activity dock.

    Parameters
    ----------
    view : JobView
        Of the dock.
    jobs : Jobs
        Starts the thread.
    module, what : str
        As for :class:`JobProcess`.
    title : str
        Of the bar in the activity dock.
    """

    _reported = Signal(str, float)

    def __init__(self, view: JobView, jobs: Jobs, *, module: str, what: str, title: str) -> None:
        super().__init__()
        self._view = view
        self._jobs = jobs
        self._module = module
        self._what = what
        self._title = title
        self._asker = Asker(view.ask)
        self._process: JobProcess | None = None
        self._bar: Any = None
        self._time_left = TimeLeft()
        self._is_drawing = False
        self._reported.connect(self._on_reported)

    @property
    def is_busy(self) -> bool:
        """Whether a job is under way; from :meth:`start` to :meth:`end`."""
        return self._process is not None

    def start(
        self,
        work: Callable[[JobProcess], Any],
        *,
        done: Callable[[Any], None],
        failed: Callable[[SurfsegError], None],
    ) -> None:
        """Start a job.

        Parameters
        ----------
        work : callable
            Called in a thread with the process to run.
        done : callable
            Called in the window's thread with what ``work`` returned; it calls :meth:`end`
            as soon as the dock is free again.
        failed : callable
            Called in the window's thread with the error, after :meth:`end`.
        """
        process = JobProcess(
            self._module,
            self._what,
            report=self.report,
            ask=lambda question: self._asker.ask(question, lambda: process.is_cancelled),
        )

        def fail(error: SurfsegError) -> None:
            self.end()
            failed(error)

        self._begin(process)
        self._jobs.start(self._what, lambda _job: work(process), done=done, failed=fail)

    def _begin(self, process: JobProcess) -> None:
        self._process = process
        self._time_left = TimeLeft()
        self._view.set_busy(True)
        self._on_reported("Preparing", 0.0)

    def cancel(self) -> None:
        """End the process, if there is one; ``failed`` is then called with a CancelledError."""
        if self._process is not None:
            self._process.cancel()

    def report(self, stage: str, share: float) -> None:
        """Show a stage and its share, 0 to 1; may be called from any thread."""
        with contextlib.suppress(RuntimeError):  # the window is gone
            self._reported.emit(stage, share)

    def end(self) -> None:
        """Free the dock for the next job."""
        self._process = None
        self._view.set_busy(False)
        if self._bar is not None:
            self._bar.close()
            self._bar = None

    def _on_reported(self, stage: str, share: float) -> None:
        if self._process is None:
            return
        left = self._time_left.estimate(stage, share)
        text = f"{stage[:1].upper()}{stage[1:]}…"
        if left is not None:
            text += f" {format_duration(left)} left."
        self._view.set_state(text, share)
        if not self._is_drawing:
            self._is_drawing = True
            try:
                self._draw_bar(stage, share)
            finally:
                self._is_drawing = False

    def _draw_bar(self, stage: str, share: float) -> None:
        """Draw the bar; napari handles events while it does, and the job may end in them."""
        process = self._process
        bar = self._bar or progress(total=1000, desc=self._title)
        if self._process is not process:
            bar.close()
            return
        self._bar = bar
        for change in (
            partial(bar.set_description, stage),
            partial(bar.reset, total=1000),
            partial(bar.update, round(1000 * share)),
        ):
            change()
            if self._bar is not bar:
                return
